"""Fine-tuning of SLIViT and of its 3D baselines on volumes, end to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn

from cardiolens.datasets.shuffled import Shuffled
from cardiolens.datasets.volumes import VolumeSet, open_volumes
from cardiolens.errors import RecipeError
from cardiolens.progress import track
from cardiolens.slices import SliceTransform
from cardiolens.training.downstream import fit_best, write_rows
from cardiolens.training.labelled import LabelledRun
from cardiolens.training.one_cycle import find_rate, kept_rate, momentum
from cardiolens.training.run import RunFolder, TrainingModule
from cardiolens.training.slice_augment import crop_and_flip
from cardiolens.training.slice_data import SliceBatch, SliceItems, SliceSource, slice_loader
from cardiolens.training.slice_models import VolumeModel, volume_model
from cardiolens.training.slice_recipe import SliceRunRecipe, SlicesRecipe
from cardiolens.training.slice_task import SliceTask
from cardiolens.training.start import rendered_set

_SEARCH_EPOCH = 1_000_000  # draws of the search for a rate are of this epoch and those after it


class SliceModule(TrainingModule):
    """A network of slices; one cycle of rate and momentum, the peak searched for before the run."""

    def __init__(self, model: nn.Module, recipe: SliceRunRecipe) -> None:
        super().__init__(recipe)
        self.model, self.settings = model, recipe

    def batch_loss(self, batch: SliceBatch, generator: torch.Generator | None) -> Tensor:
        """Of one batch, augmented where there is a generator."""
        raise NotImplementedError

    def training_step(self, batch: SliceBatch, batch_idx: int) -> Tensor:
        loss = self.batch_loss(batch, self.augment_generator(batch.epoch, batch_idx))
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.studies))
        return loss

    def validation_step(self, batch: SliceBatch, batch_idx: int) -> None:
        self.log("val", self.batch_loss(batch, None), batch_size=len(batch.studies))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_start(batch, batch_idx)
        s = self.recipe.optimiser
        if s.schedule == "one_cycle":
            share = (self.current_epoch + batch_idx / max(1, self.trainer.num_training_batches)) / s.epochs
            for group in self.trainer.optimizers[0].param_groups:
                group["betas"] = (momentum(share), s.betas[1])

    def search_rate(self, folder: RunFolder, loader: Any) -> None:
        """Set the peak rate to the one found by the range test, once for a run folder."""
        finder = self.settings.find_lr
        if finder is None:
            return

        def losses() -> Iterator[Any]:
            epoch = _SEARCH_EPOCH
            while True:
                loader.batch_sampler.sampler.set_epoch(epoch)
                for number, batch in enumerate(loader):
                    here = move_data_to_device(batch, self.device)
                    torch.manual_seed(self._batch_seed(epoch, number))  # dropout
                    yield lambda here=here, at=(epoch, number): self.batch_loss(here, self.augment_generator(*at))
                epoch += 1

        def search() -> dict[str, Any]:
            if self.recipe.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
                self.to("cuda")
            limits = {"low": finder.low, "high": finder.high}
            return find_rate(self, self.configure_optimizers, losses(), steps=finder.steps, **limits)

        peak = kept_rate(folder.path, search)
        optimiser = self.recipe.optimiser.model_copy(update={"lr": peak})
        self.recipe = self.recipe.model_copy(update={"optimiser": optimiser})


class VolumeModule(SliceModule):
    """Volumes under the losses of a task."""

    model: VolumeModel

    def __init__(self, model: VolumeModel, recipe: SlicesRecipe, task: SliceTask) -> None:
        super().__init__(model, recipe)
        self.task = task

    def batch_loss(self, batch: SliceBatch, generator: torch.Generator | None) -> Tensor:
        images = batch.images
        if generator is not None:
            images = crop_and_flip(images, self.settings.augment, generator)
        return self.task.loss(self.model(images.unsqueeze(2)), batch.targets)


def open_set(recipe: SlicesRecipe, flag: Path | None) -> VolumeSet:
    """The set of the --store flag, else the recipe's; of a store of studies the short-axis stacks."""
    path = flag if flag is not None else recipe.store
    if path is None:
        raise RecipeError("no data: give --store or `store:` in the recipe (a .npz of MedMNIST, a folder, a store)")
    options = dict(recipe.data)
    if "kind" not in options and next(Path(path).glob("*/*.h5"), None) is not None:
        options["kind"] = "sax"
    volumes = open_volumes(path, **options)
    return volumes if recipe.shuffle is None else Shuffled(volumes, recipe.shuffle)


