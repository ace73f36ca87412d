"""Segmenters on disk: `save_segmenter`, `load_segmenter`.  A folder with `model.safetensors` and `card.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from cardiolens.errors import CheckpointError
from cardiolens.files import sha256_of
from cardiolens.models.card import Card
from cardiolens.models.checkpoint import read_tensors
from cardiolens.models.locate import local_tags
from cardiolens.models.plane_unet import PlaneUNet, PlaneUNetConfig
from cardiolens.segmenter.segmenter import Pair, Segmenter
from cardiolens.store.atomic import write_whole

NAME = "segmenter"
DEFAULT = "phantom"
_KINDS = ("short", "long")


def load_segmenter(weights: str | Path = DEFAULT, *, batch: int = 16) -> Segmenter:
    """Load a segmenter with its card.

    Args:
        weights: a tag (the bundled one is "phantom"), or the folder of one that `save_segmenter` wrote.
        batch: frames at once.

    Raises:
        CheckpointError: no such weights, or a file that is damaged or another model's.
    """
    tags = local_tags(NAME)
    folder = tags.get(str(weights)) or Path(weights).expanduser()
    if not folder.is_dir():
        raise CheckpointError(
            f"no segmenter called {str(weights)!r}; there are {', '.join(tags) or 'none here'}; or give a folder"
        )
    card, file = Card.read(folder / "card.json"), folder / "model.safetensors"
    if card.name != NAME:
        raise CheckpointError(f"{folder} holds {card.full_name}, which is no segmenter")
    if not file.is_file() or sha256_of(file) != card.sha256:
        raise CheckpointError(f"{file} is absent or not the file that its card.json describes; copy the folder again")
    tensors = read_tensors(file)
    pairs = {
        kind: _pair(card.architecture[kind], kind, tensors, folder) for kind in _KINDS if kind in card.architecture
    }
    return Segmenter(pairs["short"], pairs.get("long"), card=card, batch=batch)


def _pair(built: dict[str, Any], kind: str, tensors: dict[str, torch.Tensor], folder: Path) -> Pair:
    nets = {}
    for part in ("locate", "contour"):
        net = PlaneUNet(PlaneUNetConfig(**built[part]))
        front = f"{kind}.{part}."
        held = {name.removeprefix(front): t.float() for name, t in tensors.items() if name.startswith(front)}
        try:
            net.load_state_dict(held, strict=True)
        except RuntimeError as error:
            raise CheckpointError(f"{folder}: its weights do not fit its card ({error})") from error
        nets[part] = net.eval()
    return Pair(nets["locate"], nets["contour"], tuple(built["structures"]))


def save_segmenter(segmenter: Segmenter, folder: str | Path) -> Path:
    """Write a segmenter's folder, its weights halved to 16 bits; returns the folder."""
    folder = Path(folder)
    tensors: dict[str, torch.Tensor] = {}
    built: dict[str, dict[str, Any]] = {}
    for kind, pair in (("short", segmenter.short), ("long", segmenter.long)):
        if pair is None:
            continue
        built[kind] = {"structures": list(pair.structures)}
        for part, net in (("locate", pair.locate), ("contour", pair.contour)):
            built[kind][part] = net.config.to_dict()
            for name, tensor in net.state_dict().items():
                tensors[f"{kind}.{part}.{name}"] = tensor.detach().half().contiguous()
    content = save(tensors)
    write_whole(folder / "model.safetensors", content)
    card = segmenter.card.model_copy(
        update={"architecture": built, "dtype": "float16", "sha256": sha256_of(folder / "model.safetensors")}
    )
    write_whole(folder / "card.json", card.to_json().encode())
    return folder
