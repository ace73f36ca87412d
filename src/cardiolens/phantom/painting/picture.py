"""The signal of one plane before it is scanned: what stays still, and what the beating heart changes in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.anatomy import Anatomy
from cardiolens.phantom.anatomy.planes import HeartFrame, Planes
from cardiolens.phantom.anatomy.sampling import FlatTables
from cardiolens.phantom.mr import (
    Contrast,
    Image,
    OffResonance,
    Protocol,
    coil_shading,
    fold,
    look_up,
    noise_gain,
    slice_offsets,
)
from cardiolens.phantom.painting.heart_painter import HeartPainter, touches_heart
from cardiolens.phantom.painting.thorax import Thorax

_MARGIN_MM = 7.0
_BEYOND = 0.45  # share of the field, on either side, from which signal may fold in
Box = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Scene:
    """What all planes of one study share."""

    anatomy: Anatomy
    tables: FlatTables
    thorax: Thorax
    frame: HeartFrame
    contrast: Contrast
    protocol: Protocol
    field: OffResonance
    sub_slices: int


@dataclass(frozen=True, eq=False)
class Picture:
    """One plane.

    Attributes:
        still: (row, col), the patient without a beat.
        change: (time, row, col) within `box`, what each phase adds to it.
        gain: (row, col) factor on the noise, None for 1.
    """

    still: Image
    change: Image
    box: Box
    gain: Image | None


def picture_of(scene: Scene, planes: Planes, k: int, shift: npt.NDArray[np.float64], multiple: int = 1) -> Picture:
    """Plane k of `planes`, the patient having moved by -`shift` (3,) mm; corners of the box at multiples of
    `multiple`."""
    points = (planes.points(k) + shift).astype(np.float32).reshape(-1, 3)
    still, lung = _still(scene, planes, points, 2)
    shape = (planes.rows, planes.cols)
    scene.thorax.add_lung_vessels(
        still.reshape(shape), lung.reshape(shape), planes, k, shift, scene.protocol.slice_thickness_mm, 0.75
    )
    heart = _to_heart(scene, points)
    shade = coil_shading(points, scene.thorax.front_y, scene.contrast.shading)
    gain = noise_gain(points, shade, scene.protocol.acceleration, scene.protocol.evened)
    weight = _weight(scene, shade, heart)
    moving = np.flatnonzero(touches_heart(scene.anatomy, scene.tables, heart, _MARGIN_MM))
    change, box = _moving_part(scene, planes, still, weight, points, moving, multiple)
    picture: Image = (still * weight).reshape(shape)
    if scene.protocol.wrap:
        picture = _with_wrap(scene, planes, picture, k, shift)
    return Picture(picture, change, box, None if gain is None else gain.reshape(shape))


def _still(scene: Scene, planes: Planes, points: Image, layers: int) -> tuple[Image, Image]:
    """Signal and share of lung (n,) at patient points (n, 3), averaged through the slice."""
    protocol, normal = scene.protocol, planes.normal.astype(np.float32)
    offsets = slice_offsets(layers, protocol.slice_thickness_mm, protocol.slice_softness)
    grain = scene.thorax.grain(points)
    rendered = [
        scene.thorax.render(points + np.float32(o) * normal, grain, scene.contrast, planes.spacing_mm) for o in offsets
    ]
    if layers == 1:
        return rendered[0]
    still, lung = (np.mean(parts, axis=0, dtype=np.float32) for parts in zip(*rendered, strict=True))
    return np.asarray(still), np.asarray(lung)


def _to_heart(scene: Scene, points: Image) -> Image:
    return scene.frame.to_heart(points.astype(np.float64)).astype(np.float32)


def _weight(scene: Scene, shade: Image, heart: Image) -> Image:
    """Factor (n,) of coil and field on the signal."""
    protocol = scene.protocol
    weight = shade if protocol.evened <= 0 else shade ** np.float32(1.0 - protocol.evened)
    dark = scene.field.darkening(heart, repetition_ms=protocol.repetition_ms, flip_deg=protocol.flip_deg)
    return weight if dark is None else np.asarray(weight * dark)


def _with_wrap(scene: Scene, planes: Planes, picture: Image, k: int, shift: npt.NDArray[np.float64]) -> Image:
    """`picture` (row, col) with what lies beyond its two edges along the phase encoding folded into it."""
    axis = 0 if scene.protocol.phase_encoding == "COL" else 1
    size = picture.shape[axis]
    beyond = int(_BEYOND * size)
    strips = []
    for first in (-beyond, size):
        start, shape = [0, 0], list(picture.shape)
        start[axis], shape[axis] = first, beyond
        at = (planes.points(k, (start[0], start[1]), (shape[0], shape[1])) + shift).astype(np.float32).reshape(-1, 3)
        still, _ = _still(scene, planes, at, 1)
        shade = coil_shading(at, scene.thorax.front_y, scene.contrast.shading)
        strips.append((still * _weight(scene, shade, _to_heart(scene, at))).reshape(shape))
    return fold(np.concatenate([strips[0], picture, strips[1]], axis), size, beyond, axis)


def _moving_part(
    scene: Scene,
    planes: Planes,
    still: Image,
    weight: Image,
    points: Image,
    moving: npt.NDArray[np.intp],
    multiple: int,
) -> tuple[Image, Box]:
    """Difference (time, row, col) that the heart makes to the still picture, in a small box with a margin."""
    phases, protocol = scene.tables.n_phases, scene.protocol
    if len(moving) == 0:
        return np.zeros((phases, multiple, multiple), np.float32), (slice(0, multiple), slice(0, multiple))
    r, c = np.divmod(moving, planes.cols)
    (r0, r1), (c0, c1) = _edges(r, planes.rows, multiple), _edges(c, planes.cols, multiple)
    offsets = slice_offsets(scene.sub_slices, protocol.slice_thickness_mm, protocol.slice_softness)
    normal = planes.normal.astype(np.float32)
    heart = _to_heart(scene, np.concatenate([points[moving] + np.float32(o) * normal for o in offsets]))
    speckle = look_up(scene.thorax.texture, heart, 2.2)
    painter = HeartPainter(scene.anatomy, scene.tables, heart, speckle, scene.contrast, planes.spacing_mm)
    under = np.tile(still[moving], scene.sub_slices)
    change = np.zeros((phases, r1 - r0, c1 - c0), dtype=np.float32)
    for i, image in enumerate(painter.frames(under)):
        mean = image.reshape(scene.sub_slices, -1).mean(0)
        change[i, r - r0, c - c0] = (mean - still[moving]) * weight[moving]
    return change, (slice(r0, r1), slice(c0, c1))


def _edges(index: npt.NDArray[np.intp], size: int, multiple: int) -> tuple[int, int]:
    """First and end of the range that holds `index` with a margin, at multiples of `multiple`; `size` is one."""
    low, high = max(int(index.min()) - 4, 0), min(int(index.max()) + 5, size)
    return low // multiple * multiple, -(-high // multiple) * multiple
