"""A `Study` in, a `Prediction` out: LVEF, conditions, whether to believe them, and where the model looked."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cardiolens._version import __version__
from cardiolens.attention import view_attention
from cardiolens.clips import Cut, clips_of, cut
from cardiolens.conditions import condition_heads, notes_on, read_conditions
from cardiolens.engine import Engine, Values
from cardiolens.errors import CheckpointError, NoCineError, TrainingError
from cardiolens.findings import ClipFinding, Interval, Prediction
from cardiolens.origin import only_manufacturer
from cardiolens.study import Study, View
from cardiolens.transforms import ClipTransform

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from cardiolens.clips import Bag
    from cardiolens.models.dual_encoder import DualEncoder

__all__ = [
    "ClipFinding",
    "Interval",
    "Prediction",
    "Predictor",
    "embed_bag",
    "fit_domain",
    "fit_domain_rows",
    "study_hash",
]


class Predictor:
    """Reads studies with one model.

    >>> predictor = Predictor(cardiolens.load_model("shad-mvit-tiny:phantom"))   # doctest: +SKIP
    >>> predictor(cardiolens.read_study("path/to/dicom")).lvef_pct               # doctest: +SKIP

    The clip transform is the one in the model's card.  Every plane of every view at hand is read, without geometry.
    """

    def __init__(
        self, model: DualEncoder | Engine, *, batch_size: int = 16, device: str | torch.device = "cpu"
    ) -> None:
        """Take a trained model.

        Args:
            model: with trained weights, and a head "lvef" or heads for conditions as its card describes them; or an
                engine that computes one, such as `cardiolens.edge.OnnxEngine`.
            batch_size: clips encoded at once; bounds the memory, does not change the result.
            device: where PyTorch is to run.

        Raises:
            CheckpointError: random weights, no head of either kind, or a card that does not fit its heads.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        card = model.card
        if not card.sha256:
            raise CheckpointError(
                f"{card.name} has random weights, so it can predict nothing; load trained ones, "
                f"load_model('{card.name}', weights=...), or train it with cardiolens pretrain and finetune"
            )
        self.engine: Engine = model if isinstance(model, Engine) else _by_torch(model, batch_size, device)
        self.has_lvef = "lvef" in self.engine.heads and "lvef" in card.tasks
        self.condition_heads = condition_heads(self.engine)
        if not self.has_lvef and not self.condition_heads:
            have = ", ".join(sorted(self.engine.heads)) or "none"
            raise CheckpointError(
                f"{card.full_name} has no head for LVEF and none for conditions (heads: {have}); train one with "
                "cardiolens finetune, or choose a model that has: cardiolens models lists them"
            )
        self.card = card
        self.transform = ClipTransform.from_dict(card.transform)

    @property
    def model(self) -> DualEncoder:
        """The network, where PyTorch computes it; `CheckpointError` where another engine does."""
        return self._torch().model  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        """Where PyTorch computes; `CheckpointError` where another engine does."""
        return self._torch().device  # type: ignore[no-any-return]

    def _torch(self) -> Any:
        if self.engine.name != "torch":
            raise CheckpointError(f"this needs the network itself, which the engine {self.engine.name} does not hold")
        return self.engine

    def bag(self, study: Study) -> Cut:
        """The clips that the model reads: all planes of all views.  `NoCineError` where there is none."""
        if not study.cines:
            refused = "; ".join(f"{r.series}: {r.reason}" for r in study.refused) or "no series at all"
            raise NoCineError(f"no cine of a standard view to read ({refused}); check with cardiolens views")
        return cut(study, self.transform, plane_sampling="all")

    def __call__(self, study: Study) -> Prediction:
        """Predict one study.

        Raises:
            NoCineError: the study holds no cine.
            ReadError: pixels that cannot be read, or hold NaN.
        """
        watch = _Watch()
        bag = self.bag(study)
        watch.lap("prepare")
        features, embeddings = self.engine.encode(bag.clips)
        watch.lap("encode")
        lvef, weights = self._lvef(features)
        conditions, theirs = read_conditions(self.engine, self.condition_heads, features, bag.views)
        weights = weights or np.mean(theirs, axis=0).tolist()
        watch.lap("pool")
        domain = self._by_origin(study, self._domain(embeddings, bag))
        watch.lap("domain")
        interval, notes = self._interval(lvef)
        return Prediction(
            lvef_pct=None if lvef is None else min(max(lvef, 0.0), 100.0),
            interval=interval,
            out_of_domain=domain.outside,
            domain_score=domain.score,
            domain_threshold=domain.threshold,
            domain_reasons=domain.reasons,
            clips=tuple(
                ClipFinding(view, plane, weight, score)
                for view, plane, weight, score in zip(bag.views, bag.planes, weights, domain.clips, strict=True)
            ),
            attention=view_attention(weights, bag.views),
            embeddings=embeddings,
            provenance=self._provenance(study),
            notes=(
                *notes,
                *self.engine.notes,
                *notes_on(self.condition_heads, conditions),
                *domain.notes,
                *_missing(study, self._usual_views(), self.has_lvef, bool(conditions)),
            ),
            timing_s=watch.laps,
            conditions=conditions,
            attention_of="lvef" if self.has_lvef else self._one_or_mean(),
        )

    def _one_or_mean(self) -> str:
        return self.condition_heads[0].task if len(self.condition_heads) == 1 else "mean"

    def _lvef(self, features: Values) -> tuple[float | None, list[float]]:
        """LVEF in percent, not yet cut to [0, 100], and the weights of the clips; None and none without a head."""
        if not self.has_lvef:
            return None, []
        pooled = self.engine.measure("lvef", features)
        lvef = float(pooled.output.reshape(-1)[0])
        if not np.isfinite(lvef):
            raise CheckpointError(f"{self.card.full_name} gives {lvef} for LVEF; its weights are damaged")
        return lvef, pooled.attention.tolist()

    def _interval(self, lvef: float | None) -> tuple[Interval | None, list[str]]:
        if lvef is None:
            return None, []
        conformal = self.card.tasks["lvef"].get("conformal")
        if not conformal:
            return None, [
                "No interval: the model's card holds no conformal quantile (no held-out calibration was done)."
            ]
        half = float(conformal["quantile"])
        low, high = (min(max(edge, 0.0), 100.0) for edge in (lvef - half, lvef + half))
        return Interval(low, high, float(conformal["coverage"])), []

    def _domain(self, embeddings: Values, bag: Cut) -> _Domain:
        reference = self.engine.domain
        if reference is None:
            note = "Out-of-domain check not done: these weights carry no reference of the studies they learned from."
            return _Domain(None, None, None, (), (None,) * len(bag.views), [note])
        look, distances = self.engine.distances(embeddings, bag.clips)
        score = reference.study_score(distances, bag.views)
        if not np.isfinite(score):
            raise CheckpointError(
                f"{self.card.full_name} gives {score} as out-of-domain score; its weights are damaged"
            )
        clips = tuple(reference.score(distances, bag.views).tolist())
        reasons = tuple(reference.reasons(look, distances, bag.views))
        unsure = ", ".join(map(str, reference.unsure_of(bag.views)))
        notes = [f"Out-of-domain check less sure of {unsure}: too few reference studies hold it."] if unsure else []
        return _Domain(score > reference.threshold, score, reference.threshold, reasons, clips, notes)

    def _by_origin(self, study: Study, domain: _Domain) -> _Domain:
        """A model that has learned from one source alone, as its card says, is not to be believed elsewhere, however
        alike the images are."""
        only = only_manufacturer(self.card)
        if only is None or all(cine.attributes.get("Manufacturer") == only for cine in study.cines):
            return domain
        reason = f'the model has learned from studies of "{only}" alone, and this one does not say that it is such'
        return replace(domain, outside=True, reasons=(reason, *domain.reasons))

    def _usual_views(self) -> list[View]:
        """Views that most of the studies had that calibrated interval and reference; none where the card is silent."""
        entry = self.card.domain or {}
        had: Mapping[str, int] = entry.get("n_held_out_by_view", {})
        return [view for view in View if had.get(str(view), 0) > entry.get("n_held_out", 0) / 2]

    def _provenance(self, study: Study) -> dict[str, Any]:
        return {
            "cardiolens": __version__,
            "model": self.card.full_name,
            "weights_sha256": self.card.sha256,
            "transform": self.transform.to_dict(),
            "plane_sampling": "all",
            "study_sha256": study_hash(study),
            "engine": self.engine.name,
            **self.engine.provenance(),
        }


