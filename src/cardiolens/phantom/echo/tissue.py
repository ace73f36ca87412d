"""What the beams meet at some moments of the beat: strength of the scatterers, blood, and the same bit of muscle again.

Echogenicity relative to the brightest pericardium is this package's choice, in the order that textbooks give: lung and
pericardium, valves and fibrous annuli, fat, muscle, and blood some 25 dB below muscle (Szabo, Diagnostic Ultrasound
Imaging, 2nd ed. 2014, ch. 8 and 9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from cardiolens.phantom.anatomy import Anatomy
from cardiolens.phantom.anatomy.sampling import FlatTables, Sampler, Surfaces
from cardiolens.phantom.anatomy.solids import Image
from cardiolens.phantom.echo.leaflets import Leaflets, leaflets
from cardiolens.phantom.echo.material import Carrier
from cardiolens.phantom.echo.probe import FloatArray
from cardiolens.phantom.echo.sector import Sector
from cardiolens.phantom.mr.contrast import Contrast
from cardiolens.phantom.painting.brush import cover, paint
from cardiolens.phantom.painting.canvas import Canvas, Finding
from cardiolens.phantom.painting.findings import findings_of
from cardiolens.phantom.painting.flow import Jet

_BLOOD, _MUSCLE, _ATRIAL_WALL, _FAT = 0.0018, 0.050, 0.036, 0.055
_PERICARDIUM, _ANNULUS, _OUTSIDE = 0.26, 0.20, 0.022
_METAL, _METAL_CASTS = 0.9, 0.5  # strength of a prosthesis, and the least that casts a shadow
_STRENGTHS = Contrast(
    blood=_BLOOD,
    right_blood=_BLOOD,
    myocardium=_MUSCLE,
    fat=_FAT,
    fluid=_BLOOD,
    cyst=_BLOOD,
    thrombus=0.075,
    tumor=0.07,
    myxoma=0.065,
    calcium=0.3,
    void=_METAL,
    void_bloom=0.5,
    ink=0.0,
)
_EDGE_MM = 1.4
_CORNER_MM = 9.0  # of the atria beside their valves
_SPECULAR = 0.9
_CLUTTER = 0.06  # side lobes and reverberation, as a share of the strength nearby


@dataclass(frozen=True, eq=False)
class Tissue:
    """At some phases, on the polar grid flattened to n places.

    Attributes:
        strength: (phase, n) amplitude of the scatterers; blood: (phase, n) share of it that flows, 0 to 1.
        place: (phase, n, 3) where that bit of tissue lies at end-diastole, mm along right, depth and normal.
        valves: leaflets at the same phases; they move too fast to be interpolated as a picture.
    """

    strength: Image
    blood: Image
    place: Image
    valves: Leaflets


def tissue(anatomy: Anatomy, phases: FloatArray, sector: Sector, rng: np.random.Generator) -> Tissue:
    """Sample the heart on the grid of `sector` at `phases` (share of the beat)."""
    tables = FlatTables(anatomy.tables(np.append(phases, 0.0)))  # the last is end-diastole, the reference
    points = sector.probe.points(sector.across, sector.down).reshape(-1, 3)
    points = points.astype(np.float32)
    at = Sampler(anatomy, points)
    valves = leaflets(anatomy, tables, sector.probe)
    painter = _Painter(anatomy, sector, at, tables, valves, rng)
    carrier = Carrier(anatomy, sector, at, tables)
    shape = (len(phases), len(points))
    strength, blood = np.empty(shape, np.float32), np.empty(shape, np.float32)
    place = np.empty((*shape, 3), np.float32)
    for i, surfaces in enumerate(at.surfaces(tables)[: len(phases)]):
        strength[i], blood[i] = painter.paint(surfaces, i)
        place[i] = carrier.places(surfaces, i)
    return Tissue(strength, blood, place, valves)


class _Painter:
    """Paints strengths, outside to inside."""

    def __init__(
        self,
        anatomy: Anatomy,
        sector: Sector,
        at: Sampler,
        tables: FlatTables,
        valves: Leaflets,
        rng: np.random.Generator,
    ) -> None:
        self._p, self._sector, self._at, self._tables, self._valves = anatomy.parameters, sector, at, tables, valves
        self._across, self._down = sector.across.ravel(), sector.down.ravel()
        self._upright = _upright(at, sector)
        slow = gaussian_filter(rng.standard_normal(sector.shape), (5.0, 7.0))
        quick = gaussian_filter(rng.standard_normal(sector.shape), (2.0, 3.0))
        self._slow = (slow / slow.std()).ravel().astype(np.float32)
        self._quick = (quick / quick.std()).ravel().astype(np.float32)
        self._lung = rng.uniform(0.4, 1.0)
        self._findings = self._found(anatomy, sector)
        self._band = bool(rng.random() < 0.6)  # a moderator band that this plane meets

    def paint(self, s: Surfaces, i: int) -> tuple[Image, Image]:
        """Strength and blood share (n,) at phase number i."""
        out, blood = self._outside(s, i)
        self._atria(out, blood, s, i)
        self._ventricles(out, blood, s, i)
        self._annuli(out, blood, i)
        self._draw_findings(out, blood, s, i)
        image = out.reshape(self._sector.shape)
        steep = gaussian_filter(np.gradient(image, axis=1), (2.2, 0.8))
        haze = gaussian_filter(image, (9.0, 6.0))
        image = image + np.float32(_SPECULAR) * np.abs(steep) + np.float32(_CLUTTER) * haze
        if self._p.valves.prosthesis:
            image *= np.exp(-0.6 * np.cumsum(np.maximum(np.roll(image, 6, axis=1) - _METAL_CASTS, 0.0), axis=1))
        return image.ravel(), blood

    def _found(self, anatomy: Anatomy, sector: Sector) -> list[Finding]:
        """Masses, septal defects, cusps and prostheses; jets do not show without Doppler."""
        points = sector.probe.points(sector.across, sector.down).reshape(-1, 3).astype(np.float32)
        canvas = Canvas(anatomy, self._tables, self._at, points, self._quick, _STRENGTHS, _EDGE_MM)
        return [finding for finding in findings_of(canvas) if not isinstance(finding, Jet)]

    def _draw_findings(self, out: Image, blood: Image, s: Surfaces, i: int) -> None:
        before = out.copy()
        for finding in self._findings:
            finding.draw(out, s, i)
        changed = np.abs(out - before) > 0.1 * _BLOOD
        blood[changed] = out[changed] < 4.0 * _BLOOD

    def _outside(self, s: Surfaces, i: int) -> tuple[Image, Image]:
        """Chest wall, lung and mediastinum; pericardium, its fluid and fat."""
        at, p = self._at, self._p
        depth = _signed_root(s.fluid2) - at.radius
        below = np.clip((12.0 - at.z) / 10.0, 0.0, 1.0)
        away = np.where(depth < 0, -depth, 0.0)
        lung = np.where((at.x > 0) | (at.z > 30.0), self._lung, 0.5)
        out = _OUTSIDE * (1.0 + 0.35 * self._slow) * (0.55 + 1.1 * lung * np.exp(-away / 14.0))
        out = np.maximum(out, 0.003).astype(np.float32)
        near = self._down < self._sector.probe.wall_mm + 2.0
        layers = 0.75 + 0.45 * np.sin(self._down * 1.1 + 0.5 * self._quick)
        out[near] = (0.11 * layers * (1.0 + 0.2 * self._slow))[near]
        line = np.clip(1.0 - np.abs(depth + 0.5 * p.pericardium_mm) / (0.9 + 0.6 * p.pericardium_mm), 0.0, 1.0)
        lateral = np.where(at.x > 0, 1.0, 0.6)
        paint(out, _PERICARDIUM * (1.0 + 0.15 * self._quick), below * lateral * line)
        if p.effusion_mm > 0:
            paint(out, _BLOOD, below * cover(depth, _EDGE_MM))
        fat = _signed_root(s.sac2) - at.radius
        paint(out, _FAT * (1.0 + 0.25 * self._quick), below * cover(fat, _EDGE_MM))
        return out, np.zeros_like(out)

    def _atria(self, out: Image, blood: Image, s: Surfaces, i: int) -> None:
        t = self._tables.source
        at = self._at
        for square, steep, reach2, valve in (
            (at.ra, at.ra_steep, s.ra2, t.tricuspid_z[i]),
            (at.la, at.la_steep, s.la2, t.mitral_z[i]),
        ):
            side = (np.sqrt(np.maximum(reach2, 0.0)) - np.sqrt(square)) / steep
            inside = _rounded(side, at.z - valve + 1.0) - np.where(reach2 > 0, 0.0, 9.0)
            paint(out, _ATRIAL_WALL * (1.0 + 0.25 * self._quick), cover(inside + 2.4, _EDGE_MM))
            line = np.clip(1.0 - np.abs(inside + 2.6) / 1.6, 0.0, 1.0)
            paint(out, 0.065, 0.6 * line)
            self._fill(out, blood, cover(inside, _EDGE_MM))

    def _ventricles(self, out: Image, blood: Image, s: Surfaces, i: int) -> None:
        at, t = self._at, self._tables.source
        epi, endo, clear = (np.sqrt(np.maximum(v, 0.0)) for v in (s.epi2, s.endo2, s.blood2))
        grain = (1.0 + 0.16 * self._quick) * self._upright
        there = np.clip((s.rv - epi) * 0.6, 0.0, 1.0)
        top = s.rv_top - at.z
        wall = np.minimum(np.minimum(s.rv_wall - at.radius, top + 2.5), at.radius - epi + 1.0)
        paint(out, _MUSCLE * grain, there * cover(wall, _EDGE_MM))
        inside = np.minimum(np.minimum(s.rv - at.radius, top), at.radius - epi)
        self._fill(out, blood, there * cover(inside, _EDGE_MM))
        rough = np.clip(self._slow + 0.4, 0.0, 1.0) * np.clip((-25.0 - at.z) / 30.0, 0.0, 1.0)
        paint(out, 0.6 * _MUSCLE, 0.5 * rough * there * cover(inside, _EDGE_MM))
        if self._band:
            height = -0.66 * self._p.lv_length_mm + 0.35 * (at.radius - epi)
            band = 2.2 - np.abs(at.z - height)
            paint(out, 1.2 * _MUSCLE, 0.8 * there * cover(np.minimum(band, inside + 1.0), _EDGE_MM))
        below = t.mitral_z[i] - at.z
        outer = _signed_root(s.epi2) - at.radius
        septal = 1.0 + 0.3 * (at.x < 0)
        paint(out, _MUSCLE * grain * septal, cover(np.minimum(outer, below), _EDGE_MM))
        cavity = [cover(np.minimum(edge - at.radius, below + 1.0), _EDGE_MM) * (s.endo2 > 0) for edge in (endo, clear)]
        self._fill(out, blood, 0.35 * cavity[0] + 0.65 * cavity[1])
        self._papillary(out, blood, s)

    def _fill(self, out: Image, blood: Image, share: Image) -> None:
        paint(out, _BLOOD, share)
        paint(blood, 1.0, share)

    def _papillary(self, out: Image, blood: Image, s: Surfaces) -> None:
        at = self._at
        inside = (s.endo2 > at.radius**2).astype(np.float32)
        for k in (0, 3):
            gap = np.hypot(at.flat_x - s.papillary[k], at.flat_y - s.papillary[k + 1])
            share = 0.85 * inside * cover(s.papillary[k + 2] - gap, 2.0 * _EDGE_MM)
            paint(out, 1.1 * _MUSCLE * (1.0 + 0.2 * self._quick), share)
            paint(blood, 0.0, share)

    def _annuli(self, out: Image, blood: Image, i: int) -> None:
        """The fibrous rings in which the leaflets hang."""
        for x, y in self._valves.hinges[i]:
            if np.isfinite(x):
                ring = cover((2.6 - np.hypot(self._across - x, self._down - y)).astype(np.float32), 2.0)
                paint(out, _ANNULUS, 0.8 * ring)
                paint(blood, 0.0, ring)


def _signed_root(square: Image) -> Image:
    """Radius of a surface, negative beyond the apex that closes it."""
    return np.asarray(np.sign(square) * np.sqrt(np.abs(square)))


def _rounded(a: Image, b: Image) -> Image:
    """The smaller of two distances, with corners rounded off."""
    corner = _CORNER_MM - np.hypot(np.maximum(_CORNER_MM - a, 0.0), np.maximum(_CORNER_MM - b, 0.0))
    return np.asarray(np.where(np.minimum(a, b) > _CORNER_MM, np.minimum(a, b), corner))


def _upright(at: Sampler, sector: Sector) -> Image:
    """How strongly muscle answers by its place: fibres across the beam send more back than those along it, so the
    lateral wall, out to the side, is faint."""
    angle = np.broadcast_to(sector.angles[:, None], sector.shape).ravel()
    slant = np.where(at.x > 0, np.clip(angle / sector.probe.half_angle, 0.0, 1.0), 0.0)
    return np.asarray(1.0 - 0.5 * slant, dtype=np.float32)
