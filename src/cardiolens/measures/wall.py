"""Wall thickness by segment: the 16 segments of the American Heart Association's model, without the apical cap.

Cerqueira et al., Circulation 2002;105:539: basal 1 anterior, 2 anteroseptal, 3 inferoseptal, 4 inferior, 5
inferolateral, 6 anterolateral, 60 degrees each; mid-ventricular 7 to 12 likewise; apical 13 anterior, 14 septal, 15
inferior, 16 lateral, 90 degrees each.  The septum is where the muscle lies against the RV cavity: the middle between
both RV insertions is the border of segments 2 and 3, and the middle of segment 14.  Which insertion is the anterior one
follows from which end of the stack is the apex, so any orientation of the image will do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiolens.measures.quality import apex_first
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.study import FloatArray

N_SEGMENTS = 16
_RAYS = 180
_STEP = 0.2  # pixels along a ray
_WHOLE = 0.9  # share of rays that must meet muscle for a plane to count
_REACH_MM = 6.0  # how far from the muscle the RV cavity may begin
_LEAST = 0.08  # share of rays that must face the RV


@dataclass(frozen=True, eq=False)
class Walls:
    """Thickness in mm by segment 1 to 16, NaN where no plane shows it.

    Attributes:
        ed_mm, es_mm: (16,) at end-diastole and end-systole; es_mm None where there is no end-systole.
        septum_deg: direction of the middle of the septum from the LV's centre in the image, clockwise from the right.
        planes: planes (from 0) of the basal, middle and apical third at ED.
    """

    ed_mm: FloatArray
    es_mm: FloatArray | None
    septum_deg: float
    planes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @property
    def thickening_pct(self) -> FloatArray | None:
        """(16,) percent of the thickness at ED."""
        return None if self.es_mm is None else np.asarray(100.0 * (self.es_mm / self.ed_mm - 1.0))


def wall_thickness(segmentation: Segmentation, ed: int, es: int | None) -> Walls | str:
    """Radial thickness of the wall from the centre of the cavity, or the reason why there is none.

    A plane counts where its ring of muscle is closed: not the outflow tract, not the closed apex.
    """
    lacking = [s for s in ("LV cavity", "LV myocardium", "RV cavity") if s not in segmentation.structures]
    if lacking:
        return f"{' and '.join(lacking)} not in the labels; the RV shows where the septum is"
    cine = segmentation.cine
    if cine.spacing_mm is None or cine.slice_positions_mm is None:
        return "wall thickness needs pixel spacing, and segments need to know which plane follows which"
    first = apex_first(segmentation, ed)
    if first is None:
        return "which end of the stack is the apex cannot be told from the cavity"
    rings = {phase: _Rings.of(segmentation, phase) for phase in {ed, *(() if es is None else (es,))}}
    septum = _septum(rings[ed])
    if septum is None:
        return "the RV cavity does not lie against the LV muscle in any plane at end-diastole"
    turn = -1.0 if first else 1.0  # seen from the apex, anterior follows the lateral wall anticlockwise
    thirds = _thirds(rings[ed], first)
    ed_mm = _by_segment(rings[ed], thirds, septum, turn)
    es_mm = None if es is None else _by_segment(rings[es], _thirds(rings[es], first), septum, turn)
    return Walls(ed_mm, es_mm, float(np.rad2deg(septum) % 360.0), thirds)


@dataclass(frozen=True, eq=False)
class _Rings:
    """Rays from the cavity's centre, of every plane with a closed ring: thickness (plane, ray) mm, `facing` the RV."""

    planes: npt.NDArray[np.intp]
    thickness: FloatArray
    facing: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, segmentation: Segmentation, phase: int) -> _Rings:
        spacing = segmentation.cine.require_spacing_mm("wall thickness")
        kept, thickness, facing = [], [], []
        for k, labels in enumerate(segmentation.labels[:, phase]):
            if not (labels == STRUCTURES["LV cavity"]).any():
                continue
            ring, against = _rays(labels, spacing)
            if (ring > 0).mean() >= _WHOLE:
                kept.append(k)
                thickness.append(np.where(ring > 0, ring, np.nan))
                facing.append(against)
        shape = (len(kept), _RAYS)
        return cls(
            np.array(kept, dtype=np.intp),
            np.array(thickness, dtype=np.float64).reshape(shape),
            np.array(facing, dtype=np.bool_).reshape(shape),
        )


