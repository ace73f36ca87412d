"""CineMA's sizes, as plain numbers: listing models imports no torch.

"base" is the published one (Fu et al. 2025); "large" and "huge" are its transformer in the sizes of MAE (He et al.
2022), with the patches, stem and decoder of base; "tiny" is ours: half the resolution, so that a token is 16 mm wide as
in the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_VIEWS: dict[str, tuple[int, ...]] = {"SAX": (192, 192, 16), "2CH": (256, 256), "3CH": (256, 256), "4CH": (256, 256)}
_HALF: dict[str, tuple[int, ...]] = {"SAX": (96, 96, 8), "2CH": (128, 128), "3CH": (128, 128), "4CH": (128, 128)}
_DECODER = {"decoder_width": 512, "decoder_layers": 8, "decoder_heads": 16}


def _size(width: int, layers: int, heads: int) -> dict[str, Any]:
    shape = {"stem_channels": (64, 128), "patches": (4, 2, 2), "width": width, "layers": layers, "heads": heads}
    return {"encoder": {"views": _VIEWS} | shape, "decoder": _DECODER}


CINEMA_SIZES: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "encoder": {
            "views": _HALF,
            "stem_channels": (16, 32),
            "patches": (2, 2, 2),
            "width": 128,
            "layers": 4,
            "heads": 4,
        },
        "decoder": {"decoder_width": 96, "decoder_layers": 2, "decoder_heads": 4},
    },
    "base": _size(768, 12, 12),
    "large": _size(1024, 24, 16),
    "huge": _size(1280, 32, 16),
}


def grid_transform(spacing_mm: float, views: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """How images are prepared, for a card: the grid of each view (planes of a stack 10 mm apart), centred on the
    crossing of the planes, intensities in [0, 1], the order of the in-plane axes ("col-row" for transposed images).

    >>> grid_transform(2.0, {"4CH": (128, 128)})["views"]
    {'4CH': {'size': [128, 128], 'spacing_mm': [2.0, 2.0]}}
    """
    grids = {
        view: {"size": list(size), "spacing_mm": [spacing_mm, spacing_mm, 10.0][: len(size)]}
        for view, size in views.items()
    }
    return {"views": grids, "centre": "crossing", "intensity": "unit", "axes": "row-col"}


def spacing_of(size: str) -> float:
    """Pixel spacing of a size, in mm."""
    return 2.0 if size == "tiny" else 1.0
