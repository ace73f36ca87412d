"""Valves that open and shut, and the jets through those that are narrow or leak.

A fast jet dephases the spins within a voxel, so it is dark in bright blood.  How far a jet of a given grade reaches
is this package's choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardiolens.phantom.brush import Image, capsule, cover
from cardiolens.phantom.canvas import VSD_PLACES, Canvas, Finding, Point
from cardiolens.phantom.sampling import Surfaces
from cardiolens.phantom.vessels import GreatVessels, great_vessels

_DEEPEST = 0.8  # share of the signal that the core of the worst jet loses
_INFLOW = 0.2  # and that of the healthy early filling


@dataclass(frozen=True, eq=False)
class _Course:
    """Where a jet runs at one phase: from, to, radius at both ends (mm), and how strong it is, 0 to 1."""

    start: Point
    end: Point
    radius: tuple[float, float]
    strength: float


class Jet:
    """A dark streak in bright blood."""

    def __init__(self, canvas: Canvas, kind: str, grade: float) -> None:
        self._c, self._kind, self._grade = canvas, kind, grade
        rng = np.random.default_rng([canvas.anatomy.parameters.body_seed, 6, len(kind)])
        self._lean = rng.normal(0.0, 0.25, 2)
        courses = [self._course(i) for i in range(len(canvas.tables.share))]
        self._courses = courses
        middle = np.mean([0.5 * (c.start + c.end) for c in courses], axis=0)
        longest = max(float(np.linalg.norm(c.end - c.start)) for c in courses)
        self._at = canvas.near(middle, 0.5 * longest + 24.0)

    def _course(self, i: int) -> _Course:
        c, t, g = self._c, self._c.tables, self._grade
        out, into = float(t.ejection[i]), float(t.opening[i])
        vessels = great_vessels(c.anatomy, float(t.share[i]))
        reach, wide = 14.0 + 34.0 * g, (1.6 + 2.0 * g, 3.0 + 8.0 * g)
        if self._kind in ("mitral", "tricuspid"):
            start = self._valve(i)
            return _Course(start, start + reach * np.array([*self._lean, 1.0]), wide, out)
        if self._kind == "inflow":
            start = self._valve(i)
            return _Course(start, start + np.array([6.0 + 8.0 * self._lean[0], 3.0, -38.0]), (5.0, 11.0), into)
        if self._kind == "aortic leak":
            way = np.array([0.12 + self._lean[0] * 0.4, 0.18, -1.0])
            return _Course(vessels.annulus, vessels.annulus + reach * way, wide, into)
        if self._kind == "aortic":
            end = vessels.sinus + (0.3 + 0.7 * g) * (vessels.bend - vessels.sinus)
            return _Course(vessels.annulus, end, (2.0, 3.0 + 4.0 * g), out)
        if self._kind == "pulmonary":
            end = vessels.trunk + (0.4 + 0.6 * g) * (vessels.fork - vessels.trunk)
            return _Course(vessels.trunk, end, (2.0, 3.0 + 5.0 * g), out)
        start = c.wall_point(140.0, 0.2, i, -0.5)
        end = vessels.annulus + 6.0 * vessels.aortic_axis
        if self._kind == "defect":
            start = c.wall_point(*VSD_PLACES[c.anatomy.parameters.septa.vsd_site], i, 0.8)
            end = start + np.array([-20.0, -4.0, -4.0])
        return _Course(start, end, (2.5, 5.0 + 2.0 * g), out)

    def _valve(self, i: int) -> Point:
        """Middle of the mitral or the tricuspid valve."""
        a, t = self._c.anatomy, self._c.tables
        if self._kind in ("mitral", "inflow"):
            return np.array([2.0, 0.0, float(t.mitral_z[i])])
        return np.array([a.right_atrium.centre_x(15.0), a.right_atrium.y, float(t.tricuspid_z[i])])

    def draw(self, image: Image, s: Surfaces, i: int) -> None:
        course = self._courses[i]
        if course.strength < 0.05:
            return
        at, c = self._at, self._c
        inside = capsule(c.points[at], course.start, course.end, course.radius)
        share = np.clip(inside / 2.5 + 0.4, 0.0, 1.0) * np.clip(0.85 + 0.25 * c.speckle[at], 0.3, 1.0)
        blood = np.clip((image[at] / c.contrast.blood - 0.5) * 4.0, 0.0, 1.0)
        deepest = _INFLOW if self._kind == "inflow" else _DEEPEST * min(1.0, 0.45 + 0.8 * self._grade)
        lost = deepest * course.strength
        image[at] *= 1.0 - lost * share * blood


def jets(canvas: Canvas) -> list[Finding]:
    """The jets of a heart's valves and defects, and the faint one of every early filling."""
    p = canvas.anatomy.parameters
    v = p.valves
    grades = {
        "mitral": v.mitral_regurgitation,
        "tricuspid": v.tricuspid_regurgitation,
        "aortic leak": v.aortic_regurgitation,
        "aortic": v.aortic_stenosis,
        "pulmonary": v.pulmonary_stenosis,
        "outflow": v.sam,
        "inflow": 0.1,
        "defect": 0.5 if 0 < p.septa.vsd_mm < 8.0 else 0.0,
    }
    return [Jet(canvas, kind, grade) for kind, grade in grades.items() if grade >= 0.1]


