"""Cine studies of a phantom heart: `render_study`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import Anatomy, anatomy_of
from cardiolens.phantom.compose import HeartPainter, touches_heart
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.planes import Planes, heart_frame, long_axis_plane, short_axis_planes
from cardiolens.phantom.sampling import FlatTables
from cardiolens.phantom.signal import Contrast, Image, KSpace, NoiseBank, coil_shading, look_up, sample_contrast
from cardiolens.phantom.thorax import Thorax
from cardiolens.study import Cine, Study, View

SHIFTS = "phantom_shifts_mm"
"""Key in `Cine.attributes`: where the patient lay in each plane's breath-hold, "x,y,z;x,y,z" in LPS mm, for `masks`."""

_MARGIN_MM = 7.0


@dataclass(frozen=True, eq=False)
class _Scene:
    """What all planes of one study share."""

    anatomy: Anatomy
    tables: FlatTables
    thorax: Thorax
    contrast: Contrast
    thickness_mm: float
    sub_slices: int


def render_study(
    parameters: HeartParameters,
    *,
    seed: int,
    matrix: int = 256,
    field_mm: float = 350.0,
    phases: int = 25,
    sax_planes: int = 12,
    slice_thickness_mm: float = 8.0,
    slice_gap_mm: float | None = None,
    sub_slices: int = 3,
    noise: float | None = None,
    contrast: Contrast | None = None,
    breath_hold_mm: float = 1.5,
    views: tuple[View, ...] = tuple(View),
) -> Study:
    """Scan one heart: a stack of short-axis planes and the long-axis views, all cut from the same anatomy.

    Args:
        parameters: the heart.
        seed: everything the scan adds: planning, contrast, noise, breath-holds.  Same seed, same pixels.
        matrix: rows and columns; field_mm: their extent.
        phases: frames a beat, the first at the R wave.
        sax_planes: planes of the stack, apex first.
        slice_thickness_mm: of every plane; slice_gap_mm: between short-axis planes, None for what covers the heart
            (0 to 4).
        sub_slices: samples through the thickness.
        noise: deviation in units of blood signal, None to draw it; contrast: tissue signals, None to draw them.
        breath_hold_mm: deviation of the patient's place from one breath-hold to the next, head to foot.
        views: which to render.

    Returns:
        A `Study` of uint16 cines (slice, time, row, col) with full geometry and trigger times, no report.

    Raises:
        PhantomError: a matrix, field, count or thickness that no scanner makes; a heart that cannot be.
    """
    _check(matrix, field_mm, phases, sax_planes, slice_thickness_mm, sub_slices)
    rng = np.random.default_rng([seed, 11])
    drawn = sample_contrast(rng) if contrast is None else contrast
    if noise is not None:
        drawn = replace(drawn, noise=noise)
    anatomy = anatomy_of(parameters)
    tables = FlatTables(anatomy.tables(np.arange(phases) / phases))
    scene = _Scene(anatomy, tables, Thorax(parameters), drawn, slice_thickness_mm, sub_slices)
    step = _step(parameters, sax_planes, slice_thickness_mm, slice_gap_mm)
    cines = []
    for number, view in enumerate(View):
        if view not in views:
            continue
        draw = np.random.default_rng([seed, 12, number])
        if view is View.SAX:
            planes = short_axis_planes(parameters, draw, n=sax_planes, step_mm=step, matrix=matrix, field_mm=field_mm)
        else:
            planes = long_axis_plane(parameters, view, draw, matrix=matrix, field_mm=field_mm)
        cines.append(_render_cine(scene, view, planes, draw, breath_hold_mm))
    return Study(tuple(cines), site="phantom", sex=parameters.sex, age=parameters.age)


def _check(matrix: int, field_mm: float, phases: int, planes: int, thickness_mm: float, sub_slices: int) -> None:
    limits = (
        ("matrix", matrix, 32, 1024),
        ("field_mm", field_mm, 100, 600),
        ("phases", phases, 1, 100),
        ("sax_planes", planes, 1, 40),
        ("slice_thickness_mm", thickness_mm, 1, 20),
        ("sub_slices", sub_slices, 1, 15),
    )
    for name, value, low, high in limits:
        if not low <= value <= high:
            raise PhantomError(f"render_study: {name} must lie in {low} to {high}, got {value}")


def _step(parameters: HeartParameters, n: int, thickness_mm: float, gap_mm: float | None) -> float:
    if gap_mm is not None:
        if gap_mm < 0:
            raise PhantomError(f"render_study: slice_gap_mm must not be negative, got {gap_mm}")
        return thickness_mm + gap_mm
    needed = (parameters.lv_length_mm + 18.0) / max(n - 1, 1)
    return thickness_mm + min(max(0.0, float(np.ceil(needed - thickness_mm))), 4.0)


