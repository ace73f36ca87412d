"""Published VideoMAE files to the models of EchoAI; `build_slices` hands over to here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cardiolens.errors import CheckpointError
from cardiolens.files import sha256_of
from cardiolens.models.card import Card, Licence
from cardiolens.models.checkpoint import read_tensors, select, shapes_of
from cardiolens.models.layouts import clean_name, detect
from cardiolens.models.registry import MODELS, ModelEntry
from cardiolens.models.videomae import VideoMAE
from cardiolens.models.videomae_layout import LAYOUTS, holds, joined, split
from cardiolens.models.vivit import ViViT

log = logging.getLogger(__name__)

_WORDS = {"videomae": "a masked autoencoder", "vivit": "an encoder with a head"}


def from_file(entry: ModelEntry, file: Path, built: Callable[[Mapping[str, Any], Card, str], Any]) -> VideoMAE | ViViT:
    """Load a VideoMAE as transformers or its authors publish it, strictly; the head's outputs are read off the file.

    Args:
        built: makes a model of an architecture and a card.

    Raises:
        CheckpointError: naming what is missing, too much or misshapen, or under which name to load it.
    """
    tensors = {clean_name(name): tensor for name, tensor in read_tensors(file).items()}
    family = holds(tensors)
    layout = None if family is None else detect(tensors, LAYOUTS[family])
    if family is None or layout is None:
        raise CheckpointError(
            f"{file} has no layout known for {entry.name}; its tensors are called {', '.join(list(tensors)[:4])}, ... "
            f"Known are {'; '.join(known.title for known in LAYOUTS[entry.family])}; and our own checkpoint folders"
        )
    if family != entry.family:
        others = ", ".join(name for name, other in MODELS.items() if other.family == family)
        raise CheckpointError(f"{file} holds {_WORDS[family]} ({layout.title}), not {entry.name}; load it as {others}")
    design = {"family": entry.family} | dict(entry.architecture)
    if family == "vivit":
        head = tensors.get("classifier.weight", tensors.get("head.weight"))
        outputs = 0 if head is None else len(head)
        design["answers"] = {"names": [f"output {n}" for n in range(outputs)], "kinds": ["raw"] * outputs}
    card = Card(
        name=entry.name,
        transform=dict(entry.transform),
        licence=Licence(weights=layout.weights_licence, data=layout.data_licence),
        provenance={"file": file.name, "file_sha256": sha256_of(file), "layout": layout.title},
        notes=["learned from videos of everyday life, not from medical images"],
    )
    with torch.device("meta"):
        model: VideoMAE | ViViT = built(design, card, entry.name)
    wanted = shapes_of(model)
    state: dict[str, Tensor] = joined(select(split(wanted), tensors, layout, file=file, model=entry.name))
    model.load_state_dict({name: tensor.float().clone() for name, tensor in state.items()}, assign=True)
    if family == "vivit":
        card.notes.append("the file does not say what its outputs are: set model.config before predict")
    card.architecture = model.architecture()
    for note in card.notes:
        log.warning("%s: %s", entry.name, note)
    return model