@dataclass(frozen=True)
class _Domain:
    outside: bool | None
    score: float | None
    threshold: float | None
    reasons: tuple[str, ...]
    clips: tuple[float | None, ...]
    notes: list[str]


class _Watch:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 4)
        self._last = now


def _missing(study: Study, usual: Sequence[View], lvef: bool, conditions: bool) -> Iterator[str]:
    absent = [str(view) for view in View if view not in study.views]
    if absent:
        yield f"Read without {', '.join(absent)}, which this study does not hold."
    if lost := [str(view) for view in usual if view not in study.views]:
        if lvef:
            yield f"The interval was calibrated on studies with {', '.join(lost)}; without, its coverage is not known."
        if conditions:
            yield f"The conditions were calibrated on studies with {', '.join(lost)}; without, they are less sure."
    still = [str(cine.view) for cine in study.cines if cine.n_phases < 2]
    if still:
        means = "a still image shows no ejection, so the LVEF means nothing there" if lvef else "nothing moves there"
        yield f"Only one phase in {', '.join(still)}: {means}."
    bare = [str(cine.view) for cine in study.cines if not cine.has_geometry]
    if bare:
        stays = "; LVEF is a ratio and stays" if lvef else ""
        yield f"No pixel spacing in {', '.join(bare)}: nothing in mm or ml can be measured{stays}."


