"""Tracings of the left ventricle as readers draw them, and the volumes that they give.

Single-plane method of discs: a long axis from the apex to the middle of the mitral plane, cut into equal slices, each
a disc as wide as the cavity there (Lang et al., J Am Soc Echocardiogr 2015;28:1).  Layout as in EchoNet-Dynamic
(Ouyang et al., Nature 2020;580:252): the axis first, then twenty chords from apex to base.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import Anatomy
from cardiolens.phantom.anatomy.sampling import FlatTables
from cardiolens.phantom.echo.probe import FloatArray, Probe
from cardiolens.phantom.echo.sector import drifted
from cardiolens.phantom.truth.on_images import classify

N_CHORDS = 20
_STEP_MM = 0.25
_LV = 1
_STILL = np.zeros(2)


@dataclass(frozen=True, eq=False)
class Tracing:
    """One frame's tracing.

    Attributes:
        lines: (21, 4) x1, y1, x2, y2 in pixels whose centres are whole numbers: the long axis from apex to base, then
            the chords from apex to base, left end first.
        mm_per_pixel: edge of a pixel.
    """

    lines: FloatArray
    mm_per_pixel: float

    @property
    def volume_ml(self) -> float:
        """Discs about the long axis."""
        lengths = np.hypot(self.lines[:, 2] - self.lines[:, 0], self.lines[:, 3] - self.lines[:, 1]) * self.mm_per_pixel
        return float(np.pi / 4.0 * (lengths[1:] ** 2).sum() * lengths[0] / (len(lengths) - 1) / 1000.0)

    @property
    def area_mm2(self) -> float:
        lengths = np.hypot(self.lines[:, 2] - self.lines[:, 0], self.lines[:, 3] - self.lines[:, 1]) * self.mm_per_pixel
        return float(lengths[1:].sum() * lengths[0] / (len(lengths) - 1))


def trace(anatomy: Anatomy, phase: float, probe: Probe, size: int, drift: FloatArray = _STILL) -> Tracing:
    """Trace the cavity (papillary muscles counted in) where the image plane cuts it.

    Args:
        drift: turn (radians) and depth (mm) by which breathing has moved the picture.

    Raises:
        PhantomError: the plane misses the ventricle.
    """
    tables = FlatTables(anatomy.tables(np.array([phase])))
    apex, base = _long_axis(anatomy, tables, probe)
    length = float(np.linalg.norm(base - apex))
    along = (base - apex) / length
    side = np.array([along[1], -along[0]])
    out = np.arange(-70.0, 70.0, _STEP_MM)
    starts = apex + (np.arange(N_CHORDS)[:, None] + 0.5) / N_CHORDS * length * along
    places = starts[:, None] + out[:, None] * side
    inside = _in_cavity(anatomy, tables, probe, places)
    ends = np.array([_run(row, int(np.argmin(np.abs(out)))) for row in inside], dtype=np.float64)
    ends = (ends + np.array([-0.5, 0.5])) * _STEP_MM + out[0]
    left, right = (starts + ends[:, i : i + 1] * side for i in (0, 1))
    if side[0] < 0:
        left, right = right, left
    lines = np.concatenate([np.concatenate([apex, base])[None], np.hstack([left, right])])
    across, down = drifted(lines[:, 0::2], lines[:, 1::2], drift)
    col, row = probe.pixels(across, down, size)
    return Tracing(np.stack([col[:, 0], row[:, 0], col[:, 1], row[:, 1]], axis=1), probe.mm_per_pixel(size))


def _long_axis(anatomy: Anatomy, tables: FlatTables, probe: Probe) -> tuple[FloatArray, FloatArray]:
    """Apex, the cavity's place farthest from the base, and the middle of the mitral line; each (2,), mm."""
    across = np.arange(-80.0, 80.0, 0.5)
    line = np.stack([across, _at_height(probe, across, float(tables.source.mitral_z[0]) - 0.05)], axis=1)
    hit = np.flatnonzero(_in_cavity(anatomy, tables, probe, line))
    if len(hit) < 4:
        raise PhantomError("phantom echo: this window misses the left ventricle; give the probe another seed")
    base = 0.5 * (line[hit[0]] + line[hit[-1]])
    grid = np.stack(np.meshgrid(np.arange(-45.0, 45.0, 0.75), np.arange(2.0, base[1], 0.75)), axis=-1).reshape(-1, 2)
    cavity = grid[_in_cavity(anatomy, tables, probe, grid)]
    if len(cavity) < 4:
        raise PhantomError("phantom echo: this window misses the left ventricle; give the probe another seed")
    away = np.linalg.norm(cavity - base, axis=1)
    tip = cavity[away >= away.max() - 2.0].mean(axis=0)
    toward = (tip - base) / np.linalg.norm(tip - base)
    ray = base + np.arange(0.0, float(away.max()) + 6.0, 0.1)[:, None] * toward
    inside = np.flatnonzero(_in_cavity(anatomy, tables, probe, ray))
    return ray[inside[-1]], base


def _at_height(probe: Probe, across: FloatArray, height: float) -> FloatArray:
    return np.asarray((height - probe.origin[2] - across * probe.right[2]) / probe.depth[2])


def _in_cavity(anatomy: Anatomy, tables: FlatTables, probe: Probe, places: FloatArray) -> np.ndarray:
    points = probe.points(places[..., 0], places[..., 1]).reshape(-1, 3)
    return np.asarray(classify(anatomy, tables, points)[0] == _LV).reshape(places.shape[:-1])


def _run(inside: np.ndarray, middle: int) -> tuple[int, int]:
    """First and last index of the stretch of True about `middle`; of the one nearest to it where that is False."""
    true = np.flatnonzero(inside)
    if not len(true):
        return middle + 1, middle
    start = int(true[np.argmin(np.abs(true - middle))])
    gaps = np.flatnonzero(~inside)
    before, after = gaps[gaps < start], gaps[gaps > start]
    return int(before[-1]) + 1 if len(before) else 0, int(after[0]) - 1 if len(after) else len(inside) - 1
