"""Where the transducer lies and what its sector covers.

The standard apical four-chamber view: transducer and apex at the top, left ventricle on the viewer's right (Mitchell
et al., J Am Soc Echocardiogr 2019;32:1).  A sonographer rarely finds the true apex: the plane is tilted a little, and
in some patients it comes in one rib space too high and foreshortens the ventricle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.anatomy.planes import LONG_AXIS_ANGLES_DEG
from cardiolens.phantom.heart import HeartParameters
from cardiolens.study import View

FloatArray = npt.NDArray[np.float64]

_FORESHORTENED = 0.3  # share of patients whose true apex is missed
_ATRIA_MM = 46.0  # of the far side of the atria beyond the mitral plane, in a heart of usual size
_FILLED = 0.95  # share of the image's height that the sector takes


@dataclass(frozen=True, eq=False)
class Probe:
    """One apical window.

    Attributes:
        origin: (3,) centre of the transducer, heart coordinates in mm.
        right, depth: (3,) unit vectors to the viewer's right and along the middle beam.
        half_angle: half the opening angle, radians.
        depth_mm: reach of the beams; wall_mm: thickness of the chest wall in front of the heart.
        centre_col: where the middle beam stands, as a share of the image's width.
    """

    origin: FloatArray
    right: FloatArray
    depth: FloatArray
    half_angle: float
    depth_mm: float
    wall_mm: float
    centre_col: float = 0.5

    @property
    def normal(self) -> FloatArray:
        return np.cross(self.right, self.depth)

    def mm_per_pixel(self, size: int) -> float:
        """Edge of a pixel of a square image with `size` pixels a side."""
        return self.depth_mm / (_FILLED * size)

    def points(self, across: FloatArray, down: FloatArray) -> FloatArray:
        """Heart coordinates (..., 3) of places `across` and `down` in the image plane, mm from the transducer."""
        return self.origin + across[..., None] * self.right + down[..., None] * self.depth

    def pixels(self, across: FloatArray, down: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
        """Column and row, in pixels whose centres are whole numbers, of places in the image plane."""
        step = self.mm_per_pixel(size)
        return across / step + self.centre_col * size - 0.5, down / step + _top(size) - 0.5

    def places(self, col: FloatArray, row: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
        """Inverse of `pixels`: mm across and down from the transducer."""
        step = self.mm_per_pixel(size)
        return (col + 0.5 - self.centre_col * size) * step, (row + 0.5 - _top(size)) * step


def _top(size: int) -> float:
    return 0.02 * size


def place_probe(parameters: HeartParameters, rng: np.random.Generator) -> Probe:
    """An apical window as a sonographer finds it: near the apex, aimed so that the septum stands upright."""
    p = parameters
    angle = np.deg2rad(LONG_AXIS_ANGLES_DEG[View.CH4] + rng.normal(0.0, 4.0))
    across = np.array([np.cos(angle), -np.sin(angle), 0.0])
    aside = np.array([-np.sin(angle), -np.cos(angle), 0.0])  # towards the front of the heart
    wall = float(np.clip(9.0 + 0.22 * p.subcutaneous_fat_mm + rng.normal(0.0, 2.0), 7.0, 26.0))
    missed = rng.uniform(7.0, 17.0) if rng.random() < _FORESHORTENED else abs(rng.normal(0.0, 2.5))
    apex = -(p.lv_length_mm + 0.75 * p.wall_mm * p.segment_thickness[16] + p.effusion_mm + p.pericardium_mm)
    width = 24.0 * (p.lv_edv_ml / 160.0) ** (1 / 3)
    origin = across * rng.normal(0.0, 4.0) + aside * missed
    origin[2] = apex - wall
    aim = -across * width * rng.uniform(0.35, 0.8) + aside * rng.normal(0.0, 1.5)
    depth = (aim - origin) / np.linalg.norm(aim - origin)
    right = across - (across @ depth) * depth
    right /= np.linalg.norm(right)
    atria = _ATRIA_MM * (max(p.la_max_ml, p.ra_max_ml) / 80.0) ** (1 / 3)
    reach = (-origin[2] + atria) * rng.uniform(0.95, 1.08)
    half = float(np.deg2rad(np.clip(rng.normal(38.0, 3.0), 30.0, 45.0)))
    reach = float(np.clip(reach, 140.0, 200.0))
    return Probe(origin, right, depth, half, reach, wall, 0.5 + float(np.clip(rng.normal(0.0, 0.012), -0.03, 0.03)))
