"""What a downstream run of the CineMA family trains: the encoder of an autoencoder under a new head, or a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cardiolens.errors import TrainingError
from cardiolens.hub import load_model
from cardiolens.models.card import Card
from cardiolens.models.convmae import ConvMAE
from cardiolens.models.convvit import ConvViT, ConvViTConfig
from cardiolens.models.resnet import ResNet
from cardiolens.models.transformer import set_checkpointing
from cardiolens.models.unet import UNet
from cardiolens.models.unetr import ConvUNetR, ConvUNetRConfig
from cardiolens.models.views import EncoderConfig
from cardiolens.study import View
from cardiolens.training.cine_recipe import CineRecipe, DownstreamRecipe

Dense = ConvUNetR | UNet
Tabular = ConvViT | ResNet
CineModel = Dense | Tabular


def resized(encoder: EncoderConfig, views: Sequence[View], sizes: Mapping[View, tuple[int, ...]]) -> EncoderConfig:
    """An encoder with some of its views, some of them in other sizes."""
    chosen = encoder.only([view.value for view in views])
    return replace(chosen, views=_sizes(chosen.views, sizes))


def _sizes(views: Mapping[str, tuple[int, ...]], sizes: Mapping[View, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    named = {View(view).value: tuple(size) for view, size in sizes.items()}
    return {view: named.get(view, tuple(size)) for view, size in views.items()}


def transform_of(card: Card, views: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """The card's transform for some of its views, in these sizes; voxels stay as large as they are."""
    grids = card.transform["views"]
    kept = {view: {"size": list(size), "spacing_mm": list(grids[view]["spacing_mm"])} for view, size in views.items()}
    return {**card.transform, "views": kept}


def dense_model(recipe: DownstreamRecipe, classes: int, dropout: float) -> tuple[Dense, Card]:
    """A network that says something of every voxel, and the card of what it starts from.

    Raises:
        TrainingError: the recipe's model is of another kind.
    """
    start = load_model(recipe.model, weights=recipe.weights)
    views = [view.value for view in recipe.views]
    model: Dense
    if isinstance(start, ConvMAE):
        head: dict[str, Any] = {"classes": classes, "in_channels": 1, "drop_path": recipe.drop_path, "dropout": dropout}
        if recipe.weights is not None:
            refuse_other_sizes(recipe, start.config.encoder)
            model = ConvUNetR.from_pretrained(start, views, **head)
        else:
            config = replace(start.config, encoder=resized(start.config.encoder, recipe.views, recipe.sizes))
            model = ConvUNetR(ConvUNetRConfig.like(config, **head))
    elif isinstance(start, UNet):
        _refuse_weights(recipe)
        sizes = _sizes({view: start.config.views[view] for view in views}, recipe.sizes)
        model = UNet(replace(start.config, views=sizes, classes=classes, in_channels=1, dropout=dropout))
    else:
        raise TrainingError(f"{recipe.model} cannot start a segmenter; take cinema-<size> or cinema-unet")
    return model, _card(model, start.card, recipe)


def tabular_model(recipe: DownstreamRecipe, *, frames: int, **head: Any) -> tuple[Tabular, Card]:
    """A network that gives a row of values, and the card of what it starts from.

    Args:
        frames: channels of an image.
        head: `outputs`, `kind`, `offset`, `scale` as in `ConvViTConfig`.

    Raises:
        TrainingError: the recipe's model is of another kind.
    """
    start = load_model(recipe.model, weights=recipe.weights)
    views = [view.value for view in recipe.views]
    model: Tabular
    if isinstance(start, ConvMAE):
        head = {**head, "in_channels": frames, "drop_path": recipe.drop_path}
        if recipe.weights is not None:
            refuse_other_sizes(recipe, start.config.encoder)
            model = ConvViT.from_pretrained(start, views, **head)
        else:
            config = replace(start.config, encoder=resized(start.config.encoder, recipe.views, recipe.sizes))
            model = ConvViT(ConvViTConfig.like(config, **head))
    elif isinstance(start, ResNet):
        _refuse_weights(recipe)
        sizes = _sizes({view: start.config.views[view] for view in views}, recipe.sizes)
        model = ResNet(replace(start.config, views=sizes, in_channels=frames, **head))
    else:
        raise TrainingError(f"{recipe.model} gives no values; take cinema-<size> or cinema-resnet50")
    return model, _card(model, start.card, recipe)


def _card(model: CineModel, start: Card | None, recipe: DownstreamRecipe) -> Card:
    """The card of the start; the model gets one of its own, with the transform of the start."""
    if model.card is None or start is None:
        raise TrainingError(f"{recipe.model}: no model of this size is known by name, so what is trained has no card")
    model.card.transform = transform_of(start, _views(model))
    model.card.notes = []
    if recipe.weights is not None:
        model.card.licence = start.licence
    set_checkpointing(model, recipe.checkpointing)
    return start


def _views(model: CineModel) -> Mapping[str, Sequence[int]]:
    config = model.config
    return config.views if hasattr(config, "views") else config.encoder.views


def refuse_other_sizes(recipe: CineRecipe, encoder: EncoderConfig) -> None:
    """`TrainingError` where the recipe wants other sizes than weights have."""
    wanted = _sizes(encoder.views, recipe.sizes)
    if wanted != dict(encoder.views):
        raise TrainingError(
            f"`sizes` are {wanted}, and the weights are of {dict(encoder.views)}; leave `sizes` out, or start from "
            "random weights"
        )


def _refuse_weights(recipe: DownstreamRecipe) -> None:
    if recipe.weights is not None:
        raise TrainingError(f"{recipe.model} is a baseline, which starts from random weights; leave `weights` out")
