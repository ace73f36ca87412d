"""Masks and landmarks of a phantom heart on the geometry that a cine carries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import Anatomy, anatomy_of
from cardiolens.phantom.anatomy.planes import HeartFrame, heart_frame
from cardiolens.phantom.anatomy.sampling import FlatTables, Sampler
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.render import SHIFTS, TRIGGER_DELAY
from cardiolens.segmentation import STRUCTURES
from cardiolens.study import Cine

FloatArray = npt.NDArray[np.float64]

MASK_LABELS = STRUCTURES
_REACH_MM = 12.0  # how far from a plane a landmark may lie and still count as seen


def masks(parameters: HeartParameters, cine: Cine) -> npt.NDArray[np.uint8]:
    """What each voxel centre of `cine` lies in, from the anatomy.

    Args:
        cine: any cine in the patient space of this phantom: its affine, slice positions, trigger times and, where it
            was rendered with breath-hold shifts or a late trigger, those too (`Cine.attributes`) decide; its pixels are
            not read.

    Returns:
        uint8 (slice, time, row, col): 0 background and `MASK_LABELS`.  Papillary muscles count as cavity.

    Raises:
        PhantomError: a cine without affine or trigger times.
    """
    anatomy, frame = anatomy_of(parameters), heart_frame(parameters)
    n, phases, rows, cols = cine.shape
    corners, right, down = _grid(cine)
    out = np.zeros((n, phases, rows, cols), dtype=np.uint8)
    across, along = np.arange(cols)[None, :, None] * right, np.arange(rows)[:, None, None] * down
    times = phases_of(parameters, cine)
    shared = FlatTables(anatomy.tables(times[0]))
    for k in range(n):
        same = bool(np.array_equal(times[k], times[0]))
        tables = shared if same else FlatTables(anatomy.tables(times[k]))
        points = frame.to_heart((corners[k] + across + along).reshape(-1, 3))
        near = np.flatnonzero(_may_hold(anatomy, tables, points))
        if len(near):
            out[k].reshape(phases, -1)[:, near] = classify(anatomy, tables, points[near])
    return out


def classify(anatomy: Anatomy, tables: FlatTables, points: FloatArray) -> npt.NDArray[np.uint8]:
    """Labels (time, n) of heart-coordinate points (n, 3) at the phases of `tables`."""
    at = Sampler(anatomy, points)
    radius2, t = at.radius**2, tables.source
    out = np.zeros((tables.n_phases, len(points)), dtype=np.uint8)
    for i, s in enumerate(at.surfaces(tables)):
        label = out[i]
        label[(s.ra2 > at.ra) & (at.z >= t.tricuspid_z[i])] = 5
        label[(s.la2 > at.la) & (at.z >= t.mitral_z[i])] = 4
        label[(s.rv > at.radius) & (radius2 >= s.epi2) & (at.z < s.rv_top) & (s.rv**2 > s.epi2 + 1e-3)] = 3
        below = at.z < t.mitral_z[i]
        label[below & (s.epi2 > radius2)] = 2
        label[below & (s.endo2 > radius2)] = 1
    return out


def landmarks(parameters: HeartParameters, cine: Cine) -> dict[str, FloatArray]:
    """Where the mitral hinge points and the LV apex lie in each frame.

    Returns:
        name -> (slice, time, 2) of (row, col) in pixels: "mitral_1" and "mitral_2" (the hinge further left in the image
        first) and "apex" (of the cavity); NaN where the plane does not cut it, as in a short axis.

    Raises:
        PhantomError: a cine without affine or trigger times.
    """
    anatomy, frame = anatomy_of(parameters), heart_frame(parameters)
    n, phases = cine.shape[:2]
    corners, right, down = _grid(cine)
    times = phases_of(parameters, cine)
    out = {name: np.full((n, phases, 2), np.nan) for name in ("mitral_1", "mitral_2", "apex")}
    for k in range(n):
        ring, apex = _ring_and_apex(anatomy, frame, times[k])
        for i in range(phases):
            hinges = _crossings(_project(ring[i], corners[k], right, down))
            if len(hinges) == 2:
                out["mitral_1"][k, i], out["mitral_2"][k, i] = hinges[np.argsort(hinges[:, 1])]
            row, col, off = _project(apex[i][None], corners[k], right, down)
            if len(hinges) == 2 and abs(off[0]) < _REACH_MM:
                out["apex"][k, i] = row[0], col[0]
    return out


def _ring_and_apex(anatomy: Anatomy, frame: HeartFrame, phases: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mitral annulus (time, angle, 3) and endocardial apex (time, 3) in patient coordinates."""
    from cardiolens.phantom.anatomy.motion import emptying

    share = emptying(anatomy.parameters, phases)
    endo, _ = anatomy.lv_material(share)
    at_base = int(np.argmin(np.abs(anatomy.material_s)))
    radius = np.sqrt(endo[:, at_base]).T
    z = anatomy.mitral_z(share)
    x, y = anatomy.centre(z)
    twist = -0.3 * np.deg2rad(anatomy.parameters.twist_deg) * share
    angle = anatomy.angles[None] + twist[:, None]
    ring = np.stack(
        [
            x[:, None] + radius * np.cos(angle),
            y[:, None] - radius * np.sin(angle),
            np.broadcast_to(z[:, None], angle.shape),
        ],
        axis=-1,
    )
    inner = anatomy.parameters.lv_length_mm / anatomy.length
    apex_z = z - inner * anatomy.lv_length(share)
    apex = np.stack([*anatomy.centre(apex_z), apex_z], axis=-1)
    return frame.to_patient(ring), frame.to_patient(apex)


