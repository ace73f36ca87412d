"""A `Study` in, a `Prediction` out: LVEF with its interval, whether to believe it, and where the model looked."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiolens._version import __version__
from cardiolens.clips import Bag, clips_of
from cardiolens.errors import CheckpointError, NoCineError, TrainingError
from cardiolens.explain.attention import ViewAttention, view_attention
from cardiolens.models.domain import STATISTICS, DomainReference, domain_features
from cardiolens.study import Study, View
from cardiolens.transforms import ClipTransform

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipFinding:
    """One clip of the bag.

    Attributes:
        view: its view.
        plane: its plane within the cine, from 0.
        attention: weight in the pooling; the weights of a study add up to 1.
        domain_score: its own out-of-domain score in units of the limit for single clips; None if not assessed.
    """

    view: View
    plane: int
    attention: float
    domain_score: float | None


@dataclass(frozen=True)
class Interval:
    """A prediction interval in percent LVEF and the share of in-domain studies whose true value it holds."""

    low: float
    high: float
    coverage: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one study.

    Attributes:
        lvef_pct: left ventricular ejection fraction, percent, in [0, 100].
        interval: split-conformal interval; None where the model's card has none (a note says so).
        out_of_domain: True when the study is unlike those the model learned from, so that neither figure nor interval
            can be relied on; None when the model has no reference to tell (a note says so).
        domain_score: study score, and `domain_threshold` its limit.
        domain_reasons: the measured properties outside the reference's range, in plain words.
        clips: one row a clip.
        attention: gathered by view.
        embeddings: (clip, 512) float32, unit norm.
        provenance: versions, hashes and settings that gave this result.
        notes: what the reader should know.
        timing_s: seconds a stage took.
    """

    lvef_pct: float
    interval: Interval | None
    out_of_domain: bool | None
    domain_score: float | None
    domain_threshold: float | None
    domain_reasons: tuple[str, ...]
    clips: tuple[ClipFinding, ...]
    attention: tuple[ViewAttention, ...]
    embeddings: npt.NDArray[np.float32] = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    timing_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def view_attention(self) -> dict[str, float]:
        """View to its share of the attention."""
        return {str(row.view): row.share for row in self.attention}

    def to_dict(self) -> dict[str, Any]:
        """For JSON: everything but the embeddings."""
        return {
            "lvef_pct": self.lvef_pct,
            "interval": asdict(self.interval) if self.interval else None,
            "out_of_domain": self.out_of_domain,
            "domain": {
                "score": self.domain_score,
                "threshold": self.domain_threshold,
                "reasons": list(self.domain_reasons),
            },
            "attention": {
                str(row.view): {"clips": row.clips, "share": row.share, "relative": row.relative}
                for row in self.attention
            },
            "clips": [
                {"view": str(c.view), "plane": c.plane, "attention": c.attention, "domain_score": c.domain_score}
                for c in self.clips
            ],
            "provenance": dict(self.provenance),
            "notes": list(self.notes),
            "timing_s": dict(self.timing_s),
        }


