"""A cine on the grid of a model, and masks and landmarks back on the grid of the cine.

>>> placement = place(cine, GridSpec(), heart_centre(study))   # doctest: +SKIP
>>> x = placement.image(cine.frames[:, 0])                     # doctest: +SKIP
>>> labels = placement.to_source(network(x))                   # doctest: +SKIP

The grid is CineMA's (Fu et al., section 4.8): short axis 192 x 192 x 16 voxels of 1 x 1 x 10 mm, long axis 256 x 256
pixels of 1 x 1 mm, about the crossing of SAX, 2CH and 4CH or about the left ventricle.  What the paper leaves open is
as in the authors' code (github.com/mathpluscode/CineMA): axes run x, y, z, which is column, row, slice; new voxels tile
the field of the old ones; a window starts at a whole voxel; depth is padded at the end; intensities between the 0.95th
and the 99.5th percentile of a frame become 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cardiolens.centre import Centre, pixel_of
from cardiolens.errors import CheckpointError, GeometryError, ReadError
from cardiolens.study import Cine, FloatArray, View


@dataclass(frozen=True)
class ViewGrid:
    """The grid of one view.

    Attributes:
        size: voxels (x, y, z) of a stack, or pixels (x, y) of one plane; rows first where the spec says so.
        spacing_mm: their size, in the same order.
    """

    size: tuple[int, ...]
    spacing_mm: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(int(n) for n in self.size))
        object.__setattr__(self, "spacing_mm", tuple(float(s) for s in self.spacing_mm))
        if (
            len(self.size) not in (2, 3)
            or len(self.spacing_mm) != len(self.size)
            or min(*self.size, *self.spacing_mm) <= 0
        ):
            raise CheckpointError(
                f"impossible grid: size {self.size}, spacing_mm {self.spacing_mm}; give 2 or 3 of each"
            )


_LONG_AXIS = ViewGrid((256, 256), (1.0, 1.0))
Axes = Literal["col-row", "row-col"]
CINEMA_GRID: Mapping[View, ViewGrid] = MappingProxyType(
    {
        View.SAX: ViewGrid((192, 192, 16), (1.0, 1.0, 10.0)),
        View.CH2: _LONG_AXIS,
        View.CH3: _LONG_AXIS,
        View.CH4: _LONG_AXIS,
    }
)


@dataclass(frozen=True)
class GridSpec:
    """What a model sees of each view.

    Attributes:
        views: the grid of each.
        axes: which of the in-plane axes comes first, columns (x) as in the authors' weights, or rows.
        percentiles: of a frame, that become 0 and 1.
    """

    views: Mapping[View, ViewGrid] = field(default_factory=lambda: CINEMA_GRID)
    axes: Axes = "col-row"
    percentiles: tuple[float, float] = (0.95, 99.5)

    def __post_init__(self) -> None:
        low, high = (float(p) for p in self.percentiles)
        object.__setattr__(self, "percentiles", (low, high))
        if not 0 <= low < high <= 100:
            raise CheckpointError(f"impossible grid: percentiles {self.percentiles}")

    def of(self, view: View | str) -> ViewGrid:
        """The grid of a view; `GeometryError` names the views that there are."""
        if View(view) not in self.views:
            raise GeometryError(f"this model has no grid for {view}; it sees {', '.join(map(str, self.views))}")
        return self.views[View(view)]

    def to_dict(self) -> dict[str, Any]:
        """As in a model card's `transform`."""
        views = {str(v): {"size": list(g.size), "spacing_mm": list(g.spacing_mm)} for v, g in self.views.items()}
        plain = {"centre": "crossing", "intensity": "unit", "axes": self.axes, "percentiles": list(self.percentiles)}
        return {"views": views, **plain}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> GridSpec:
        """From a model card's `transform`; a field that is not known is an error, never ignored."""
        unknown = set(fields) - {"views", "centre", "intensity", "percentiles", "axes"}
        axes: Axes = fields.get("axes", "row-col")
        if (
            unknown
            or axes not in ("col-row", "row-col")
            or fields.get("centre", "crossing") != "crossing"
            or fields.get("intensity", "unit") != "unit"
        ):
            raise CheckpointError(f"the card's transform {dict(fields)} is no grid of this version; update cardiolens")
        if not fields.get("views"):
            raise CheckpointError("the card's transform names no views: this is not a model of whole frames")
        views = {
            View(name): ViewGrid(tuple(grid["size"]), tuple(grid["spacing_mm"]))
            for name, grid in fields["views"].items()
        }
        return cls(MappingProxyType(views), axes, fields.get("percentiles", cls.percentiles))


