"""Published checkpoint layouts: which names and shapes a file must hold for each of our tensors.

A layout maps our names to the publisher's, one direction only.  So what a file lacks, what it holds too much and what
has another shape all come out of one comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from cardiolens.models.card import UNKNOWN_LICENCE
from cardiolens.models.registry import NON_COMMERCIAL

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Slot:
    """Where one of our tensors lies in a file: name and shape there, and which third of it if q, k, v are stacked."""

    name: str
    shape: Shape
    third: int | None = None

    def take(self, tensor: Tensor, shape: Shape) -> Tensor:
        """Our tensor of `shape` from the file's, whose shape is `self.shape`."""
        if self.third is not None:
            tensor = tensor.chunk(3)[self.third]
        return tensor.reshape(shape)


@dataclass(frozen=True)
class Layout:
    """One way in which a model is published.

    Attributes:
        title: for messages.
        slot: (our name, our shape) -> Slot, or None for a tensor that this layout never carries.
        marks: names of which at least one tells the layout.
        overrides: architecture settings that come with it.
        set_aside: names that belong to other parts; not loaded, but said.
        network: the video encoder that it is a layout of.
        weights_licence, data_licence: what is known of files in this layout.
    """

    title: str
    slot: Callable[[str, Shape], Slot | None]
    marks: tuple[str, ...]
    overrides: Mapping[str, Any]
    set_aside: re.Pattern[str]
    weights_licence: str = UNKNOWN_LICENCE
    data_licence: str = UNKNOWN_LICENCE
    network: Literal["mvit", "resnet3d"] = "mvit"


_PYTORCHVIDEO = {
    "patch.weight": "patch_embed.patch_model.weight",
    "patch.bias": "patch_embed.patch_model.bias",
    "cls_token": "cls_positional_encoding.cls_token",
    "pos_cls": "cls_positional_encoding.pos_embed_class",
    "pos_space": "cls_positional_encoding.pos_embed_spatial",
    "pos_time": "cls_positional_encoding.pos_embed_temporal",
    "norm.weight": "norm_embed.weight",
    "norm.bias": "norm_embed.bias",
}
_TORCHVISION = {
    "patch.weight": "conv_proj.weight",
    "patch.bias": "conv_proj.bias",
    "cls_token": "pos_encoding.class_token",
    "pos_cls": "pos_encoding.class_pos",
    "pos_space": "pos_encoding.spatial_pos",
    "pos_time": "pos_encoding.temporal_pos",
}


def _pytorchvideo_name(name: str, shape: Shape) -> tuple[str, Shape]:
    """MViT's own name, without `video_encoder.`, to pytorchvideo's."""
    if name in ("cls_token", "pos_cls", "pos_space", "pos_time"):
        shape = (1, *shape) if len(shape) == 2 else (1, 1, *shape)
    name = _PYTORCHVIDEO.get(name, name)
    name = re.sub(r"\.pool_([qkv])\.norm\.", r".norm_\1.", name)
    return name.replace(".mlp.0.", ".mlp.fc1.").replace(".mlp.2.", ".mlp.fc2.").replace(".widen.", ".proj."), shape


def _authors_slot(name: str, shape: Shape) -> Slot | None:
    if name.startswith("video_encoder."):
        inner, shape = _pytorchvideo_name(name.removeprefix("video_encoder."), shape)
        return Slot("video_encoder." + inner, shape)
    if name.startswith("video_proj."):
        return Slot(name, shape)
    return _head_slot(name, shape)


def _kinetics_slot(name: str, shape: Shape) -> Slot | None:
    if name.startswith("video_encoder."):
        return Slot(*_pytorchvideo_name(name.removeprefix("video_encoder."), shape))
    if name.startswith("classifier."):
        return Slot(name.replace("classifier.", "head.proj."), shape)
    return None


def _torchvision_slot(name: str, shape: Shape) -> Slot | None:
    if name.startswith("classifier."):
        return Slot(name.replace("classifier.", "head.1."), shape)
    if not name.startswith("video_encoder."):
        return None
    name = name.removeprefix("video_encoder.")
    stacked = re.fullmatch(r"(blocks\.\d+\.attn\.)([qkv])\.(weight|bias)", name)
    if stacked:
        stem, letter, kind = stacked.groups()
        return Slot(f"{stem}qkv.{kind}", (3 * shape[0], *shape[1:]), "qkv".index(letter))
    name = _TORCHVISION.get(name, name)
    name = re.sub(r"\.pool_([qkv])\.weight", r".pool_\1.pool.weight", name)
    name = re.sub(r"\.pool_([qkv])\.norm\.", r".pool_\1.norm_act.0.", name)
    name = name.replace(".attn.proj.", ".attn.project.0.").replace(".widen.", ".project.")
    return Slot(name.replace(".mlp.2.", ".mlp.3."), shape)


