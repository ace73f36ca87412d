"""The layouts in which VideoMAE is published: transformers' (old and new names of the biases) and the authors'.

Attention here keeps keys and values in one matrix with a bias; published models have no bias of the keys, which would
shift every score of a query alike and change nothing.  `split` takes keys and values apart, `joined` puts them
together again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from cardiolens.models.layouts import Layout, Shape, Slot
from cardiolens.models.registry import NON_COMMERCIAL

_DATA = "Kinetics-400 or Something-Something V2, as the name of the file says; both for research"


def split(wanted: Mapping[str, Shape]) -> dict[str, Shape]:
    """Names and shapes with `attn.kv` taken apart into `attn.k` and `attn.v`, without the bias of the keys."""
    found: dict[str, Shape] = {}
    for name, shape in wanted.items():
        if ".attn.kv." not in name:
            found[name] = shape
            continue
        half = (shape[0] // 2, *shape[1:])
        if name.endswith("weight"):
            found[name.replace(".kv.", ".k.")] = half
        found[name.replace(".kv.", ".v.")] = half
    return found


def joined(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The way back: keys and values in one; the bias of the keys is 0."""
    found = {name: tensor for name, tensor in state.items() if not re.search(r"\.attn\.[kv]\.", name)}
    for name, values in state.items():
        if ".attn.v." in name:
            keys = state.get(name.replace(".v.", ".k."), torch.zeros_like(values))
            found[name.replace(".v.", ".kv.")] = torch.cat([keys, values])
    return found


def _rewritten(name: str, rules: list[tuple[str, str]]) -> str:
    for pattern, to in rules:
        name = re.sub(pattern, to, name)
    return name


_BLOCK = [
    (r"\.attn\.q\.weight", ".attention.attention.query.weight"),
    (r"\.attn\.k\.weight", ".attention.attention.key.weight"),
    (r"\.attn\.v\.weight", ".attention.attention.value.weight"),
    (r"\.attn\.([qv])\.bias", r".attention.attention.\1_bias"),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
]
_HF = [
    (r"^encoder\.embed\.", "videomae.embeddings.patch_embeddings.projection."),
    (r"^encoder\.blocks\.", "videomae.encoder.layer."),
    (r"^decoder\.", "decoder.decoder_layers."),
    (r"^to_decoder\.", "encoder_to_decoder."),
    (r"^decoder_norm\.", "decoder.norm."),
    (r"^pixels\.", "decoder.head."),
    (r"^head\.", "classifier."),
    *_BLOCK,
]
_AUTHORS = [
    (r"^encoder\.embed\.", "encoder.patch_embed.proj."),
    (r"^decoder\.", "decoder.blocks."),
    (r"^to_decoder\.", "encoder_to_decoder."),
    (r"^decoder_norm\.", "decoder.norm."),
    (r"^pixels\.", "decoder.head."),
    (r"\.attn\.([qv])\.bias", r".attn.\1_bias"),
]


def _hf(name: str, shape: Shape, *, last_norm: str) -> Slot:
    if name.startswith("norm."):
        return Slot(name.replace("norm.", last_norm), shape)
    return Slot(_rewritten(name, _HF), shape)


def _hf_pretrained(name: str, shape: Shape) -> Slot:
    return _hf(name, shape, last_norm="videomae.layernorm.")


def _hf_fine_tuned(name: str, shape: Shape) -> Slot:
    return _hf(name, shape, last_norm="fc_norm.")


def _new_names(slot: Slot) -> Slot:
    name = slot.name.replace("attention.q_bias", "attention.query.bias")
    return replace(slot, name=name.replace("attention.v_bias", "attention.value.bias"))


def _new_pretrained(name: str, shape: Shape) -> Slot:
    return _new_names(_hf_pretrained(name, shape))


def _new_fine_tuned(name: str, shape: Shape) -> Slot:
    return _new_names(_hf_fine_tuned(name, shape))


def _stacked(name: str, shape: Shape) -> Slot | None:
    """The authors keep queries, keys and values in one matrix."""
    found = re.fullmatch(r"(.+\.attn\.)([qkv])\.weight", name)
    if found is None:
        return None
    return Slot(f"{found[1]}qkv.weight", (3 * shape[0], *shape[1:]), "qkv".index(found[2]))


def _authors_pretrained(name: str, shape: Shape) -> Slot:
    if name.startswith("norm."):
        name = "encoder." + name
    slot = Slot(_rewritten(name, _AUTHORS), shape)
    return _stacked(slot.name, shape) or slot


def _authors_fine_tuned(name: str, shape: Shape) -> Slot:
    name = name.replace("norm.", "fc_norm.") if name.startswith("norm.") else name.removeprefix("encoder.")
    slot = Slot(_rewritten(name.replace("embed.", "patch_embed.proj.", 1), [_AUTHORS[-1]]), shape)
    return _stacked(slot.name, shape) or slot


_NOTHING = re.compile(r"(?!)")
_OLD_MARK, _NEW_MARK = (f"videomae.encoder.layer.0.attention.attention.{name}" for name in ("q_bias", "query.bias"))


def _layout(title: str, slot: object, mark: str) -> Layout:
    return Layout(title, slot, (mark,), {}, _NOTHING, f"{NON_COMMERCIAL}, if it is one of MCG-NJU's", _DATA)  # type: ignore[arg-type] # functions of the type above


LAYOUTS: Mapping[str, tuple[Layout, ...]] = {
    "videomae": (
        _layout("transformers' layout of VideoMAE", _hf_pretrained, _OLD_MARK),
        _layout("transformers' layout of VideoMAE since version 5", _new_pretrained, _NEW_MARK),
        _layout("the authors' layout of VideoMAE", _authors_pretrained, "encoder.patch_embed.proj.weight"),
    ),
    "vivit": (
        _layout("transformers' layout of a fine-tuned VideoMAE", _hf_fine_tuned, _OLD_MARK),
        _layout("transformers' layout of a fine-tuned VideoMAE since version 5", _new_fine_tuned, _NEW_MARK),
        _layout("the authors' layout of a fine-tuned VideoMAE", _authors_fine_tuned, "patch_embed.proj.weight"),
    ),
}


def holds(names: Mapping[str, Tensor]) -> str | None:
    """What a file holds: "videomae" where there is a decoder, "vivit" with a head, or None."""
    if any(name.startswith("encoder_to_decoder.") for name in names):
        return "videomae"
    return "vivit" if {"classifier.weight", "head.weight"} & set(names) else None
