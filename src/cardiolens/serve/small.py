"""Small loops for lists: some phases of a plane side by side in one WebP picture."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_PHASES = 16
_QUALITY = 70


@dataclass(frozen=True)
class Sprite:
    """One picture; `frames` tiles of `width` x `height` pixels side by side."""

    content: bytes
    frames: int
    width: int
    height: int


def sprite(plane: npt.NDArray[np.generic], spacing_mm: tuple[float, float] | None, side: int) -> Sprite:
    """Of (time, row, col), at the true aspect ratio, the longer side `side` pixels at most."""
    from PIL import Image

    picked = np.unique(np.linspace(0, len(plane) - 1, min(len(plane), _PHASES)).round().astype(int))
    frames = np.nan_to_num(np.asarray(plane[picked], dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = np.percentile(frames[:, ::2, ::2], (1.0, 99.5))
    grey = ((frames - low) * (255.0 / max(float(high - low), 1e-6))).clip(0, 255).astype(np.uint8)
    tall, wide = spacing_mm or (1.0, 1.0)
    height, width = grey.shape[1] * tall, grey.shape[2] * wide
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    sheet = Image.new("L", (size[0] * len(grey), size[1]))
    for i, frame in enumerate(grey):
        sheet.paste(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC), (i * size[0], 0))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return Sprite(buffer.getvalue(), len(grey), *size)