def _by_torch(model: DualEncoder, batch_size: int, device: str | torch.device) -> Engine:
    from cardiolens.torch_engine import TorchEngine

    return TorchEngine(model, batch_size, device)


def embed_bag(model: DualEncoder, bag: Bag, batch_size: int = 16, device: str | torch.device = "cpu") -> Tensor:
    """Embeddings (clip, 512) of a bag, some clips at a time; no gradient."""
    import torch

    with torch.inference_mode():
        parts = torch.split(bag.clips, batch_size)
        return model.project(torch.cat([model.features(part.to(device)) for part in parts]))


def fit_domain(
    model: DualEncoder,
    train: Iterable[Study | Bag],
    held_out: Iterable[Study | Bag],
    *,
    quantile: float = 0.98,
    batch_size: int = 16,
    device: str | torch.device = "cpu",
) -> dict[str, Any]:
    """Fit the out-of-domain reference of a trained model and attach it (`model.domain`, `model.card.domain`).

    Args:
        model: trained; its embedding of the studies defines "usual".
        train: studies, or their bags of all planes, that the model learned from.
        held_out: studies that it did not learn from, of the same kind; they set the limit, for whole studies and for
            each view alone.
        quantile: share of new studies of that kind that pass.

    Returns:
        The card's `domain` entry.

    Raises:
        TrainingError: fewer than ten studies to fit or held out.
    """
    from cardiolens.clips import Bag
    from cardiolens.models.domain import domain_features

    transform = ClipTransform.from_dict(model.card.transform)
    model = model.to(device).eval()

    def measured(item: Study | Bag) -> tuple[Tensor, Sequence[View]]:
        bag = item if isinstance(item, Bag) else clips_of(item, transform)
        return domain_features(embed_bag(model, bag, batch_size, device).cpu(), bag.clips), bag.views

    fitted = [measured(item)[0] for item in train]
    return fit_domain_rows(model, fitted, [measured(item) for item in held_out], quantile=quantile)


def fit_domain_rows(
    model: DualEncoder,
    train: Sequence[Tensor],
    held_out: Sequence[tuple[Tensor, Sequence[View]]],
    *,
    quantile: float = 0.98,
) -> dict[str, Any]:
    """`fit_domain` from features computed before.

    Args:
        model: gets the reference (`model.domain`, `model.card.domain`).
        train: for each study the rows of `domain_features`, (clip, width).
        held_out: the same, with the view of each clip.
        quantile: share of new studies of that kind that pass.

    Returns:
        The card's `domain` entry.

    Raises:
        TrainingError: fewer than ten studies to fit or held out.
    """
    from cardiolens.models.domain import STATISTICS, DomainReference

    if not train:
        raise TrainingError("an out-of-domain reference needs studies to fit, got none")
    reference = DomainReference(train[0].shape[1])
    entry = reference.fit(train, held_out, quantile=quantile)
    entry["statistics"] = [statistic.name for statistic in STATISTICS]
    model.domain = reference.to(model.video_proj.weight.device)
    model.card.domain = entry
    return entry


def study_hash(study: Study) -> str:
    """SHA-256 of what the model reads: each view's pixels and shape, in order; no identifier enters."""
    digest = hashlib.sha256()
    for cine in study.cines:
        frames = np.ascontiguousarray(cine.frames)
        digest.update(f"{cine.view} {frames.shape} {frames.dtype.str}".encode())
        digest.update(frames.data)
    return digest.hexdigest()
