"""Downstream training of the CineMA family: any task, from pretrained or random weights, with early stopping."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file
from torch import Tensor

from cardiolens.errors import RecipeError
from cardiolens.grid import GridSpec
from cardiolens.models.multiview import layer_groups
from cardiolens.store import StudyStore
from cardiolens.training.cine_data import CineBatch, GridSource, Samples, cine_loader, usable
from cardiolens.training.cine_landmarks import LandmarkTask
from cardiolens.training.cine_models import CineModel
from cardiolens.training.cine_recipe import DownstreamRecipe, LandmarkRecipe, SegmentationRecipe, TabularRecipe
from cardiolens.training.cine_tasks import CineTask, Rows, SegmentationTask
from cardiolens.training.cine_values import TabularTask
from cardiolens.training.grid_augment import GridAugment, gamma, move, move_points
from cardiolens.training.labelled import STOPPED, LabelledRun, refuse_unvalidated
from cardiolens.training.run import Bar, KeepState, RunFolder, TrainingModule, fit
from cardiolens.training.start import rendered_alone
from cardiolens.training.supervised import KeepBest

_EVALUATION_BATCH = 8  # samples


class DownstreamModule(TrainingModule):
    """A network under the loss of a task."""

    def __init__(self, model: CineModel, recipe: DownstreamRecipe, task: CineTask) -> None:
        super().__init__(recipe)
        self.model, self.settings, self.task = model, recipe, task

    def parameter_groups(self) -> list[dict[str, Any]]:
        return layer_groups(self.model, self.settings.optimiser.layer_decay, self.settings.optimiser.weight_decay)

    def training_step(self, batch: CineBatch, batch_idx: int) -> Tensor:
        images, targets = self._augmented(batch, self.augment_generator(batch.epoch, batch_idx))
        loss = self.task.loss(self.model, images, targets)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.studies))
        return loss

    def validation_step(self, batch: CineBatch, batch_idx: int) -> None:
        error = self.task.error(self.model, batch.images, batch.targets)
        self.log("val", error, batch_size=len(batch.studies))

    def _augmented(self, batch: CineBatch, generator: torch.Generator) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Gamma and affine of every view; masks and points of a view move with it."""
        draws, count = GridAugment(self.settings.augment, generator), len(batch.studies)
        exponents = draws.exponents(count)
        images, targets = dict(batch.images), dict(batch.targets)
        for view, image in batch.images.items():
            affines = draws.affines(count)
            images[view] = draws.blank(move(gamma(image, exponents), affines))
            target = batch.targets.get(view)
            if target is None:
                continue
            if target.is_floating_point():
                targets[view] = move_points(target, affines, (image.shape[2], image.shape[3]))
            else:
                targets[view] = move(target[:, None].float(), affines, nearest=True)[:, 0].long()
        return images, targets


class StopEarly(Callback):
    """Ends a run whose validation has not become better for `patience` times; leaves word of it in the run folder.

    What it goes by stands in the run folder, so that a resumed run stops where an unbroken one does.
    """

    def __init__(self, folder: RunFolder, epochs: int) -> None:
        self.folder, self.epochs = folder, epochs

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        best = json.loads((self.folder.path / "best.json").read_text())
        if trainer.current_epoch - best["epoch"] < self.epochs:
            return
        part = self.folder.path / f"{STOPPED}.part"
        part.write_text(json.dumps({"epoch": trainer.current_epoch, "best_epoch": best["epoch"]}))
        part.replace(self.folder.path / STOPPED)
        trainer.should_stop = True


def train_downstream(recipe: DownstreamRecipe, store: StudyStore, out: Path) -> Path:
    """Run, or go on with, a downstream training; leaves `final/`, `predictions_<part>.csv` and `metrics.json` in `out`.

    Every part of the split but `train` is whole whatever share of the training patients is taken, so that runs with
    different shares are measured on the same studies and choose their epoch by the same ones.

    Returns:
        the folder of the final model.

    Raises:
        TrainingError: nothing to learn from, weights that learned from held-out patients, a loss that is no number, a
            folder of another run.
        RecipeError: validation that would never take place.
    """
    refuse_unvalidated(recipe.optimiser.epochs, recipe.validate_every)
    folder = RunFolder(out, recipe)
    if folder.told_finished():
        return folder.final
    split = folder.split(store)
    run = LabelledRun(folder, recipe, split, store.hash())
    task = task_of(recipe, store, run.train)
    model, start = task.model()
    assert model.card is not None  # noqa: S101 - given by the task
    run.starts_from(start)
    source = GridSource(store, GridSpec.from_dict(model.card.transform), pixels=recipe.pixels, cache=recipe.cache)
    parts = {part: usable(source, run.share(part), part, lambda key: task.why_not(source, key)) for part in split.parts}
    module = DownstreamModule(model, recipe, task)
    best = _fit(folder, module, task, source, parts)
    metrics = _measure(folder, module, task, source, {p: keys for p, keys in parts.items() if p != "train"})
    return run.conclude(
        model,
        task.entry(),
        metrics,
        annotation_hash=store.annotation_hash([key for keys in parts.values() for key in keys]),
        best_epoch=best["epoch"],
        studies={part: len(keys) for part, keys in parts.items()},
        phantom=rendered_alone(store, parts["train"]) or None,
    )


