"""Downstream error against the pretraining checkpoint that it starts from (Shad et al., fig. 3d)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cardiolens.errors import TrainingError
from cardiolens.models.card import Card
from cardiolens.store import StudyStore
from cardiolens.store.atomic import write_whole
from cardiolens.training.recipe import FinetuneRecipe
from cardiolens.training.supervised import finetune

_FIELDS = ["epoch", "part", "metric", "value"]
METRICS = {"mae": "mean absolute error", "mean_auroc": "mean AUROC over the conditions"}


def checkpoints_of(run: Path) -> list[tuple[int, Path]]:
    """Epoch and model folder of every checkpoint of a pretraining run, `final/` included, in order.

    Raises:
        TrainingError: there is none.
    """
    folders = [*(run / "checkpoints").glob("epoch_*"), run / "final"]
    found = {
        int(Card.read(folder / "card.json").provenance["epoch"]): folder
        for folder in folders
        if (folder / "card.json").is_file()
    }
    if not found:
        raise TrainingError(f"{run}: no checkpoints/epoch_* and no final/ of a pretraining; give its run folder")
    return sorted(found.items())


def sweep(
    recipe: FinetuneRecipe, store: StudyStore, run: Path, out: Path, cache_folder: Path | None = None
) -> list[dict[str, Any]]:
    """Fine-tune from every checkpoint of a pretraining run, all else the same; go on where it was stopped.

    Args:
        run: folder of the pretraining; it keeps a checkpoint every `checkpoint_every` epochs.
        out: gets a run folder for each, `epoch_0010` and so on, and `sweep.csv`.
        cache_folder: prepared clips and features, shared between them.

    Returns:
        Rows of `sweep.csv`: epoch, part of the split, metric (of `METRICS`), value.

    Raises:
        TrainingError: no checkpoint, a recipe of one model a condition, or no figure to compare.
    """
    if recipe.each:
        raise TrainingError("a sweep of one model a condition is 35 runs a checkpoint; set each: false")
    rows: list[dict[str, Any]] = []
    for epoch, weights in checkpoints_of(run):
        folder = out / f"epoch_{epoch:04d}"
        finetune(recipe.model_copy(update={"weights": str(weights)}), store, folder, cache_folder or out / "cache")
        metrics = json.loads((folder / "metrics.json").read_text())
        rows += [{"epoch": epoch, **row} for row in _figures(metrics)]
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS)
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out / "sweep.csv", text.getvalue().encode())
    if not rows:
        raise TrainingError(f"{out}: no part of the split has a figure to compare; give it a part with both classes")
    return rows


def _figures(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The one figure of each part that tells how good a run is."""
    values = [
        {"part": name.removesuffix("_mae"), "metric": "mae", "value": value}
        for name, value in metrics.items()
        if name.endswith("_mae")
    ]
    areas = [
        {"part": part, "metric": "mean_auroc", "value": found["mean_auroc"]}
        for part, found in metrics.items()
        if isinstance(found, dict) and found.get("mean_auroc") is not None
    ]
    return values + areas