def _render_cine(scene: _Scene, view: View, planes: Planes, rng: np.random.Generator, breath_hold_mm: float) -> Cine:
    n, phases = len(planes.corner), scene.tables.n_phases
    shifts = rng.normal(0.0, 1.0, (n, 3)) * np.array([0.2, 0.35, 1.0]) * breath_hold_mm
    low_pass = KSpace(planes.rows, planes.cols, scene.contrast.acquired)
    noise = NoiseBank(rng, planes.rows, planes.cols, scene.contrast.noise, low_pass)
    gain = scene.contrast.scale * float(np.exp(rng.normal(0.0, 0.05)))
    round_field = _disc(planes.rows, planes.cols) if scene.contrast.round_field else None
    frames = np.empty((n, phases, planes.rows, planes.cols), dtype=np.uint16)
    for k in range(n):
        still, change, box = _render_plane(scene, planes, k, shifts[k], low_pass)
        for i in range(phases):
            image = still.copy()
            image[box] += change[i]
            image = noise.add(image)
            if round_field is not None:
                image *= round_field
            image *= gain
            np.clip(image, 0, 4095, out=image)
            frames[k, i] = image
    rr = scene.anatomy.parameters.rr_ms
    times = np.tile(np.arange(phases) * rr / phases, (n, 1))
    return Cine(
        view,
        frames,
        source=f"phantom {view}",
        spacing_mm=(planes.spacing_mm, planes.spacing_mm),
        slice_positions_mm=planes.positions_mm,
        trigger_times_ms=times,
        affine=planes.affine,
        attributes={
            "manufacturer": "cardiolens phantom",
            "field_strength_t": 1.5,
            "slice_thickness_mm": scene.thickness_mm,
            "heart_rate": scene.anatomy.parameters.heart_rate,
            SHIFTS: ";".join(",".join(f"{v:.4f}" for v in shift) for shift in shifts),
        },
    )


def _render_plane(
    scene: _Scene, planes: Planes, k: int, shift: npt.NDArray[np.float64], low_pass: KSpace
) -> tuple[Image, Image, tuple[slice, slice]]:
    """Signal of one plane: still part (row, col), and what the heart adds to it (time, row, col) within a box."""
    rows, cols, spacing = planes.rows, planes.cols, planes.spacing_mm
    across, along = np.arange(cols) * spacing, np.arange(rows) * spacing
    grid = planes.corner[k] + along[:, None, None] * planes.down + across[None, :, None] * planes.right
    points = (grid + shift).astype(np.float32).reshape(-1, 3)
    c, thorax = scene.contrast, scene.thorax
    shade = coil_shading(points, thorax.front_y, c)
    normal = planes.normal.astype(np.float32)
    half = np.float32(0.25 * scene.thickness_mm)
    grain = thorax.grain(points)
    still, lung = (
        np.float32(0.5) * (a + b)
        for a, b in zip(*(thorax.render(points + s * half * normal, grain, c, spacing) for s in (-1, 1)), strict=True)
    )
    picture = still.reshape(rows, cols)
    thorax.add_lung_vessels(picture, lung.reshape(rows, cols), planes, k, shift, scene.thickness_mm, 0.75)
    heart = heart_frame(scene.anatomy.parameters).to_heart(points.astype(np.float64)).astype(np.float32)
    moving = np.flatnonzero(touches_heart(scene.anatomy, scene.tables, heart, _MARGIN_MM))
    change, box = _moving_part(scene, planes, still, shade, points, moving)
    static = low_pass((still * shade).reshape(rows, cols))
    if len(moving):
        local = KSpace(change.shape[1], change.shape[2], c.acquired)
        change = local(change)
    return static, change, box


def _moving_part(
    scene: _Scene, planes: Planes, still: Image, shade: Image, points: Image, moving: npt.NDArray[np.intp]
) -> tuple[Image, tuple[slice, slice]]:
    """Difference (time, row, col) that the heart makes to the still picture, in the smallest even box with a margin."""
    if len(moving) == 0:
        return np.zeros((scene.tables.n_phases, 1, 1), np.float32), (slice(0, 1), slice(0, 1))
    r, c = np.divmod(moving, planes.cols)
    r0, r1 = max(int(r.min()) - 4, 0), min(int(r.max()) + 5, planes.rows)
    c0, c1 = max(int(c.min()) - 4, 0), min(int(c.max()) + 5, planes.cols)
    offsets = (np.arange(scene.sub_slices) + 0.5) / scene.sub_slices - 0.5
    normal = planes.normal.astype(np.float32)
    layers = [points[moving] + np.float32(o * scene.thickness_mm) * normal for o in offsets]
    stacked = np.concatenate(layers)
    frame = heart_frame(scene.anatomy.parameters)
    heart = frame.to_heart(stacked.astype(np.float64)).astype(np.float32)
    speckle = look_up(scene.thorax.texture, heart, 2.2)
    painter = HeartPainter(scene.anatomy, scene.tables, heart, speckle, scene.contrast, planes.spacing_mm)
    under = np.tile(still[moving], scene.sub_slices)
    change = np.zeros((scene.tables.n_phases, r1 - r0, c1 - c0), dtype=np.float32)
    for i, image in enumerate(painter.frames(under)):
        mean = image.reshape(scene.sub_slices, -1).mean(0)
        change[i, r - r0, c - c0] = (mean - still[moving]) * shade[moving]
    return change, (slice(r0, r1), slice(c0, c1))


def _disc(rows: int, cols: int) -> Image:
    y, x = np.ogrid[:rows, :cols]
    radius = np.hypot((y - (rows - 1) / 2) / rows, (x - (cols - 1) / 2) / cols)
    return np.asarray(radius < 0.43, dtype=np.float32)
