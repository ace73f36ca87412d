"""Which standard view a plane is, from how it lies in the body and how the planes of a study lie to one another.

A heart in a chest has three unknown angles: the direction of the LV long axis (two) and the roll of the heart about it
(one).  We draw many such hearts from what is known of adults, weigh each by how well it explains all planes of a study
at once, and read off how probable each view is for each plane.  So a short-axis stack, three crossing long-axis planes
or a single plane all use one rule, and the surer the study makes the axis, the surer every view becomes.

Conventions: patient coordinates are DICOM's LPS (x left, y back, z head).  The long axis runs from base to apex.  A
long-axis plane contains it and is told by its angle about it, modulo 180: 0 degrees points along the horizontal to the
left and back (the lateral wall, 3 o'clock in a short-axis image), 90 degrees towards the head (the anterior wall, 12
o'clock).  In the 17-segment scheme (Cerqueira et al., Circulation 2002;105:539) the 4CH plane runs from anterolateral
to inferoseptal (about 30; a little less here, for it is planned through the acute margin of the right ventricle), the
2CH from anterior to inferior (90), the 3CH from inferolateral to anteroseptal (about 150).  In the two Sunnybrook cine
studies the middle of the septum lies within 10 degrees of 9 o'clock in these coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cardiolens.study import View

FloatArray = npt.NDArray[np.float64]

# Mean of the short-axis normals of Sunnybrook SCD0000101 (0.67, -0.67, -0.32) and SCD0000201 (0.62, -0.67, -0.41).
USUAL_AXIS = np.array([0.65, -0.67, -0.37]) / np.linalg.norm([0.65, -0.67, -0.37])
LONG_AXIS_ANGLES_DEG = {View.CH4: 25.0, View.CH2: 90.0, View.CH3: 150.0}

# Spread, in degrees, as (core, tail, share of the tail): hearts vary with habitus, and some lie far from the mean.
_AXIS_SPREAD = (12.0, 28.0, 0.2)
_ROLL_SPREAD = (10.0, 25.0, 0.15)
# How exactly an operator plans: tilt of a plane against the axis, its angle about the axis, body planes.
_TILT_SD, _ANGLE_SD, _BODY_SD = 6.0, 11.0, 3.0
_N_HEARTS = 16384
_SAME_PLANE_DEG = 3.0

BODY_PLANES = {
    "axial": np.array([0.0, 0.0, 1.0]),
    "coronal": np.array([0.0, 1.0, 0.0]),
    "sagittal": np.array([1.0, 0.0, 0.0]),
}
OTHER = "other"
CLASSES: tuple[str, ...] = (View.SAX.value, View.CH4.value, View.CH2.value, View.CH3.value, *BODY_PLANES, OTHER)
# How often a cine of few planes, or a stack of at least `STACK_PLANES` parallel planes, is each of `CLASSES`.
STACK_PLANES = 4
_PRIOR_FEW = np.array([0.14, 0.20, 0.20, 0.18, 0.06, 0.02, 0.03, 0.17])
_PRIOR_STACK = np.array([0.46, 0.06, 0.03, 0.03, 0.22, 0.03, 0.03, 0.14])


@dataclass(frozen=True, eq=False)
class PlaneFit:
    """What geometry says of one plane or stack.

    Attributes:
        probability: of each of `CLASSES`, summing to 1.
        axis: (3,) the LV long axis, base to apex, as this study shows it.
        axis_sd_deg: how uncertain that axis is (root mean square angle).
        tilt_deg: angle between the plane's normal and the axis, 0 to 90 (0: short axis; 90: contains the axis).
        angle_deg: angle of the plane about the axis, 0 to 180; meaningless where `tilt_deg` is small.
        body_plane: nearest body plane and its angle in degrees.
    """

    probability: dict[str, float]
    axis: FloatArray
    axis_sd_deg: float
    tilt_deg: float
    angle_deg: float
    body_plane: tuple[str, float]

    @property
    def best(self) -> str:
        return max(self.probability, key=lambda name: self.probability[name])


@dataclass(frozen=True, eq=False)
class _Hearts:
    """Drawn hearts: `axis`, `lateral`, `head` (n, 3), right-handed about the axis; `roll_deg` (n,)."""

    axis: FloatArray
    lateral: FloatArray
    head: FloatArray
    roll_deg: FloatArray


def fit_planes(normals: Sequence[FloatArray], n_planes: Sequence[int]) -> list[PlaneFit]:
    """Fit all planes of a study at once.

    Args:
        normals: unit normals (3,) in LPS, sign of no meaning; one for each plane or stack.
        n_planes: how many parallel planes at distinct positions each stands for (of parallel ones the largest counts).
    """
    if not normals:
        return []
    units = np.stack([np.asarray(n, dtype=np.float64) / np.linalg.norm(n) for n in normals])
    groups = group_parallel(units)
    hearts = _hearts()
    shares, log_weight = [], np.zeros(_N_HEARTS)
    for members in groups:
        planes = max(n_planes[i] for i in members)
        joint = _likelihood(units[members[0]], hearts) * (_PRIOR_STACK if planes >= STACK_PLANES else _PRIOR_FEW)
        total = joint.sum(axis=1)
        shares.append(joint / total[:, None])
        log_weight += np.log(total)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    axis = weight @ hearts.axis
    axis /= np.linalg.norm(axis)
    spread = float(np.rad2deg(np.sqrt(weight @ np.arccos(np.clip(hearts.axis @ axis, -1, 1)) ** 2)))
    fits: list[PlaneFit | None] = [None] * len(units)
    for members, share in zip(groups, shares, strict=True):
        probability = dict(zip(CLASSES, (weight @ share).tolist(), strict=True))
        for i in members:
            fits[i] = _describe(units[i], axis, spread, probability)
    return [fit for fit in fits if fit is not None]


def group_parallel(units: FloatArray, within_deg: float = _SAME_PLANE_DEG) -> list[list[int]]:
    """Indices of unit normals (n, 3) that are parallel to the first of their group, sign of no meaning."""
    groups: list[list[int]] = []
    for i, unit in enumerate(units):
        for members in groups:
            if angle_between_deg(unit, units[members[0]]) <= within_deg:
                members.append(i)
                break
        else:
            groups.append([i])
    return groups


def angle_between_deg(a: FloatArray, b: FloatArray) -> float:
    """Angle between two lines (sign of no meaning), 0 to 90 degrees."""
    cosine = abs(float(a @ b)) / float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.rad2deg(np.arccos(min(1.0, cosine))))


def heart_axes(axis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(lateral, head): unit vectors across a long axis (..., 3): level, to the left and back; and towards the head."""
    up = np.array([0.0, 0.0, 1.0])
    head = up - (axis @ up)[..., None] * axis
    head = head / np.linalg.norm(head, axis=-1, keepdims=True)
    return np.cross(head, axis), head