class Cusps:
    """Aortic or pulmonary valve: a thin line when shut, pressed to the wall when open; thick and stiff when narrow,
    a slit when it has two cusps."""

    def __init__(self, canvas: Canvas, aortic: bool) -> None:
        v = canvas.anatomy.parameters.valves
        self._c, self._aortic = canvas, aortic
        self._stiff = v.aortic_stenosis if aortic else v.pulmonary_stenosis
        self._two = aortic and v.bicuspid
        self._vessels = [great_vessels(canvas.anatomy, float(share)) for share in canvas.tables.share]
        middle = np.mean([self._place(vessels)[0] for vessels in self._vessels], axis=0)
        self._at = canvas.near(np.asarray(middle), 34.0)

    def _place(self, vessels: GreatVessels) -> tuple[Point, Point, float]:
        if self._aortic:
            return vessels.annulus + 3.0 * vessels.aortic_axis, vessels.aortic_axis, vessels.radii[0]
        return vessels.trunk + 3.0 * vessels.pulmonary_axis, vessels.pulmonary_axis, vessels.radii[3] - 3.0

    def draw(self, image: Image, s: Surfaces, i: int) -> None:
        at, c = self._at, self._c
        centre, axis, radius = self._place(self._vessels[i])
        away = (c.points[at] - centre).astype(np.float32)
        along = away @ axis.astype(np.float32)
        side = np.cross(axis, [0.0, 1.0, 0.0])
        side /= np.linalg.norm(side)
        first = away @ side.astype(np.float32)
        second = away @ np.cross(axis, side).astype(np.float32)
        open_ = float(c.tables.ejection[i]) * (1.0 - 0.85 * self._stiff)
        wide, narrow = radius * open_, radius * open_ * (0.4 if self._two else 1.0)
        off = np.hypot(first, second)
        hole = 1.0 - np.hypot(first / max(wide, 0.3), second / max(narrow, 0.3))
        dome = along - (0.35 + 0.3 * self._stiff) * open_ * (radius - off)  # the cusps lean into the vessel when open
        thick = 1.1 + 3.2 * self._stiff
        cusp = np.minimum(0.5 * thick - np.abs(dome), radius - off) + 0.3 * self._stiff * c.speckle[at]
        tone = c.contrast.myocardium * (1.0 - self._stiff) + c.contrast.calcium * self._stiff
        image[at] += 0.8 * cover(cusp, 1.4) * (hole < 0) * (tone - image[at])


def cusps(canvas: Canvas) -> list[Finding]:
    """Aortic and pulmonary valve, unless a prosthesis stands in its place."""
    aortic = [] if canvas.anatomy.parameters.valves.prosthesis == "aortic" else [Cusps(canvas, True)]
    return [*aortic, Cusps(canvas, False)]


class SystolicLeaflet:
    """The anterior mitral leaflet drawn to the septum in systole."""

    def __init__(self, canvas: Canvas) -> None:
        self._c, self._sam = canvas, canvas.anatomy.parameters.valves.sam
        self._at = canvas.near(canvas.wall_point(130.0, 0.12, 0, -0.5), 36.0)

    def draw(self, image: Image, s: Surfaces, i: int) -> None:
        pull = self._sam * float(self._c.tables.ejection[i])
        if pull < 0.05:
            return
        at, c = self._at, self._c
        hinge = c.wall_point(128.0, 0.0, i, -0.55)
        rest = hinge + np.array([12.0, 6.0, -6.0])
        contact = c.wall_point(145.0, 0.24, i, -0.06)
        tip = rest + pull * (contact - rest)
        near = capsule(c.points[at], hinge, tip, (1.4, 1.9))
        image[at] += cover(near, 1.3) * (0.9 * c.contrast.myocardium - image[at])


def systolic_leaflet(canvas: Canvas) -> Finding:
    """See `SystolicLeaflet`."""
    return SystolicLeaflet(canvas)
