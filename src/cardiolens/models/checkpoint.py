"""Files of tensors: read safely, compared strictly, written whole."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cardiolens.errors import CheckpointError
from cardiolens.models.layouts import Layout, Shape

_WRAPPERS = ("state_dict", "model_state", "model")
_NAMED = 5  # tensors named in a message; the rest are counted

_CONVERT = (
    "It may hold pickled Python objects, which are never run here. If you trust its origin, rewrite it where the code "
    "that made it is installed: torch.save(torch.load(FILE, weights_only=False, map_location='cpu')['state_dict'], "
    "'clean.pt'), and load clean.pt; if it was cut off in transfer, copy it again"
)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a .safetensors, .ckpt, .pt, .pth, .pyth or .bin file by the publisher's names, on the CPU.

    A wrapper such as Lightning's `state_dict` or pytorchvideo's `model_state` is opened.

    Raises:
        CheckpointError: no such file, damaged, or holding objects that only unsafe unpickling would read.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file")
    if path.suffix == ".safetensors":
        try:
            held: Any = load_file(path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} cannot be read as safetensors ({error}); copy it again") from error
    else:
        held = _torch_load(path)
    if isinstance(held, Mapping):
        held = next((held[key] for key in _WRAPPERS if isinstance(held.get(key), Mapping)), held)
    tensors = dict(held) if isinstance(held, Mapping) else {}
    alien = [str(key) for key, value in tensors.items() if not isinstance(value, Tensor)]
    if alien or not tensors:
        raise CheckpointError(
            f"{path} holds no table of tensors (found {', '.join(alien[:_NAMED]) or type(held).__name__}); "
            "give a state dict, or a checkpoint with one under 'state_dict' or 'model_state'"
        )
    return _unprefixed(tensors)


def _unprefixed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names without a wrapper's name in front, which a flattened file may carry."""
    for wrapper in ("state_dict.", "model_state."):
        if all(name.startswith(wrapper) for name in tensors):
            return {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
    return tensors


def _torch_load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} cannot be read with weights_only ({reason}). {_CONVERT}") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is damaged or no PyTorch file ({reason}); copy it again") from error


def shapes_of(module: nn.Module) -> dict[str, Shape]:
    """Name -> shape of every parameter and persistent buffer."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def select(
    wanted: Mapping[str, Shape],
    tensors: Mapping[str, Tensor],
    layout: Layout,
    *,
    file: Path,
    model: str,
    known: Collection[str] = (),
) -> dict[str, Tensor]:
    """Take every wanted tensor out of a file, strictly.

    Args:
        wanted: our names and shapes.
        tensors: the file's, by the publisher's names.
        known: further names of the file that are accounted for elsewhere.

    Returns:
        Our names -> tensors.

    Raises:
        CheckpointError: naming missing, unexpected and misshapen tensors.
    """
    slots = {name: slot for name, shape in wanted.items() if (slot := layout.slot(name, shape)) is not None}
    expected = {slot.name: slot.shape for slot in slots.values()}
    missing = [f"{name} {shape}" for name, shape in expected.items() if name not in tensors]
    extra = [
        f"{name} {tuple(tensor.shape)}"
        for name, tensor in tensors.items()
        if name not in expected and name not in known and not layout.set_aside.match(name)
    ]
    misshapen = [
        f"{name} is {tuple(tensors[name].shape)} in the file, the model needs {shape}"
        for name, shape in expected.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    if missing or extra or misshapen:
        raise CheckpointError(_complaint(file, model, layout, missing, extra, misshapen))
    return {name: slot.take(tensors[slot.name], wanted[name]) for name, slot in slots.items()}


def _complaint(
    file: Path, model: str, layout: Layout, missing: Sequence[str], extra: Sequence[str], misshapen: Sequence[str]
) -> str:
    parts = [f"{file} ({layout.title}) does not fit {model}"]
    for words, found in (("missing", missing), ("not part of the model", extra), ("of another shape", misshapen)):
        if found:
            rest = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            parts.append(f"{words}: {'; '.join(found[:_NAMED])}{rest}")
    advice = "bring the file as it was published, or load it under the name of the model that it belongs to"
    if any("pos_embed_temporal" in text or "temporal_pos" in text or "pos_time" in text for text in misshapen):
        advice += " (the length of the time table tells 16-frame from 32-frame models: shad-mvit-b16, shad-mvit-b32)"
    if any("layernorm" in text for text in (*missing, *extra)):
        advice += " (heads with a LayerNorm are shad-mil-classification, without are shad-mil-regression)"
    return ". ".join(parts) + f". Mend: {advice}"
