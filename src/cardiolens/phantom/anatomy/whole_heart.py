"""The beating heart as one continuous body: closed surfaces over angle, height and time.

Every chamber is bounded by a radius about the long axis (ventricles) or about its own axis (atria) and by a moving
valve plane.

Heart coordinates as in `planes`; angles run anticlockwise from lateral as the short axis is displayed (90 degrees is
anterior, 180 septal).  Radii are tabled squared where a surface closes at the apex, so that they pass through zero
without a kink.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from cardiolens.phantom.anatomy.left_ventricle import LeftVentricle
from cardiolens.phantom.anatomy.motion import atrial_filling, ejection, emptying, septal_bounce, valve_opening
from cardiolens.phantom.anatomy.right_ventricle import RightVentricle
from cardiolens.phantom.anatomy.shapes import ANGLES, MATERIAL_S, N_ANGLES, STEP_MM, Atrium, FloatArray, locate
from cardiolens.phantom.heart import HeartParameters

PAPILLARY_DEG = (38.0, 252.0)


@dataclass(frozen=True, eq=False)
class Tables:
    """Surfaces at some phases.  Arrays (angle, height, phase) over `Anatomy.angles` and `Anatomy.heights`, mm or mm2.

    Attributes:
        endo2, epi2: squared LV radii, negative beyond the apex; blood2: the same inside the trabeculae.
        rv, rv_wall: inner and outer radius of the RV free wall (its inner side elsewhere is the LV's outer surface).
        rv_top: (angle, phase) height where the RV ends: tricuspid plane and, in front, the outflow tract.
        sac2: squared radius of the pericardial fat; fluid2: of the pericardium's inner side, outside any effusion.
        la2, ra2: (height, phase) squared atrial half-widths; papillary: (height, phase, 6) two of (x, y, radius).
        mitral_z, tricuspid_z, share, opening, ejection: (phase,) plane heights, emptied share, how wide the valves into
            and out of the ventricles stand open.
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
    ejection: FloatArray


class Anatomy(LeftVentricle):
    """All surfaces of one heart, the LV's and what is built about it.  Build it once, ask `tables(phases)`.

    Raises:
        PhantomError: the walls that move cannot produce the ejection fraction that was asked for.
    """

    def __init__(self, parameters: HeartParameters) -> None:
        p = parameters
        rng = np.random.default_rng([p.body_seed, 2])
        super().__init__(parameters, rng)
        self.angles = ANGLES
        top = max(60.0, 62.0 * (max(p.la_max_ml, p.ra_max_ml) / 75.0) ** (1 / 3))
        self.heights = np.arange(-self.length - 12.0, top + 12.0, STEP_MM)
        self.right = RightVentricle(p, self.length, rng)
        self.left_atrium, self.right_atrium = self._atria(rng)
        self._fat = self._fat_field(rng)

    # -- right ventricle, atria, fat -----------------------------------------------------------------------------------

    def tricuspid_z(self, share: FloatArray) -> FloatArray:
        """Height (mm) of the tricuspid plane."""
        return self.right.tricuspid_z(share)

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
        one = np.ones(1)
        left = Atrium(0.0, 1.0, 4.5 + rng.normal(0, 1.0), 0.86, left_roof)
        right = Atrium(0.0, -1.0, 10.0 + rng.normal(0, 2.0), 1.0, right_roof)
        width = float(np.sqrt(left.half_width2(p.la_max_ml * one, self.mitral_z(one)))[0])
        septum = 8.0 + rng.normal(0, 1.0) - width
        gap = 4.0 if p.septa.atrial_fat else max(2.0, p.septa.atrial_mm)  # fat bulges into the atria
        return replace(left, septum_x=septum), replace(right, septum_x=septum - gap)

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
        p, phases = self.parameters, np.atleast_1d(np.asarray(phases, dtype=np.float64))
        share = emptying(p, phases)
        shift = self.septal_shift(share) + p.septa.bounce_mm / 9.0 * septal_bounce(p, phases)
        return self.tables_at(share, valve_opening(p, phases), atrial_filling(p, phases), shift, ejection(p, phases))

    def tables_at(
        self,
        share: FloatArray,
        opening: FloatArray | None = None,
        filling: FloatArray | None = None,
        shift: FloatArray | None = None,
        ejected: FloatArray | None = None,
    ) -> Tables:
        """Surfaces when `share` (n,) of the stroke volume is out; the rest follows from `share` where it is None."""
        p = self.parameters
        filling = share if filling is None else filling
        endo, epi, rough = self._spatial(share, shift)
        radius = np.sqrt(np.maximum(epi, 0.0))
        rv, rv_wall, rv_top = self.right.surfaces(self.heights, share, radius)
        hull = gaussian_filter1d(np.maximum(radius, rv_wall), N_ANGLES * 8.0 / 360.0, axis=0, mode="wrap")
        hull = np.maximum(hull, np.maximum(radius, rv_wall) + 0.3)
        below = np.minimum(epi, 0.0)
        fat = self._fat[..., None]
        behind = 0.35 + 0.65 * np.cos((ANGLES - np.deg2rad(305.0)) / 2.0) ** 2
        fluid = p.effusion_mm * behind[:, None, None] * np.clip((20.0 - self.heights) / 20.0, 0.0, 1.0)[None, :, None]
        mitral, tricuspid = self.mitral_z(share), self.tricuspid_z(share)
        la = p.la_max_ml * (1.0 - p.la_ef_pct / 100.0 * (1.0 - filling))
        ra = p.ra_max_ml * (1.0 - p.ra_ef_pct / 100.0 * (1.0 - filling))
        return Tables(
            endo2=endo,
            epi2=epi,
            blood2=np.where(endo > 0, np.maximum(np.sqrt(np.maximum(endo, 0.0)) - rough, 0.0) ** 2, endo),
            rv=rv,
            rv_wall=rv_wall,
            rv_top=rv_top,
            sac2=(hull + fat) ** 2 + below,
            fluid2=self._pericardium(hull, fat, fluid) ** 2 + below,
            la2=self._atrial(self.left_atrium, la, mitral),
            ra2=self._atrial(self.right_atrium, ra, tricuspid),
            papillary=self._papillary(share, endo),
            mitral_z=mitral,
            tricuspid_z=tricuspid,
            share=share,
            opening=np.zeros_like(share) if opening is None else opening,
            ejection=np.zeros_like(share) if ejected is None else ejected,
        )

    def _pericardium(self, hull: FloatArray, fat: FloatArray, fluid: FloatArray) -> FloatArray:
        """Inner radius of the pericardium: on the heart where it is dry.

        Where fluid fills it, it keeps the widest shape of the beat, so that the heart moves within it.
        """
        wet = np.clip(self.parameters.effusion_mm / 8.0, 0.0, 1.0)
        if wet <= 0:
            return np.asarray(hull + fat)
        widest = gaussian_filter1d(hull.max(axis=-1, keepdims=True), N_ANGLES * 20.0 / 360.0, axis=0, mode="wrap")
        still = np.maximum(hull, widest * np.clip((25.0 - self.heights) / 25.0, 0.0, 1.0)[None, :, None])
        return np.asarray(hull + wet * (still - hull) + fat + fluid)

    def _spatial(self, share: FloatArray, shift: FloatArray | None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """LV surfaces and trabecular depth carried from material (angle, s) to (angle, height, phase), with twist."""
        endo, epi = self.lv_material(share, shift)
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
        u = s / self.inner_share
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
