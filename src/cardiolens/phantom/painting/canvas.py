"""The points of one plane, and where on them the parts of the beating heart lie: what every finding draws on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.anatomy import Anatomy
from cardiolens.phantom.anatomy.sampling import FlatTables, Sampler, Surfaces
from cardiolens.phantom.anatomy.shapes import N_ANGLES, STEP_MM
from cardiolens.phantom.anatomy.solids import Image
from cardiolens.phantom.mr.contrast import Contrast

Point = npt.NDArray[np.float64]
VSD_PLACES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"perimembranous": (142.0, 0.1), "outlet": (128.0, 0.06), "muscular": (188.0, 0.5)}
)
"""Angle in degrees and share of the inner length at which each kind of ventricular septal defect lies."""


class Finding(Protocol):
    """Something to draw at phase i over `image` (n,)."""

    def draw(self, image: Image, s: Surfaces, i: int) -> None: ...


class Canvas:
    """What findings share: the points, their place in the heart, texture, tissue signals and pixel width (mm)."""

    def __init__(
        self,
        anatomy: Anatomy,
        tables: FlatTables,
        at: Sampler,
        points: Image,
        speckle: Image,
        contrast: Contrast,
        width: float,
    ) -> None:
        self.anatomy, self.tables, self.at = anatomy, tables.source, at
        self.points, self.speckle, self.contrast, self.width = points, speckle, contrast, width

    def near(self, centre: Point, reach_mm: float) -> npt.NDArray[np.intp]:
        """Points within a distance."""
        away = self.points - centre.astype(np.float32)
        return np.flatnonzero(np.einsum("ij,ij->i", away, away) < reach_mm * reach_mm)

    def wall_point(self, degrees: float, u: float, i: int, depth: float = 0.5) -> Point:
        """Heart mm of a place in the LV wall at phase i; `depth` 0 inside to 1 outside."""
        t, a = self.tables, self.anatomy
        z = float(t.mitral_z[i] - u * a.inner_share * a.lv_length(t.share[i : i + 1])[0])
        k = int(np.clip(round((z - a.heights[0]) / STEP_MM), 0, len(a.heights) - 1))
        n = round(degrees / 360.0 * N_ANGLES) % N_ANGLES
        inner, outer = (np.sqrt(max(float(field[n, k, i]), 0.0)) for field in (t.endo2, t.epi2))
        return self.on_ring(degrees, inner + depth * (outer - inner), z)

    def on_ring(self, degrees: float, radius: float, z: float) -> Point:
        """Heart mm at an angle and a distance from the long axis."""
        x, y = self.anatomy.centre(np.array([z]))
        angle = np.deg2rad(degrees)
        return np.array([x[0] + radius * np.cos(angle), y[0] - radius * np.sin(angle), z])
