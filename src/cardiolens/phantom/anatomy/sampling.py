"""The surfaces of `anatomy` at given points: what rendering and masks both ask, so that they cannot disagree.

Angle and height of a point do not change over the beat, so the place of every point in the tables is found once, and
all surfaces at all phases come from one sparse product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from cardiolens.phantom.anatomy.shapes import N_ANGLES, STEP_MM
from cardiolens.phantom.anatomy.solids import Image
from cardiolens.phantom.anatomy.whole_heart import Anatomy, Tables

_FIELDS = ("endo2", "epi2", "blood2", "rv", "rv_wall", "sac2", "fluid2")


@dataclass(frozen=True, eq=False)
class Surfaces:
    """At one phase and n points: the tables' fields (n,) at each point's angle and height."""

    endo2: Image
    epi2: Image
    blood2: Image
    rv: Image
    rv_wall: Image
    sac2: Image
    fluid2: Image
    rv_top: Image
    la2: Image
    ra2: Image
    papillary: Image  # (6, n)


class Sampler:
    """Place of n points, heart coordinates (n, 3) in mm, in the tables of `anatomy`.

    Attributes:
        x, y, z: heart coordinates, x and y from the (bent) long axis; radius: distance from it; la, ra: squared
            half-width of the atrial section through the point, la_steep, ra_steep: its slope; see `Atrium`.  All (n,).
    """

    def __init__(self, anatomy: Anatomy, points: Image) -> None:
        self.anatomy = anatomy
        height = points[:, 2].astype(np.float64)
        bend_x, bend_y = anatomy.centre(height)
        x, y = points[:, 0] - bend_x, points[:, 1] - bend_y
        self.x, self.y, self.z = (v.astype(np.float32) for v in (x, y, height))
        self.radius = np.hypot(self.x, self.y)
        self.flat_x, self.flat_y = points[:, 0].astype(np.float32), points[:, 1].astype(np.float32)
        (half_la, steep_la), (half_ra, steep_ra) = (
            a.half_width_at(points) for a in (anatomy.left_atrium, anatomy.right_atrium)
        )
        self.la, self.ra = (half_la**2).astype(np.float32), (half_ra**2).astype(np.float32)
        self.la_steep, self.ra_steep = steep_la.astype(np.float32), steep_ra.astype(np.float32)
        n, heights = len(points), len(anatomy.heights)
        turn = np.arctan2(-y, x) / (2 * np.pi / N_ANGLES) % N_ANGLES
        a0 = np.minimum(np.floor(turn).astype(np.int32), N_ANGLES - 1)
        af = (turn - a0).astype(np.float32)
        level = np.clip((height - anatomy.heights[0]) / STEP_MM, 0.0, heights - 1.001)
        z0 = np.floor(level).astype(np.int32)
        zf = (level - z0).astype(np.float32)
        a1 = (a0 + 1) % N_ANGLES
        rows4, rows2 = np.arange(0, 4 * n + 1, 4), np.arange(0, 2 * n + 1, 2)
        place = np.stack([a0 * heights + z0, a0 * heights + z0 + 1, a1 * heights + z0, a1 * heights + z0 + 1], axis=1)
        weight = np.stack([(1 - af) * (1 - zf), (1 - af) * zf, af * (1 - zf), af * zf], axis=1)
        self._both = csr_matrix((weight.ravel(), place.ravel(), rows4), shape=(n, N_ANGLES * heights))
        weight = np.stack([1 - zf, zf], axis=1)
        self._height = csr_matrix((weight.ravel(), np.stack([z0, z0 + 1], 1).ravel(), rows2), shape=(n, heights))
        weight = np.stack([1 - af, af], axis=1)
        self._angle = csr_matrix((weight.ravel(), np.stack([a0, a1], 1).ravel(), rows2), shape=(n, N_ANGLES))

    def slope(self, tables: FlatTables) -> tuple[Image, Image, Image]:
        """How steeply the squared inner and outer LV radius (mm), and the RV radius, change with height at each point,
        averaged over phases."""
        steep = np.asarray(self._both @ tables.slopes, dtype=np.float32)
        return steep[:, 0], steep[:, 1], steep[:, 2]

    def surfaces(self, tables: FlatTables) -> list[Surfaces]:
        """One `Surfaces` a phase."""
        both = _by_phase(self._both, tables.both).reshape(tables.n_phases, len(_FIELDS), -1)
        height = _by_phase(self._height, tables.height).reshape(tables.n_phases, 8, -1)
        top = _by_phase(self._angle, tables.top)
        return [
            Surfaces(**dict(zip(_FIELDS, both[i], strict=True)), **_rest(top[i], height[i]))
            for i in range(tables.n_phases)
        ]


def _rest(top: Image, height: Image) -> dict[str, Image]:
    return {"rv_top": top, "la2": height[0], "ra2": height[1], "papillary": height[2:]}


def _by_phase(weights: csr_matrix, table: Image, block: int = 1024) -> Image:
    """(weights @ table) transposed, in blocks that fit the cache: turning the whole product costs more than making
    it."""
    out = np.empty((table.shape[1], weights.shape[0]), dtype=np.float32)
    for start in range(0, weights.shape[0], block):
        rows = slice(start, min(start + block, weights.shape[0]))
        out[:, rows] = (weights[rows] @ table).T
    return out


class FlatTables:
    """`Tables` laid out for the sparse products, float32."""

    def __init__(self, tables: Tables) -> None:
        self.source = tables
        self.n_phases = len(tables.share)
        stacked = np.stack([getattr(tables, name) for name in _FIELDS], axis=-1).astype(np.float32)
        self.both = np.ascontiguousarray(stacked.reshape(-1, self.n_phases * len(_FIELDS)))
        height = np.concatenate([tables.la2[..., None], tables.ra2[..., None], tables.papillary], axis=-1)
        self.height = np.ascontiguousarray(height.reshape(len(height), -1).astype(np.float32))
        self.top = np.ascontiguousarray(tables.rv_top.astype(np.float32))
        steep = [np.abs(np.gradient(t, STEP_MM, axis=1)).mean(-1) for t in (tables.endo2, tables.epi2, tables.rv)]
        self.slopes = np.stack(steep, axis=-1).reshape(-1, 3).astype(np.float32)
        self.reach2 = tables.fluid2.max((0, 2))  # (height,) widest squared radius of the pericardium over the beat
        self.la_reach2, self.ra_reach2 = tables.la2.max(1), tables.ra2.max(1)
