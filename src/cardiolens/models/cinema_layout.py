"""The layout in which CineMA's authors publish: their names and shapes for each of our tensors."""

from __future__ import annotations

import re
from collections.abc import Collection

from cardiolens.models.layouts import Layout, Shape, Slot

VIEW_NAMES = {"SAX": "sax", "2CH": "lax_2c", "3CH": "lax_3c", "4CH": "lax_4c"}
MARKS = {  # of each family a name, up to the view
    "convmae": "dec_linear.weight",
    "unetr": "dec_image_conv_block_dict.",
    "convvit": "pred_head_dict.cls.weight",
}

_RULES = [
    (re.compile(pattern), to)
    for pattern, to in (
        (r"encoder\.stems\.(\w+)\.scales\.(\d)\.blocks\.", r"enc_down_dict.\1.conv_blocks.\2.conv."),
        (r"encoder\.stems\.(\w+)\.scales\.(\d)\.", r"enc_down_dict.\1.conv_blocks.\2.patch_embed."),
        (r"encoder\.stems\.(\w+)\.embed\.", r"enc_down_dict.\1.patch_embed.proj."),
        (r"encoder\.stems\.(\w+)\.linear\.", r"enc_down_dict.\1.linear."),
        (r"encoder\.fusion\.(\w+)\.downs\.", r"enc_fusion_dict.\1.down_convs."),
        (r"encoder\.fusion\.(\w+)\.", r"enc_fusion_dict.\1."),
        (r"to_decoder\.", "dec_linear."),
        (r"mask_tokens\.(\w+)", r"dec_embed_dict.\1.mask_token"),
        (r"decoder\.", "decoder.blocks."),
        (r"decoder_norm\.", "decoder.norm."),
        (r"heads\.(\w+)\.", r"pred_head_dict.\1."),
        (r"decoders\.(\w+)\.image\.", r"dec_image_conv_block_dict.\1."),
        (r"decoders\.(\w+)\.down\.", r"dec_down_blocks_dict.\1.0."),
        (r"decoders\.(\w+)\.levels\.", r"dec_conv_blocks_dict.\1."),
        (r"decoders\.(\w+)\.ups\.(\d)\.up\.", r"decoder_dict.\1.blocks.\2.up."),
        (r"decoders\.(\w+)\.ups\.(\d)\.blocks\.", r"decoder_dict.\1.blocks.\2.conv."),
        (r"decoders\.(\w+)\.head\.", r"pred_head_dict.\1."),
    )
]
_POINTWISE = re.compile(
    r"(stems\.\w+\.scales\.\d\.blocks\..*(conv1|conv2|fc1|fc2)|decoders\..*(shortcut|head))\.weight"
)


def _slot(name: str, shape: Shape) -> Slot:
    """Their 1x1 convolutions are linear layers here; their axes are 3 in SAX and 2 in a long-axis view."""
    theirs = next((pattern.sub(to, name, count=1) for pattern, to in _RULES if pattern.match(name)), name)
    view = next((view for view in VIEW_NAMES if f".{view}." in f"{name}."), None)
    if view is not None:
        theirs = re.sub(rf"\.{view}(?=\.|$)", f".{VIEW_NAMES[view]}", theirs, count=1)
        if _POINTWISE.search(name):
            shape = (*shape, *(1,) * (3 if view == "SAX" else 2))
    return Slot(theirs, shape)


CINEMA = Layout(
    "the authors' layout (CineMA)",
    _slot,
    tuple(f"enc_down_dict.{view}.linear.weight" for view in VIEW_NAMES.values()),
    {},
    re.compile(r"(?!)"),
    "MIT, if it is one of those at huggingface.co/mathpluscode/CineMA; not stated in the file",
    "pretraining: UK Biobank (on application); fine-tuning: the data set that the file is named after",
)


def family_of(names: Collection[str]) -> str | None:
    """Which model a file in this layout holds: "convmae", "unetr", "convvit", or None."""
    return next((family for family, mark in MARKS.items() if any(name.startswith(mark) for name in names)), None)


def tables_of(names: Collection[str]) -> dict[str, str]:
    """The fixed position tables of a file -> our buffers of the same."""
    ours = {theirs: view for view, theirs in VIEW_NAMES.items()}
    found = {}
    for name in names:
        if match := re.fullmatch(r"(enc_down|dec_embed)_dict\.(\w+)\.pos_embed", name):
            view = ours.get(match[2], match[2])
            found[name] = f"encoder.stems.{view}.position" if match[1] == "enc_down" else f"position_{view}"
    return found