_HEAD = {
    "instance.": "attention_net.",
    "norm.": "attention_net.6.layernorm.",
    "gate_tanh.": "attention_net.6.attention_a.0.",
    "gate_sigmoid.": "attention_net.6.attention_b.0.",
    "gate_weight.": "attention_net.6.attention_c.",
    "predict.": "classifier_head.fc.0.",
}


def _head_slot(name: str, shape: Shape) -> Slot | None:
    """A head's own name, with or without `heads.<task>.`, to the authors'."""
    bare = re.sub(r"^heads\.[^.]+\.", "", name)
    for ours, theirs in _HEAD.items():
        if bare.startswith(ours):
            return Slot(theirs + bare.removeprefix(ours), shape)
    return None


def _r3d_slot(name: str, shape: Shape) -> Slot | None:
    for ours, theirs in (("video_encoder.", ""), ("classifier.", "fc.")):
        if name.startswith(ours):
            return Slot(theirs + name.removeprefix(ours), shape)
    return None


def _own_slot(name: str, shape: Shape) -> Slot | None:
    return None if name.startswith("text_") else Slot(name, shape)


def _own_text_slot(name: str, shape: Shape) -> Slot | None:
    return Slot(name, shape) if name.startswith("text_") else None


_NOTHING = re.compile(r"(?!)")
_AUTHORS_LICENCE = f"not stated in the file; the authors publish theirs (rohanshad/cmr_c0.1) under {NON_COMMERCIAL}"
_AUTHORS_DATA = "clinical studies and reports of several hospitals, not public"
_KINETICS_DATA = "Kinetics-400 (annotations CC-BY 4.0, videos under their owners' terms)"
AUTHORS = Layout(
    "the authors' layout (Shad et al.)",
    _authors_slot,
    ("video_encoder.patch_embed.patch_model.weight", "video_encoder.norm_embed.weight"),
    {"pool_norm_eps": 1e-5},
    re.compile(r"text_|attention_net\.|classifier_head\."),
    _AUTHORS_LICENCE,
    _AUTHORS_DATA,
)
PYTORCHVIDEO = Layout(
    "pytorchvideo's Kinetics layout",
    _kinetics_slot,
    ("patch_embed.patch_model.weight", "norm_embed.weight", "cls_positional_encoding.cls_token"),
    {"pool_norm_eps": 1e-5},
    _NOTHING,
    "not stated in the file; pytorchvideo itself is Apache-2.0",
    _KINETICS_DATA,
)
TORCHVISION = Layout(
    "torchvision's mvit_v1_b layout",
    _torchvision_slot,
    ("conv_proj.weight", "pos_encoding.class_token"),
    {"pool_norm_eps": 1e-6},
    _NOTHING,
    "not stated in the file; torchvision itself is BSD-3-Clause",
    _KINETICS_DATA,
)
R3D = Layout(
    "torchvision's r3d_18 layout",
    _r3d_slot,
    ("layer1.0.conv1.0.weight",),
    {},
    _NOTHING,
    "not stated in the file; torchvision itself is BSD-3-Clause",
    _KINETICS_DATA,
    "resnet3d",
)
AUTHORS_HEAD = Layout(
    "the authors' head layout (Shad et al.)",
    _head_slot,
    ("attention_net.0.weight", "classifier_head.fc.0.weight"),
    {},
    re.compile(r"text_|video_"),
    _AUTHORS_LICENCE,
    _AUTHORS_DATA,
)
VIDEO_LAYOUTS = (AUTHORS, PYTORCHVIDEO, TORCHVISION, R3D)
OWN = Layout("our own layout", _own_slot, ("video_encoder.patch.weight",), {}, re.compile("text_"))
OWN_TEXT = Layout("our own layout", _own_text_slot, (), {}, re.compile("(?!text_)"))


def detect(names: Collection[str], layouts: Collection[Layout]) -> Layout | None:
    """The layout whose marks the names hold."""
    return next((layout for layout in layouts if any(mark in names for mark in layout.marks)), None)


def clean_name(name: str) -> str:
    """A Lightning module's name without the `model.` in front."""
    return name.removeprefix("model.")


def legacy_name(name: str) -> str:
    """The name as the authors' loader made it: `str.strip` takes single letters off both ends, not the word.

    >>> legacy_name("model.video_encoder.cls_positional_encoding.pos_embed_spatial")
    'video_encoder.cls_positional_encoding.pos_embed_spatia'
    """
    return name.strip("model.")  # this is the bug, reproduced on purpose
