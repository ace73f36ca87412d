"""The error on these studies by epoch of the pretraining that a model started from (fig. 3d)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cardiolens.errors import CheckpointError, StatsError
from cardiolens.stats import auroc, bootstrap
from cardiolens.style import BLUE
from cardiolens.validation.cohort import Progress
from cardiolens.validation.drawing import board, with_limits
from cardiolens.validation.lvef import LABEL
from cardiolens.validation.request import Case
from cardiolens.validation.sections import Section, Table

if TYPE_CHECKING:
    from cardiolens.evaluation.figures import Drawn
    from cardiolens.validation.readings import Reader, Readings

_EPOCH = re.compile(r"epoch_(\d+)")
_NAN = float("nan")


def open_sweep(folder: Path, device: str = "cpu") -> dict[int, Reader]:
    """Epoch to the model fine-tuned from it, of the folder that `cardiolens finetune --sweep` made.

    Raises:
        CheckpointError: no such models there.
    """
    from cardiolens.validation.readings import open_reader

    found = {}
    for path in sorted(folder.glob("epoch_*/final")):
        if (match := _EPOCH.fullmatch(path.parent.name)) and (path / "card.json").is_file():
            found[int(match.group(1))] = open_reader(str(path), device)
    if not found:
        raise CheckpointError(
            f"{folder}: no epoch_*/final in it; make them with: cardiolens finetune RECIPE --sweep PRETRAINING-RUN"
        )
    return found


def checkpoint_section(case: Case, sweep: Mapping[int, Reader], progress: Progress) -> Section:
    """MAE of LVEF and mean AUROC of the conditions for each model of a sweep."""
    from cardiolens.validation.readings import read_studies

    section = Section("checkpoints", "By checkpoint of the pretraining")
    rows: list[dict[str, Any]] = []
    for epoch, reader in sorted(sweep.items()):
        readings = read_studies(reader, case.store, case.readings.keys, case.out, progress)
        rows += [{"epoch": epoch, "model sha256": reader.sha256} | row for row in _figures(case, readings)]
    frame = pd.DataFrame(rows, columns=["epoch", "figure", "value", "low", "high", "n", "model sha256"])
    if frame.empty:
        section.notes.append("No label answers to a head of these models: nothing to compare.")
        return section
    shown = frame[["epoch", "figure", "n"]].copy()
    shown["value"] = [with_limits(*row) for row in frame[["value", "low", "high"]].to_numpy(dtype=float)]
    caption = "Downstream figures on these studies by epoch of pretraining"
    section.tables.append(Table("checkpoints", caption, frame, shown))
    section.figures.append(draw_checkpoints(frame, "checkpoints", "these studies; bars: bootstrap limits by patient"))
    section.notes.append("An epoch picked by its figure here would be picked on the studies that it is judged by.")
    return section


def _figures(case: Case, readings: Readings) -> list[dict[str, Any]]:
    labels = case.cohort.labels.reindex(readings.keys)
    patients = case.cohort.studies.loc[readings.keys, "patient"].to_numpy()
    rows = []
    if LABEL in readings.values and LABEL in labels:
        pred, truth = readings.values[LABEL].clip(0, 100).to_numpy(), labels[LABEL].to_numpy()
        known = np.isfinite(pred) & np.isfinite(truth)
        if known.any():
            low = high = _NAN
            if len(set(patients[known])) > 1:
                drawn = bootstrap(
                    "mae",
                    pred[known],
                    truth[known],
                    patients=patients[known],
                    n_resamples=case.settings.n_resamples,
                    level=case.settings.level,
                    seed=case.settings.seed,
                )
                low, high = drawn.low, drawn.high
            value = float(np.abs(pred[known] - truth[known]).mean())
            rows.append({"figure": "MAE of LVEF, %", "value": value, "low": low, "high": high, "n": int(known.sum())})
    areas = []
    for name in [name for name in readings.conditions if name in labels]:
        both = pd.DataFrame({"label": labels[name], "score": readings.conditions[name]}).dropna()
        try:
            areas.append(auroc(both["label"].to_numpy(), both["score"].to_numpy()).auc if len(both) else _NAN)
        except StatsError:
            continue
    areas = [area for area in areas if not np.isnan(area)]
    if areas:
        rows.append(
            {"figure": f"mean AUROC of {len(areas)} conditions", "value": float(np.mean(areas)), "n": len(labels)}
        )
    return [{"low": _NAN, "high": _NAN} | row for row in rows]


def draw_checkpoints(frame: pd.DataFrame, name: str, subtitle: str) -> Drawn:
    """A panel a figure against the epoch of pretraining (fig. 3d).

    Args:
        frame: columns epoch, figure (its name, unit included), value, and low and high (NaN where there is none).
        name: of the file.
    """
    from cardiolens.evaluation.figures import Drawn

    names = list(dict.fromkeys(frame["figure"]))
    title = "Downstream figures by pretraining checkpoint"
    figure, axes = board(len(names), columns=2, side=(5.2, 3.6), title=title, subtitle=subtitle)
    for each, label in zip(axes, names, strict=True):
        part = frame[frame["figure"] == label]
        each.plot(part["epoch"], part["value"], "o-", color=BLUE, ms=4.5)
        known = part.dropna(subset=["low", "high"])
        each.vlines(known["epoch"], known["low"], known["high"], color=BLUE, alpha=0.5, lw=1.2)
        each.set(xlabel="epochs of pretraining", ylabel=label)
    words = f"{', '.join(names)} for models fine-tuned from {frame['epoch'].nunique()} checkpoints; {subtitle}."
    return Drawn(name, title, words, figure)