def _project(points: FloatArray, corner: FloatArray, right: FloatArray, down: FloatArray) -> tuple[FloatArray, ...]:
    """Row, column (pixels) and distance (mm) from the plane of patient points (n, 3)."""
    away = points - corner
    normal = np.cross(right, down)
    return away @ down / (down @ down), away @ right / (right @ right), away @ normal / np.linalg.norm(normal)


def _crossings(projected: tuple[FloatArray, ...]) -> FloatArray:
    """(n, 2) row and column where a closed curve passes through the plane."""
    row, col, off = projected
    after = np.roll(off, -1)
    at = np.flatnonzero((off < 0) != (after < 0))
    t = off[at] / (off[at] - after[at])
    return np.stack([v[at] + t * (np.roll(v, -1)[at] - v[at]) for v in (row, col)], axis=1)


def _grid(cine: Cine) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Corner of each plane (slice, 3) with its shift, and the steps (3,) of one column and one row; patient mm."""
    if cine.affine is None or cine.trigger_times_ms is None:
        raise PhantomError(f"{cine.source}: masks of a phantom need the cine's affine and trigger times")
    right, down, origin = cine.affine[:3, 0], cine.affine[:3, 1], cine.affine[:3, 3]
    if cine.slice_positions_mm is None or cine.n_slices == 1:
        corners = origin + np.arange(cine.n_slices)[:, None] * cine.affine[:3, 2]
    else:
        step = cine.affine[:3, 2] / np.diff(cine.slice_positions_mm).mean()
        corners = origin + (cine.slice_positions_mm - cine.slice_positions_mm[0])[:, None] * step
    stored = cine.attributes.get(SHIFTS)
    if isinstance(stored, str):
        corners = corners + np.array([[float(v) for v in plane.split(",")] for plane in stored.split(";")])
    return corners, right, down


def phases_of(parameters: HeartParameters, cine: Cine) -> FloatArray:
    """(slice, time) fraction of the beat at which each frame was taken."""
    if cine.trigger_times_ms is None:
        raise PhantomError(f"{cine.source}: masks of a phantom need the cine's trigger times")
    ahead = cine.attributes.get(TRIGGER_DELAY, 0.0)  # the R wave was found late
    return np.asarray(cine.trigger_times_ms / parameters.rr_ms + float(ahead))


def _may_hold(anatomy: Anatomy, tables: FlatTables, points: FloatArray) -> npt.NDArray[np.bool_]:
    z = points[:, 2]
    wide = np.sqrt(max(float(tables.reach2.max()), 0.0)) + 5.0
    ventricles = np.hypot(points[:, 0], points[:, 1]) < wide
    atria = np.zeros(len(points), dtype=bool)
    for atrium, reach in ((anatomy.left_atrium, tables.la_reach2), (anatomy.right_atrium, tables.ra_reach2)):
        atria |= atrium.half_width_at(points)[0] < np.sqrt(reach.max()) + 2.0
    return np.asarray((ventricles | atria) & (z > anatomy.heights[0]) & (z < anatomy.heights[-1]))
