"""Masked pretraining of CineMA: hidden patches of single frames, predicted from the visible ones of all views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from cardiolens.errors import TrainingError
from cardiolens.grid import GridSpec
from cardiolens.hub import load_model
from cardiolens.models.convmae import ConvMAE, draw_masks
from cardiolens.models.multiview import layer_groups
from cardiolens.models.transformer import set_checkpointing
from cardiolens.store import StudyStore
from cardiolens.training.cine_data import CineBatch, GridSource, RandomFrames, cine_loader, lacking_views, usable
from cardiolens.training.cine_models import refuse_other_sizes, resized, transform_of
from cardiolens.training.cine_recipe import MaskedRecipe
from cardiolens.training.grid_augment import GridAugment, gamma, move
from cardiolens.training.pretraining import Pretraining, run_pretraining
from cardiolens.training.run import RunFolder
from cardiolens.training.start import rendered_alone

_HELD_OUT_EPOCH = 1_000_000  # masks of validation are drawn as of this epoch: the same ones every time


class MaskedModule(Pretraining):
    """An autoencoder under the mean squared error of its masked patches."""

    def __init__(self, model: ConvMAE, recipe: MaskedRecipe) -> None:
        super().__init__(recipe)
        self.model, self.settings = model, recipe

    def parameter_groups(self) -> list[dict[str, Any]]:
        return layer_groups(self.model, self.settings.optimiser.layer_decay, self.settings.optimiser.weight_decay)

    def training_step(self, batch: CineBatch, batch_idx: int) -> Tensor:
        generator = self.augment_generator(batch.epoch, batch_idx)
        draws = GridAugment(self.settings.augment, generator)
        count = len(batch.studies)
        exponents = draws.exponents(count)  # of a study, then every view is moved by itself
        images = {view: move(gamma(image, exponents), draws.affines(count)) for view, image in batch.images.items()}
        loss = self._loss(images, generator)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=count)
        return loss

    def validation_step(self, batch: CineBatch, batch_idx: int) -> None:
        generator = self.augment_generator(_HELD_OUT_EPOCH, batch_idx)
        self.log("val", self._loss(batch.images, generator), batch_size=len(batch.studies))

    def _loss(self, images: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        count = len(next(iter(images.values())))
        masks = draw_masks(self.model.config.encoder, list(images), count, self.settings.mask_ratio, generator)
        loss: Tensor = self.model(images, masks).loss
        return loss


def pretrain_masked(recipe: MaskedRecipe, store: StudyStore, out: Path) -> Path:
    """Run, or go on with, a masked pretraining.

    Returns:
        the folder of the final model.

    Raises:
        TrainingError: no study with all views, a loss that is no number, a run folder of another recipe.
        CheckpointError: weights that the recipe names and that are not there, or of another kind of model.
    """
    folder = RunFolder(out, recipe)
    if folder.told_finished():
        return folder.final
    split = folder.split(store)
    L.seed_everything(recipe.seed, verbose=False)
    model = start_autoencoder(recipe)
    assert model.card is not None  # noqa: S101 - load_model gives one
    source = GridSource(store, GridSpec.from_dict(model.card.transform), pixels=recipe.pixels, cache=recipe.cache)
    parts = {
        part: usable(source, split[part], part, lambda key: lacking_views(source, key, recipe.views))
        for part in ("train", "val")
    }
    loaders = [
        cine_loader(
            RandomFrames(source, parts[part], recipe.views, seed=recipe.seed),
            batch=recipe.optimiser.batch,
            seed=recipe.seed,
            train=part == "train",
            drop_last=part == "train",
            workers=recipe.workers,
        )
        for part in ("train", "val")
    ]
    module = MaskedModule(model, recipe)
    model.card.notes = []  # said of the weights it starts from
    model.card.provenance = folder.provenance(
        split,
        store.hash(),
        phantom=rendered_alone(store, parts["train"]) or None,
        start=model.card.provenance or None,
    )
    return run_pretraining(folder, module, loaders, studies=len(parts["train"]), every=recipe.checkpoint_every)


def start_autoencoder(recipe: MaskedRecipe) -> ConvMAE:
    """The recipe's model from its weights, or from random ones, of its views and sizes."""
    model = load_model(recipe.model, weights=recipe.weights)
    if not isinstance(model, ConvMAE):
        raise TrainingError(
            f"{recipe.model} is no masked autoencoder; a recipe of kind masked takes cinema-base or -tiny"
        )
    if recipe.weights is None:
        encoder = resized(model.config.encoder, recipe.views, recipe.sizes)
        if encoder != model.config.encoder:
            card = model.card
            model = ConvMAE(replace(model.config, encoder=encoder), card)
            assert model.card is not None  # noqa: S101 - load_model gives one
            model.card.transform = transform_of(model.card, encoder.views)
            model.card.architecture = model.architecture()
    else:
        refuse_other_sizes(recipe, model.config.encoder)
    lacking = [str(view) for view in recipe.views if view.value not in model.config.encoder.views]
    if lacking:
        raise TrainingError(f"{recipe.model} has no {', '.join(lacking)}; take them out of `views`")
    set_checkpointing(model, recipe.checkpointing)
    return model
