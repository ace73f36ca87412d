"""The beating heart as one continuous body: closed surfaces over angle, height and time.

Every chamber is bounded by a radius about the long axis (ventricles) or about its own axis (atria) and by a moving
valve plane. The LV wall is carried by material coordinates: angle and s, the share of the way from the mitral plane
(s = 0) to the epicardial apex (s = 1).  At each (angle, s) the wall keeps its volume: r_epi^2 - r_endo^2 grows as
the length shrinks.  So muscle volume is constant by construction, and cavity volumes are integrals over these
tables; nothing is measured on images.

Heart coordinates as in `planes`; angles run anticlockwise from lateral as the short axis is displayed (90 degrees is
anterior, 180 septal).  Radii are tabled squared where a surface closes at the apex, so that they pass through zero
without a kink.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.motion import emptying, valve_opening
from cardiolens.phantom.shapes import (
    ANGLES,
    MATERIAL_S,
    N_ANGLES,
    Atrium,
    FloatArray,
    blend,
    integrate,
    locate,
    profile,
    segment_field,
    volumes,
)

STEP_MM = 1.5  # between heights of the tables
_RV_WALL_MM = 3.0
_FIXED_APEX = 0.06  # how far the apex moves, as a share of the mitral plane's travel
PAPILLARY_DEG = (38.0, 252.0)


@dataclass(frozen=True, eq=False)
class Tables:
    """Surfaces at some phases.  Arrays (angle, height, phase) over `Anatomy.angles` and `Anatomy.heights`, mm or mm2.

    Attributes:
        endo2, epi2: squared LV radii, negative beyond the apex; blood2: the same inside the trabeculae.
        rv, rv_wall: inner and outer radius of the RV free wall (its inner side elsewhere is the LV's outer surface).
        rv_top: (angle, phase) height where the RV ends: tricuspid plane and, in front, the outflow tract.
        sac2: squared radius of the pericardial fat; fluid2: of the pericardium, outside any effusion.
        la2, ra2: (height, phase) squared atrial half-widths; papillary: (height, phase, 6) two of (x, y, radius).
        mitral_z, tricuspid_z, share, opening: (phase,) plane heights, emptied share, valve opening.
    """

    endo2: FloatArray
    epi2: FloatArray
    blood2: FloatArray
    rv: FloatArray
    rv_wall: FloatArray
    rv_top: FloatArray
    sac2: FloatArray
    fluid2: FloatArray
    la2: FloatArray
    ra2: FloatArray
    papillary: FloatArray
    mitral_z: FloatArray
    tricuspid_z: FloatArray
    share: FloatArray
    opening: FloatArray


class Anatomy:
    """All surfaces of one heart.  Build it once, ask `tables(phases)`.

    Raises:
        PhantomError: the walls that move cannot produce the ejection fraction that was asked for.
    """

    def __init__(self, parameters: HeartParameters) -> None:
        self.parameters = p = parameters
        rng = np.random.default_rng([p.body_seed, 2])
        apex_wall = 0.75 * p.wall_mm * p.segment_thickness[16]
        self.length = p.lv_length_mm + apex_wall  # mitral plane to epicardial apex at end-diastole
        self._inner_share = p.lv_length_mm / self.length
        self.angles = ANGLES
        top = max(60.0, 62.0 * (max(p.la_max_ml, p.ra_max_ml) / 75.0) ** (1 / 3))
        self.heights = np.arange(-self.length - 12.0, top + 12.0, STEP_MM)
        self._bend = rng.normal(0.0, 2.0, 2)
        self._build_wall(rng)
        self._build_rv(rng)
        self.left_atrium, self.right_atrium = self._atria(rng)
        self._fat = self._fat_field(rng)

    # -- left ventricle ------------------------------------------------------------------------------------------------

    def _build_wall(self, rng: np.random.Generator) -> None:
        p, s = self.parameters, MATERIAL_S
        u = s / self._inner_share
        waist, power = rng.uniform(0.2, 0.27), rng.uniform(2.0, 2.35)
        wobble = np.ones(N_ANGLES)
        for n, size in ((2, 0.02), (3, 0.012), (4, 0.006)):
            wobble += rng.normal(0.0, size) * np.cos(n * ANGLES + rng.uniform(0, 2 * np.pi))
        endo = wobble[:, None] ** 2 * profile(u, waist, power)[None]
        inside = (s >= 0) & (s <= 1)
        mean = integrate(np.maximum(endo, 0.0)[:, inside])  # of r^2 over angle and s
        radius2 = 2.0 * p.lv_edv_ml * 1000.0 / (self.length * mean)
        taper = np.interp(np.clip(u, 0, 1), [0, 0.3, 0.7, 1.0], [1.02, 1.0, 0.9, 0.75])
        wall = p.wall_mm * segment_field(p.segment_thickness, np.clip(u, 0, 1)) * taper[None]
        outer = (np.sqrt(radius2) * wobble[:, None] + wall) ** 2 * profile(s, waist * self._inner_share, power)[None]
        self._endo0 = radius2 * endo
        self._muscle0 = outer - np.maximum(self._endo0, 0.0)
        self._inside = inside
        effort = np.interp(np.clip(u, 0, 1), [0, 0.4, 1.0], [0.85, 1.0, 1.3])
        self._effort = np.maximum(segment_field(p.segment_motion, np.clip(u, 0, 1)) * effort[None], -0.3)
        rough = gaussian_filter(rng.standard_normal((N_ANGLES, len(s))), (1.1, 3.0), mode=("wrap", "nearest"))
        rough = np.maximum(rough / rough.std() + 0.3, 0.0)
        self._trabecular = rough * np.interp(np.clip(u, 0, 1), [0, 0.35, 1.0], [0.8, 1.6, 2.6])[None]

    def mitral_z(self, share: FloatArray) -> FloatArray:
        """Height (mm) of the mitral plane when `share` of the stroke volume is out."""
        return -self.parameters.mapse_mm * share

    def apex_z(self, share: FloatArray) -> FloatArray:
        """Height (mm) of the epicardial apex."""
        return -self.length + _FIXED_APEX * self.parameters.mapse_mm * share

    def lv_length(self, share: FloatArray) -> FloatArray:
        """Mitral plane to epicardial apex (mm)."""
        return self.mitral_z(share) - self.apex_z(share)

    def _contraction(self, volume_ml: FloatArray, length: FloatArray) -> FloatArray:
        """Solve for the contraction b (phase,) at which the cavity r^2 exp(-b effort) holds each volume (Newton)."""
        endo = np.maximum(self._endo0, 0.0)[:, self._inside]
        effort = self._effort[:, self._inside]
        b = np.zeros_like(volume_ml)
        for i, (volume, span) in enumerate(zip(volume_ml, length, strict=True)):
            guess = b[i - 1] if i else 0.0
            for _ in range(40):
                shrunk = endo * np.exp(np.clip(-guess * effort, -20.0, 4.0))
                miss = 0.5 * span * integrate(shrunk) / 1000.0 - volume
                slope = 0.5 * span * integrate(shrunk * effort) / 1000.0
                if abs(miss) < 1e-5 * volume or slope <= 0:
                    break
                guess += float(np.clip(miss / slope, -1.0, 1.0))
            if abs(miss) > 1e-3 * volume or not -2.0 < guess < 12.0:
                raise PhantomError(
                    f"phantom heart: LVEF {self.parameters.lvef_pct:g} % cannot be reached by walls that move as "
                    "segment_motion says; raise the motion of some segments or lower lvef_pct"
                )
            b[i] = guess
        return b

    def lv_material(self, share: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Squared inner and outer LV radius over material (angle, s, phase); s as in `material_s`."""
        p = self.parameters
        length = self.lv_length(share)
        b = self._contraction(p.lv_edv_ml - (p.lv_edv_ml - p.lv_esv_ml) * share, length)
        endo = self._endo0[..., None] * np.exp(np.clip(-b * self._effort[..., None], -20.0, 4.0))
        epi = np.maximum(endo, 0.0) + self._muscle0[..., None] * (self.length / length)
        return endo, epi

    @property
    def material_s(self) -> FloatArray:
        """(n,) material heights of `lv_material`: 0 mitral plane, 1 epicardial apex."""
        return MATERIAL_S

    def cavity_ml(self, share: FloatArray) -> FloatArray:
        """LV cavity by quadrature of the material surfaces (phase,)."""
        endo, _ = self.lv_material(share)
        return volumes(np.maximum(endo, 0.0)[:, self._inside], self.lv_length(share))

    def muscle_ml(self, share: FloatArray) -> FloatArray:
        """LV muscle by quadrature (phase,), constant but for rounding."""
        endo, epi = self.lv_material(share)
        return volumes((epi - np.maximum(endo, 0.0))[:, self._inside], self.lv_length(share))

    def centre(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The long axis is bent a little: its (x, y) at height z (mm)."""
        t = np.clip(-z / self.length, 0.0, 1.0)
        arc = 4.0 * t * (1.0 - t)
        return self._bend[0] * arc, self._bend[1] * arc

    # -- right ventricle, atria, fat -----------------------------------------------------------------------------------

    def _build_rv(self, rng: np.random.Generator) -> None:
        p = self.parameters
        self.tricuspid0 = -4.0 + rng.normal(0.0, 1.0)
        self._rv_apex = -self.length * rng.uniform(0.86, 0.94)
        self._rv_s = np.linspace(-1.0, 1.2, 111)
        s = np.clip(self._rv_s, 0.0, 1.0)
        middle = np.deg2rad(np.interp(s, [0, 0.4, 1.0], [178.0, 178.0, 188.0]) + rng.normal(0, 3.0))
        half = np.deg2rad(np.interp(s, [0, 0.35, 1.0], [82.0, 74.0, 52.0]))
        off = (ANGLES[:, None] - middle[None] + np.pi) % (2 * np.pi) - np.pi
        bump = np.maximum(1.0 - (off / half[None]) ** 2, 0.0) ** 0.5 * (1.0 - 0.15 * np.sin(off))
        bump = bump * (
            1.0 + 1.5 * (1.0 - s)[None] * np.minimum((off / half[None]) ** 2, 1.0)
        )  # the free wall is rather flat
        self._rv_depth = bump * np.maximum(1.0 - s**1.8, 0.0)[None] ** 0.9
        lift = (ANGLES - np.deg2rad(116.0) + np.pi) % (2 * np.pi) - np.pi
        height = 24.0 * (p.rv_edv_ml / 170.0) ** (1 / 3)
        self._outflow = height * np.exp(-((lift / np.deg2rad(26.0)) ** 4))

    def tricuspid_z(self, share: FloatArray) -> FloatArray:
        """Height (mm) of the tricuspid plane."""
        return self.tricuspid0 - self.parameters.tapse_mm * share

    def _rv_tables(self, share: FloatArray, epi: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """RV inner and outer radius (angle, height, phase) and its top (angle, phase); `epi`: LV outer radius."""
        p = self.parameters
        valve = self.tricuspid_z(share)
        s = (valve - self.heights[:, None]) / (valve - self._rv_apex)
        index, fraction = locate(s, self._rv_s)
        depth = blend(self._rv_depth, index, fraction)
        top = valve + self._outflow[:, None] * (1.0 - 0.35 * share * p.tapse_mm / 20.0)
        weight = np.clip((top[:, None] - self.heights[None, :, None]) / STEP_MM + 0.5, 0.0, 1.0)
        cell = STEP_MM * (2 * np.pi / N_ANGLES) / 1000.0
        square = 0.5 * (depth**2 * weight).sum((0, 1)) * cell
        linear = (epi * depth * weight).sum((0, 1)) * cell
        volume = p.rv_edv_ml - (p.rv_edv_ml - p.rv_esv_ml) * share
        deep = depth * ((np.sqrt(linear**2 + 4 * square * volume) - linear) / (2 * square))
        return epi + deep, epi + deep + _RV_WALL_MM * np.clip(deep / 4.0, 0.0, 1.0), top

    def rv_ml(self, share: FloatArray) -> FloatArray:
        """RV cavity by quadrature of the spatial tables (phase,)."""
        tables = self.tables_at(share)
        epi2 = np.maximum(tables.epi2, 0.0)
        weight = np.clip((tables.rv_top[:, None] - self.heights[None, :, None]) / STEP_MM + 0.5, 0.0, 1.0)
        area = 0.5 * (tables.rv**2 - epi2) * weight
        return np.asarray(area.sum((0, 1)) * STEP_MM * (2 * np.pi / N_ANGLES) / 1000.0)

    def _atria(self, rng: np.random.Generator) -> tuple[Atrium, Atrium]:
        p = self.parameters
        left_roof = 43.0 * (p.la_max_ml / 75.0) ** (1 / 3) - 0.5 * p.mapse_mm
        right_roof = 43.0 * (p.ra_max_ml / 85.0) ** (1 / 3) - 0.5 * p.tapse_mm
        left = Atrium(8.0 + rng.normal(0, 1.0), 4.5 + rng.normal(0, 1.0), 0.86, left_roof)
        right = Atrium(0.0, 0.0, 1.0, right_roof)
        one = np.ones(1)
        width = np.sqrt(left.half_width2(p.la_max_ml * one, self.mitral_z(one)))[0]
        width += np.sqrt(right.half_width2(p.ra_max_ml * one, self.tricuspid_z(one)))[0]
        return left, Atrium(left.x - 0.97 * width - 2.0, 14.0 + rng.normal(0, 2.0), 1.0, right_roof)

    def _fat_field(self, rng: np.random.Generator) -> FloatArray:
        """Thickness (angle, height) of the epicardial fat: most along the grooves, over the RV and at the base."""
        degrees = np.rad2deg(ANGLES)

        def near(angle: float, width: float) -> FloatArray:
            return np.asarray(np.exp(-((((degrees - angle + 180.0) % 360.0 - 180.0) / width) ** 2)))

        around = 0.05 + 1.1 * near(112, 20) + 0.9 * near(246, 20) + 0.28 * near(195, 45) + 0.1 * near(20, 30)
        along = np.interp(self.heights / self.length, [-1.05, -0.9, -0.5, -0.1, 0.1], [1.5, 1.1, 0.8, 1.4, 2.0])
        lumps = gaussian_filter(rng.standard_normal((N_ANGLES, len(self.heights))), (6, 7), mode=("wrap", "nearest"))
        lumps = 1.0 + 0.55 * lumps / lumps.std()
        return np.asarray(self.parameters.epicardial_fat_mm * around[:, None] * along[None] * np.clip(lumps, 0.0, 2.2))

    # -- all together --------------------------------------------------------------------------------------------------

    def tables(self, phases: Any) -> Tables:
        """Surfaces at `phases` (n,), fractions of the RR interval after the R wave."""
        phases = np.atleast_1d(np.asarray(phases, dtype=np.float64))
        return self.tables_at(emptying(self.parameters, phases), valve_opening(self.parameters, phases))

    def tables_at(self, share: FloatArray, opening: FloatArray | None = None) -> Tables:
        """Surfaces when `share` (n,) of the stroke volume is out."""
        p = self.parameters
        endo, epi, rough = self._spatial(share)
        radius = np.sqrt(np.maximum(epi, 0.0))
        rv, rv_wall, rv_top = self._rv_tables(share, radius)
        hull = gaussian_filter1d(np.maximum(radius, rv_wall), N_ANGLES * 8.0 / 360.0, axis=0, mode="wrap")
        hull = np.maximum(hull, np.maximum(radius, rv_wall) + 0.3)
        below = np.minimum(epi, 0.0)
        fat = self._fat[..., None]
        behind = 0.35 + 0.65 * np.cos((ANGLES - np.deg2rad(305.0)) / 2.0) ** 2
        fluid = p.effusion_mm * behind[:, None, None] * np.clip((20.0 - self.heights) / 20.0, 0.0, 1.0)[None, :, None]
        mitral, tricuspid = self.mitral_z(share), self.tricuspid_z(share)
        la = p.la_max_ml * (1.0 - p.la_ef_pct / 100.0 * (1.0 - share))
        ra = p.ra_max_ml * (1.0 - p.ra_ef_pct / 100.0 * (1.0 - share))
        return Tables(
            endo2=endo,
            epi2=epi,
            blood2=np.where(endo > 0, np.maximum(np.sqrt(np.maximum(endo, 0.0)) - rough, 0.0) ** 2, endo),
            rv=rv,
            rv_wall=rv_wall,
            rv_top=rv_top,
            sac2=(hull + fat) ** 2 + below,
            fluid2=(hull + fat + fluid) ** 2 + below,
            la2=self._atrial(self.left_atrium, la, mitral),
            ra2=self._atrial(self.right_atrium, ra, tricuspid),
            papillary=self._papillary(share, endo),
            mitral_z=mitral,
            tricuspid_z=tricuspid,
            share=share,
            opening=np.zeros_like(share) if opening is None else opening,
        )

    def _spatial(self, share: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """LV surfaces and trabecular depth carried from material (angle, s) to (angle, height, phase), with twist."""
        endo, epi = self.lv_material(share)
        length = self.lv_length(share)
        s = (self.mitral_z(share) - self.heights[:, None]) / length
        index, fraction = locate(s, MATERIAL_S)
        twist = np.deg2rad(self.parameters.twist_deg) * share * (np.clip(s, 0.0, 1.0) - 0.3)
        turn = (ANGLES[:, None, None] - twist) / (2 * np.pi / N_ANGLES)
        low = np.floor(turn).astype(np.intp)
        part = turn - low
        phase = np.arange(len(share))[None, None]
        out = []
        for field in (endo, epi, np.broadcast_to(self._trabecular[..., None], endo.shape)):
            corner = [
                field[(low + i) % N_ANGLES, index[None] + j, phase] for i in (0, 1) for j in (0, 1)
            ]  # angle below and above, height below and above
            near = corner[0] * (1 - fraction) + corner[1] * fraction
            far = corner[2] * (1 - fraction) + corner[3] * fraction
            out.append(near * (1 - part) + far * part)
        return out[0], out[1], out[2]

    def _atrial(self, atrium: Atrium, volume_ml: FloatArray, valve_z: FloatArray) -> FloatArray:
        share = (self.heights[:, None] - valve_z) / (atrium.roof - valve_z)
        return atrium.half_width2(volume_ml, valve_z) * atrium.profile(np.maximum(share, 0.0))

    def _papillary(self, share: FloatArray, endo: FloatArray) -> FloatArray:
        """Two columns of muscle in the cavity: (height, phase, 6), each x, y, radius (mm), radius <= 0 where there
        is none."""
        s = (self.mitral_z(share) - self.heights[:, None]) / self.lv_length(share)
        u = s / self._inner_share
        out = np.zeros((len(self.heights), len(share), 6))
        for k, degrees in enumerate(PAPILLARY_DEG):
            angle = np.deg2rad(degrees)
            wall = np.sqrt(np.maximum(endo[round(degrees / 360.0 * N_ANGLES) % N_ANGLES], 0.0))
            girth = (4.6 + 0.6 * k + 0.8 * share) * np.clip(1.0 - ((u - 0.58) / 0.27) ** 4, -0.5, 1.0)
            gap = np.interp(u, [0.3, 0.5, 0.75], [3.5, 0.5, -1.5])
            place = np.maximum(wall - np.maximum(girth, 0.0) - gap, 0.35 * wall)
            x, y = self.centre(self.heights)
            out[..., 3 * k] = x[:, None] + place * np.cos(angle)
            out[..., 3 * k + 1] = y[:, None] - place * np.sin(angle)
            out[..., 3 * k + 2] = girth
        return out


@lru_cache(maxsize=4)
def anatomy_of(parameters: HeartParameters) -> Anatomy:
    """The anatomy of `parameters`, kept for the next question about the same heart."""
    return Anatomy(parameters)
