"""Whether a model still gives the figures on its card: recomputed on the same studies and compared."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cardiolens.datasets.lineage import splits_near
from cardiolens.datasets.splits import Split
from cardiolens.errors import CheckpointError, StatsError
from cardiolens.stats import auroc, mae, split_conformal
from cardiolens.store import StudyStore
from cardiolens.validation.cohort import Progress

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.validation.readings import Readings

TOLERANCE = 1e-3
TOLERANCE_HALF = 0.02  # for weights that were rounded to float16 after their figures were measured
_QUANTILE = 3.0  # times the tolerance: the interval is one residual of few, and moves further than a mean


@dataclass(frozen=True)
class Compared:
    """One figure of the card.  `here` is None where it cannot be computed; then it is not within."""

    task: str
    part: str
    figure: str
    card: float | None
    here: float | None
    within: bool

    @property
    def difference(self) -> float | None:
        """Here minus card."""
        return None if self.here is None or self.card is None else self.here - self.card


@dataclass(frozen=True)
class Reproduction:
    """Every figure of the card, compared; `skipped` names what the card holds and this cannot recompute."""

    figures: tuple[Compared, ...]
    skipped: tuple[str, ...]
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether every figure is within the tolerance."""
        return all(figure.within for figure in self.figures)


def reproduce(
    model: str,
    store: StudyStore,
    *,
    split: Path | None = None,
    folder: Path | None = None,
    tolerance: float | None = None,
    device: str = "cpu",
    progress: Progress = lambda what, done, total: None,
) -> Reproduction:
    """Recompute the figures on a model's card.

    Args:
        model: model folder, name, or folder of an `each` run.
        store: the store that it learned from, held-out studies among them; its labels.csv holds the truth.
        split: split.json of the run; None takes the one beside the model folder.
        folder: where features of clips are kept, so that a call after a stop goes on; None keeps none.
        tolerance: largest difference, in the figure's own unit (percent points for the MAE of LVEF); None for 0.001,
            or 0.02 where the weights are stored as float16.  The half-width of the interval may differ by three times
            that.

    Raises:
        CheckpointError: a card without figures, another store or split than the card's, or no split at all.
    """
    from cardiolens.validation.readings import open_reader, read_studies

    if tolerance is not None and not tolerance > 0:
        raise StatsError(f"tolerance: must be positive, got {tolerance:g}")
    reader = open_reader(model, device)
    if tolerance is None:
        rounded = any(one.card.dtype == "float16" for one in reader.models)
        tolerance = TOLERANCE_HALF if rounded else TOLERANCE
    networks = [one for one in reader.models if any("metrics" in task for task in one.card.tasks.values())]
    if not networks:
        raise CheckpointError(f"{reader.title}: the card holds no figure to recompute; cardiolens finetune writes them")
    for one in networks:
        _require_same_data(one, store)
    parts = _the_split(model, networks, split)
    wanted = {part for one in networks for task in one.card.tasks.values() for part in _parts(task)}
    wanted |= {"calibration"} & set(parts.parts)
    if absent := sorted(wanted - set(parts.parts)):
        raise CheckpointError(f"the card has figures of {', '.join(absent)}, which the split does not hold")
    keys = sorted({key for part in wanted for key in parts[part]})
    with tempfile.TemporaryDirectory() as fallback:
        # what training measured with: clips kept as float16
        readings = read_studies(reader, store, keys, folder or Path(fallback), progress, half=True)
    labels = store.labels()
    figures: list[Compared] = []
    skipped: list[str] = []
    for one in networks:
        for name, task in one.card.tasks.items():
            figures += _of_task(name, task, parts, readings, labels, tolerance, skipped)
    return Reproduction(tuple(figures), tuple(skipped), tolerance)


def _require_same_data(model: DualEncoder, store: StudyStore) -> None:
    asked = model.card.provenance.get("data_hash")
    if asked is None:
        raise CheckpointError(
            f"the card of {model.card.full_name} does not say which studies its figures were measured on (no data_hash)"
        )
    here = store.hash()
    if asked != here:
        raise CheckpointError(
            f"{store.path} is not the store that the card's figures were measured on (hash {here[:16]}…, the card has "
            f"{asked[:16]}…); bring that very store, or measure anew on this one with cardiolens validate"
        )


