"""The LV as material surfaces: inner and outer squared radius over angle, material height and state of the beat.

The wall is carried by material coordinates: angle and s, the share of the way from the mitral plane (s = 0) to the
epicardial apex (s = 1).  At each (angle, s) the wall keeps its volume: r_epi^2 - r_endo^2 grows as the length shrinks.
So muscle volume is constant by construction, and cavity volumes are integrals over these tables; nothing is measured
on images.  Radii are tabled squared, so that they pass through zero at the apex without a kink.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy.shapes import (
    ANGLES,
    MATERIAL_S,
    N_ANGLES,
    FloatArray,
    integrate,
    profile,
    segment_centre,
    segment_field,
    volumes,
)
from cardiolens.phantom.heart import HeartParameters

_FIXED_APEX = 0.06  # how far the apex moves, as a share of the mitral plane's travel
_FLAT = 0.5  # a flat septum lies at this share of its radius; the chord spans 60 degrees to either side
_SEPTAL_RAD = np.pi


class LeftVentricle:
    """Surfaces of one LV.

    Attributes:
        length: mitral plane to epicardial apex at end-diastole (mm).
        inner_share: inner length as a share of it.
    """

    def __init__(self, parameters: HeartParameters, rng: np.random.Generator) -> None:
        self.parameters = p = parameters
        apex_wall = 0.75 * p.wall_mm * p.segment_thickness[16]
        self.length = p.lv_length_mm + apex_wall
        self.inner_share = p.lv_length_mm / self.length
        self._bend = rng.normal(0.0, 2.0, 2)
        self._inside = (MATERIAL_S >= 0) & (MATERIAL_S <= 1)
        self._flatten = self._flattening()
        self._build_wall(rng)

    def _build_wall(self, rng: np.random.Generator) -> None:
        p, s = self.parameters, MATERIAL_S
        u = s / self.inner_share
        waist, power = rng.uniform(0.2, 0.27), rng.uniform(2.0, 2.35)
        wobble = np.ones(N_ANGLES)
        for n, size in ((2, 0.02), (3, 0.012), (4, 0.006)):
            wobble += rng.normal(0.0, size) * np.cos(n * ANGLES + rng.uniform(0, 2 * np.pi))
        swell = self._aneurysm(u)
        endo = (wobble[:, None] * swell) ** 2 * profile(u, waist, power)[None]
        mean = integrate(np.maximum(endo, 0.0)[:, self._inside])  # of r^2 over angle and s
        radius2 = 2.0 * p.lv_edv_ml * 1000.0 / (self.length * mean)
        taper = np.interp(np.clip(u, 0, 1), [0, 0.3, 0.7, 1.0], [1.02, 1.0, 0.9, 0.75])
        wall = p.wall_mm * segment_field(p.segment_thickness, np.clip(u, 0, 1)) * taper[None]
        shape = profile(s, waist * self.inner_share, power)[None]
        outer = (np.sqrt(radius2) * wobble[:, None] * swell + wall) ** 2 * shape
        self._endo0 = radius2 * endo
        self._muscle0 = outer - np.maximum(self._endo0, 0.0)
        effort = np.interp(np.clip(u, 0, 1), [0, 0.4, 1.0], [0.85, 1.0, 1.3])
        self._effort = np.maximum(segment_field(p.segment_motion, np.clip(u, 0, 1)) * effort[None], -0.3)
        self._trabecular = self._trabeculae(u, rng)

    def _trabeculae(self, u: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Depth (angle, s) of the rough inner layer (mm): 1 to 3 everywhere, many where the wall is not compacted."""
        rough = gaussian_filter(rng.standard_normal((N_ANGLES, len(u))), (1.1, 3.0), mode=("wrap", "nearest"))
        rough = rough / rough.std()
        near = np.clip(u, 0, 1)
        depth = np.maximum(rough + 0.3, 0.0) * np.interp(near, [0, 0.35, 1.0], [0.8, 1.6, 2.6])[None]
        free = 0.55 + 0.45 * np.cos(ANGLES - np.deg2rad(-25.0))  # most at the lateral and inferior wall
        spongy = np.interp(near, [0, 0.3, 0.55, 0.9, 1.0], [0.0, 0.15, 0.85, 1.0, 0.9])[None] * free[:, None] ** 0.5
        return np.asarray(depth + self.parameters.noncompacted_mm * spongy * np.clip(1.0 + 0.22 * rough, 0.4, 1.4))

    def _aneurysm(self, u: FloatArray) -> FloatArray:
        """Factor (angle, s) on the radius where the wall bulges out."""
        p = self.parameters
        if p.aneurysm_mm <= 0:
            return np.ones((N_ANGLES, len(u)))
        angle, at = segment_centre(p.aneurysm_segment)
        radius = 20.0 * (p.lv_edv_ml / 160.0) ** (1 / 3)
        off = (ANGLES - angle + np.pi) % (2 * np.pi) - np.pi
        around = np.ones(N_ANGLES) if p.aneurysm_segment == 17 else np.exp(-((off / 0.6) ** 2))
        along = np.exp(-(((np.clip(u, 0.0, 1.0) - min(at, 0.9)) / 0.17) ** 2))
        return np.asarray(1.0 + p.aneurysm_mm / radius * around[:, None] * along[None])

    def _flattening(self) -> FloatArray:
        """Factor (angle,) on the radius of a septum that has gone flat."""
        off = np.abs((ANGLES - _SEPTAL_RAD + np.pi) % (2 * np.pi) - np.pi)
        return np.asarray(np.minimum(1.0, _FLAT / np.maximum(np.cos(np.minimum(off, 1.4)), 1e-3)))

    def septal_shift(self, share: FloatArray) -> FloatArray:
        """How flat the septum is when `share` of the stroke volume is out; 0 round, 1 flat."""
        septa = self.parameters.septa
        return septa.shift_diastole * (1.0 - share) + septa.shift_systole * share

    def mitral_z(self, share: FloatArray) -> FloatArray:
        """Height (mm) of the mitral plane when `share` of the stroke volume is out."""
        return -self.parameters.mapse_mm * share

    def apex_z(self, share: FloatArray) -> FloatArray:
        """Height (mm) of the epicardial apex."""
        return -self.length + _FIXED_APEX * self.parameters.mapse_mm * share

    def lv_length(self, share: FloatArray) -> FloatArray:
        """Mitral plane to epicardial apex (mm)."""
        return self.mitral_z(share) - self.apex_z(share)

    def _shape(self, shift: float) -> FloatArray:
        """End-diastolic squared inner radius (angle, s) under a septal shift, before contraction."""
        if shift == 0.0:
            return self._endo0
        factor = np.maximum(1.0 - shift * (1.0 - self._flatten), 0.25) ** 2
        depth = np.interp(MATERIAL_S / self.inner_share, [-0.2, 0.0, 0.25, 0.75, 1.0], [0.3, 0.6, 1.0, 0.9, 0.2])
        return self._endo0 * (1.0 - depth[None] * (1.0 - factor[:, None]))

    def _contraction(self, shape: FloatArray, volume: float, span: float, guess: float) -> float:
        """Solve for the contraction b at which the cavity shape * exp(-b effort) holds the volume (Newton)."""
        endo = np.maximum(shape, 0.0)[:, self._inside]
        effort = self._effort[:, self._inside]
        miss = np.inf
        for _ in range(60):
            shrunk = endo * np.exp(np.clip(-guess * effort, -20.0, 4.0))
            miss = 0.5 * span * integrate(shrunk) / 1000.0 - volume
            slope = 0.5 * span * integrate(shrunk * effort) / 1000.0
            if abs(miss) < 1e-5 * volume or slope <= 0:
                break
            guess += float(np.clip(miss / slope, -1.0, 1.0))
        if abs(miss) > 1e-3 * volume or not -4.0 < guess < 12.0:
            raise PhantomError(
                f"phantom heart: LVEF {self.parameters.lvef_pct:g} % cannot be reached by walls that move as "
                "segment_motion says; raise the motion of some segments or lower lvef_pct"
            )
        return guess

    def lv_material(self, share: FloatArray, shift: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Squared inner and outer LV radius over material (angle, s, phase), s as in `material_s`; `shift` (phase,) of
        the septum, None for what belongs to `share`."""
        p = self.parameters
        share = np.asarray(share, dtype=np.float64)
        length = self.lv_length(share)
        volume = p.lv_edv_ml - (p.lv_edv_ml - p.lv_esv_ml) * share
        endo, b = np.empty((*self._endo0.shape, len(share))), 0.0
        for i, k in enumerate(self.septal_shift(share) if shift is None else shift):
            shape = self._shape(float(k))
            b = self._contraction(shape, float(volume[i]), float(length[i]), b)
            endo[..., i] = shape * np.exp(np.clip(-b * self._effort, -20.0, 4.0))
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
