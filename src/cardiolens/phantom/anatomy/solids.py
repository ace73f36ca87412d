"""Signed distances to simple shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.floating[Any]]


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
