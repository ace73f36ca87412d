"""The RV: a crescent that hugs the LV, its free wall, its outflow tract, and its outpouchings in disease."""

from __future__ import annotations

import numpy as np

from cardiolens.phantom.anatomy.shapes import ANGLES, N_ANGLES, STEP_MM, FloatArray, blend, locate
from cardiolens.phantom.heart import HeartParameters


class RightVentricle:
    """Depth of the RV from the LV's outer surface, over angle and height, scaled to its volume at every moment."""

    def __init__(self, parameters: HeartParameters, lv_length: float, rng: np.random.Generator) -> None:
        self.parameters = p = parameters
        self.tricuspid0 = -4.0 + rng.normal(0.0, 1.0)
        self._apex = -lv_length * rng.uniform(0.86, 0.94)
        self._s = np.linspace(-1.0, 1.2, 111)
        s = np.clip(self._s, 0.0, 1.0)
        middle = np.deg2rad(np.interp(s, [0, 0.4, 1.0], [178.0, 178.0, 188.0]) + rng.normal(0, 3.0))
        half = np.deg2rad(np.interp(s, [0, 0.35, 1.0], [82.0, 74.0, 52.0]))
        off = (ANGLES[:, None] - middle[None] + np.pi) % (2 * np.pi) - np.pi
        bump = np.maximum(1.0 - (off / half[None]) ** 2, 0.0) ** 0.5 * (1.0 - 0.15 * np.sin(off))
        # the free wall is rather flat
        bump = bump * (1.0 + 1.5 * (1.0 - s)[None] * np.minimum((off / half[None]) ** 2, 1.0))
        self._depth = bump * np.maximum(1.0 - s**1.8, 0.0)[None] ** 0.9
        self._pouches = self._outpouchings(np.asarray(off, dtype=np.float64), s, rng)
        lift = (ANGLES - np.deg2rad(116.0) + np.pi) % (2 * np.pi) - np.pi
        height = 24.0 * (p.rv_edv_ml / 170.0) ** (1 / 3)
        self._outflow = height * np.exp(-((lift / np.deg2rad(26.0)) ** 4))

    def _outpouchings(self, off: FloatArray, s: FloatArray, rng: np.random.Generator) -> FloatArray:
        """(angle, s) bulges of the free wall: below the tricuspid valve, at the apex and in the outflow tract."""
        p = self.parameters
        if p.rv_bulges <= 0:
            return np.zeros_like(off)
        out = np.zeros_like(off)
        for at, along in ((-0.5, 0.2), (0.15, 0.75), (0.55, 0.15), (-0.1, 0.45)):
            place, height = at + rng.normal(0.0, 0.15), along + rng.normal(0.0, 0.05)
            wide, tall = rng.uniform(0.14, 0.24), rng.uniform(0.08, 0.13)
            out += rng.uniform(0.6, 1.0) * np.exp(-(((off - place) / wide) ** 2) - (((s - height) / tall) ** 2)[None])
        return p.rv_bulges * out

    def tricuspid_z(self, share: FloatArray) -> FloatArray:
        """Height (mm) of the tricuspid plane."""
        return self.tricuspid0 - self.parameters.tapse_mm * share

    def surfaces(
        self, heights: FloatArray, share: FloatArray, epi: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Inner and outer radius (angle, height, phase) and top (angle, phase); `epi`: LV outer radius.

        A pouch moves outward while the rest moves in.
        """
        p = self.parameters
        valve = self.tricuspid_z(share)
        index, fraction = locate((valve - heights[:, None]) / (valve - self._apex), self._s)
        depth = blend(self._depth, index, fraction)
        if p.rv_bulges > 0:
            depth = depth * (1.0 + blend(self._pouches, index, fraction) * (0.45 + 0.75 * share))
        top = valve + self._outflow[:, None] * (1.0 - 0.35 * share * p.tapse_mm / 20.0)
        weight = np.clip((top[:, None] - heights[None, :, None]) / STEP_MM + 0.5, 0.0, 1.0)
        cell = STEP_MM * (2 * np.pi / N_ANGLES) / 1000.0
        square = 0.5 * (depth**2 * weight).sum((0, 1)) * cell
        linear = (epi * depth * weight).sum((0, 1)) * cell
        volume = p.rv_edv_ml - (p.rv_edv_ml - p.rv_esv_ml) * share
        deep = depth * ((np.sqrt(linear**2 + 4 * square * volume) - linear) / (2 * square))
        wall = p.rv_wall_mm * (1.0 + 0.3 * share) * np.clip(deep / 4.0, 0.0, 1.0)
        return epi + deep, epi + deep + wall, top
