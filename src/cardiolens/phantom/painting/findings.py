"""What disease adds to a heart beyond the form of its chambers: masses, holes, thick septum, devices.

Each finding is drawn over the finished heart, at those of the points that it may ever touch.
"""

from __future__ import annotations

import numpy as np

from cardiolens.phantom.anatomy.sampling import Surfaces
from cardiolens.phantom.anatomy.shapes import N_ANGLES, STEP_MM
from cardiolens.phantom.anatomy.solids import Image, capsule, ellipsoid
from cardiolens.phantom.anatomy.vessels import great_vessels
from cardiolens.phantom.painting.brush import cover, ink, paint
from cardiolens.phantom.painting.canvas import VSD_PLACES, Canvas, Finding, Point
from cardiolens.phantom.painting.flow import SystolicLeaflet, cusps, jets
from cardiolens.phantom.painting.masses import lump_of


def findings_of(canvas: Canvas) -> list[Finding]:
    """Everything that the parameters of the canvas's heart ask for, in the order of drawing."""
    p = canvas.anatomy.parameters
    found: list[Finding] = [ModeratorBand(canvas)]
    if p.septa.atrial_mm > 4.0 or p.septa.asd_mm > 0:
        found.append(AtrialSeptum(canvas))
    if p.septa.vsd_mm > 0:
        found.append(VentricularDefect(canvas))
    found.extend(cusps(canvas))
    if p.valves.sam > 0:
        found.append(SystolicLeaflet(canvas))
    found.extend(jets(canvas))
    found.extend(lump_of(canvas, mass) for mass in p.masses)
    if p.valves.prosthesis:
        found.append(Prosthesis(canvas))
    return found


class ModeratorBand:
    """The band of muscle that every RV has, from the septum to the free wall."""

    def __init__(self, canvas: Canvas) -> None:
        self._c, p = canvas, canvas.anatomy.parameters
        rng = np.random.default_rng([p.body_seed, 8])
        self._u, self._girth = float(rng.uniform(0.5, 0.66)), float(rng.uniform(1.2, 2.4))
        self._from, self._to = float(rng.normal(183.0, 6.0)), float(rng.normal(212.0, 8.0))
        self._at = canvas.near(canvas.wall_point(0.5 * (self._from + self._to), self._u, 0, 2.5), 48.0)

    def draw(self, image: Image, s: Surfaces, i: int) -> None:
        at, c = self._at, self._c
        start = c.wall_point(self._from, self._u, i, 1.0)
        k = int(np.clip(round((start[2] - c.anatomy.heights[0]) / STEP_MM), 0, len(c.anatomy.heights) - 1))
        n = round(self._to / 360.0 * N_ANGLES) % N_ANGLES
        end = c.on_ring(self._to, float(c.tables.rv[n, k, i]), start[2] - 6.0)
        band = capsule(c.points[at], start, end, (self._girth, 0.8 * self._girth))
        in_rv = (s.rv[at] > c.at.radius[at]) & (s.epi2[at] < c.at.radius[at] ** 2)
        image[at] += 0.75 * cover(band, 1.6) * in_rv * (c.contrast.myocardium - image[at])


class AtrialSeptum:
    """A septum thicker than usual, of muscle or fat, spared at the fossa; and a hole in it."""

    def __init__(self, canvas: Canvas) -> None:
        self._c, p, a = canvas, canvas.anatomy.parameters, canvas.anatomy
        left, right = a.left_atrium, a.right_atrium
        self._p, self._middle = p, 0.5 * (left.roof + right.roof)
        x, y = 0.5 * (left.septum_x + right.septum_x), 0.5 * (left.y + right.y)
        self._at = canvas.near(np.array([x, y, 0.45 * self._middle]), 62.0)
        points = canvas.points[self._at]
        self._y = points[:, 1] - y
        self._z = points[:, 2]

    def draw(self, image: Image, s: Surfaces, i: int) -> None:
        at, c, a = self._at, self._c, self._c.anatomy
        x = c.points[at][:, 0]
        from_left, from_right = a.left_atrium.septum_x - x, x - a.right_atrium.septum_x
        height = self._z - max(float(c.tables.mitral_z[i]), float(c.tables.tricuspid_z[i]))
        inside = np.minimum(np.minimum(height - 3.0, self._middle - 4.0 - self._z), 20.0 - np.abs(self._y))
        outside = np.minimum(np.maximum(c.at.la[at], 0.0) - s.la2[at], c.at.ra[at] - s.ra2[at]) > 0
        between = np.minimum(from_left, from_right)
        if self._p.septa.atrial_fat:
            self._fat(image, s, i)
        elif self._p.septa.atrial_mm > 4.0:
            share = cover(np.minimum(between + 1.5, inside), c.width) * outside
            image[at] += share * (c.contrast.myocardium * (1.0 + 0.06 * c.speckle[at]) - image[at])
        if self._p.septa.asd_mm > 0:
            hole = 0.5 * self._p.septa.asd_mm - np.hypot(self._y - 2.0, self._z - 0.42 * self._middle)
            through = np.minimum(hole, between + 4.0)
            image[at] += cover(through, c.width) * outside * (0.97 * c.contrast.blood - image[at])

    def _fat(self, image: Image, s: Surfaces, i: int) -> None:
        """Two pads of fat, above and below the fossa, that bulge into both atria; dark where fat meets water."""
        at, c = self._at, self._c
        x = 0.5 * (c.anatomy.left_atrium.septum_x + c.anatomy.right_atrium.septum_x)
        base = max(float(c.tables.mitral_z[i]), float(c.tables.tricuspid_z[i])) + 3.0
        low, high = 0.42 * self._middle - 5.0, 0.42 * self._middle + 5.0
        thick = 0.5 * self._p.septa.atrial_mm
        place = np.stack([c.points[at][:, 0] - x, self._y, self._z], axis=1)
        below = ellipsoid(place, [0.0, 0.0, 0.5 * (base + low)], [thick, 17.0, max(0.5 * (low - base), 5.0)])
        above = ellipsoid(place, [0.0, 0.0, high + 9.0], [0.9 * thick, 16.0, 10.0])
        pads = np.maximum(below, above) + 0.8 * c.speckle[at]
        under = image[at]
        paint(under, c.contrast.fat * (1.0 + 0.06 * c.speckle[at]), cover(pads, c.width))
        ink(under, pads, c.contrast.ink, 2.0)
        image[at] = under


