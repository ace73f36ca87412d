"""What a model says of every study: values, probabilities, attention and embeddings; kept, so that it can go on.

Features of every clip lie in `<folder>/features` under the hash of the encoder and the content hash of their study
(`cardiolens.training.features.ClipTable`); a second call, or one after a stop, reads them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, logit
from torch import Tensor

from cardiolens.errors import CardiolensError, CheckpointError
from cardiolens.hub import load_model
from cardiolens.models.card import Card
from cardiolens.models.domain import STATISTICS, image_statistics
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mil import GatedAttentionMIL
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.training.data import ClipSource
from cardiolens.training.features import ClipTable, state_hash
from cardiolens.transforms import ClipTransform
from cardiolens.validation.cohort import Exclusion, Progress

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

RANDOM = "random"


@dataclass(frozen=True)
class Head:
    """One head and what it gives.

    Attributes:
        name: unique within a reader; `of` is its name within its model.
        kind: "regression" or "classification".
        labels: the columns of a label table that its outputs answer to.
        conformal: half-width and coverage of its prediction interval, or None.
        calibration: label to slope and intercept of Platt's scaling of the logit and the operating threshold (of the
            score before it), where the card has them.
    """

    name: str
    of: str
    kind: str
    labels: tuple[str, ...]
    unit: str = ""
    conformal: tuple[float, float] | None = None
    calibration: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def probabilities(self, logits: Sequence[float]) -> list[float]:
        """Of each label: as calibrated on the card, else the sigmoid of the logit; both rank studies alike."""
        return [
            float(expit(slope * value + intercept))
            for value, (slope, intercept, _) in zip(logits, map(self._scale, self.labels), strict=True)
        ]

    def threshold(self, label: str) -> float | None:
        """The card's operating threshold, as a probability like `probabilities`; None where it has none."""
        if label not in self.calibration:
            return None
        slope, intercept, score = self.calibration[label]
        return float(expit(slope * logit(score) + intercept))

    def _scale(self, label: str) -> tuple[float, float, float]:
        return self.calibration.get(label, (1.0, 0.0, 0.5))


@dataclass(frozen=True, eq=False)
class Reader:
    """One model, or the models of an `each` run, one a condition.

    Attributes:
        title: how it is called in figures.
        sha256: of its weights.
        folders: where its models lie; empty where that is no folder of a run.
    """

    title: str
    models: tuple[DualEncoder, ...]
    sha256: str
    folders: tuple[Path, ...] = ()

    @property
    def main(self) -> DualEncoder:
        """The model whose embeddings are shown."""
        return self.models[0]

    @property
    def heads(self) -> list[tuple[DualEncoder, Head]]:
        """Every head with its model."""
        return [(model, head) for model in self.models for head in _heads(model, alone=len(self.models) == 1)]

    @property
    def labels(self) -> set[str]:
        return {label for _, head in self.heads for label in head.labels}


@dataclass(frozen=True, eq=False)
class Readings:
    """What a reader said.

    Attributes:
        values: (study, label) indexed by key: percent for LVEF; NaN where the head gave none.
        conditions: likewise, probabilities, calibrated as far as the card goes.
        thresholds: condition to the card's operating threshold, a probability, where it has one.
        intervals: label to (half-width, coverage) of the prediction interval.
        domain: out_of_domain and domain_score by key; empty where the model has no reference.
        clips: one row a clip: key, view, plane, and attention_<head> for each head.
        embeddings: (clip, width) float32 of unit length, in the order of `clips`.
        refused: studies, or single outputs, that the model could not give.
    """

    title: str
    values: pd.DataFrame
    conditions: pd.DataFrame
    thresholds: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    domain: pd.DataFrame
    clips: pd.DataFrame
    embeddings: npt.NDArray[np.float32]
    refused: tuple[Exclusion, ...]

    @property
    def keys(self) -> list[str]:
        """Studies that were read, in order."""
        return [str(key) for key in self.values.index]


