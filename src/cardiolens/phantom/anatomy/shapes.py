"""Grids, integrals and simple closed profiles that `anatomy` is put together from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from cardiolens.phantom.heart.parts import N_SEGMENTS

FloatArray = npt.NDArray[np.float64]

N_ANGLES = 128
STEP_MM = 1.5  # between heights of the tables
MATERIAL_S = np.linspace(-0.5, 1.2, 171)  # material height of the LV; 0 and 1 are grid points
ANGLES = np.arange(N_ANGLES) * (2.0 * np.pi / N_ANGLES)
_BASE, _MID = 0.36, 0.70  # where basal, mid and apical segments part, as a share of the inner length
_CAP = 0.94


def segment_field(values: Any, u: FloatArray) -> FloatArray:
    """Spread 17 segment values smoothly over the wall.

    Args:
        values: (17,) per AHA segment.
        u: (n,) share of the inner length, 0 at the base.

    Returns:
        (N_ANGLES, n).
    """
    degrees = np.rad2deg(ANGLES)
    sixth = (np.floor((degrees - 60.0) / 60.0).astype(int)) % 6  # 0 anterior, then anticlockwise
    quarter = (np.floor((degrees - 45.0) / 90.0).astype(int)) % 4
    level = np.digitize(u, [_BASE, _MID, _CAP])
    index = np.stack([sixth, 6 + sixth, 12 + quarter, np.full(N_ANGLES, N_SEGMENTS - 1)], axis=1)
    field = np.asarray(values, dtype=np.float64)[index[:, level]]
    per_u = 0.05 / max(float(np.diff(u).mean()), 1e-6)
    return np.asarray(gaussian_filter(field, (N_ANGLES * 11.0 / 360.0, per_u), mode=("wrap", "nearest")))


@dataclass(frozen=True, eq=False)
class Atrium:
    """Elliptic sections that all touch the atrial septum, from the valve plane to `roof` (heart z, mm): an atrium
    empties by its free wall, and the septum stays.

    Attributes:
        septum_x: where the septum bounds it; side: +1 to the left of it, -1 to the right, seen from the patient.
        y: of the centres of the sections; aspect: their depth against width.
    """

    septum_x: float
    side: float
    y: float
    aspect: float
    roof: float

    def half_width_at(self, points: Any) -> tuple[FloatArray, FloatArray]:
        """Half-width (mm) of the section whose border passes through each point (n, 3), and how steeply that figure
        changes with place (per mm).  A point is inside where the figure is less than the section's half-width."""
        across = np.maximum(self.side * (points[:, 0] - self.septum_x), 0.05)
        deep = (points[:, 1] - self.y) / self.aspect
        ratio = deep / across
        steep = np.hypot(0.5 * (1.0 - ratio**2), ratio / self.aspect)
        half = 0.5 * (across + deep * ratio)
        beyond = self.side * (points[:, 0] - self.septum_x) < 0.05
        return np.where(beyond, 1e3, np.minimum(half, 1e3)), np.where(beyond, 1.0, np.clip(steep, 0.4, 30.0))

    def centre_x(self, half_width: float) -> float:
        """Where a section of this half-width has its centre."""
        return self.septum_x + self.side * half_width

    @staticmethod
    def profile(share: FloatArray) -> FloatArray:
        """Squared half-width against height, 1 at the widest; negative above the roof."""
        t = (share - 0.48) / 0.52
        return np.where(t < 0, 1.0 - 0.52 * np.abs(t) ** 2.0, 1.0 - np.abs(t) ** 2.3)

    def half_width2(self, volume_ml: FloatArray, valve_z: FloatArray) -> FloatArray:
        """Squared greatest half-width (mm2) that gives the volume between valve plane and roof."""
        mean = float(self.profile((np.arange(400) + 0.5) / 400).mean())
        return volume_ml * 1000.0 / (np.pi * self.aspect * mean * (self.roof - valve_z))


def profile(u: FloatArray, waist: float, power: float) -> FloatArray:
    """Squared radius of a truncated spheroid: 1 at the waist, 0 at u = 1, negative beyond, a little narrower at the
    base."""
    t = (u - waist) / (1.0 - waist)
    return np.where(t > 0, 1.0 - np.abs(t) ** power, np.maximum(1.0 - 2.2 * np.abs(t) ** power, 0.4))


def integrate(field: FloatArray) -> float:
    """Integral of (angle, s) over all angles and s from 0 to 1."""
    ds = float(MATERIAL_S[1] - MATERIAL_S[0])
    ends = 0.5 * (field[:, 0] + field[:, -1]).sum()
    return float((field.sum() - ends) * ds * (2 * np.pi / N_ANGLES))


def volumes(field: FloatArray, length: FloatArray) -> FloatArray:
    """Volumes (ml) of (angle, s, phase) squared radii over lengths (phase,)."""
    return np.array([0.5 * span * integrate(field[..., i]) / 1000.0 for i, span in enumerate(length)])


def locate(x: FloatArray, grid: FloatArray) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Index below and fraction of each x on an even grid, clamped to its ends."""
    position = np.clip((x - grid[0]) / (grid[1] - grid[0]), 0.0, len(grid) - 1.000001)
    index = np.floor(position).astype(np.intp)
    return index, position - index


def blend(field: FloatArray, index: npt.NDArray[np.intp], fraction: FloatArray) -> FloatArray:
    """Linear interpolation of (angle, grid) at (height, phase) places: (angle, height, phase)."""
    return field[:, index] * (1.0 - fraction) + field[:, index + 1] * fraction


def segment_centre(segment: int) -> tuple[float, float]:
    """Angle (radians) and share of the inner length at the middle of an AHA segment; the apical cap lies at 0.97."""
    if segment == N_SEGMENTS:
        return 0.0, 0.97
    ring, place = divmod(segment - 1, 6)
    width = 60.0 if ring < 2 else 90.0
    return float(np.deg2rad(90.0 + width * place)), (0.18, 0.53, 0.82)[ring]
