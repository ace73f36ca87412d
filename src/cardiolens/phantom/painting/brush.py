"""Laying paint over an image by the signed distance to a surface."""

from __future__ import annotations

import numpy as np

from cardiolens.phantom.anatomy.solids import Image


def cover(distance: Image, width_mm: float) -> Image:
    """Share (0 to 1) of a pixel inside a surface, from the signed distance (mm, positive inside)."""
    return np.asarray(np.clip(distance * np.float32(1.0 / width_mm) + np.float32(0.5), 0.0, 1.0))


def paint(image: Image, value: float | Image, share: Image) -> None:
    """Lay `value` over `image` where `share` is 1."""
    image += share * (value - image)


def ink(image: Image, distance: Image, depth: float, width_mm: float = 1.5) -> None:
    """Darken a line along a surface, where fat and water share a voxel."""
    image *= 1.0 - np.float32(depth) * np.clip(1.0 - np.abs(distance) * np.float32(1.0 / width_mm), 0.0, 1.0)
