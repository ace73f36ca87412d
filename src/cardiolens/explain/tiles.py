"""Tiles of a picture: labelled, side by side, in rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]

BACK, INK, FAINT = (16, 17, 20), (236, 236, 236), (150, 152, 158)
LABEL = 28  # height of two lines of text over a tile
GAP = 4


@cache
def font(size: int) -> Any:
    """Pillow's own font."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def resized(picture: RGB, edge: int, *, smooth: bool) -> RGB:
    """A picture as a square of that edge in pixels."""
    from PIL import Image

    how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize((edge, edge), how))


def under(first: str, second: str, frames: RGB) -> RGB:
    """Frames (time, row, col, 3) under a label of two lines."""
    from PIL import Image, ImageDraw

    wide = frames.shape[2]
    label = Image.new("RGB", (wide, LABEL), BACK)
    draw = ImageDraw.Draw(label)
    draw.text((1, 1), first, fill=INK, font=font(11))
    draw.text((1, 14), second, fill=FAINT, font=font(10))
    over = np.broadcast_to(np.asarray(label), (len(frames), LABEL, wide, 3))
    return np.concatenate([over, frames], axis=1)


def line(text: str, wide: int, size: int, *, faint: bool = False) -> RGB:
    """One line of text on a strip of that width."""
    from PIL import Image, ImageDraw

    line = Image.new("RGB", (wide, size + 12), BACK)
    ImageDraw.Draw(line).text((GAP + 1, 5), text, fill=FAINT if faint else INK, font=font(size))
    return np.asarray(line)


def columns_for(tiles: int) -> int:
    """Columns of a picture about twice as wide as high."""
    return max(1, math.ceil(math.sqrt(1.6 * tiles)))


def gathered(tiles: Sequence[RGB], columns: int | None = None) -> RGB:
    """Tiles of one size side by side, row by row."""
    columns = columns or columns_for(len(tiles))
    high, wide = tiles[0].shape[0] + GAP, tiles[0].shape[1] + GAP
    out = np.full((math.ceil(len(tiles) / columns) * high + GAP, columns * wide + GAP, 3), BACK, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * high + GAP, i % columns * wide + GAP
        out[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return out


def widened(picture: RGB, wide: int) -> RGB:
    """A picture with background to its right."""
    out = np.full((picture.shape[0], wide, 3), BACK, dtype=np.uint8)
    out[:, : picture.shape[1]] = picture
    return out
