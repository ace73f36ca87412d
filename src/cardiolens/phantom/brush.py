"""Signed distances to simple shapes, and laying paint over an image by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.floating[Any]]


def cover(distance: Image, width_mm: float) -> Image:
    """Share (0 to 1) of a pixel inside a surface, from the signed distance (mm, positive inside)."""
    return np.asarray(np.clip(distance * np.float32(1.0 / width_mm) + np.float32(0.5), 0.0, 1.0))


def paint(image: Image, value: float | Image, share: Image) -> None:
    """Lay `value` over `image` where `share` is 1."""
    image += share * (value - image)


def ink(image: Image, distance: Image, depth: float, width_mm: float = 1.5) -> None:
    """Darken a line along a surface, where fat and water share a voxel."""
    image *= 1.0 - np.float32(depth) * np.clip(1.0 - np.abs(distance) * np.float32(1.0 / width_mm), 0.0, 1.0)


def capsule(points: Image, start: npt.ArrayLike, end: npt.ArrayLike, radius: tuple[float, float]) -> Image:
    """Signed distance (mm, positive inside) to a tube from start to end whose radius changes evenly."""
    a, b = np.asarray(start, dtype=np.float32), np.asarray(end, dtype=np.float32)
    along = b - a
    away = points - a
    t = np.clip(away @ along / np.float32(along @ along), 0.0, 1.0)
    gap = away - t[:, None] * along
    return np.asarray(
        radius[0] + t * (radius[1] - radius[0]) - np.sqrt(np.einsum("ij,ij->i", gap, gap)), dtype=np.float32
    )


def ellipsoid(points: Image, centre: npt.ArrayLike, radii: npt.ArrayLike) -> Image:
    """Signed distance, near enough close to the surface (mm, positive inside)."""
    r = np.asarray(radii, dtype=np.float32)
    t = (points - np.asarray(centre, dtype=np.float32)) / r
    return np.asarray((1.0 - np.sqrt(np.einsum("ij,ij->i", t, t))) * r.min(), dtype=np.float32)
