"""After a training: predictions of every held-out part, figures, calibration, the out-of-domain reference."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cardiolens.inference import fit_domain_rows
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.study import View
from cardiolens.training.data import BagBatch, StudyBags, bag_loader
from cardiolens.training.features import StudyFeatures, encoder_table, look_table
from cardiolens.training.start import Start
from cardiolens.training.tasks import Outputs, Task

if TYPE_CHECKING:
    from cardiolens.training.supervised import BagLearner

_BATCH = 8  # studies


def study_bags(start: Start, task: Task, keys: Sequence[str], *, train: bool) -> StudyBags:
    """Studies as bags of clips, or of the features of a frozen encoder."""
    recipe = start.recipe
    sampling = recipe.plane_sampling if train else "all"
    return StudyBags(
        start.source, keys, task.targets, seed=recipe.seed, plane_sampling=sampling, features=start.features(keys)
    )


@torch.inference_mode()
def predict_part(module: BagLearner, start: Start, keys: Sequence[str]) -> Outputs:
    """What the head says of these studies, all planes of each."""
    module.eval()
    bags = study_bags(start, module.task, keys, train=False)
    logits: list[Tensor] = []
    outputs: list[Tensor] = []
    for batch in bag_loader(bags, batch=_BATCH, seed=0, train=False):
        assert isinstance(batch, BagBatch)  # noqa: S101 - the loader's own collate
        found = module(batch.items.to(module.device), batch.sizes)
        logits.append(found.logits.cpu())
        outputs.append(found.output.cpu())
    return Outputs(torch.cat(logits), torch.cat(outputs))


def conclude(folder: Path, module: BagLearner, start: Start) -> tuple[dict[str, Any], dict[str, Any]]:
    """Predict every held-out part, write `predictions_<part>.csv`, and calibrate where there is a part for it.

    Returns:
        The head's entry of the card, and its metrics.
    """
    task, split = module.task, start.split
    entry: dict[str, Any] = {**task.card(), "mode": start.recipe.mode}
    metrics: dict[str, Any] = {}
    for part in [part for part in split.parts if part != "train"]:
        found = predict_part(module, start, split[part])
        truth = torch.tensor([task.targets[key] for key in split[part]])
        with (folder / f"predictions_{part}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(task.table(split[part], found.output, truth))
        metrics |= task.metrics(part, found.output, truth)
        if part == "calibration":
            entry |= task.calibrate(found, truth)
    return {**entry, "metrics": metrics}, metrics


def fit_reference(model: DualEncoder, start: Start) -> None:
    """What studies of this kind look like, from the training studies; its limit from the calibration studies."""
    features = start.table or encoder_table(start.cache, model, start.source)
    looks = look_table(start.cache, start.source)

    @torch.inference_mode()
    def rows(part: str) -> list[tuple[Tensor, list[View]]]:
        keys = start.split[part]
        found, seen = features.compute(keys, "features"), looks.compute(keys, "image statistics")
        device = model.video_proj.weight.device
        return [
            (
                torch.cat([model.project(_stack(found[key]).to(device)).cpu(), _stack(seen[key])], 1),
                [view for view, _ in found[key]],
            )
            for key in keys
        ]

    fit_domain_rows(model, [pair[0] for pair in rows("train")], rows("calibration"))


def _stack(rows: StudyFeatures) -> Tensor:
    return torch.stack(list(rows.values()))
