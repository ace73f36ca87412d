"""Mitral hinge points and LV apex: from labels, and what follows from them.

MAPSE, LV length and global longitudinal shortening as in CineMA (Fu et al. 2025, section 4.6): mean way of both mitral
hinge points from ED to ES; distance from their middle to the apex; (ED length - ES length) / ED length in percent,
positive where the ventricle shortens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, label

from cardiolens.errors import InputError
from cardiolens.segmentation import Segmentation
from cardiolens.study import FloatArray

BoolArray = npt.NDArray[np.bool_]
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Points of one long-axis plane, in mm from the first pixel as (row, col) lengths; NaN where they were not found.

    Attributes:
        hinges: (time, 2, 2) mitral hinge points, in the same order at every phase.
        apex: (time, 2) inner apex of the LV.
    """

    hinges: FloatArray
    apex: FloatArray

    @property
    def middle(self) -> FloatArray:
        """(time, 2) middle of the mitral plane."""
        return np.asarray(self.hinges.mean(1))

    @property
    def length_mm(self) -> FloatArray:
        """(time,) inner LV length."""
        return np.asarray(np.linalg.norm(self.middle - self.apex, axis=1))

    def mapse_mm(self, ed: int, es: int) -> float:
        """Mean way of the hinge points between two phases."""
        return float(np.linalg.norm(self.hinges[es] - self.hinges[ed], axis=1).mean())

    def mapse_axial_mm(self, ed: int, es: int) -> float:
        """The same along the long axis alone: without the annulus drawing together sideways."""
        axis = self.apex[ed] - self.middle[ed]
        return float((self.middle[es] - self.middle[ed]) @ axis / np.linalg.norm(axis))

    def gls_pct(self, ed: int, es: int) -> float:
        """Longitudinal shortening, positive."""
        length = self.length_mm
        return float(100.0 * (length[ed] - length[es]) / length[ed])


def landmarks_from_points(points: npt.ArrayLike, spacing_mm: tuple[float, float]) -> Landmarks:
    """Landmarks that a reader or a model set.

    Args:
        points: (time, 3, 2) of (row, col) in pixels: two mitral hinge points, apex.

    Raises:
        InputError: another shape.
    """
    at = np.asarray(points, dtype=np.float64)
    if at.ndim != 3 or at.shape[1:] != (3, 2):
        raise InputError(f"landmarks: need (time, 3, 2) of (row, col), got {at.shape}")
    at = at * np.asarray(spacing_mm)
    return Landmarks(at[:, :2], at[:, 2])


def landmarks_of(segmentation: Segmentation) -> Landmarks:
    """Landmarks of a long-axis plane, read off its labels.

    The mitral plane is where the LV cavity meets the left atrium, or, where no atrium was drawn, where it meets
    neither muscle nor itself; a line is laid through that border and ends where the border ends.  The apex is the
    part of the cavity that lies furthest from the line's middle.

    Raises:
        GeometryError: no pixel spacing.
        InputError: a stack of several planes.
    """
    cine = segmentation.cine
    spacing = cine.require_spacing_mm("long-axis function")
    if cine.n_slices != 1:
        raise InputError(f"{cine.source}: long-axis landmarks need one plane, this cine has {cine.n_slices}")
    cavity = segmentation.mask("LV cavity")[0]
    other = [segmentation.mask(s)[0] for s in ("LV myocardium",) if s in segmentation.structures]
    muscle = other[0] if other else np.zeros_like(cavity)
    atrium = segmentation.mask("LA")[0] if "LA" in segmentation.structures else np.zeros_like(cavity)
    n = len(cavity)
    hinges, apex = np.full((n, 2, 2), np.nan), np.full((n, 2), np.nan)
    towards: FloatArray | None = None
    for i in range(n):
        open_to = atrium[i] if atrium[i].any() else ~(cavity[i] | muscle[i])
        ends = border_ends(cavity[i], open_to, spacing)
        if ends is None:
            continue
        if towards is not None and (ends[1] - ends[0]) @ towards < 0:
            ends = ends[::-1]
        towards = ends[1] - ends[0]
        hinges[i], apex[i] = ends, _furthest(cavity[i], ends.mean(0), spacing)
    return Landmarks(hinges, apex)


def border_ends(inside: BoolArray, outside: BoolArray, spacing: tuple[float, float]) -> FloatArray | None:
    """Ends (2, 2) in mm of the line through the longest border between two masks (row, col); None without one."""
    edges = _edges(inside, outside)
    if len(edges) < 3:
        return None
    edges = edges * np.asarray(spacing)
    centre = edges.mean(0)
    along = np.linalg.svd(edges - centre, full_matrices=False)[2][0]
    way = (edges - centre) @ along
    half = 0.5 * float(np.hypot(*(along * np.asarray(spacing))))
    return np.stack([centre + (way.min() - half) * along, centre + (way.max() + half) * along])


def _edges(inside: BoolArray, outside: BoolArray) -> FloatArray:
    """(n, 2) middles, in pixels, of pixel edges between two masks; of their longest connected stretch."""
    found = []
    for axis in (0, 1):
        for step in (1, -1):
            met = inside & np.roll(outside, -step, axis)
            cut = -1 if step == 1 else 0
            met[(slice(None),) * axis + (cut,)] = False  # what np.roll brings round from the other side
            shift = np.zeros(2)
            shift[axis] = 0.5 * step
            at = np.argwhere(met)
            found.append(np.c_[at, at + shift])
    rows = np.concatenate(found)
    if len(rows) == 0:
        return np.zeros((0, 2))
    touching = np.zeros_like(inside)
    touching[tuple(rows[:, :2].astype(int).T)] = True
    pieces, n = label(binary_dilation(touching, _CROSS), structure=np.ones((3, 3)))
    of = pieces[tuple(rows[:, :2].astype(int).T)]
    longest = int(np.argmax(np.bincount(of, minlength=n + 1)))
    return np.asarray(rows[of == longest, 2:])


def _furthest(mask: BoolArray, start: FloatArray, spacing: tuple[float, float]) -> FloatArray:
    """(2,) mm: the tip of a mask as seen from `start`, half a pixel beyond its last pixels."""
    at = np.argwhere(mask) * np.asarray(spacing)
    far = np.linalg.norm(at - start, axis=1)
    tip = at[far >= far.max() - max(spacing)].mean(0)
    away = tip - start
    length = float(np.linalg.norm(away))
    reach = far.max() + 0.5 * float(np.hypot(*(away / length * np.asarray(spacing))))
    return np.asarray(start + away * reach / length)
