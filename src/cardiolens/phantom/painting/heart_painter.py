"""Painting the beating heart over the still thorax, one plane at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.anatomy import Anatomy
from cardiolens.phantom.anatomy.sampling import FlatTables, Sampler, Surfaces
from cardiolens.phantom.anatomy.shapes import N_ANGLES, segment_field
from cardiolens.phantom.anatomy.solids import Image
from cardiolens.phantom.anatomy.vessels import great_vessels
from cardiolens.phantom.mr.contrast import Contrast
from cardiolens.phantom.painting.brush import cover, paint
from cardiolens.phantom.painting.canvas import Canvas
from cardiolens.phantom.painting.findings import findings_of

_VALVE_MM = 1.3
_COMMISSURE = np.deg2rad(125.0)  # angle across which the mitral leaflets face each other


class HeartPainter:
    """Everything of one plane that does not change over the beat, for n points (sub-slices included)."""

    def __init__(
        self, anatomy: Anatomy, tables: FlatTables, points: Image, speckle: Image, contrast: Contrast, width: float
    ):
        self._anatomy, self._tables, self._contrast, self._width = anatomy, tables, contrast, width
        self._at = at = Sampler(anatomy, points)
        steep_in, steep_out, steep_rv = at.slope(tables)
        self._radius2 = at.radius**2
        self._per_endo = 1.0 / (np.sqrt(4.0 * self._radius2 + steep_in**2) + 1.0)
        self._per_epi = 1.0 / (np.sqrt(4.0 * self._radius2 + steep_out**2) + 1.0)
        self._per_rv = 1.0 / np.sqrt(1.0 + np.minimum(steep_rv, 6.0) ** 2)
        self._per_la, self._per_ra = (
            0.5 / ((np.sqrt(v) + 1.0) * steep) for v, steep in ((at.la, at.la_steep), (at.ra, at.ra_steep))
        )
        self._vessels = [great_vessels(anatomy, share).distances(points) for share in (0.0, 1.0)]
        self._muscle = self._muscle_signal(anatomy, contrast)
        self._findings = findings_of(Canvas(anatomy, tables, at, points, speckle, contrast, width))
        self._low = np.clip((10.0 - at.z) / 8.0, 0.0, 1.0)
        self._speckle = speckle
        self._near_valve = np.flatnonzero((np.abs(at.z + 8.0) < 32.0) & (at.radius < 42.0))
        self._in_lv = np.flatnonzero((at.z < 0.0) & (self._radius2 < 1.3 * float(tables.source.endo2.max())))
        annulus = np.sqrt(np.maximum(tables.source.endo2, 0.0)).max((0, 1))
        self._annulus = 0.8 * annulus
        near_x, near_y = at.x[self._near_valve] - 5.0, at.y[self._near_valve] - 5.0  # the aorta takes the rest
        self._from_mitral = np.hypot(near_x, near_y)
        along = np.abs(near_x * np.cos(_COMMISSURE) - near_y * np.sin(_COMMISSURE)) / np.maximum(self._from_mitral, 1.0)
        self._leaflet = 0.3 + 0.7 * along  # two leaflets: long in their middle, short at the commissures
        lean = np.deg2rad(np.random.default_rng([anatomy.parameters.body_seed, 7]).normal([55.0, 250.0], 25.0))
        self._heads = [
            (0.45 * float(np.cos(a)), 0.45 * float(np.sin(a))) for a in lean
        ]  # each papillary muscle has two

    def frames(self, background: Image) -> Iterator[Image]:
        """Signal (n,) at each phase over `background` (n,)."""
        for i, surfaces in enumerate(self._at.surfaces(self._tables)):
            image = background.copy()
            self._outside(image, surfaces, i)
            self._right_side(image, surfaces, i)
            self._left_side(image, surfaces, i)
            for finding in self._findings:
                finding.draw(image, surfaces, i)
            yield image

    def _muscle_signal(self, anatomy: Anatomy, contrast: Contrast) -> Image | float:
        """Signal of the LV muscle: a little brighter where it holds water or scar; a number if it is even."""
        tissue = anatomy.parameters.tissue
        if not (any(tissue.edema) or any(tissue.scar)):
            return contrast.myocardium
        grid = np.linspace(0.0, 1.0, 65)
        field = 0.14 * segment_field(tissue.edema, grid) + 0.05 * segment_field(tissue.scar, grid)
        at = self._at
        turn = np.arctan2(-at.y, at.x) / (2 * np.pi / N_ANGLES) % N_ANGLES
        along = np.clip(-at.z / (anatomy.inner_share * anatomy.length), 0.0, 1.0) * (len(grid) - 1)
        share = field[np.minimum(turn.astype(np.intp), N_ANGLES - 1), along.astype(np.intp)]
        return np.asarray(contrast.myocardium * (1.0 + share), dtype=np.float32)

    def _outside(self, image: Image, s: Surfaces, i: int) -> None:
        """Pericardium, effusion, epicardial fat; then the atria, which lie behind the ventricles."""
        c, w = self._contrast, self._width
        peri = (s.fluid2 - self._radius2) * self._per_epi
        thick = self._anatomy.parameters.pericardium_mm
        if thick > 2.0:
            paint(image, c.pericardium * (1.0 + 0.1 * self._speckle), self._low * cover(peri + thick, w))
        line = self._low * np.clip(0.55 + 0.25 * self._speckle, 0.1, 0.85)
        image *= 1.0 - line * np.clip(1.0 - np.abs(peri + 0.6) / (0.5 * thick + 0.7), 0.0, 1.0)
        if self._anatomy.parameters.effusion_mm > 0:
            paint(image, c.fluid, self._low * cover(peri, w))
        fat = (s.sac2 - self._radius2) * self._per_epi
        paint(image, c.epicardial_fat * (1.0 + 0.12 * self._speckle), self._low * cover(fat, w))
        t = self._tables.source
        for square, reach, per, valve, value in (
            (self._at.ra, s.ra2, self._per_ra, t.tricuspid_z[i], c.right_blood),
            (self._at.la, s.la2, self._per_la, t.mitral_z[i], c.blood),
        ):
            inside = np.minimum((reach - square) * per, self._at.z - valve + 1.0)
            paint(image, 1.1 * c.myocardium, cover(inside + 2.2, 2.0))
            paint(image, value * (1.0 + 0.05 * self._speckle), cover(inside, w))

    def _right_side(self, image: Image, s: Surfaces, i: int) -> None:
        c, w, at = self._contrast, self._width, self._at
        inner_wall = np.sqrt(np.maximum(s.epi2, 0.0))
        there = np.clip((s.rv - inner_wall) * 0.6, 0.0, 1.0)
        top = s.rv_top - at.z
        wall = np.minimum((s.rv_wall - at.radius) * self._per_rv, top + 1.5)
        image *= 1.0 - c.ink * there * np.clip(1.0 - np.abs(wall) / 1.3, 0.0, 1.0)
        fat = self._anatomy.parameters.tissue.rv_fat
        patchy = np.clip(fat + 0.35 * fat * self._speckle, 0.0, 1.0) if fat > 0 else 0.0
        paint(image, c.myocardium + patchy * (c.epicardial_fat - c.myocardium), there * cover(wall, w))
        inside = np.minimum((s.rv - at.radius) * self._per_rv, top)
        rough = np.clip(self._speckle, 0.0, 2.0) * np.clip((-5.0 - at.z) / 30.0, 0.0, 1.0)
        rough = rough * (0.14 + 0.3 * np.clip(1.0 - inside / 9.0, 0.0, 1.0))  # most along the free wall
        blood = c.right_blood * (1.0 + 0.07 * self._speckle) * (1.0 - rough)
        paint(image, blood, there * cover(inside, 1.3 * w))
        valve = self._tables.source
        shut = 1.0 - 0.75 * float(valve.opening[i])
        line = np.minimum(
            _VALVE_MM * 0.5 - np.abs(at.z - valve.tricuspid_z[i]), np.sqrt(s.ra2.clip(0)) - np.sqrt(at.ra)
        )
        paint(image, c.myocardium, 0.7 * shut * cover(line, 1.5))
        share = float(valve.share[i])
        trunk = self._vessels[0][1] * (1.0 - share) + self._vessels[1][1] * share
        paint(image, 0.3, cover(trunk + 1.6, 2.0) * (1.0 - cover(inside, w)))
        paint(image, c.right_blood * (1.0 + 0.05 * self._speckle), cover(trunk, w))

    def _left_side(self, image: Image, s: Surfaces, i: int) -> None:
        c, w, at = self._contrast, self._width, self._at
        t = self._tables.source
        below = t.mitral_z[i] - at.z
        outer = (s.epi2 - self._radius2) * self._per_epi
        septal = np.clip((s.rv - np.sqrt(np.maximum(s.epi2, 0.0))) * 0.6, 0.0, 1.0)
        image *= 1.0 - c.ink * (1.0 - septal) * np.clip(1.0 - np.abs(outer) / 1.3, 0.0, 1.0) * (below > 0)
        paint(image, self._muscle * (1.0 + 0.14 * self._speckle), cover(np.minimum(outer, below), w))
        share = float(t.share[i])
        rough = np.minimum((s.endo2 - self._radius2) * self._per_endo, below + 1.0)
        clear = np.minimum((s.blood2 - self._radius2) * self._per_endo, below + 1.0)
        blood = c.blood * (1.0 + 0.07 * self._speckle)
        paint(image, blood, 0.45 * cover(rough, w) + 0.55 * cover(clear, 1.4 * w))
        aorta = self._vessels[0][0] * (1.0 - share) + self._vessels[1][0] * share
        outside = 1.0 - cover(rough, w)
        atrium = cover((s.la2 - self._at.la) * self._per_la, w) * (below < 0)
        paint(image, 0.32, cover(aorta + 1.8, 2.0) * outside * (1.0 - 0.8 * atrium) * (at.z > t.mitral_z[i] - 6.0))
        paint(image, blood, cover(aorta, w) * np.maximum(outside, 0.0))
        self._papillary(image, s)
        if self._anatomy.parameters.valves.prosthesis != "mitral":
            self._mitral(image, i)

    def _papillary(self, image: Image, s: Surfaces) -> None:
        at, idx = self._at, self._in_lv
        x, y = at.flat_x[idx], at.flat_y[idx]
        inside = cover((s.endo2[idx] - self._radius2[idx]) * self._per_endo[idx], self._width)
        column = s.papillary[:, idx]
        for k, (lean_x, lean_y) in zip((0, 3), self._heads, strict=True):
            across, along, girth = x - column[k], y - column[k + 1], column[k + 2]
            first = 0.82 * girth - np.hypot(across - lean_x * girth, along - lean_y * girth)
            second = 0.72 * girth - np.hypot(across + lean_x * girth, along + lean_y * girth)
            near = np.maximum(first, second) + 0.9 * self._speckle[idx]
            image[idx] += 0.8 * inside * cover(near, 1.3 * self._width) * (self._contrast.myocardium - image[idx])

    def _mitral(self, image: Image, i: int) -> None:
        """Two leaflets as a cone hinged on the annulus: flat when shut, hanging into the ventricle when open."""
        at, idx, t = self._at, self._near_valve, self._tables.source
        rim = float(self._annulus[i])
        tilt = np.deg2rad(4.0 + 66.0 * float(t.opening[i]))
        inward = rim - self._from_mitral
        rise = at.z[idx] - t.mitral_z[i] + inward * np.tan(tilt)
        gap = np.abs(rise) * np.cos(tilt)
        shut = t.opening[i] < 0.05
        reach = rim * (0.98 if shut else 0.85 * self._leaflet) * np.cos(tilt)
        share = np.clip(1.4 * (1.0 - gap / _VALVE_MM), 0.0, 0.75) * (inward > -1.0) * (inward < reach)
        image[idx] += share * (0.9 * self._contrast.myocardium - image[idx])


def reach_of(tables: FlatTables) -> float:
    """Widest radius (mm) of the pericardium over the beat."""
    return float(np.sqrt(max(float(tables.reach2.max()), 0.0)))


def touches_heart(
    anatomy: Anatomy, tables: FlatTables, points: npt.NDArray[np.float32], margin_mm: float
) -> npt.NDArray[np.bool_]:
    """Which heart-coordinate points (n, 3) any moving part may reach in the course of the beat."""
    z = points[:, 2]
    centre_x, centre_y = anatomy.centre(z.astype(np.float64))
    radius2 = (points[:, 0] - centre_x) ** 2 + (points[:, 1] - centre_y) ** 2
    reach = np.interp(z, anatomy.heights, np.sqrt(np.maximum(tables.reach2, 0.0))) + margin_mm
    near = (radius2 < reach**2) & (z < 14.0) & (z > anatomy.heights[0])
    for atrium, wide in ((anatomy.left_atrium, tables.la_reach2), (anatomy.right_atrium, tables.ra_reach2)):
        away = atrium.half_width_at(points)[0] ** 2
        reach = np.interp(z, anatomy.heights, np.sqrt(np.maximum(wide, 0.0))) + margin_mm
        near |= (away < reach**2) & (z > -30.0) & (z < atrium.roof + margin_mm)
    high = np.flatnonzero(~near & (z > -25.0))
    for share in (0.0, 1.0):
        vessels = great_vessels(anatomy, share).distances(points[high])
        near[high] |= np.maximum(*vessels) > -margin_mm
    left, right = anatomy.left_atrium, anatomy.right_atrium
    if anatomy.parameters.septa.atrial_mm > 4.0:  # what lies between the atria moves with them
        between = (
            np.abs(points[:, 0] - 0.5 * (left.septum_x + right.septum_x))
            < 0.5 * anatomy.parameters.septa.atrial_mm + 6.0
        )
        near |= between & (np.abs(points[:, 1] - 7.0) < 24.0) & (z > -10.0) & (z < max(left.roof, right.roof) + 4.0)
    for mass in anatomy.parameters.masses:
        if mass.site == "pericardium":
            # The widest pericardium stands for the place that `masses.PericardialMass` finds exactly; the radius holds
            # nearly every mass, and about one in sixty is cut by a little at its outer edge.  With the exact place a
            # few grey levels would change, since what counts as moving is rendered with more samples through the
            # slice; change it with the cohort's schema.
            away = points - np.array([-0.75 * reach_of(tables), 0.65 * reach_of(tables), -0.3 * anatomy.length])
            near |= np.einsum("ij,ij->i", away, away) < (1.1 * mass.size_mm + 26.0) ** 2
    return np.asarray(near)