def task_of(recipe: DownstreamRecipe, store: StudyStore, train: Sequence[str]) -> CineTask:
    """The task of a recipe."""
    if isinstance(recipe, SegmentationRecipe):
        return SegmentationTask(recipe)
    if isinstance(recipe, LandmarkRecipe):
        return LandmarkTask(recipe)
    if isinstance(recipe, TabularRecipe):
        return TabularTask(recipe, store, train)
    raise RecipeError(f"{recipe.name}: no task of this kind")


def batches_of(samples: int, batch: int, chunk: int | None) -> tuple[int, int]:
    """(samples at a time, times to a step): a training set smaller than the batch takes the closest power of two
    (table 16 of the paper), and a batch larger than `chunk` is taken in parts whose gradients add up."""
    if samples < batch:
        batch = 2 ** max(0, math.floor(math.log2(samples / 0.75)))  # of two powers the one that is nearer
        batch = min(batch, samples)
    if chunk is None or chunk >= batch:
        return batch, 1
    return chunk, -(-batch // chunk)


def _fit(
    folder: RunFolder, module: DownstreamModule, task: CineTask, source: GridSource, parts: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Train, or go on, and take the weights of the best validation; gives its epoch and error."""
    recipe, optimiser = module.settings, module.settings.optimiser
    samples = {
        part: Samples(
            [(key, moment) for key in parts[part] for moment in task.moments(source, key)],
            lambda key, moment: task.sample(source, key, moment),
        )
        for part in ("train", "val")
    }
    batch, accumulate = batches_of(len(samples["train"]), optimiser.batch, optimiser.chunk)
    loaders = [
        cine_loader(samples["train"], batch=batch, seed=recipe.seed, train=True, workers=recipe.workers),
        cine_loader(samples["val"], batch=min(_EVALUATION_BATCH, batch), seed=recipe.seed, train=False),
    ]
    return fit_best(
        folder,
        module,
        loaders,
        studies=len(parts["train"]),
        patience=recipe.patience,
        validate_every=recipe.validate_every,
        accumulate=accumulate,
    )


def fit_best(
    folder: RunFolder,
    module: TrainingModule,
    loaders: Sequence[Any],
    *,
    studies: int,
    patience: int | None,
    validate_every: int = 1,
    accumulate: int = 1,
) -> dict[str, Any]:
    """Train, or go on, and take the weights of the best validation; gives its epoch and error.

    Args:
        loaders: of training and of validation.
        patience: validations without a better one until the run stops; None never.
    """
    recipe = folder.recipe
    callbacks: list[Callback] = [KeepBest(folder)]
    if patience is not None:
        callbacks.append(StopEarly(folder, patience * validate_every))
    callbacks += [KeepState(folder), Bar(f"finetune {recipe.name}", studies)]
    if not (folder.path / STOPPED).exists():
        fit(folder, module, loaders, callbacks, accumulate=accumulate, validate_every=validate_every)
    module.load_state_dict(load_file(folder.path / "best.safetensors"))
    best: dict[str, Any] = json.loads((folder.path / "best.json").read_text())
    return best


@torch.inference_mode()
def _measure(
    folder: RunFolder, module: DownstreamModule, task: CineTask, source: GridSource, parts: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Figures of every held-out part, its predictions as a table."""
    module.eval()
    metrics = {}
    for part, keys in parts.items():
        rows, metrics[part] = task.report(module.model, source, keys)
        write_rows(folder.path / f"predictions_{part}.csv", rows)
    return metrics


def write_rows(path: Path, rows: Rows) -> None:
    """A table of rows that need not have the same columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
