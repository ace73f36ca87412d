"""Painting the beating heart over the still thorax, one plane at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.anatomy import Anatomy
from cardiolens.phantom.sampling import FlatTables, Sampler, Surfaces
from cardiolens.phantom.signal import Contrast, Image
from cardiolens.phantom.thorax import capsule, cover, paint

_VALVE_MM = 1.3


def great_vessels(points: Image, anatomy: Anatomy, share: float) -> tuple[Image, Image]:
    """Signed distances (mm, positive inside) to the aortic root with ascending aorta and to the pulmonary trunk, when
    `share` of the stroke volume is out; points (n, 3) in heart coordinates."""
    p = anatomy.parameters
    size = (p.lv_edv_ml / 160.0) ** (1 / 3)
    base = anatomy.mitral_z(np.array([share]))[0]
    start = np.array([-11.0 * size, -9.5 * size, base - 3.0])
    sinus = start + np.array([-6.0, -5.0, 20.0])
    bend = sinus + np.array([-7.0, -14.0, 26.0]) + [0.0, 0.0, 0.5 * p.mapse_mm * share]
    arch = bend + np.array([14.0, -75.0, 34.0])
    aorta = capsule(points, start, sinus, (11.5, 14.5))
    aorta = np.maximum(aorta, capsule(points, sinus, bend, (14.5, 14.0)))
    aorta = np.maximum(aorta, capsule(points, bend, arch, (14.0, 13.5)))
    trunk = np.array([-20.0, -46.0 * size, 16.0 - 0.4 * p.tapse_mm * share])
    fork = np.array([4.0, -48.0 * size, 56.0])
    return aorta, capsule(points, trunk, fork, (13.0, 12.0))


class HeartPainter:
    """Everything of one plane that does not change over the beat, for n points (sub-slices included)."""

    def __init__(
        self, anatomy: Anatomy, tables: FlatTables, points: Image, speckle: Image, contrast: Contrast, width: float
    ):
        self._anatomy, self._tables, self._contrast, self._width = anatomy, tables, contrast, width
        self._at = at = Sampler(anatomy, points)
        steep_in, steep_out = at.slope(tables)
        self._radius2 = at.radius**2
        self._per_endo = 1.0 / (np.sqrt(4.0 * self._radius2 + steep_in**2) + 1.0)
        self._per_epi = 1.0 / (np.sqrt(4.0 * self._radius2 + steep_out**2) + 1.0)
        self._per_la, self._per_ra = (0.5 / (np.sqrt(v) + 1.0) for v in (at.la, at.ra))
        self._vessels = [great_vessels(points, anatomy, share) for share in (0.0, 1.0)]
        self._low = np.clip((10.0 - at.z) / 8.0, 0.0, 1.0)
        self._speckle = speckle
        self._near_valve = np.flatnonzero((np.abs(at.z + 8.0) < 32.0) & (at.radius < 42.0))
        self._in_lv = np.flatnonzero((at.z < 0.0) & (self._radius2 < 1.3 * float(tables.source.endo2.max())))
        annulus = np.sqrt(np.maximum(tables.source.endo2, 0.0)).max((0, 1))
        self._annulus = 0.93 * annulus

    def frames(self, background: Image) -> Iterator[Image]:
        """Signal (n,) at each phase over `background` (n,)."""
        for i, surfaces in enumerate(self._at.surfaces(self._tables)):
            image = background.copy()
            self._outside(image, surfaces, i)
            self._right_side(image, surfaces, i)
            self._left_side(image, surfaces, i)
            yield image

    def _outside(self, image: Image, s: Surfaces, i: int) -> None:
        """Pericardium, effusion, epicardial fat; then the atria, which lie behind the ventricles."""
        c, w = self._contrast, self._width
        peri = (s.fluid2 - self._radius2) * self._per_epi
        line = self._low * np.clip(0.55 + 0.25 * self._speckle, 0.1, 0.85)
        image *= 1.0 - line * np.clip(1.0 - np.abs(peri + 0.6) / 1.4, 0.0, 1.0)
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
        wall = np.minimum(s.rv_wall - at.radius, top + 1.5)
        image *= 1.0 - c.ink * there * np.clip(1.0 - np.abs(wall) / 1.3, 0.0, 1.0)
        paint(image, c.myocardium, there * cover(wall, w))
        inside = np.minimum(s.rv - at.radius, top)
        rough = np.clip(self._speckle, 0.0, 2.0) * np.clip((-5.0 - at.z) / 30.0, 0.0, 1.0)
        paint(
            image, c.right_blood * (1.0 + 0.04 * self._speckle) * (1.0 - 0.16 * rough), there * cover(inside, 1.3 * w)
        )
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
        paint(image, c.myocardium * (1.0 + 0.05 * self._speckle), cover(np.minimum(outer, below), w))
        share = float(t.share[i])
        rough = np.minimum((s.endo2 - self._radius2) * self._per_endo, below + 1.0)
        clear = np.minimum((s.blood2 - self._radius2) * self._per_endo, below + 1.0)
        blood = c.blood * (1.0 + 0.035 * self._speckle)
        paint(image, blood, 0.45 * cover(rough, w) + 0.55 * cover(clear, 1.4 * w))
        aorta = self._vessels[0][0] * (1.0 - share) + self._vessels[1][0] * share
        outside = 1.0 - cover(rough, w)
        paint(image, 0.32, cover(aorta + 1.8, 2.0) * outside)
        paint(image, blood, cover(aorta, w) * np.maximum(outside, 0.0))
        self._papillary(image, s)
        self._mitral(image, i)

    def _papillary(self, image: Image, s: Surfaces) -> None:
        at, idx = self._at, self._in_lv
        x, y = at.flat_x[idx], at.flat_y[idx]
        inside = cover((s.endo2[idx] - self._radius2[idx]) * self._per_endo[idx], self._width)
        for k in (0, 3):
            column = s.papillary[:, idx]
            near = column[k + 2] - np.hypot(x - column[k], y - column[k + 1]) + 0.8 * self._speckle[idx]
            image[idx] += 0.8 * inside * cover(near, 1.3 * self._width) * (self._contrast.myocardium - image[idx])

    def _mitral(self, image: Image, i: int) -> None:
        """Two leaflets as a cone hinged on the annulus: flat when shut, hanging into the ventricle when open."""
        at, idx, t = self._at, self._near_valve, self._tables.source
        rim = float(self._annulus[i])
        tilt = np.deg2rad(4.0 + 66.0 * float(t.opening[i]))
        inward = rim - at.radius[idx]
        rise = at.z[idx] - t.mitral_z[i] + inward * np.tan(tilt)
        gap = np.abs(rise) * np.cos(tilt)
        reach = rim * (0.98 if t.opening[i] < 0.05 else 0.8) * np.cos(tilt)
        share = np.clip(1.4 * (1.0 - gap / _VALVE_MM), 0.0, 0.75) * (inward > -1.0) * (inward < reach)
        image[idx] += share * (0.9 * self._contrast.myocardium - image[idx])


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
        away = (points[:, 0] - atrium.x) ** 2 + ((points[:, 1] - atrium.y) / atrium.aspect) ** 2
        reach = np.interp(z, anatomy.heights, np.sqrt(np.maximum(wide, 0.0))) + margin_mm
        near |= (away < reach**2) & (z > -30.0) & (z < atrium.roof + margin_mm)
    high = np.flatnonzero(~near & (z > -25.0))
    for share in (0.0, 1.0):
        vessels = great_vessels(points[high], anatomy, share)
        near[high] |= np.maximum(*vessels) > -margin_mm
    return np.asarray(near)