def angle_about_axis_deg(normal: FloatArray, axis: FloatArray) -> FloatArray:
    """Angle about the long axis (..., 3) of the planes with this normal (3,): 0 to 180, as this module counts it."""
    lateral, head = heart_axes(axis)
    across = np.cross(normal, axis)  # lies in the plane and across the axis
    return np.asarray(np.rad2deg(np.arctan2((across * head).sum(-1), (across * lateral).sum(-1))) % 180.0)


@lru_cache(maxsize=1)
def _hearts() -> _Hearts:
    """The same hearts every time: what is drawn must not change an answer from run to run."""
    rng = np.random.default_rng(20020129)
    axis_sd = np.where(rng.random(_N_HEARTS) < _AXIS_SPREAD[2], _AXIS_SPREAD[1], _AXIS_SPREAD[0])
    roll_sd = np.where(rng.random(_N_HEARTS) < _ROLL_SPREAD[2], _ROLL_SPREAD[1], _ROLL_SPREAD[0])
    lateral, head = heart_axes(USUAL_AXIS)
    away = np.deg2rad(rng.standard_normal((_N_HEARTS, 2)) * axis_sd[:, None])
    size = np.linalg.norm(away, axis=1, keepdims=True)
    direction = (away[:, :1] * lateral + away[:, 1:] * head) / size
    axis = np.cos(size) * USUAL_AXIS + np.sin(size) * direction
    lateral, head = heart_axes(axis)
    return _Hearts(axis, lateral, head, rng.standard_normal(_N_HEARTS) * roll_sd)