def _the_split(name: str, networks: list[DualEncoder], path: Path | None) -> Split:
    """The split that the card's hash names."""
    asked = {str(one.card.provenance.get("split_hash")) for one in networks}
    words = ", ".join(sorted(asked))
    if path is not None:
        split = Split.load(path)
        if asked != {split.hash}:
            raise CheckpointError(f"{path} is split {split.hash}, the card's figures are of {words}; give that one")
        return split
    near = splits_near(Path(name))
    if len(asked) > 1 or not asked <= near.keys():
        raise CheckpointError(
            f"the card's figures are of the parts of split {words}, which is not beside the model; "
            "give --split with the split.json of its run"
        )
    return near[asked.pop()]


def _parts(task: Mapping[str, Any]) -> Iterator[str]:
    """Parts that a task has figures of."""
    for name, value in task.get("metrics", {}).items():
        if isinstance(value, Mapping):
            yield name
        elif name.endswith("_mae"):
            yield name.removesuffix("_mae")


def _of_task(
    name: str,
    task: Mapping[str, Any],
    parts: Split,
    readings: Readings,
    labels: pd.DataFrame,
    tolerance: float,
    skipped: list[str],
) -> Iterator[Compared]:
    known = set(_parts(task))
    for figure, value in task.get("metrics", {}).items():
        if isinstance(value, Mapping) and "conditions" in value:
            yield from _areas(name, figure, value, parts, readings, labels, tolerance)
        elif figure.removesuffix("_mae") in known:
            part = figure.removesuffix("_mae")
            pred, truth = _value_columns(task, name, parts, part, readings, labels)
            yield _compared(name, part, "MAE", value, _attempt(lambda p=pred, t=truth: mae(p, t)), tolerance)
        else:
            skipped.append(f"{name}: {figure}")
    conformal = task.get("conformal")
    if conformal and "calibration" in parts.parts:
        pred, truth = _value_columns(task, name, parts, "calibration", readings, labels)
        half = _attempt(lambda: split_conformal(np.abs(pred - truth).tolist(), float(conformal["coverage"])))
        card, words = conformal["quantile"], "half-width of the interval"
        yield _compared(name, "calibration", words, card, half, _QUANTILE * tolerance)


def _value_columns(
    task: Mapping[str, Any], name: str, parts: Split, part: str, readings: Readings, labels: pd.DataFrame
) -> tuple[Any, Any]:
    label = str(task.get("label", name))
    if label not in labels:
        raise CheckpointError(f"the store's labels.csv has no column '{label}', which the card's figures need")
    keys = list(parts[part])
    return readings.values[label].reindex(keys).to_numpy(), labels[label].reindex(keys).to_numpy(dtype=np.float64)


def _areas(
    name: str,
    part: str,
    value: Mapping[str, Any],
    parts: Split,
    readings: Readings,
    labels: pd.DataFrame,
    tolerance: float,
) -> Iterator[Compared]:
    """AUROC and positives of every condition that the card gives them for."""
    keys = list(parts[part])
    for condition, row in value["conditions"].items():
        if condition not in labels:
            yield Compared(name, part, f"AUROC {condition}", row.get("auroc"), None, within=False)
            continue
        truth = labels[condition].reindex(keys).to_numpy(dtype=np.float64)
        known = np.isfinite(truth)
        yield _compared(name, part, f"positives {condition}", row["positive"], float(truth[known].sum()), 0.5)
        if "auroc" in row:
            scores = readings.conditions[condition].reindex(keys).to_numpy()[known]
            here = _attempt(lambda t=truth[known], s=scores: auroc(t, s).auc)
            yield _compared(name, part, f"AUROC {condition}", row["auroc"], here, tolerance)


def _attempt(figure: Any) -> float | None:
    try:
        return float(figure())
    except StatsError:
        return None


def _compared(task: str, part: str, figure: str, card: Any, here: float | None, tolerance: float) -> Compared:
    value = None if card is None else float(card)
    within = here is not None and value is not None and math.isfinite(here) and abs(here - value) <= tolerance
    return Compared(task, part, figure, value, here, within)
