"""What a recipe of slices trains: a model by name, changed as the recipe says, from the weights that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cardiolens.errors import CheckpointError, TrainingError
from cardiolens.hub import load_model
from cardiolens.models.answers import Answers
from cardiolens.models.card import Card
from cardiolens.models.slivit import SLIViT, SLIViTConfig
from cardiolens.models.trunk import SliceClassifier, SliceClassifierConfig
from cardiolens.models.volume_net import VolumeNet, VolumeNetConfig
from cardiolens.training.slice_recipe import ImagesRecipe, SlicesRecipe

VolumeModel = SLIViT | VolumeNet


def volume_model(recipe: SlicesRecipe, answers: Answers) -> tuple[VolumeModel, Card]:
    """The network with a fresh head of these answers, and the card of what it starts from.

    Weights may be of the whole model, or of a trunk alone.

    Raises:
        TrainingError: the recipe's model is of another kind.
        CheckpointError: weights that do not fit.
    """
    start = _start(recipe)
    named = load_model(recipe.model) if isinstance(start, SliceClassifier) else start
    card = Card(name=recipe.model, transform=dict(named.card.transform), licence=start.card.licence.model_copy())
    model: VolumeModel
    if isinstance(named, SLIViT):
        if recipe.slices is not None and named is start and recipe.weights is not None:
            named.set_slices(recipe.slices)
        design = _changed(named.config, answers, recipe.architecture, recipe)
        model = SLIViT(replace(design, slices=recipe.slices or design.slices), card)
    elif isinstance(named, VolumeNet):
        inner = {"frames": recipe.slices or named.config.slices} | recipe.architecture
        model = VolumeNet(_changed_encoder(named.config, answers, inner), card)
    else:
        raise TrainingError(f"{recipe.model} gives no answers of volumes; take slivit, slivit-tiny or a baseline of it")
    if isinstance(start, SliceClassifier):
        if not isinstance(model, SLIViT):
            raise TrainingError(f"{recipe.weights} is a 2D trunk, and {recipe.model} has none; leave `weights` out")
        model.take_trunk(start)
    elif recipe.weights is not None:
        _take_all(model, start, recipe)
    card.transform |= {"slices": model.config.slices, "size": model.config.size}
    card.notes = [note for note in start.card.notes if "interpolated" in note]
    return model, start.card


def _start(recipe: SlicesRecipe) -> Any:
    """What the weights hold: a folder says by itself what it is."""
    if recipe.weights is not None and (Path(recipe.weights) / "card.json").is_file():
        return load_model(Path(recipe.weights))
    return load_model(recipe.model, weights=recipe.weights)


def _changed(config: SLIViTConfig, answers: Answers, changes: Mapping[str, Any], recipe: SlicesRecipe) -> SLIViTConfig:
    try:
        return replace(config, answers=answers, **_with_whole_trunk(config, changes))
    except TypeError as error:
        raise TrainingError(f"architecture: not a setting of {recipe.model} ({error})") from error


def _with_whole_trunk(config: SLIViTConfig | SliceClassifierConfig, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the trunk may be named in part."""
    changes = dict(changes)
    if isinstance(changes.get("trunk"), Mapping):
        changes["trunk"] = replace(config.trunk, **changes["trunk"])
    return changes


def _changed_encoder(config: VolumeNetConfig, answers: Answers, changes: Mapping[str, Any]) -> VolumeNetConfig:
    try:
        encoder: Any = replace(config.encoder, **changes)
    except TypeError as error:
        raise TrainingError(f"architecture: not a setting of this encoder ({error})") from error
    return VolumeNetConfig(encoder, answers)


def _take_all(model: VolumeModel, start: Any, recipe: SlicesRecipe) -> None:
    """Everything but the head; `CheckpointError` where the two are of different designs."""
    if type(start) is not type(model):
        raise CheckpointError(f"{recipe.weights} holds {start.card.name}, not {recipe.model}")
    head = ("mlp_head.", "head.")
    theirs = {name: tensor for name, tensor in start.state_dict().items() if not name.startswith(head)}
    ours = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(head)}
    wrong = [
        n for n in ours.keys() | theirs.keys() if n not in ours or n not in theirs or ours[n].shape != theirs[n].shape
    ]
    if wrong:
        raise CheckpointError(f"{recipe.weights} does not fit `architecture`: {', '.join(sorted(wrong)[:4])} differ")
    model.load_state_dict({**model.state_dict(), **theirs})


def trunk_model(recipe: ImagesRecipe, classes: tuple[str, ...], several: bool) -> tuple[SliceClassifier, Card]:
    """The trunk with a fresh layer for these classes (none for SimCLR), and the card of its start."""
    start = load_model(recipe.model, weights=recipe.weights)
    if not isinstance(start, SliceClassifier) or start.card is None:
        raise TrainingError(f"{recipe.model} is no 2D trunk; take slivit-trunk or slivit-trunk-tiny")
    try:
        config = replace(
            start.config, classes=classes, several=several, **_with_whole_trunk(start.config, recipe.architecture)
        )
    except TypeError as error:
        raise TrainingError(f"architecture: not a setting of {recipe.model} ({error})") from error
    licence = start.card.licence.model_copy()
    card = Card(name=recipe.model, transform=dict(start.card.transform) | {"size": config.size}, licence=licence)
    model = SliceClassifier(config, card)
    if recipe.weights is not None:
        if config.trunk != start.config.trunk:
            raise CheckpointError(f"{recipe.weights} does not fit `architecture`: its trunk is {start.config.trunk}")
        model.feature_extractor.load_state_dict(start.feature_extractor.state_dict())
    return model, start.card
