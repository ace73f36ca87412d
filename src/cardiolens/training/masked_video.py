"""Masked pretraining of EchoAI: hidden tubelets of clips, predicted from the visible ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from cardiolens.datasets.volumes import VolumeSet
from cardiolens.errors import TrainingError
from cardiolens.hub import load_model
from cardiolens.models.card import Licence
from cardiolens.models.multiview import layer_groups
from cardiolens.models.transformer import set_checkpointing
from cardiolens.models.videomae import VideoMAE
from cardiolens.models.vivit import draw_mask
from cardiolens.training.downstream import batches_of
from cardiolens.training.grid_augment import GridAugment, gamma, move
from cardiolens.training.pretraining import Pretraining, run_pretraining
from cardiolens.training.run import RunFolder
from cardiolens.training.start import rendered_set
from cardiolens.training.video_data import (
    LoopClips,
    LoopSource,
    VideoBatch,
    loop_loader,
    split_of,
    transform_for,
)
from cardiolens.training.video_recipe import LoopAugmentRecipe, MaskedVideoRecipe

_HELD_OUT_EPOCH = 1_000_000  # masks of validation are drawn as of this epoch: the same ones every time


def augmented(clips: Tensor, settings: LoopAugmentRecipe, generator: torch.Generator) -> Tensor:
    """(batch, channel, time, row, col) after gamma and an affine, one draw a clip."""
    draws, count = GridAugment(settings, generator), len(clips)
    return move(gamma(clips, draws.exponents(count)).movedim(2, -1), draws.affines(count)).movedim(-1, 2)


class MaskedVideoModule(Pretraining):
    """An autoencoder under the mean squared error of its hidden tubelets."""

    def __init__(self, model: VideoMAE, recipe: MaskedVideoRecipe) -> None:
        super().__init__(recipe)
        self.model, self.settings = model, recipe

    def parameter_groups(self) -> list[dict[str, Any]]:
        return layer_groups(self.model, self.settings.optimiser.layer_decay, self.settings.optimiser.weight_decay)

    def training_step(self, batch: VideoBatch, batch_idx: int) -> Tensor:
        generator = self.augment_generator(batch.epoch, batch_idx)
        loss = self._loss(augmented(batch.clips, self.settings.augment, generator), generator)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.studies))
        return loss

    def validation_step(self, batch: VideoBatch, batch_idx: int) -> None:
        generator = self.augment_generator(_HELD_OUT_EPOCH, batch_idx)
        self.log("val", self._loss(batch.clips, generator), batch_size=len(batch.studies))

    def _loss(self, clips: Tensor, generator: torch.Generator) -> Tensor:
        config = self.model.config
        mask = draw_mask(config.encoder, len(clips), config.mask_ratio, generator, masking=config.masking)
        loss: Tensor = self.model(clips, mask).loss
        return loss


def pretrain_video(recipe: MaskedVideoRecipe, volumes: VolumeSet, out: Path) -> Path:
    """Run, or go on with, a masked pretraining on loops.

    Returns:
        the folder of the final model.

    Raises:
        TrainingError: no loop that can be used, a loss that is no number, a run folder of another recipe.
        CheckpointError: weights that the recipe names and that are not there, or of another kind of model.
    """
    folder = RunFolder(out, recipe)
    if folder.told_finished():
        return folder.final
    split = split_of(folder, recipe, volumes)
    L.seed_everything(recipe.seed, verbose=False)
    model = start_autoencoder(recipe)
    assert model.card is not None  # noqa: S101 - load_model gives one
    source = LoopSource(volumes, transform_for(recipe, model.card), cache=recipe.cache)
    parts = {
        part: source.usable(split[part], part, out, None) if recipe.check else split[part] for part in ("train", "val")
    }
    batch, accumulate = batches_of(len(parts["train"]), recipe.optimiser.batch, recipe.optimiser.chunk)
    loaders = [
        loop_loader(
            LoopClips(source, parts[part], seed=recipe.seed, train=part == "train"),
            batch=batch,
            seed=recipe.seed,
            train=part == "train",
            drop_last=part == "train",
            workers=recipe.workers,
        )
        for part in ("train", "val")
    ]
    module = MaskedVideoModule(model, recipe)
    model.card.notes = []  # said of the weights it starts from
    model.card.provenance = folder.provenance(
        split,
        volumes.hash(),
        data_set=volumes.name,
        loops={part: len(keys) for part, keys in parts.items()},
        phantom=rendered_set(volumes, parts["train"]) or None,
        start=model.card.provenance or None,
    )
    every, studies = recipe.checkpoint_every, len(parts["train"])
    return run_pretraining(folder, module, loaders, studies=studies, every=every, accumulate=accumulate)


def start_autoencoder(recipe: MaskedVideoRecipe) -> VideoMAE:
    """The recipe's model from its weights, or from random ones, with its clip length and masking."""
    start = load_model(recipe.model, weights=recipe.weights)
    if not isinstance(start, VideoMAE):
        raise TrainingError(f"{recipe.model} is no masked autoencoder of video; take echoai-base or echoai-tiny")
    card, config = start.card, start.config
    assert card is not None  # noqa: S101 - load_model gives one
    transform = transform_for(recipe, card)
    config = replace(
        config,
        encoder=replace(config.encoder, frames=transform.frames),
        mask_ratio=recipe.mask_ratio,
        masking=recipe.masking,
        normalise=recipe.normalise,
    )
    model = VideoMAE(config, card)
    model.load_state_dict(start.state_dict())
    card.transform, card.architecture = transform.to_dict(), model.architecture()
    if recipe.weights is None:
        card.licence = Licence()
    set_checkpointing(model, recipe.checkpointing)
    return model