def _angles() -> FloatArray:
    return np.arange(_RAYS) * 2.0 * np.pi / _RAYS


def _rays(labels: npt.NDArray[np.uint8], spacing: tuple[float, float]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Muscle along each ray in mm, and whether RV cavity begins soon behind it."""
    row_mm, col_mm = spacing
    rows, cols = np.nonzero(labels == STRUCTURES["LV cavity"])
    step = _STEP * min(spacing)
    reach = np.arange(0.0, max(labels.shape[0] * row_mm, labels.shape[1] * col_mm), step)
    at_row = rows.mean() + np.sin(_angles())[:, None] * reach / row_mm
    at_col = cols.mean() + np.cos(_angles())[:, None] * reach / col_mm
    r, c = np.rint(at_row).astype(int), np.rint(at_col).astype(int)
    inside = (r >= 0) & (r < labels.shape[0]) & (c >= 0) & (c < labels.shape[1])
    seen = np.where(inside, labels[r.clip(0, labels.shape[0] - 1), c.clip(0, labels.shape[1] - 1)], 0)
    muscle = seen == STRUCTURES["LV myocardium"]
    thickness = muscle.sum(1) * step
    end = muscle.shape[1] - 1 - np.argmax(muscle[:, ::-1], axis=1)
    behind = np.minimum(end[:, None] + np.arange(1, int(_REACH_MM / step) + 1), muscle.shape[1] - 1)
    right = (np.take_along_axis(seen, behind, axis=1) == STRUCTURES["RV cavity"]).any(1)
    return np.asarray(thickness), np.asarray(right & muscle.any(1))


def _septum(rings: _Rings) -> float | None:
    """Direction (radians) of the middle between both RV insertions, over the planes that show both."""
    middles = []
    for facing in rings.facing:
        if not _LEAST <= facing.mean() < 0.9:
            continue
        away = np.flatnonzero(~facing)
        gaps = np.diff(np.r_[away, away[0] + _RAYS])  # the longest stretch that faces the RV lies in the widest gap
        widest = int(np.argmax(gaps))
        middles.append((away[widest] + gaps[widest] / 2.0) * 2.0 * np.pi / _RAYS)
    if not middles:
        return None
    return float(np.arctan2(np.sin(middles).mean(), np.cos(middles).mean()))


def _thirds(rings: _Rings, first: bool) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Planes with closed rings, shared out to the basal, middle and apical third."""
    base_first = rings.planes[::-1] if first else rings.planes
    parts = np.array_split(base_first, 3)
    basal, middle, apical = (tuple(sorted(int(k) for k in part)) for part in parts)
    return basal, middle, apical


def _by_segment(rings: _Rings, thirds: tuple[tuple[int, ...], ...], septum: float, turn: float) -> FloatArray:
    """Mean thickness (16,) over the rays and planes of each segment."""
    # degrees from the lateral wall towards the anterior one; the septum lies at 180
    degrees = (180.0 + turn * np.rad2deg(_angles() - septum)) % 360.0
    out = np.full(N_SEGMENTS, np.nan)
    for segment in range(N_SEGMENTS):
        third = min(segment // 6, 2)
        planes = np.isin(rings.planes, thirds[third])
        width = 60.0 if third < 2 else 90.0
        middle = 90.0 + width * (segment % 6 if third < 2 else segment - 12)
        off = np.abs((degrees - middle + 180.0) % 360.0 - 180.0)
        values = rings.thickness[planes][:, off <= width / 2.0]
        if np.isfinite(values).any():
            out[segment] = np.nanmean(values)
    return out