class VentricularDefect:
    """A channel of blood through the ventricular septum."""

    def __init__(self, canvas: Canvas) -> None:
        self._c, self._septa = canvas, canvas.anatomy.parameters.septa
        self._place = VSD_PLACES[self._septa.vsd_site]
        middle = canvas.wall_point(*self._place, 0)
        self._at = canvas.near(middle, 26.0 + self._septa.vsd_mm)

    def draw(self, image: Image, s: Surfaces, i: int) -> None:
        at, c = self._at, self._c
        start, end = (c.wall_point(*self._place, i, depth) for depth in (-0.3, 1.4))
        radius = 0.5 * self._septa.vsd_mm
        tube = capsule(c.points[at], start, end, (radius, radius))
        image[at] += cover(tube, c.width) * (0.96 * c.contrast.blood - image[at])


class Prosthesis:
    """A ring that voids the signal about it, with struts or discs."""

    def __init__(self, canvas: Canvas) -> None:
        self._c, p = canvas, canvas.anatomy.parameters
        self._mitral = p.valves.prosthesis == "mitral"
        self._thick = 1.2 + (0.6 if p.valves.mechanical else 0.25) * canvas.contrast.void_bloom
        self._mechanical = p.valves.mechanical
        rim = np.sqrt(np.maximum(canvas.tables.endo2, 0.0)).max((0, 1)).mean()
        self._radius = 0.62 * float(rim) if self._mitral else 11.5
        centre = np.mean([self._place(i)[0] for i in range(len(canvas.tables.share))], axis=0)
        self._at = canvas.near(np.asarray(centre), 44.0)

    def _place(self, i: int) -> tuple[Point, Point]:
        """Centre and axis (towards the flow's end) of the ring."""
        a, t = self._c.anatomy, self._c.tables
        if self._mitral:
            return np.array([3.0, 1.0, float(t.mitral_z[i])]), np.array([0.0, 0.0, -1.0])
        vessels = great_vessels(a, float(t.share[i]))
        return vessels.annulus + 3.0 * vessels.aortic_axis, vessels.aortic_axis

    def draw(self, image: Image, s: Surfaces, i: int) -> None:
        at, c = self._at, self._c
        centre, axis = self._place(i)
        away = (c.points[at] - centre).astype(np.float32)
        along = away @ axis.astype(np.float32)
        off = np.sqrt(np.maximum(np.einsum("ij,ij->i", away, away) - along**2, 0.0))
        ring = self._thick - np.hypot(off - self._radius, 0.8 * along)
        if self._mechanical:
            shut = 1.0 - float(c.tables.opening[i] if self._mitral else c.tables.ejection[i])
            disc = np.minimum(0.5 * self._thick * (0.3 + shut) - np.abs(along), self._radius - off)
            ring = np.maximum(ring, disc)
        else:
            legs = np.minimum(0.55 * self._thick - np.abs(off - self._radius + 1.5), np.minimum(along, 11.0 - along))
            ring = np.maximum(
                ring, np.where(np.abs(np.sin(1.5 * np.arctan2(away[:, 1], away[:, 0]))) > 0.9, legs, -9.0)
            )
        image[at] += cover(ring, 2.0 * c.width) * (c.contrast.void - image[at])
