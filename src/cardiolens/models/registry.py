"""The models known by name: architecture here, weights apart from it.  Imports no torch, so listing is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cardiolens.errors import CheckpointError

NON_COMMERCIAL = "CC-BY-NC 4.0 (no commercial use)"


@dataclass(frozen=True)
class HubWeights:
    """Published weights: hub id, licence and what they are."""

    hub_id: str
    licence: str
    words: str


@dataclass(frozen=True)
class ModelEntry:
    """One architecture by name.

    Attributes:
        family: "dual" for a video (and text) encoder, "mil" for a head over the clips of a study.
        architecture, transform: as in the card.
        hub: published weights by tag.
    """

    name: str
    family: Literal["dual", "mil"]
    words: str
    architecture: Mapping[str, Any]
    transform: Mapping[str, Any] = field(default_factory=dict)
    hub: Mapping[str, HubWeights] = field(default_factory=dict)


_B16: dict[str, Any] = {"frames": 16, "crop": 224, "channels": 3}
_PAPER_TEXT: dict[str, Any] = {"freeze_layers": 6, "pooling": "cls", "max_tokens": 256}
_TINY: dict[str, Any] = {
    "frames": 16,
    "crop": 64,
    "channels": 1,
    "motion": True,
    "stem": [16, 32],
    "patch_kernel": [1, 3, 3],
    "patch_stride": [1, 2, 2],
    "width": 64,
    "head_width": 64,
    "stage_starts": [1],
    "kv_stride": [2, 1, 1, 1],
    "output": "mean",
}
_TINY_RESNET: dict[str, Any] = {
    "kind": "resnet3d",
    "crop": 64,
    "channels": 1,
    "depths": [1, 1, 1, 1],
    "width": 16,
    "stem_stride": [2, 2, 2],
    "norm": "group",
    "motion": True,
}
_TINY_TEXT: dict[str, Any] = {
    "width": 128,
    "layers": 2,
    "heads": 2,
    "hidden": 512,
    "vocabulary": 4000,
    "positions": 256,
    "max_tokens": 192,
    "pooling": "mean",
}

MODELS: Mapping[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            "shad-mvit-b16",
            "dual",
            "Shad et al.: MViT-B 16x4 on cine clips, 512-d embedding, BERT text tower",
            {"video": _B16, "embed_dim": 512, "text": _PAPER_TEXT},
            {"frames": 16, "short_side": 264, "crop": 224, "channels": 1},
            {"cmr_c0.1": HubWeights("rohanshad/cmr_c0.1", NON_COMMERCIAL, "the authors' contrastive pretraining")},
        ),
        ModelEntry(
            "shad-mvit-b32",
            "dual",
            "Shad et al., the 32-frame variant: MViT-B 32x3",
            {"video": _B16 | {"frames": 32}, "embed_dim": 512, "text": _PAPER_TEXT},
            {"frames": 32, "short_side": 264, "crop": 224, "channels": 1},
        ),
        ModelEntry(
            "shad-mvit-tiny",
            "dual",
            "for a laptop: grey 16 x 64 x 64 clips, convolutional stem, four MViT blocks, two-layer text tower",
            {"video": _TINY, "embed_dim": 512, "text": _TINY_TEXT},
            {"frames": 16, "short_side": 128, "crop": 64, "channels": 1},
        ),
        ModelEntry(
            "shad-resnet3d-18",
            "dual",
            "the other encoder that Shad et al. tried: 3D ResNet-18 (torchvision's r3d_18), BERT text tower",
            {"video": {"kind": "resnet3d"}, "embed_dim": 512, "text": _PAPER_TEXT},
            {"frames": 16, "short_side": 132, "crop": 112, "channels": 1},
        ),
        ModelEntry(
            "shad-resnet3d-50",
            "dual",
            "3D ResNet-50: the same with bottleneck blocks; no published weights",
            {
                "video": {"kind": "resnet3d", "block": "bottleneck", "depths": [3, 4, 6, 3]},
                "embed_dim": 512,
                "text": _PAPER_TEXT,
            },
            {"frames": 16, "short_side": 132, "crop": 112, "channels": 1},
        ),
        ModelEntry(
            "shad-resnet3d-tiny",
            "dual",
            "for a laptop: grey 16 x 64 x 64 clips, 3D ResNet with four blocks, two-layer text tower",
            {"video": _TINY_RESNET, "embed_dim": 512, "text": _TINY_TEXT},
            {"frames": 16, "short_side": 128, "crop": 64, "channels": 1},
        ),
        ModelEntry(
            "shad-mil-regression",
            "mil",
            "Shad et al.: gated-attention head over a study's clips, for LVEF",
            {"kind": "regression"},
        ),
        ModelEntry(
            "shad-mil-classification",
            "mil",
            "Shad et al.: gated-attention head over a study's clips, for a diagnosis",
            {"kind": "classification"},
        ),
    )
}


def entry_of(name: str) -> ModelEntry:
    """The entry of a plain name (without tag); `CheckpointError` lists the names there are."""
    if name not in MODELS:
        raise CheckpointError(f"no model is called {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]
