"""Where the heart sits in the patient and how the four standard planes cut it.

Heart coordinates (mm): x from the septum to the lateral wall, y from anterior to inferior, z from the apex to the
base, origin at the centre of the mitral plane at end-diastole.  Seen along the short axis in the usual display, x
points right and y down. Patient coordinates are DICOM's: x to the patient's left, y to the back, z to the head.  The
normal of the short-axis planes of the Sunnybrook studies is about (-0.65, 0.67, 0.37) in patient coordinates, and so
is the mean long axis here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.heart import HeartParameters
from cardiolens.study import View

FloatArray = npt.NDArray[np.float64]

_DISPLAY_ROLL_DEG = 9.0
LONG_AXIS_ANGLES_DEG = {View.CH2: 93.0, View.CH3: 143.0, View.CH4: 14.0}
"""Direction of each long-axis plane about the long axis, anticlockwise from lateral as seen in the short axis: the 4CH
runs through the acute margin of the RV, the 3CH from the anteroseptal to the inferolateral wall."""


@dataclass(frozen=True, eq=False)
class HeartFrame:
    """`axes` (3, 3): columns are the heart's x, y, z in patient coordinates; `origin` (3,): mitral centre at
    end-diastole."""

    axes: FloatArray
    origin: FloatArray

    def to_heart(self, points: FloatArray) -> FloatArray:
        """Patient LPS mm (..., 3) to heart mm."""
        return np.asarray((points - self.origin) @ self.axes)

    def to_patient(self, points: FloatArray) -> FloatArray:
        """Heart mm (..., 3) to patient LPS mm."""
        return np.asarray(points @ self.axes.T + self.origin)


@dataclass(frozen=True, eq=False)
class Planes:
    """Parallel image planes.  `corner` (n, 3): centre of the first pixel; `right`, `down` (3,): unit vectors along a
    row and down a column; `rows`, `cols`; `spacing_mm` between pixels, both ways; planes in order along `normal`."""

    corner: FloatArray
    right: FloatArray
    down: FloatArray
    rows: int
    cols: int
    spacing_mm: float

    def points(self, k: int, first: tuple[int, int] = (0, 0), shape: tuple[int, int] | None = None) -> FloatArray:
        """Patient mm (row, col, 3) of the pixels of plane k; of `shape` pixels from `first` on, inside or outside."""
        rows, cols = shape or (self.rows, self.cols)
        down = (first[0] + np.arange(rows))[:, None, None] * (self.down * self.spacing_mm)
        return np.asarray(
            self.corner[k] + down + (first[1] + np.arange(cols))[None, :, None] * self.right * self.spacing_mm
        )

    def zoomed(self, p: int, q: int) -> Planes:
        """The same field with p pixels for q; the first pixel stays where it is."""
        spacing = self.spacing_mm * q / p
        return replace(self, rows=self.rows * p // q, cols=self.cols * p // q, spacing_mm=spacing)

    @property
    def normal(self) -> FloatArray:
        return np.cross(self.right, self.down)

    @property
    def affine(self) -> FloatArray:
        """4x4 from voxel (col, row, slice) to patient LPS mm."""
        out = np.eye(4)
        out[:3, 0], out[:3, 1] = self.right * self.spacing_mm, self.down * self.spacing_mm
        step = (self.corner[-1] - self.corner[0]) / (len(self.corner) - 1) if len(self.corner) > 1 else self.normal
        out[:3, 2], out[:3, 3] = step, self.corner[0]
        return out

    @property
    def positions_mm(self) -> FloatArray:
        """(n,) along the normal, ascending."""
        return np.asarray(self.corner @ self.normal)


def _unit(v: Sequence[float] | FloatArray) -> FloatArray:
    v = np.asarray(v, dtype=np.float64)
    return np.asarray(v / np.linalg.norm(v))


def heart_frame(parameters: HeartParameters) -> HeartFrame:
    """Place and orientation of a heart in its patient, whose origin is mid-body at the level of the heart."""
    left, down = np.deg2rad([parameters.axis_left_deg, parameters.axis_down_deg])
    apex = np.array([np.sin(left) * np.cos(down), -np.cos(left) * np.cos(down), -np.sin(down)])
    z = -apex
    y = _unit(np.array([0.0, 0.0, -1.0]) + z[2] * z)
    x = np.cross(y, z)
    roll = np.deg2rad(_DISPLAY_ROLL_DEG + parameters.roll_deg)
    x, y = np.cos(roll) * x - np.sin(roll) * y, np.sin(roll) * x + np.cos(roll) * y
    rng = np.random.default_rng([parameters.body_seed, 1])
    origin = np.array([22.0, -2.0, 0.0]) * parameters.bsa_m2 / 1.9 + rng.normal(0.0, 4.0, 3)
    origin = origin - apex * 0.6 * max(0.0, parameters.lv_length_mm - 95.0)  # a long heart reaches back, too
    return HeartFrame(np.stack([x, y, z], axis=1), origin)


def _tilted(axes: FloatArray, degrees: FloatArray) -> FloatArray:
    """`axes` turned by three small angles (degrees) about its own x, y and z: how exactly the operator planned."""
    a, b, c = np.deg2rad(degrees)
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(axes @ rx @ ry @ rz)


def short_axis_planes(
    parameters: HeartParameters,
    rng: np.random.Generator,
    *,
    n: int,
    step_mm: float,
    matrix: int,
    field_mm: float,
    shape: tuple[int, int] | None = None,
) -> Planes:
    """A stack from the apex to above the mitral plane, planned with an error of a few degrees and mm.

    `matrix` pixels to `field_mm`; `shape` (row, col) pixels are kept of them, None for all.
    """
    frame = heart_frame(parameters)
    axes = _tilted(frame.axes, rng.normal(0.0, [3.0, 3.0, 5.0]))
    spacing = field_mm / matrix
    top = rng.uniform(2.0, 12.0)
    extra = max(0.0, (n - 1) * step_mm - top - parameters.lv_length_mm - 15.0)
    top += rng.uniform(0.4, 0.8) * extra
    z = top - step_mm * np.arange(n)[::-1]
    middle = frame.to_patient(np.array([-10.0, 4.0, -0.45 * parameters.lv_length_mm]))
    middle = middle + axes[:, :2] @ rng.normal(0.0, 10.0, 2)
    centre = middle + np.outer(z + 0.45 * parameters.lv_length_mm, axes[:, 2])
    rows, cols = shape or (matrix, matrix)
    corner = centre - 0.5 * spacing * ((cols - 1) * axes[:, 0] + (rows - 1) * axes[:, 1])
    return Planes(corner, axes[:, 0], axes[:, 1], rows, cols, spacing)


def long_axis_plane(
    parameters: HeartParameters,
    view: View,
    rng: np.random.Generator,
    *,
    matrix: int,
    field_mm: float,
    shape: tuple[int, int] | None = None,
) -> Planes:
    """One long-axis plane.  4CH: apex up, LV on the right.  2CH and 3CH: as a scanner turns a plane near the
    sagittal, the front of the body to the left and the head up, so that the apex points left.

    `matrix` pixels to `field_mm`; `shape` (row, col) pixels are kept of them, None for all.
    """
    frame = heart_frame(parameters)
    axes = _tilted(frame.axes, rng.normal(0.0, [2.5, 2.5, 5.0]))
    angle = np.deg2rad(LONG_AXIS_ANGLES_DEG[view])
    across = np.cos(angle) * axes[:, 0] - np.sin(angle) * axes[:, 1]
    long = axes[:, 2]
    if view is View.CH4:
        right, down = across, long
    else:
        normal = np.cross(across, long)
        normal = normal if normal[0] < 0 else -normal  # right x down of a sagittal image points to the patient's right
        back = np.array([0.0, 1.0, 0.0])
        right = _unit(back - (back @ normal) * normal)
        down = np.cross(normal, right)
    turn = np.deg2rad(rng.normal(0.0, 5.0))
    right, down = np.cos(turn) * right + np.sin(turn) * down, -np.sin(turn) * right + np.cos(turn) * down
    normal = np.cross(right, down)
    spacing = field_mm / matrix
    aim = frame.origin - 0.35 * parameters.lv_length_mm * long - (10.0 if view is View.CH4 else 0.0) * across
    centre = aim + right * rng.normal(0.0, 9.0) + down * rng.normal(0.0, 9.0) + normal * rng.normal(0.0, 1.5)
    rows, cols = shape or (matrix, matrix)
    corner = centre - 0.5 * spacing * ((cols - 1) * right + (rows - 1) * down)
    return Planes(corner[None], right, down, rows, cols, spacing)