@dataclass(frozen=True)
class Placement:
    """Where the voxels of a grid lie in a cine: source index = (grid index + start + 1/2) * scale - 1/2, axis by axis.

    Attributes:
        size: voxels (x, y, z) of the grid, z = 1 for a long axis.
        source: voxels (col, row, slice) of the cine.
        scale: grid voxels in source voxels, (x, y, z).
        start: first grid voxel, counted in grid voxels from the edge of the image.
        flat: a long axis, whose arrays have no z.
        rows_first: arrays and points have y before x.
        plane: of a long axis with several planes, the one that is used.
        percentiles: see `GridSpec`.
        notes: what was found and done.
    """

    size: tuple[int, int, int]
    source: tuple[int, int, int]
    scale: tuple[float, float, float]
    start: tuple[int, int, int]
    flat: bool
    rows_first: bool
    plane: int
    percentiles: tuple[float, float]
    notes: tuple[str, ...] = field(default=())

    def image(self, frame: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One phase, (slice, row, col), as (x, y, z) or (x, y) in [0, 1]; 0 outside the image.

        Raises:
            ReadError: NaN or infinite pixels.
        """
        values = self._checked(frame).astype(np.float32).transpose(2, 1, 0)
        if not np.isfinite(values).all():
            raise ReadError("a frame holds NaN or infinite pixels")
        matrices = [self._forward(axis) for axis in range(3)]
        found = _resample(values, matrices)
        inside = np.ix_(*(matrix.any(axis=1) for matrix in matrices))
        seen = found[inside]
        if seen.size:
            low, high = np.percentile(seen, self.percentiles)
            found[inside] = np.clip((seen - low) / max(float(high - low), 1e-6), 0.0, 1.0)
        return self._flattened(found)

    def labels(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Labels (slice, row, col) of one phase as (x, y, z) or (x, y): the label with the largest share."""
        matrices = [self._forward(axis, smooth=False) for axis in range(3)]
        return self._flattened(_by_share(self._checked(labels).transpose(2, 1, 0), matrices))

    def points(self, points: npt.ArrayLike) -> FloatArray:
        """Points (..., 2) of row and column as (..., 2) of x and y on the grid; NaN stays NaN."""
        swapped = np.asarray(points, dtype=np.float64)[..., ::-1]
        found = (swapped + 0.5) / np.array(self.scale[:2]) - 0.5 - np.array(self.start[:2])
        return np.ascontiguousarray(found[..., ::-1] if self.rows_first else found)

    def to_source(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Labels (x, y, z) or (x, y) as (slice, row, col) of the cine: the label with the largest share; 0 outside."""
        return self._in_planes(_by_share(self._deep(labels), [self._backward(axis, smooth=False) for axis in range(3)]))

    def probabilities_to_source(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """(class, x, y, z) or (class, x, y) as (class, slice, row, col) of the cine; 0 outside the window."""
        matrices = [self._backward(axis) for axis in range(3)]
        return np.stack([self._in_planes(_resample(self._deep(one).astype(np.float32), matrices)) for one in values])

    def points_to_source(self, points: npt.ArrayLike) -> FloatArray:
        """Points (..., 2) of x and y on the grid as (..., 2) of row and column."""
        given = np.asarray(points, dtype=np.float64)
        given = given[..., ::-1] if self.rows_first else given
        moved = (given + 0.5 + np.array(self.start[:2])) * np.array(self.scale[:2]) - 0.5
        return np.ascontiguousarray(moved[..., ::-1])

    def covered(self) -> npt.NDArray[np.bool_]:
        """(slice, row, col): which voxels of the cine lie in the window; nothing is known of the others."""
        inside = [np.asarray(self._backward(axis).any(axis=1)) for axis in range(3)]
        whole: npt.NDArray[np.bool_] = np.ones(tuple(map(len, inside)), dtype=bool)
        for axis, line in enumerate(inside):
            whole &= np.expand_dims(line, tuple(other for other in range(3) if other != axis))
        return self._in_planes(whole)

    def _forward(self, axis: int, *, smooth: bool = True) -> npt.NDArray[np.float32]:
        """(grid, source) weights along an axis."""
        at = np.asarray((np.arange(self.size[axis]) + self.start[axis] + 0.5) * self.scale[axis] - 0.5, np.float64)
        return _weights(at, 1 if self.flat and axis == 2 else self.source[axis], self.scale[axis] if smooth else 1.0)

    def _backward(self, axis: int, *, smooth: bool = True) -> npt.NDArray[np.float32]:
        """(source, grid) weights along an axis."""
        count = 1 if self.flat and axis == 2 else self.source[axis]
        at = np.asarray((np.arange(count) + 0.5) / self.scale[axis] - 0.5 - self.start[axis], np.float64)
        return _weights(at, self.size[axis], 1.0 / self.scale[axis] if smooth else 1.0)

    def _checked(self, frame: npt.NDArray[Any]) -> npt.NDArray[Any]:
        expected = self.source[::-1]
        if frame.shape != expected:
            raise GeometryError(
                f"a frame of shape {frame.shape} was given; (slice, row, col) of the cine is {expected}"
            )
        return frame[self.plane : self.plane + 1] if self.flat else frame

    def _flattened(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        values = values.swapaxes(0, 1) if self.rows_first else values
        return np.ascontiguousarray(values[..., 0] if self.flat else values)

    def _deep(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        values = values.swapaxes(0, 1) if self.rows_first else values
        expected = self.size[:2] if self.flat else self.size
        if values.shape != expected:
            raise GeometryError(f"an array of shape {values.shape} was given; this grid is {expected}")
        return values[..., None] if self.flat else values

    def _in_planes(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(col, row, slice) as (slice, row, col); a long axis into its plane."""
        turned = np.ascontiguousarray(values.transpose(2, 1, 0))
        if not self.flat or self.source[2] == 1:
            return turned
        out = np.zeros((self.source[2], *turned.shape[1:]), dtype=turned.dtype)
        out[self.plane] = turned[0]
        return out


def place(
    cine: Cine,
    spec: GridSpec,
    centre: Centre | None = None,
    *,
    voxel: Sequence[float] | None = None,
    pixels: bool = False,
) -> Placement:
    """Lay the grid over a cine.

    Args:
        centre: see `heart_centre`; None for the middle of the image.
        voxel: (col, row, slice) of the middle in this cine, instead of `centre`; see `mask_centre`.
        pixels: take a pixel for a voxel of the grid where the cine has no spacing; noted.

    Raises:
        GeometryError: no spacing, and pixels were not asked for.
    """
    grid = spec.of(cine.view)
    size, spacing = grid.size, grid.spacing_mm
    if spec.axes == "row-col":
        size, spacing = (size[1], size[0], *size[2:]), (spacing[1], spacing[0], *spacing[2:])
    slices, _, rows, cols = cine.shape
    source, flat = (cols, rows, slices), len(size) == 2
    notes: list[str] = []
    if cine.spacing_mm is None:
        if not pixels:
            raise GeometryError(
                f"{cine.source}: a model's grid is in mm, and this cine carries no pixel spacing; read it from DICOM "
                "or NIfTI with geometry, or ask for the grid in pixels, which is a guess"
            )
        notes.append("no pixel spacing: a pixel was taken for a voxel of the model's grid, sizes are not known")
        scale = [1.0, 1.0, 1.0]
    else:
        scale = [spacing[0] / cine.spacing_mm[1], spacing[1] / cine.spacing_mm[0], 1.0]
    if not flat:
        scale[2] = _depth_scale(cine, spacing[2], notes)
    wanted = _middle(cine, centre, voxel, notes)
    counts = [round(n / s) or 1 for n, s in zip(source, scale, strict=True)]
    start = [
        round((wanted[axis] + 0.5) / scale[axis] - 0.5 - (size[axis] - 1) / 2) if axis < len(size) else 0
        for axis in range(3)
    ]
    if not flat:
        start[2] = _depth_start(counts[2], size[2], start[2], notes)
    plane = 0 if slices == 1 or not flat else slices // 2
    if flat and slices > 1:
        notes.append(f"plane {plane + 1} of {slices} of the {cine.view} was used")
    return Placement(
        size=(size[0], size[1], 1 if flat else size[2]),
        source=source,
        scale=(scale[0], scale[1], scale[2]),
        start=(start[0], start[1], start[2]),
        flat=flat,
        rows_first=spec.axes == "row-col",
        plane=plane,
        percentiles=spec.percentiles,
        notes=tuple(notes),
    )


def _depth_scale(cine: Cine, step_mm: float, notes: list[str]) -> float:
    if cine.spacing_mm is None:
        return 1.0
    if cine.slice_positions_mm is None or cine.n_slices < 2:
        notes.append("distance between planes not known: each is taken for one of the model's")
        return 1.0
    return step_mm / float(np.diff(cine.slice_positions_mm).mean())


def _middle(cine: Cine, centre: Centre | None, voxel: Sequence[float] | None, notes: list[str]) -> tuple[float, ...]:
    """(col, row, slice) that the window is to be centred on."""
    slices, _, rows, cols = cine.shape
    middle = ((cols - 1) / 2, (rows - 1) / 2, (slices - 1) / 2)
    if voxel is not None:
        notes.append("window about the left ventricle")
        return tuple(float(v) for v in voxel)
    if centre is not None and centre.point is not None and cine.affine is not None:
        notes.append(f"window about the {centre.words}")
        return (*pixel_of(cine, centre.point), middle[2])
    notes.append("window about the " + (centre.words if centre is not None else "image centre"))
    return middle


def _depth_start(count: int, size: int, centred: int, notes: list[str]) -> int:
    """First plane of the window: 0 for a stack that fits, which is padded at the end."""
    if count <= size:
        return 0
    first = int(np.clip(centred, 0, count - size))
    off = f"{first} off below, {count - size - first} above"
    notes.append(f"stack of {count} planes of the model's thickness cut to {size}: {off}")
    return first


def _weights(at: FloatArray, count: int, step: float) -> npt.NDArray[np.float32]:
    """(position, sample) weights of linear interpolation at `at` between `count` samples; 0 beyond their outer edges.

    Where positions are wider apart than samples (`step` > 1), each takes the weighted mean of its surroundings, so that
    nothing is skipped.
    """
    distance = np.abs(at[:, None].clip(0, count - 1) - np.arange(count)) / max(step, 1.0)
    weights = np.maximum(1.0 - distance, 0.0)
    weights /= weights.sum(1, keepdims=True)
    weights[(at < -0.5 - 1e-6) | (at > count - 0.5 + 1e-6)] = 0.0
    return weights.astype(np.float32)


def _resample(values: npt.NDArray[Any], matrices: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """(a, b, c) through a matrix an axis; the identity leaves values as they are."""
    out = values.astype(np.float32)
    for axis, matrix in enumerate(matrices):
        if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix), dtype=np.float32)):
            continue
        out = np.moveaxis(np.tensordot(matrix, out, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(out)


def _by_share(labels: npt.NDArray[Any], matrices: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.uint8]:
    """Each label as a mask through the matrices; the one with the largest share, 0 before others where equal."""
    present = [int(value) for value in np.unique(labels) if value != 0]
    if not present:
        return np.zeros(tuple(len(matrix) for matrix in matrices), dtype=np.uint8)
    shares = np.stack([_resample(labels == value, matrices) for value in present])
    nothing = 1.0 - shares.sum(0)
    best = shares.argmax(0)
    found = np.array(present, dtype=np.uint8)[best]
    return np.where(shares.max(0) > nothing, found, 0).astype(np.uint8)
