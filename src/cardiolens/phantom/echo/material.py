"""Where the tissue at a place in the picture lies at end-diastole, so that speckle goes with the muscle."""

from __future__ import annotations

import numpy as np

from cardiolens.phantom.anatomy import Anatomy
from cardiolens.phantom.anatomy.sampling import FlatTables, Sampler, Surfaces
from cardiolens.phantom.anatomy.shapes import N_ANGLES, STEP_MM
from cardiolens.phantom.anatomy.solids import Image
from cardiolens.phantom.echo.sector import Sector

_QUIET_MM = 22.0  # beyond the pericardium, how far the heart drags its surroundings along


class Carrier:
    """Takes each place back to where its tissue lies at end-diastole: shortening, twist and thickening undone."""

    def __init__(self, anatomy: Anatomy, sector: Sector, at: Sampler, tables: FlatTables) -> None:
        self._at, self._sector, self._anatomy = at, sector, anatomy
        t = tables.source
        self._share, self._mitral = t.share, t.mitral_z
        self._length = anatomy.lv_length(t.share)
        self._twist = np.deg2rad(anatomy.parameters.twist_deg)
        self._angle = np.arctan2(-at.y, at.x)
        radii = np.sqrt(np.maximum(np.stack([f[..., -1] for f in (t.endo2, t.epi2, t.rv**2)], axis=-1), 0.0))
        self._reference = np.concatenate([radii, radii[:1]]).astype(np.float32)  # (angle, height, 3), closed

    def places(self, s: Surfaces, i: int) -> Image:
        """(n, 3) at phase number i."""
        at = self._at
        length, rest = self._length[i], self._length[-1]
        along = (self._mitral[i] - at.z) / length
        above = np.clip(1.0 - (at.z - self._mitral[i]) / 45.0, 0.0, 1.0)
        height = np.where(along > 0, self._mitral[-1] - along * rest, at.z - self._mitral[i] * above)
        angle = self._angle - self._twist * self._share[i] * (np.clip(along, 0.0, 1.0) - 0.3)
        endo0, epi0, rv0 = self._at_rest(angle, height)
        endo, epi = (np.sqrt(np.maximum(v, 0.01)) for v in (s.endo2, s.epi2))
        radius = _carried(at.radius, (endo, epi, s.rv), (endo0, np.maximum(epi0, 0.1), rv0))
        outside = np.maximum(at.radius - np.sqrt(np.maximum(s.fluid2, 0.0)), 0.0)
        moved = np.clip(1.0 - outside / _QUIET_MM, 0.0, 1.0)
        radius = at.radius + (radius - at.radius) * np.clip(along * 8.0 + 1.0, 0.0, 1.0)
        back = np.stack([radius * np.cos(angle), -radius * np.sin(angle), height], axis=-1)
        here = np.stack([at.x, at.y, at.z], axis=-1)
        probe = self._sector.probe
        return np.asarray(
            (here + (back - here) * moved[:, None]) @ np.stack([probe.right, probe.depth, probe.normal], 1)
        )

    def _at_rest(self, angle: Image, height: Image) -> tuple[Image, Image, Image]:
        """Endocardial, epicardial and RV radius at end-diastole, interpolated at places (n,)."""
        turn = np.mod(angle * np.float32(N_ANGLES / (2 * np.pi)), N_ANGLES)
        level = (height - self._anatomy.heights[0]) / STEP_MM
        level = np.clip(level, 0.0, self._reference.shape[1] - 1.001)
        row, col = np.minimum(turn.astype(np.intp), N_ANGLES - 1), level.astype(np.intp)
        down, across = (turn - row).astype(np.float32)[:, None], (level - col).astype(np.float32)[:, None]
        flat, wide = self._reference.reshape(-1, 3), self._reference.shape[1]
        first = row * wide + col
        near = flat[first] * (1 - across) + flat[first + 1] * across
        far = flat[first + wide] * (1 - across) + flat[first + wide + 1] * across
        endo, epi, rv = (near * (1 - down) + far * down).T
        return endo, epi, rv


def _carried(radius: Image, now: tuple[Image, ...], then: tuple[Image, ...]) -> Image:
    """Distance from the axis at end-diastole: cavity scaled, wall by its share of area, right ventricle by depth."""
    (endo, epi, rv), (endo0, epi0, rv0) = now, then
    wall = (radius**2 - endo**2) / np.maximum(epi**2 - endo**2, 0.1)
    inner = np.where(
        radius < endo, radius * endo0 / endo, np.sqrt(np.maximum(endo0**2 + wall * (epi0**2 - endo0**2), 0))
    )
    deep = np.clip((radius - epi) / np.maximum(rv - epi, 0.1), 0.0, 1.0)
    outer = epi0 + deep * np.maximum(rv0 - epi0, 0.0) + np.maximum(radius - np.maximum(rv, epi), 0.0)
    return np.where(radius < epi, inner, outer)
