"""SLIViT, its trunk and its baselines, and EchoAI, from a name, a published file or a folder; `build` hands over to
here."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cardiolens.errors import CheckpointError
from cardiolens.files import sha256_of
from cardiolens.models.card import Card, Licence
from cardiolens.models.checkpoint import read_tensors, select, shapes_of
from cardiolens.models.layouts import OWN, Layout, Slot, clean_name, detect
from cardiolens.models.registry import ModelEntry
from cardiolens.models.slivit import SLIViT, SLIViTConfig
from cardiolens.models.trunk import SliceClassifier, SliceClassifierConfig
from cardiolens.models.videomae import VideoMAE, VideoMAEConfig
from cardiolens.models.vivit import ViViT, ViViTConfig
from cardiolens.models.volume_net import VolumeNet, VolumeNetConfig

log = logging.getLogger(__name__)

SliceModel = SLIViT | SliceClassifier | VolumeNet | VideoMAE | ViViT

_KINDS: dict[str, tuple[Any, Any]] = {
    "slivit": (SLIViT, SLIViTConfig),
    "trunk": (SliceClassifier, SliceClassifierConfig),
    "volume": (VolumeNet, VolumeNetConfig),
    "videomae": (VideoMAE, VideoMAEConfig),
    "vivit": (ViViT, ViViTConfig),
}
FAMILIES = tuple(_KINDS)
_NOTHING = re.compile(r"(?!)")

SLIVIT = Layout(
    "the authors' layout (SLIViT)",
    Slot,
    ("pos_embedding", "to_patch_embedding.1.weight"),
    {},
    _NOTHING,
    "not stated in the file; the code at github.com/cozygene/SLIViT states its own",
    "not stated in the file; the paper's: ImageNet, Kermany OCT, then the set of the task",
)
_PARTS = {"feature_extractor.0.": "embeddings.", "feature_extractor.1.": "encoder."}


def _convnext_slot(name: str, shape: tuple[int, ...]) -> Slot | None:
    for ours, theirs in _PARTS.items():
        if name.startswith(ours):
            return Slot("convnext." + theirs + name.removeprefix(ours), shape)
    if name.startswith("layernorm."):
        return Slot("convnext." + name, shape)
    return Slot(name, shape) if name.startswith("classifier.") else None


CONVNEXT = Layout(
    "transformers' ConvNeXt layout",
    _convnext_slot,
    ("convnext.embeddings.patch_embeddings.weight",),
    {},
    re.compile(r"convnext\.layernorm\.|classifier\."),
    "not stated in the file; facebook/convnext-tiny-224 is Apache-2.0",
    "not stated in the file; facebook/convnext-tiny-224: ImageNet-1K",
)


def untrained(entry: ModelEntry) -> SliceModel:
    """A model with random weights, its card saying so."""
    card = Card(
        name=entry.name,
        transform=dict(entry.transform),
        licence=Licence(weights="none: untrained", data="none: untrained"),
        notes=["untrained: random weights; its output means nothing"],
    )
    model = _built({"family": entry.family} | dict(entry.architecture), card, entry.name)
    card.architecture = model.architecture()
    return model


def _built(architecture: Mapping[str, Any], card: Card, where: str) -> SliceModel:
    design = dict(architecture)
    network, settings = _KINDS[design.pop("family")]
    try:
        config = settings(**design)
    except TypeError as error:
        raise CheckpointError(f"{where}: not an architecture of this version ({error})") from error
    model: SliceModel = network(config, card)
    return model


def from_file(entry: ModelEntry, file: Path) -> SliceModel:
    """Load a file as published, strictly: SLIViT's own, a ConvNeXt of transformers for the trunk alone, a VideoMAE.

    Slices, size, width and outputs are read off its tensors.

    Raises:
        CheckpointError: naming what is missing, too much or misshapen, or under which name to load it.
    """
    if entry.family in ("videomae", "vivit"):
        from cardiolens.models.build_video import from_file as video_from_file

        return video_from_file(entry, file, _built)
    tensors = {clean_name(name): tensor for name, tensor in read_tensors(file).items()}
    tensors = _with_prefix(tensors)
    layout = detect(tensors, (SLIVIT, CONVNEXT))
    if layout is None or entry.family == "volume" or (layout is SLIVIT and entry.family != "slivit"):
        have = layout.title if layout else f"tensors called {', '.join(list(tensors)[:4])}, ..."
        raise CheckpointError(
            f"{file} ({have}) cannot be loaded as {entry.name}. slivit takes the authors' files (their trunk by "
            "itself: save it under transformers' names), slivit and slivit-trunk take transformers' ConvNeXt; our own "
            "checkpoints are folders"
        )
    design = {"family": entry.family} | dict(entry.architecture) | _design(entry, layout, tensors)
    card = Card(
        name=entry.name,
        transform=dict(entry.transform),
        licence=Licence(weights=layout.weights_licence, data=layout.data_licence),
        provenance={"file": file.name, "file_sha256": sha256_of(file), "layout": layout.title},
    )
    model = _built(design, card, entry.name)
    wanted = shapes_of(model)
    state = select(wanted, tensors, layout, file=file, model=entry.name)
    left = set(wanted) - set(state)
    model.load_state_dict({**model.state_dict(), **{name: tensor.float() for name, tensor in state.items()}})
    if left:
        card.notes.append(f"only the trunk is of the file; untrained: {', '.join(sorted(left)[:4])}, ...")
    if isinstance(model, SLIViT):
        card.transform |= {"slices": model.config.slices, "size": model.config.size}
        if not left:
            card.notes.append("the file does not say what its outputs are: set model.config before predict")
    card.architecture = model.architecture()
    for note in card.notes:
        log.warning("%s: %s", entry.name, note)
    return model


def _with_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ConvNextModel's names as those of ConvNextForImageClassification."""
    if "embeddings.patch_embeddings.weight" not in tensors:
        return dict(tensors)
    return {name if name.startswith("classifier.") else f"convnext.{name}": t for name, t in tensors.items()}