def train_slices(recipe: SlicesRecipe, volumes: VolumeSet, out: Path) -> Path:
    """Run, or go on with, a fine-tuning; leaves `final/`, predictions, `metrics.json` and `lr_find.*` in `out`.

    Every part of the split but `train` is whole whatever share of the training patients is taken.

    Returns:
        the folder of the final model.

    Raises:
        TrainingError: nothing to learn from, weights that learned from held-out patients, a loss that is no number, a
            folder of another run.
    """
    folder = RunFolder(out, recipe)
    if folder.told_finished():
        return folder.final
    split = folder.split(volumes, volumes.split() if recipe.own_split else None)
    run = LabelledRun(folder, recipe, split, volumes.hash())
    held_out = [key for part in split.parts if part != "train" for key in split[part]]
    task = SliceTask(recipe, volumes.labels(), run.train, held_out, str(volumes.path))
    model, start = volume_model(recipe, task.answers)
    assert model.card is not None  # noqa: S101 - given by `volume_model`
    run.starts_from(start)
    transform = SliceTransform.from_dict(model.card.transform)
    source = SliceSource(lambda key: transform(volumes.load(key)), cache=recipe.cache)
    parts = {part: source.usable(run.share(part), part, task.targets) for part in split.parts}
    module = VolumeModule(model, recipe, task)
    best = _fit(folder, module, source, parts)
    metrics = _measure(folder, module, source, {p: keys for p, keys in parts.items() if p != "train"})
    model.card.architecture = model.architecture()
    return run.conclude(
        model,
        task.entry(),
        metrics,
        data=volumes.name,
        data_settings=getattr(volumes, "settings", None),
        lr=module.recipe.optimiser.lr,
        best_epoch=best["epoch"],
        volumes={part: len(keys) for part, keys in parts.items()},
        phantom=rendered_set(volumes, parts["train"]) or None,
    )


def _fit(
    folder: RunFolder, module: VolumeModule, source: SliceSource, parts: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    recipe, targets = module.settings, module.task.targets
    assert isinstance(recipe, SlicesRecipe)  # noqa: S101 - given by `train_slices`
    batch = min(recipe.optimiser.batch, len(parts["train"]))
    loaders = [
        slice_loader(
            SliceItems(source, parts[part], targets),
            batch=batch,
            seed=recipe.seed,
            train=part == "train",
            workers=recipe.workers if part == "train" else 0,
        )
        for part in ("train", "val")
    ]
    module.search_rate(folder, loaders[0])
    return fit_best(folder, module, loaders, studies=len(parts["train"]), patience=recipe.patience)


@torch.inference_mode()
def predict_volumes(model: VolumeModel, source: SliceSource, keys: Sequence[str], batch: int = 4) -> Tensor:
    """(key, output), what a model says of volumes, in the terms of its answers."""
    model.eval()
    device = next(model.parameters()).device
    found = []
    for start in track(range(0, len(keys), batch), "predicting"):
        images = torch.stack([source.slices(key) for key in keys[start : start + batch]])
        found.append(model.predict(images.unsqueeze(2).to(device)).cpu())
    return torch.cat(found)


def _measure(
    folder: RunFolder, module: VolumeModule, source: SliceSource, parts: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Figures of every held-out part, and its predictions as a table."""
    metrics = {}
    for part, keys in parts.items():
        said = predict_volumes(module.model, source, keys)
        write_rows(folder.path / f"predictions_{part}.csv", module.task.rows(keys, said))
        metrics[part] = module.task.figures(keys, said)
    return metrics