def open_reader(name: str, device: str = "cpu") -> Reader:
    """A model folder, a name of `cardiolens models`, or the folder of an `each` run (a model a condition below it).

    Raises:
        CheckpointError: nothing there, or random weights.
    """
    folder = Path(name).expanduser()
    if (folder / "final" / "card.json").is_file() and not (folder / "card.json").is_file():
        return open_reader(str(folder / "final"), device)  # a run folder
    below = sorted(path.parent for path in folder.glob("*/final/card.json")) if folder.is_dir() else []
    if below and not (folder / "card.json").is_file():
        models = tuple(load_model(path) for path in below)
        if alone := [path for path, one in zip(below, models, strict=True) if not isinstance(one, DualEncoder)]:
            raise CheckpointError(f"{alone[0]} is a head alone; finish the run, so that {folder}/final gathers them")
        hashes = "".join(model.card.sha256 or "" for model in models)
        title = f"{folder.name} ({len(models)} models)"
        return Reader(title, _placed(models, device), hashlib.sha256(hashes.encode()).hexdigest(), tuple(below))
    model = load_model(name)
    if not isinstance(model, DualEncoder):
        raise CheckpointError(f"{name} is a head alone; give the folder of a whole model")
    if not model.card.sha256:
        raise CheckpointError(f"{name} has random weights; a trained model is validated (random may stand as baseline)")
    title = model.card.full_name
    if folder.is_dir():
        title = folder.resolve().parent.name if folder.name == "final" else folder.name
    folders = (folder,) if folder.is_dir() else ()
    return Reader(title, _placed((model,), device), model.card.sha256, folders)


def random_reader(like: Reader, seed: int = 0, device: str = "cpu") -> Reader:
    """The same network with random weights and no head: what embeddings look like that nothing was learned for."""
    model = like.main
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        card = Card(name="random weights", transform=dict(model.card.transform))
        twin = DualEncoder(model.video_encoder.config, embed_dim=model.embed_dim, card=card)
    return Reader("random weights", _placed((twin,), device), state_hash(twin))


def _placed(models: Sequence[DualEncoder], device: str) -> tuple[DualEncoder, ...]:
    return tuple(model.to(device).eval() for model in models)


def _heads(model: DualEncoder, *, alone: bool) -> list[Head]:
    found = []
    for name, head in model.heads.items():
        if not isinstance(head, GatedAttentionMIL):
            continue
        task = model.card.tasks.get(name, {})
        kind = head.config.kind
        labels = (str(task.get("label", name)),) if kind == "regression" else tuple(task.get("labels", ()))
        if len(labels) != head.config.outputs:
            log.warning("%s: the card does not name what head %s gives; it is left out", model.card.full_name, name)
            continue
        conformal = task.get("conformal")
        edges = (float(conformal["quantile"]), float(conformal["coverage"])) if conformal else None
        unit = str(task.get("unit", ""))
        found.append(Head(name if alone else labels[0], name, kind, labels, unit, edges, _calibration(task)))
    return found