def _likelihood(normal: FloatArray, hearts: _Hearts) -> FloatArray:
    """(hearts, classes): density of a plane's normal, per steradian of the half sphere, if it were of that class."""
    along = np.abs(hearts.axis @ normal)
    from_axis = np.rad2deg(np.arccos(np.minimum(along, 1.0)))
    per_steradian = float(np.rad2deg(1.0)) ** 2
    out = np.empty((_N_HEARTS, len(CLASSES)))
    out[:, 0] = _gauss_2d(from_axis, _TILT_SD)
    across = np.cross(normal, hearts.axis)
    angle = np.rad2deg(np.arctan2((across * hearts.head).sum(-1), (across * hearts.lateral).sum(-1)))
    contains = _gauss(90.0 - from_axis, _TILT_SD)
    for column, view in enumerate((View.CH4, View.CH2, View.CH3), start=1):
        off = (angle - hearts.roll_deg - LONG_AXIS_ANGLES_DEG[view] + 90.0) % 180.0 - 90.0
        out[:, column] = contains * _gauss(off, _ANGLE_SD)
    for column, body in enumerate(BODY_PLANES.values(), start=4):
        out[:, column] = _gauss_2d(np.array(angle_between_deg(normal, body)), _BODY_SD)
    out[:, :-1] *= per_steradian
    out[:, -1] = 1.0 / (2.0 * np.pi)
    return out


def _gauss(x: FloatArray, sd: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * (x / sd) ** 2) / (sd * np.sqrt(2.0 * np.pi)))


def _gauss_2d(radius: FloatArray, sd: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * (radius / sd) ** 2) / (2.0 * np.pi * sd**2))


def _describe(unit: FloatArray, axis: FloatArray, spread: float, probability: dict[str, float]) -> PlaneFit:
    name, body = min(BODY_PLANES.items(), key=lambda item: angle_between_deg(unit, item[1]))
    return PlaneFit(
        probability=probability,
        axis=axis,
        axis_sd_deg=spread,
        tilt_deg=angle_between_deg(unit, axis),
        angle_deg=float(angle_about_axis_deg(unit, axis)),
        body_plane=(name, angle_between_deg(unit, body)),
    )


def long_axis_offsets_mm(
    normals: Sequence[FloatArray], centres_mm: Sequence[FloatArray], axis: FloatArray
) -> list[float] | None:
    """How far each long-axis plane passes from the LV axis, in mm towards the septum (right and front positive).

    The axis is where most planes cross; between equals the one further left, because the right heart lies right and in
    front.  None where no two planes cross at 25 degrees or more.

    Args:
        normals: unit normals (3,) of planes that contain the axis direction.
        centres_mm: (3,) a point in each plane, LPS mm.
        axis: (3,) the LV long axis.
    """
    lateral, head = heart_axes(axis)
    flat = np.array([[n @ lateral, n @ head] for n in normals])
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    points = np.array([[c @ lateral, c @ head] for c in centres_mm])
    offset = (flat * points).sum(axis=1)
    best: tuple[int, float] | None = None
    crossing = np.zeros(2)
    for i in range(len(flat)):
        for j in range(i):
            if abs(float(flat[i, 0] * flat[j, 1] - flat[i, 1] * flat[j, 0])) < np.sin(np.deg2rad(25.0)):
                continue
            point = np.linalg.solve(flat[[i, j]], offset[[i, j]])
            rank = (int((np.abs(flat @ point - offset) <= 15.0).sum()), float(point[0]))
            if best is None or rank > best:
                best, crossing = rank, point
    if best is None:
        return None
    towards = np.where(flat[:, 0] > 0, -1.0, 1.0)  # a normal turned towards the septum
    return list((towards * (offset - flat @ crossing)).tolist())