class Predictor:
    """Reads studies with one model.

    >>> predictor = Predictor(cardiolens.load_model("shad-mvit-tiny:phantom"))   # doctest: +SKIP
    >>> predictor(cardiolens.read_study("path/to/dicom")).lvef_pct               # doctest: +SKIP

    The clip transform is the one in the model's card.  Every plane of every view at hand is read, without geometry.
    """

    def __init__(self, model: DualEncoder, *, batch_size: int = 16, device: str | torch.device = "cpu") -> None:
        """Take a trained model.

        Args:
            model: with trained weights and a head "lvef".
            batch_size: clips encoded at once; bounds the memory, does not change the result.
            device: where to run.

        Raises:
            CheckpointError: random weights, or no LVEF head.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        card = model.card
        if not card.sha256:
            raise CheckpointError(
                f"{card.name} has random weights, so it can predict nothing; load trained ones, "
                f"load_model('{card.name}', weights=...), or train it with cardiolens pretrain and finetune"
            )
        if "lvef" not in model.heads or "lvef" not in card.tasks:
            have = ", ".join(sorted(model.heads)) or "none"
            raise CheckpointError(
                f"{card.full_name} has no LVEF head (heads: {have}); train one with cardiolens finetune, "
                "or choose a model that cardiolens models lists with the task lvef"
            )
        self.model = model.to(device).eval()
        self.card = card
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.transform = ClipTransform.from_dict(card.transform)

    def bag(self, study: Study) -> Bag:
        """The clips that the model reads: all planes of all views.  `NoCineError` where there is none."""
        if not study.cines:
            refused = "; ".join(f"{r.series}: {r.reason}" for r in study.refused) or "no series at all"
            raise NoCineError(f"no cine of a standard view to read ({refused}); check with cardiolens views")
        return clips_of(study, self.transform, plane_sampling="all")

    @torch.inference_mode()
    def __call__(self, study: Study) -> Prediction:
        """Predict one study.

        Raises:
            NoCineError: the study holds no cine.
            ReadError: pixels that cannot be read, or hold NaN.
        """
        watch = _Watch()
        bag = self.bag(study)
        watch.lap("prepare")
        embeddings = embed_bag(self.model, bag, self.batch_size, self.device)
        watch.lap("encode")
        mask = torch.ones(1, len(bag), dtype=torch.bool, device=self.device)
        pooled = self.model.heads["lvef"](embeddings[None], mask)
        lvef = float(pooled.output.reshape(-1)[0])
        if not np.isfinite(lvef):
            raise CheckpointError(f"{self.card.full_name} gives {lvef} for LVEF; its weights are damaged")
        weights = pooled.attention[0].float().cpu().tolist()
        watch.lap("pool")
        domain = self._by_origin(study, self._domain(embeddings, bag))
        watch.lap("domain")
        interval, notes = self._interval(lvef)
        return Prediction(
            lvef_pct=min(max(lvef, 0.0), 100.0),
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
            embeddings=embeddings.float().cpu().numpy(),
            provenance=self._provenance(study),
            notes=(*notes, *domain.notes, *_missing(study, self._usual_views())),
            timing_s=watch.laps,
        )

    def _interval(self, lvef: float) -> tuple[Interval | None, list[str]]:
        conformal = self.card.tasks["lvef"].get("conformal")
        if not conformal:
            return None, [
                "No interval: the model's card holds no conformal quantile (no held-out calibration was done)."
            ]
        half = float(conformal["quantile"])
        low, high = (min(max(edge, 0.0), 100.0) for edge in (lvef - half, lvef + half))
        return Interval(low, high, float(conformal["coverage"])), []

    def _domain(self, embeddings: Tensor, bag: Bag) -> _Domain:
        reference = self.model.domain
        if reference is None:
            note = "Out-of-domain check not done: these weights carry no reference of the studies they learned from."
            return _Domain(None, None, None, (), (None,) * len(bag), [note])
        features = domain_features(embeddings.cpu(), bag.clips).to(self.device)
        score = reference.study_score(features, bag.views)
        if not np.isfinite(score):
            raise CheckpointError(
                f"{self.card.full_name} gives {score} as out-of-domain score; its weights are damaged"
            )
        clips = tuple(reference.score(features, bag.views).cpu().tolist())
        reasons = tuple(reference.reasons(features, bag.views))
        unsure = ", ".join(map(str, reference.unsure_of(bag.views)))
        notes = [f"Out-of-domain check less sure of {unsure}: too few reference studies hold it."] if unsure else []
        return _Domain(score > reference.threshold, score, reference.threshold, reasons, clips, notes)

    def _by_origin(self, study: Study, domain: _Domain) -> _Domain:
        """A model that has learned from one source alone, as its card says, is not to be believed elsewhere, however
        alike the images are."""
        only = (self.card.domain or {}).get("manufacturer")
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
            "torch": torch.__version__,
            "device": str(self.device),
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


def _missing(study: Study, usual: Sequence[View]) -> Iterator[str]:
    absent = [str(view) for view in View if view not in study.views]
    if absent:
        yield f"Read without {', '.join(absent)}, which this study does not hold."
    if lost := [str(view) for view in usual if view not in study.views]:
        yield f"The interval was calibrated on studies with {', '.join(lost)}; without, its coverage is not known."
    still = [str(cine.view) for cine in study.cines if cine.n_phases < 2]
    if still:
        yield f"Only one phase in {', '.join(still)}: a still image shows no ejection, so the LVEF means nothing there."
    bare = [str(cine.view) for cine in study.cines if not cine.has_geometry]
    if bare:
        yield f"No pixel spacing in {', '.join(bare)}: nothing in mm or ml can be measured; LVEF is a ratio and stays."


def embed_bag(model: DualEncoder, bag: Bag, batch_size: int = 16, device: str | torch.device = "cpu") -> Tensor:
    """Embeddings (clip, 512) of a bag, some clips at a time; no gradient."""
    with torch.inference_mode():
        parts = [model.embed(part.to(device)) for part in torch.split(bag.clips, batch_size)]
    return torch.cat(parts)


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