def _design(entry: ModelEntry, layout: Layout, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the tensors tell of the architecture."""
    if layout is CONVNEXT:
        head = tensors.get("classifier.bias")
        if entry.family == "slivit" or head is None:
            return {}
        return {"classes": [f"{layout.title}: {number}" for number in range(len(head))]}
    table, patch = tensors.get("pos_embedding"), tensors.get("to_patch_embedding.1.weight")
    head, inner = tensors.get("mlp_head.bias"), tensors.get("transformer.layers.0.1.net.1.bias")
    out = tensors.get("transformer.layers.0.0.to_out.0.weight")
    if table is None or patch is None or head is None or inner is None or out is None:
        raise CheckpointError(f"{entry.name}: the file is {layout.title} and lacks parts of its transformer; copy it")
    trunk = tuple(entry.architecture["trunk"].get("widths", (768,)))[-1]
    layers = {name.split(".")[2] for name in tensors if name.startswith("transformer.layers.")}
    heads = max(1, out.shape[1] // 64)
    return {
        "slices": table.shape[1] - 1,
        "size": 32 * max(1, round((len(patch) / trunk) ** 0.5)),
        "width": table.shape[2],
        "mlp": len(inner),
        "heads": heads,
        "head_width": out.shape[1] // heads,
        "layers": len(layers),
        "answers": {
            "names": [f"output {number}" for number in range(len(head))],
            "kinds": ["raw"] * len(head),
        },
    }


def load_own(card: Card, file: Path, tensors: Mapping[str, Tensor]) -> SliceModel:
    """A model of our own checkpoint folder."""
    with torch.device("meta"):
        model = _built(card.architecture, card, f"{file.parent}/card.json")
    state = select(shapes_of(model), tensors, OWN, file=file, model=card.name)
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: tensor.to(dtypes[name], copy=True) for name, tensor in state.items()}, assign=True)
    return model
