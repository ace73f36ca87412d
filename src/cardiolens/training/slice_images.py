"""Pretraining of SLIViT's trunk on 2D images: by their classes, or by SimCLR without them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.datasets.image_sets import ImageSet, open_images
from cardiolens.datasets.splits import Split, make_split, patient_of
from cardiolens.errors import RecipeError, TrainingError
from cardiolens.models.trunk import SliceClassifier
from cardiolens.objectives import nt_xent
from cardiolens.slices import SliceTransform
from cardiolens.training.pretraining import Pretraining, run_pretraining
from cardiolens.training.run import RunFolder
from cardiolens.training.slice_augment import crop_and_flip, look
from cardiolens.training.slice_data import SliceBatch, SliceItems, SliceSource, slice_loader
from cardiolens.training.slice_models import trunk_model
from cardiolens.training.slice_recipe import ImagesRecipe, SimCLRRecipe, Slices2dRecipe
from cardiolens.training.slices import SliceModule
from cardiolens.training.start import rendered_set

_HELD_OUT_EPOCH = 2_000_000  # looks of validation are drawn as of this epoch: the same ones every time


def _within(name: str, key: str) -> str:
    """`patient/item` as `patient/set:item`."""
    patient, _, item = key.rpartition("/")
    return f"{patient}/{name}:{item}"


class Mixture:
    """One or several 2D sets under one list of classes.

    Keys are `patient/set:item`, so that patients stay who they are.  Where a set has several classes an image, all of
    it is learned by sigmoids; else an image is of one class (the paper trains one of 29 for its mixture; its ChestMNIST
    part has up to 14 at a time).
    """

    def __init__(self, sets: Sequence[ImageSet]) -> None:
        names = [one.name for one in sets]
        if len(set(names)) != len(names):
            raise RecipeError(f"sets of the same name: {', '.join(names)}; rename one")
        self.sets = {one.name: one for one in sets}
        self.several = any(one.several for one in sets)
        every = [(one.name, name) for one in sets for name in one.classes]
        twice = len({name for _, name in every}) < len(every)
        self.classes = tuple(f"{of}: {name}" if twice else name for of, name in every)
        starts = [sum(len(one.classes) for one in sets[:place]) for place in range(len(sets))]
        self._start = dict(zip(names, starts, strict=True))

    def keys(self) -> tuple[str, ...]:
        return tuple(_within(name, key) for name, one in self.sets.items() for key in one.keys())  # noqa: SIM118

    def _of(self, key: str) -> tuple[ImageSet, str]:
        patient, _, rest = key.rpartition("/")
        name, _, item = rest.partition(":")
        return self.sets[name], f"{patient}/{item}"

    def load(self, key: str) -> Any:
        one, rest = self._of(key)
        return one.load(rest)

    def target(self, key: str) -> Tensor:
        """(1,) number of the class, or (classes,) of 0 and 1."""
        one, rest = self._of(key)
        numbers = [self._start[one.name] + number for number in one.label(rest)]
        if not self.several:
            return torch.tensor([float(numbers[0])])
        row = torch.zeros(len(self.classes))
        row[numbers] = 1.0
        return row

    def split(self, recipe: ImagesRecipe) -> Split:
        """Parts train and val: by the patients of a split file; else each set's own where it has both; else of its
        training patients by the recipe."""
        parts: dict[str, list[str]] = {"train": [], "val": []}
        if recipe.split.file is not None:
            given = Split.load(Path(recipe.split.file))
            of_patient = {patient_of(key): part for part in parts for key in given[part]}
            for key in self.keys():
                part = of_patient.get(patient_of(key))
                if part is not None:
                    parts[part].append(key)
            return Split({part: tuple(sorted(keys)) for part, keys in parts.items()}, {"patients": given.hash})
        for name, one in self.sets.items():
            own = one.split() if recipe.own_split else None
            if own is None or not {"train", "val"} <= own.parts.keys():
                keys = one.keys() if own is None else own["train"]
                dealt = make_split(keys, recipe.split.fractions, recipe.split.seed)
                own = dealt if {"train", "val"} <= dealt.parts.keys() else None
            if own is None:
                raise RecipeError("`split` must deal the parts train and val")
            for part, found in parts.items():
                found += [_within(name, key) for key in own[part]]
        return Split(
            {part: tuple(sorted(keys)) for part, keys in parts.items()}, {"source": "each set's own, or dealt"}
        )

    def rendered(self, keys: Sequence[str]) -> bool:
        """Whether the phantom made all of these images."""
        by_set: dict[str, list[str]] = {}
        for one, key in map(self._of, keys):
            by_set.setdefault(one.name, []).append(key)
        return all(rendered_set(self.sets[name], found) for name, found in by_set.items())

    def hash(self) -> str:
        return "+".join(f"{name}:{one.hash()}" for name, one in self.sets.items())


class ClassModule(SliceModule, Pretraining):
    """Classes of images."""

    model: SliceClassifier

    def batch_loss(self, batch: SliceBatch, generator: torch.Generator | None) -> Tensor:
        images = batch.images
        if generator is not None:
            images = crop_and_flip(images, self.settings.augment, generator)
        logits = self.model(images)
        if self.model.config.several:
            return F.binary_cross_entropy_with_logits(logits, batch.targets)
        return F.cross_entropy(logits, batch.targets[:, 0].long())

    def validation_step(self, batch: SliceBatch, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        if not self.model.config.several:
            right = (self.model(batch.images).argmax(1) == batch.targets[:, 0]).float().mean()
            self.log("val_accuracy", right, batch_size=len(batch.studies))


class SimCLRModule(ClassModule):
    """Two looks at each image, told from the looks at all others of the batch; the projection is not kept."""

    def __init__(self, model: SliceClassifier, recipe: SimCLRRecipe) -> None:
        super().__init__(model, recipe)
        width = model.config.trunk.widths[-1]
        self.simclr = recipe
        self.projection = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, recipe.projection))

    def batch_loss(self, batch: SliceBatch, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            generator = self.augment_generator(_HELD_OUT_EPOCH, 0)
        views = torch.cat([look(batch.images, self.simclr, generator) for _ in range(2)])
        return nt_xent(self.projection(self.model.features(views)), self.simclr.temperature)

    def validation_step(self, batch: SliceBatch, batch_idx: int) -> None:
        if len(batch.studies) > 1:
            self.log("val", self.batch_loss(batch, None), batch_size=len(batch.studies))


def open_mixture(recipe: ImagesRecipe, flag: Path | None) -> Mixture:
    """The sets that the recipe names, or the one of the --store flag."""
    paths = (
        [flag]
        if flag is not None
        else [Path(path) for path in (recipe.sets or ([recipe.store] if recipe.store else []))]
    )
    if not paths:
        raise RecipeError("no images: give --store, or `sets:` in the recipe (.npz files, folders with train/CLASS/)")
    return Mixture([open_images(path) for path in paths])


def pretrain_images(recipe: ImagesRecipe, mixture: Mixture, out: Path) -> Path:
    """Run, or go on with, a pretraining of the trunk.

    Returns:
        the folder of the final model.

    Raises:
        TrainingError: nothing to learn from, a loss that is no number, a folder of another run.
    """
    folder = RunFolder(out, recipe)
    if folder.told_finished():
        return folder.final
    kept, dealt = folder.path / "split.json", mixture.split(recipe)
    if recipe.split.file is not None and not kept.exists():
        dealt.save(kept)  # of images, where the file is of studies
    split = folder.split(mixture, dealt)
    L.seed_everything(recipe.seed, verbose=False)
    labelled = isinstance(recipe, Slices2dRecipe)
    model, start = trunk_model(recipe, mixture.classes if labelled else (), mixture.several and labelled)
    assert model.card is not None  # noqa: S101 - given by `trunk_model`
    module: ClassModule = (
        SimCLRModule(model, recipe) if isinstance(recipe, SimCLRRecipe) else ClassModule(model, recipe)
    )
    fields = {**model.card.transform, "slices": None}
    transform = SliceTransform.from_dict(fields)
    source = SliceSource(lambda key: transform.images(mixture.load(key)[None]), cache=recipe.cache)
    targets = {key: mixture.target(key) for part in ("train", "val") for key in split[part]}
    parts = {part: source.usable(split[part], part, targets) for part in ("train", "val")}
    batch = min(recipe.optimiser.batch, len(parts["train"]))
    if batch < 2 and not labelled:
        raise TrainingError("SimCLR tells images apart: it needs two or more")
    loaders = [
        slice_loader(
            SliceItems(source, parts[part], targets),
            batch=batch,
            seed=recipe.seed,
            train=part == "train",
            drop_last=part == "train",
            workers=recipe.workers if part == "train" else 0,
        )
        for part in ("train", "val")
    ]
    module.search_rate(folder, loaders[0])
    model.card.architecture = model.architecture()
    model.card.provenance = folder.provenance(
        split,
        mixture.hash(),
        data=", ".join(mixture.sets),
        lr=module.recipe.optimiser.lr,
        images={part: len(keys) for part, keys in parts.items()},
        phantom=mixture.rendered(parts["train"]) or None,
        start=start.provenance if recipe.weights is not None else None,
    )
    return run_pretraining(folder, module, loaders, studies=len(parts["train"]), every=recipe.checkpoint_every)
