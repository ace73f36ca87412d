"""CineMA's models and their baselines from a name, a published file or a folder; `build` hands over to here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cardiolens.errors import CheckpointError
from cardiolens.files import sha256_of
from cardiolens.models.card import Card, Licence
from cardiolens.models.checkpoint import read_tensors, select, shapes_of
from cardiolens.models.cinema_card import fresh_card
from cardiolens.models.cinema_layout import CINEMA, VIEW_NAMES, family_of, tables_of
from cardiolens.models.convmae import ConvMAE, ConvMAEConfig
from cardiolens.models.convvit import ConvViT, ConvViTConfig
from cardiolens.models.layouts import OWN, detect
from cardiolens.models.registry import MODELS, ModelEntry
from cardiolens.models.resnet import ResNet, ResNetConfig
from cardiolens.models.unet import UNet, UNetConfig
from cardiolens.models.unetr import ConvUNetR, ConvUNetRConfig

CinemaModel = ConvMAE | ConvViT | ConvUNetR | UNet | ResNet

_KINDS: dict[str, tuple[Any, Any]] = {
    "convmae": (ConvMAE, ConvMAEConfig),
    "convvit": (ConvViT, ConvViTConfig),
    "unetr": (ConvUNetR, ConvUNetRConfig),
    "unet": (UNet, UNetConfig),
    "resnet": (ResNet, ResNetConfig),
}
_TABLE_TOLERANCE = 1e-5
_TRANSPOSED = (
    "the authors' images have their columns first (x, y, z; cinema/examples/inference of "
    "github.com/mathpluscode/CineMA): transpose rows and columns before the model and after it, as transform.axes says"
)


def untrained(entry: ModelEntry) -> CinemaModel:
    """A model with random weights, its card saying so."""
    return _built({"family": entry.family} | dict(entry.architecture), None, entry.name)


def from_card(card: Card, where: str) -> CinemaModel:
    """The model that a card describes, its tensors without numbers (on the meta device)."""
    with torch.device("meta"):
        return _built(card.architecture, card, where)


def _built(architecture: Mapping[str, Any], card: Card | None, where: str) -> CinemaModel:
    design = dict(architecture)
    network, settings = _KINDS[design.pop("family")]
    try:
        config = settings(**design)
    except TypeError as error:
        raise CheckpointError(f"{where}: not an architecture of this version ({error})") from error
    model: CinemaModel = network(config, card)
    return model


def from_file(entry: ModelEntry, file: Path) -> CinemaModel:
    """Load a file as CineMA's authors publish them, strictly; views, frames and outputs are read off its tensors.

    Raises:
        CheckpointError: naming what is missing, too much or misshapen, or under which name to load it.
    """
    tensors = read_tensors(file)
    architecture = {"family": entry.family} | _design(entry, file, tensors)
    card = fresh_card(architecture)
    if card is None:
        raise AssertionError(f"{entry.name} has an entry and yet no card")
    card.transform["axes"] = "col-row"
    card.notes = [_TRANSPOSED]
    card.licence = Licence(weights=CINEMA.weights_licence, data=CINEMA.data_licence)
    card.provenance = {"file": file.name, "file_sha256": sha256_of(file), "layout": CINEMA.title}
    model = from_card(card, entry.name)
    tables = tables_of(tensors)
    state = select(shapes_of(model), tensors, CINEMA, file=file, model=entry.name, known=tables)
    fill(model, state)
    _check_tables(model, tables, tensors, file)
    if isinstance(model, ConvViT):
        card.notes.append("the file does not say what its logits are: set the kind in model.config before predict")
    if isinstance(model, ConvUNetR):
        card.notes.append("the file does not say which class is which; the authors' data sets number them differently")
    card.architecture = model.architecture()
    return model


def fill(model: CinemaModel, state: Mapping[str, Tensor]) -> None:
    """Load copies of all tensors into a model that has none."""
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: tensor.to(dtypes[name], copy=True) for name, tensor in state.items()}, assign=True)


def _design(entry: ModelEntry, file: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The entry's architecture with what the tensors tell."""
    if entry.family in ("unet", "resnet"):
        raise CheckpointError(f"{entry.name} has no published layout; load a checkpoint folder of our own, not {file}")
    if detect(tensors, (CINEMA,)) is None:
        if "encoder.cls_token" in tensors:
            raise CheckpointError(f"{file} is our own model.safetensors without its card.json: bring the whole folder")
        raise CheckpointError(
            f"{file} has no layout known for {entry.name}; its tensors are called {', '.join(list(tensors)[:4])}, ... "
            f"Known are {CINEMA.title}; and our own checkpoint folders"
        )
    _refuse_others(entry, file, tensors)
    design = dict(entry.architecture)
    if entry.family == "convmae":
        return design
    sizes = _views_of_size(entry)
    there = [view for view, theirs in VIEW_NAMES.items() if any(f"enc_down_dict.{theirs}." in name for name in tensors)]
    first = VIEW_NAMES[there[0]] if there else ""
    stem = tensors.get(f"enc_down_dict.{first}.conv_blocks.0.patch_embed.conv.weight")
    head = tensors.get(f"pred_head_dict.{'cls' if entry.family == 'convvit' else first}.bias")
    if stem is None or head is None:
        raise CheckpointError(
            f"{file} ({CINEMA.title}) lacks the first convolution or the head of a view: copy it again"
        )
    views = {view: sizes[view] for view in there}
    design["encoder"] = design["encoder"] | {"views": views, "in_channels": int(stem.shape[1])}
    if entry.family == "convvit":
        return design | {"outputs": len(head), "kind": "raw"}
    return design | {"classes": len(head)}


def _refuse_others(entry: ModelEntry, file: Path, tensors: Mapping[str, Tensor]) -> None:
    """`CheckpointError` where a file holds another of CineMA's models, or another size."""
    family, token = family_of(tensors), tensors.get("encoder.cls_token")
    width = 0 if token is None else token.shape[-1]
    same = [other for other in MODELS.values() if other.family == family]
    names = [other.name for other in same if other.architecture["encoder"]["width"] == width]
    if names and entry.name not in names:
        raise CheckpointError(f"{file} does not hold {entry.name}; load it as {' or '.join(names)}")


def _views_of_size(entry: ModelEntry) -> Mapping[str, tuple[int, ...]]:
    """Image sizes of all views, from the autoencoder of the same size."""
    mae = MODELS[entry.name.replace(f"-{entry.family}-", "-")]
    found: Mapping[str, tuple[int, ...]] = mae.architecture["encoder"]["views"]
    return found


def _check_tables(model: CinemaModel, tables: Mapping[str, str], tensors: Mapping[str, Tensor], file: Path) -> None:
    """A file may carry its fixed position tables; they must be the ones that we compute."""
    buffers = dict(model.named_buffers())
    for theirs, ours in tables.items():
        table, own = tensors[theirs], buffers.get(ours)
        if own is None or own.shape != table.shape or float((table - own).abs().max()) > _TABLE_TOLERANCE:
            have = "no table" if own is None else f"the fixed sin-cos table {tuple(own.shape)}"
            raise CheckpointError(
                f"{file}: {theirs} {tuple(table.shape)} is not what {model.card.name if model.card else 'the model'} "
                f"computes there ({have}); the file is of another image size or not CineMA's"
            )


def load_own(card: Card, file: Path, tensors: Mapping[str, Tensor]) -> CinemaModel:
    """A model of our own checkpoint folder."""
    model = from_card(card, f"{file.parent}/card.json")
    fill(model, select(shapes_of(model), tensors, OWN, file=file, model=card.name))
    return model
