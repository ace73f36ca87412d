"""Mitral and tricuspid leaflets in the image plane: hinges, and curves that swing between shut and open."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cardiolens.phantom.anatomy import Anatomy
from cardiolens.phantom.anatomy.sampling import FlatTables
from cardiolens.phantom.anatomy.solids import Image
from cardiolens.phantom.echo.probe import FloatArray, Probe
from cardiolens.phantom.echo.sector import Sector
from cardiolens.phantom.painting.brush import cover, paint
from cardiolens.phantom.truth.on_images import classify

_STEP_MM = 0.5
_WIDE_MM = 75.0
_POINTS = 9
_OPEN_RAD = np.deg2rad(72.0)
_STRENGTH, _HALF_MM, _EDGE_MM = 0.17, 0.7, 1.4
_SHARE = 0.62  # of the valve's width that the anterior (septal) mitral leaflet spans; the posterior has the rest


@dataclass(frozen=True, eq=False)
class Leaflets:
    """Polylines (phase, leaflet, point, 2) in mm across and down, and hinges (phase, hinge, 2); NaN where the plane
    does not meet the valve."""

    lines: FloatArray
    hinges: FloatArray


def leaflets(anatomy: Anatomy, tables: FlatTables, probe: Probe) -> Leaflets:
    """Both leaflets of both valves: mitral lateral, mitral septal, tricuspid septal, tricuspid free wall."""
    t = tables.source
    lines = np.full((tables.n_phases, 4, _POINTS, 2), np.nan)
    hinges = np.full((tables.n_phases, 4, 2), np.nan)
    across = np.arange(-_WIDE_MM, _WIDE_MM, _STEP_MM)
    own = anatomy.parameters.valves.prosthesis != "mitral"
    for first, label, heights, share in ((0, 1, t.mitral_z, _SHARE), (2, 3, t.tricuspid_z, 0.45)):
        ends = _annulus(anatomy, tables, probe, heights - 1.0, label, across)
        for i in range(tables.n_phases):
            septal, lateral = (ends[i, 0], ends[i, 1]) if label == 1 else (ends[i, 1], ends[i, 0])
            if not np.isfinite(septal).all():
                continue
            width = float(np.linalg.norm(lateral - septal))
            opening = float(t.opening[i])
            long, short = (share * width, (1.0 - share) * width)
            if own or label != 1:
                lines[i, first] = _curve(lateral, septal, short, opening)
                lines[i, first + 1] = _curve(septal, lateral, long, opening)
            hinges[i, first], hinges[i, first + 1] = lateral, septal
    return Leaflets(lines, hinges)


def _annulus(
    anatomy: Anatomy, tables: FlatTables, probe: Probe, heights: FloatArray, label: int, across: FloatArray
) -> FloatArray:
    """(phase, 2, 2): leftmost and rightmost place of cavity `label` on the line where the plane meets a height."""
    out = np.full((len(heights), 2, 2), np.nan)
    down = (heights[:, None] - probe.origin[2] - across * probe.right[2]) / probe.depth[2]
    points = probe.points(np.broadcast_to(across, down.shape), down)
    labels = classify(anatomy, tables, points.reshape(-1, 3)).reshape(len(heights), len(heights), -1)
    for i in range(len(heights)):
        inside = np.flatnonzero(labels[i, i] == label)
        if len(inside) >= 8:
            for side, at in enumerate((inside[0], inside[-1])):
                out[i, side] = across[at], down[i, at]
    return out


def _curve(hinge: FloatArray, other: FloatArray, length: float, opening: float) -> FloatArray:
    """A leaflet (point, 2): shut it bows a little towards the apex, open it hangs into the ventricle."""
    along = (other - hinge) / np.linalg.norm(other - hinge)
    apical = np.array([along[1], -along[0]])
    apical = apical if apical[1] < 0 else -apical
    s = np.linspace(0.0, 1.0, _POINTS)[:, None]
    swing = _OPEN_RAD * opening
    reach = length * (1.0 - 0.06 * opening)
    bow = 0.12 * length * np.sin(np.pi * s) * (1.0 - opening) + 0.14 * length * s * (1.0 - opening)
    turn = swing * (0.55 + 0.45 * s)
    return np.asarray(hinge + reach * s * (np.cos(turn) * along + np.sin(turn) * apical) + bow * apical)


def distance(across: FloatArray, down: FloatArray, line: FloatArray) -> FloatArray:
    """Distance (mm, (n,)) of places (n,) from a polyline (point, 2)."""
    best = np.full(across.shape, np.inf)
    for a, b in pairwise(line):
        step = b - a
        t = np.clip(((across - a[0]) * step[0] + (down - a[1]) * step[1]) / max(float(step @ step), 1e-6), 0.0, 1.0)
        np.minimum(best, np.hypot(across - a[0] - t * step[0], down - a[1] - t * step[1]), out=best)
    return best


class LeafletPainter:
    """Draws the leaflets at any moment, between the phases at which they are known too."""

    def __init__(self, valves: Leaflets, phases: int, sector: Sector) -> None:
        self._lines, self._phases = valves.lines[:phases], phases
        across, down = sector.across.ravel(), sector.down.ravel()
        self._near = []
        for leaf in range(self._lines.shape[1]):
            points = self._lines[:, leaf].reshape(-1, 2)
            points = points[np.isfinite(points).all(axis=1)]
            if not len(points):
                self._near.append(np.empty(0, dtype=np.intp))
                continue
            low, high = points.min(axis=0) - 3.0, points.max(axis=0) + 3.0
            box = (across > low[0]) & (across < high[0]) & (down > low[1]) & (down < high[1])
            self._near.append(np.flatnonzero(box))
        self._places = [(across[near], down[near]) for near in self._near]

    def draw(self, strength: Image, phase: float) -> None:
        """Lay the leaflets of `phase` (share of the beat) over `strength` (n,)."""
        low, part = divmod(phase * self._phases, 1.0)
        a, b = int(low) % self._phases, (int(low) + 1) % self._phases
        lines = self._lines[a] + part * (self._lines[b] - self._lines[a])
        for line, near, (x, y) in zip(lines, self._near, self._places, strict=True):
            if np.isfinite(line).all() and len(near):
                here = strength[near]
                paint(here, _STRENGTH, 0.9 * cover((_HALF_MM - distance(x, y, line)).astype(np.float32), _EDGE_MM))
                strength[near] = here