def _calibration(task: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    fitted = (task.get("calibration") or {}).get("conditions", {})
    return {
        name: (float(row["slope"]), float(row["intercept"]), float(row["threshold"])) for name, row in fitted.items()
    }


@torch.inference_mode()
def read_studies(
    reader: Reader,
    store: StudyStore,
    keys: Sequence[str],
    folder: Path,
    progress: Progress,
    *,
    batch: int = 16,
    half: bool = False,
) -> Readings:
    """Let every head read every study; one that fails is refused with its reason and the others go on.

    `half` rounds the clips to float16 first, as training that keeps them does.
    """
    import pandas as pd

    sheet = _Sheet(reader, keys)
    tables = [_table(model, store, folder, batch, half=half) for model in reader.models]
    for number, key in enumerate(keys):
        progress(f"read by {reader.title}", number, len(keys))
        try:
            sheet.add(key, tables)
        except CardiolensError as error:
            sheet.refused.append(Exclusion(key, "refused", str(error)))
    progress(f"read by {reader.title}", len(keys), len(keys))
    index = pd.Index(list(sheet.outputs), name="key", dtype=str)
    outputs = pd.DataFrame(list(sheet.outputs.values()), index=index, dtype="float64")
    kinds = {label: head.kind for _, head in reader.heads for label in head.labels}
    chosen = {kind: [label for label, of in kinds.items() if of == kind] for kind in ("regression", "classification")}
    columns = ["key", "view", "plane", *(f"attention_{head.name}" for _, head in reader.heads)]
    width = reader.main.embed_dim
    return Readings(
        reader.title,
        outputs.reindex(columns=chosen["regression"]),
        outputs.reindex(columns=chosen["classification"]),
        {
            label: edge
            for _, head in reader.heads
            for label in head.labels
            if (edge := head.threshold(label)) is not None
        },
        {head.labels[0]: head.conformal for _, head in reader.heads if head.conformal},
        pd.DataFrame.from_dict(sheet.domain, orient="index", columns=["out_of_domain", "domain_score"]),
        pd.DataFrame(sheet.clips, columns=columns),
        np.concatenate(sheet.embeddings) if sheet.embeddings else np.zeros((0, width), dtype=np.float32),
        tuple(sheet.refused),
    )


def _table(model: DualEncoder, store: StudyStore, folder: Path, batch: int, *, half: bool) -> ClipTable:
    """Features (clip, width) of the encoder, and behind them the image statistics where there is a reference."""
    source = ClipSource(store, ClipTransform.from_dict(model.card.transform), cache=False)
    device = model.video_proj.weight.device
    what = f"{state_hash(model.video_encoder)}{STATISTICS if model.domain is not None else ''}{'half' if half else ''}"

    def measure(clips: Tensor) -> Tensor:
        clips = clips.half().float() if half else clips
        features = model.features(clips.to(device)).cpu()
        return features if model.domain is None else torch.cat([features, image_statistics(clips)], 1)

    return ClipTable(folder / "features", source, what, measure, batch=batch)


@dataclass(eq=False)
class _Sheet:
    """Readings in the making."""

    reader: Reader
    keys: Sequence[str]
    outputs: dict[str, dict[str, float]] = field(default_factory=dict)
    domain: dict[str, tuple[bool, float]] = field(default_factory=dict)
    clips: list[dict[str, Any]] = field(default_factory=list)
    embeddings: list[npt.NDArray[np.float32]] = field(default_factory=list)
    refused: list[Exclusion] = field(default_factory=list)

    def add(self, key: str, tables: Sequence[ClipTable]) -> None:
        """Read one study with every model; what is wrong with one output is noted, the rest stands."""
        outputs: dict[str, float] = {}
        attention: dict[str, list[float]] = {}
        missing: list[Exclusion] = []
        first: tuple[list[tuple[View, int]], Tensor] | None = None
        domain: tuple[bool, float] | None = None
        for model, table in zip(self.reader.models, tables, strict=True):
            found = table.compute([key], "")[key]
            rows = torch.stack(list(found.values())).to(model.video_proj.weight.device)
            features = rows[:, : model.video_encoder.config.out_width]
            embedded = model.project(features)
            if not bool(torch.isfinite(embedded).all()):
                raise CheckpointError(
                    f"{model.card.full_name} gives NaN for this study; its pixels or weights are damaged"
                )
            if first is None:
                first = (list(found), embedded.float().cpu())
                domain = _domain(model, embedded, rows, [view for view, _ in found])
            for head in _heads(model, alone=len(self.reader.models) == 1):
                given = model.measure(head.of, features[None])
                values = given.output[0].float().cpu().tolist()
                if head.kind == "classification":
                    values = head.probabilities(given.logits[0].double().cpu().tolist())
                attention[head.name] = given.attention[0].float().cpu().tolist()
                outputs |= dict(zip(head.labels, values, strict=True))
                if lost := [label for label, value in zip(head.labels, values, strict=True) if not np.isfinite(value)]:
                    missing.append(Exclusion(key, "no prediction", f"head {head.name} gives NaN for {', '.join(lost)}"))
        assert first is not None  # noqa: S101 - a reader has a model
        self.outputs[key] = {label: v if np.isfinite(v) else float("nan") for label, v in outputs.items()}
        self.refused += missing
        if domain is not None:
            self.domain[key] = domain
        self.embeddings.append(first[1].numpy())
        for place, (view, plane) in enumerate(first[0]):
            weights = {f"attention_{name}": given[place] for name, given in attention.items()}
            self.clips.append({"key": key, "view": str(view), "plane": plane, **weights})


def _domain(model: DualEncoder, embedded: Tensor, rows: Tensor, views: list[View]) -> tuple[bool, float] | None:
    """Whether the images are unlike those that the model learned from, and how much so."""
    reference = model.domain
    if reference is None:
        return None
    features = torch.cat([embedded.float(), rows[:, model.video_encoder.config.out_width :].float()], 1)
    score = reference.study_score(features, views)
    return score > reference.threshold, score
