"""Small differences from place to place, which no tissue lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Image = npt.NDArray[np.floating[Any]]


def texture_volume(rng: np.random.Generator, size: int = 48, blur: float = 1.2) -> Image:
    """Periodic random volume of unit deviation."""
    volume = gaussian_filter(rng.standard_normal((size, size, size), dtype=np.float32), blur, mode="wrap")
    return np.asarray(volume / volume.std(), dtype=np.float32)


def look_up(volume: Image, points: Image, cell_mm: float) -> Image:
    """Trilinear value of a periodic cubic volume at points (n, 3) mm, one voxel to `cell_mm`."""
    size = volume.shape[0]
    scaled = points / np.float32(cell_mm)
    low = np.floor(scaled)
    part = (scaled - low).astype(np.float32)
    index = low.astype(np.int32) % size
    after = (index + 1) % size
    flat = volume.ravel()
    out = np.zeros(len(points), dtype=np.float32)
    for corner in range(8):
        weight = np.ones(len(points), dtype=np.float32)
        place = np.zeros(len(points), dtype=np.int32)
        for axis in range(3):
            high = corner >> axis & 1
            weight *= part[:, axis] if high else 1.0 - part[:, axis]
            place = place * size + (after if high else index)[:, axis]
        out += weight * flat[place]
    return out
