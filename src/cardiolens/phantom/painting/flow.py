"""Valves that open and shut, and the jets through those that are narrow or leak.

A fast jet dephases the spins within a voxel, so it is dark in bright blood.  How far a jet of a given grade reaches
is this package's choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardiolens.phantom.anatomy.sampling import Surfaces
from cardiolens.phantom.anatomy.solids import Image, capsule
from cardiolens.phantom.anatomy.vessels import GreatVessels, great_vessels
from cardiolens.phantom.painting.brush import cover
from cardiolens.phantom.painting.canvas import VSD_PLACES, Canvas, Finding, Point

JETS = (
    "mitral",
    "tricuspid",
    "aortic leak",
    "pulmonary leak",
    "aortic",
    "pulmonary",
    "outflow",
    "inflow",
    "defect",
    "atrial defect",
)
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
        rng = np.random.default_rng([canvas.anatomy.parameters.body_seed, 6, JETS.index(kind)])
        self._lean = rng.normal(0.0, 0.25, 2)
        courses = [self._course(i) for i in range(len(canvas.tables.share))]
        self._courses = courses
        middle = np.mean([0.5 * (c.start + c.end) for c in courses], axis=0)
        longest = max(float(np.linalg.norm(c.end - c.start)) for c in courses)
        self._at = canvas.near(middle, 0.5 * longest + 24.0)

    def _course(self, i: int) -> _Course:
        if self._kind in ("mitral", "tricuspid", "inflow"):
            return self._at_inlet(i)
        if self._kind in ("aortic", "aortic leak", "pulmonary", "pulmonary leak"):
            return self._at_outlet(i)
        return self._by_the_septum(i)

    def _at_inlet(self, i: int) -> _Course:
        g, into, start = self._grade, float(self._c.tables.opening[i]), self._valve(i)
        if self._kind == "inflow":
            return _Course(start, start + np.array([6.0 + 8.0 * self._lean[0], 3.0, -38.0]), (5.0, 11.0), into)
        end = start + (14.0 + 34.0 * g) * np.array([*self._lean, 1.0])
        return _Course(start, end, (1.6 + 2.0 * g, 3.0 + 8.0 * g), self._systole(i))

    def _at_outlet(self, i: int) -> _Course:
        g, out = self._grade, float(self._c.tables.ejection[i])
        vessels = great_vessels(self._c.anatomy, float(self._c.tables.share[i]))
        reach, wide = 14.0 + 34.0 * g, (1.6 + 2.0 * g, 3.0 + 8.0 * g)
        if self._kind == "aortic":
            end = vessels.sinus + (0.3 + 0.7 * g) * (vessels.bend - vessels.sinus)
            return _Course(vessels.annulus, end, (2.0, 3.0 + 4.0 * g), out)
        if self._kind == "pulmonary":
            end = vessels.trunk + (0.4 + 0.6 * g) * (vessels.fork - vessels.trunk)
            return _Course(vessels.trunk, end, (2.0, 3.0 + 5.0 * g), out)
        if self._kind == "aortic leak":
            way = np.array([0.12 + self._lean[0] * 0.4, 0.18, -1.0])
            return _Course(vessels.annulus, vessels.annulus + reach * way, wide, 1.0 - out)
        way = np.array([-0.35 + self._lean[0] * 0.4, 0.45, -0.8])
        return _Course(vessels.trunk, vessels.trunk + reach * way, wide, 1.0 - out)

    def _by_the_septum(self, i: int) -> _Course:
        c, wide = self._c, (2.5, 5.0 + 2.0 * self._grade)
        if self._kind == "atrial defect":
            return _Course(*self._shunt(), (2.5, 7.0), 0.5 + 0.5 * float(c.tables.opening[i]))
        if self._kind == "defect":
            start = c.wall_point(*VSD_PLACES[c.anatomy.parameters.septa.vsd_site], i, 0.8)
            return _Course(start, start + np.array([-20.0, -4.0, -4.0]), wide, self._systole(i))
        vessels = great_vessels(c.anatomy, float(c.tables.share[i]))
        start = c.wall_point(140.0, 0.2, i, -0.5)
        return _Course(start, vessels.annulus + 6.0 * vessels.aortic_axis, wide, float(c.tables.ejection[i]))

    def _systole(self, i: int) -> float:
        """1 while the mitral valve is shut, from the R wave to its opening."""
        return float(np.clip(1.0 - float(self._c.tables.opening[i]) / 0.1, 0.0, 1.0))

    def _shunt(self) -> tuple[Point, Point]:
        """From the fossa some way into the right atrium."""
        left, right = self._c.anatomy.left_atrium, self._c.anatomy.right_atrium
        start = np.array([left.septum_x, 0.5 * (left.y + right.y) + 2.0, 0.21 * (left.roof + right.roof)])
        return start, start + np.array([-24.0, 6.0 * self._lean[0], -8.0])

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
    grades = (
        v.mitral_regurgitation,
        v.tricuspid_regurgitation,
        v.aortic_regurgitation,
        v.pulmonary_regurgitation,
        v.aortic_stenosis,
        v.pulmonary_stenosis,
        v.sam,
        0.1,
        max(0.6 - 0.03 * p.septa.vsd_mm, 0.15) if p.septa.vsd_mm > 0 else 0.0,
        0.15 if p.septa.asd_mm > 0 else 0.0,
    )
    return [Jet(canvas, kind, grade) for kind, grade in zip(JETS, grades, strict=True) if grade >= 0.1]


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
