"""Cine studies of a phantom heart: `render_study`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.planes import Planes, heart_frame, long_axis_plane, short_axis_planes
from cardiolens.phantom.anatomy.sampling import FlatTables
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.mr import (
    Contrast,
    Image,
    KSpace,
    NoiseBank,
    OffResonance,
    Protocol,
    acquisition_of,
    contrast_of,
    frame_times,
    gather,
    heart_phases,
    smear,
    stretch,
    zoom_of,
)
from cardiolens.phantom.painting.picture import Box, Picture, Scene, picture_of
from cardiolens.phantom.painting.thorax import Thorax
from cardiolens.study import Cine, Study, View

SHIFTS = "phantom_shifts_mm"
"""Key in `Cine.attributes`: where the patient lay in each plane's breath-hold, "x,y,z;x,y,z" in LPS mm, for `masks`."""
TRIGGER_DELAY = "phantom_trigger_delay"
"""Key in `Cine.attributes`: share of a beat that the heart is ahead of the trigger times, for `masks`; absent for 0."""
THICKNESS = "SliceThickness"
"""Key in `Cine.attributes`: nominal thickness of the slices in mm, under its name in DICOM."""
MANUFACTURER = "cardiolens phantom"

_MOST_STORED = 4095


def render_study(
    parameters: HeartParameters,
    *,
    seed: int,
    protocol: Protocol | None = None,
    matrix: int | None = None,
    field_mm: float | None = None,
    phases: int | None = None,
    sax_planes: int | None = None,
    slice_thickness_mm: float | None = None,
    slice_gap_mm: float | None = None,
    sub_slices: int = 3,
    noise: float | None = None,
    contrast: Contrast | None = None,
    breath_hold_mm: float | None = None,
    views: tuple[View, ...] = tuple(View),
) -> Study:
    """Scan one heart: a stack of short-axis planes and the long-axis views, all cut from the same anatomy.

    Args:
        parameters: the heart.
        seed: everything the scan adds: planning, contrast, noise, breath-holds, odd beats.  Same seed, same pixels.
        protocol: how it is scanned, None for `Protocol()`.
        matrix, field_mm, phases, sax_planes, slice_thickness_mm, slice_gap_mm, breath_hold_mm: override the
            protocol's where not None; a matrix given here is also the stored one.
        sub_slices: samples through the thickness.
        noise: deviation in units of blood signal, None to draw it; contrast: tissue signals, None to draw them from
            the protocol; one that is given also decides noise, shading, acquired share and round field.
        views: which to render.

    Returns:
        A `Study` of uint16 cines (slice, time, row, col) with full geometry and trigger times, no report.

    Raises:
        PhantomError: a matrix, field, count or thickness that no scanner makes; a heart that cannot be.
    """
    if seed < 0:
        raise PhantomError(f"render_study: seed must not be negative, got {seed}")
    if not views:
        raise PhantomError("render_study: views must name one view at least")
    if not 1 <= sub_slices <= 15:
        raise PhantomError(f"render_study: sub_slices must lie in 1 to 15, got {sub_slices}")
    protocol = (protocol or Protocol()).with_(
        matrix=matrix,
        field_mm=field_mm,
        phases=phases,
        sax_planes=sax_planes,
        slice_thickness_mm=slice_thickness_mm,
        slice_gap_mm=slice_gap_mm,
        breath_hold_mm=breath_hold_mm,
    )
    rng = np.random.default_rng([seed, 11])
    drawn = contrast_of(protocol, rng, parameters.tissue) if contrast is None else contrast
    if noise is not None:
        drawn = replace(drawn, noise=noise)
    scene = _scene(parameters, protocol, drawn, seed, sub_slices)
    bank = _noise_bank(scene, seed)
    cines = []
    for number, view in enumerate(View):
        if view not in views:
            continue
        draw = np.random.default_rng([seed, 12, number])
        cines.append(_render_cine(scene, view, _plan(parameters, protocol, view, draw), draw, bank))
    return Study(tuple(cines), site="phantom", sex=parameters.sex, age=parameters.age)


def _scene(parameters: HeartParameters, protocol: Protocol, contrast: Contrast, seed: int, sub_slices: int) -> Scene:
    anatomy = anatomy_of(parameters)
    return Scene(
        anatomy=anatomy,
        tables=FlatTables(anatomy.tables(heart_phases(protocol))),
        thorax=Thorax(parameters),
        frame=heart_frame(parameters),
        contrast=contrast,
        protocol=protocol,
        field=OffResonance(
            protocol.off_resonance_hz, parameters.lv_length_mm, np.random.default_rng([seed, 13]),
        ),
        sub_slices=sub_slices,
    )  # fmt: skip


def _shape(protocol: Protocol) -> tuple[int, int]:
    """Rows and columns as acquired: whole numbers of what zero filling makes whole pixels of."""
    _, q = zoom_of(protocol.matrix, protocol.stored_matrix)
    step = int(np.lcm(q, 2))
    short = min(max(round(protocol.matrix * protocol.phase_field / step), 1) * step, protocol.matrix)
    return (short, protocol.matrix) if protocol.phase_encoding == "COL" else (protocol.matrix, short)


def _noise_bank(scene: Scene, seed: int) -> NoiseBank:
    """Noise of the study at the stored matrix, where less of k-space is filled than at the acquired one."""
    protocol, (rows, cols) = scene.protocol, _shape(scene.protocol)
    p, q = zoom_of(protocol.matrix, protocol.stored_matrix)
    phase, frequency = (share * q / p for share in scene.contrast.acquired)
    low_pass = KSpace(
        rows * p // q,
        cols * p // q,
        (phase, frequency),
        phase_axis=_phase_axis(protocol),
        partial_fourier=protocol.partial_fourier,
    )
    draw = np.random.default_rng([seed, 14])
    return NoiseBank(draw, scene.contrast.noise, low_pass, channels=protocol.channels)


def _phase_axis(protocol: Protocol) -> int:
    return 0 if protocol.phase_encoding == "COL" else 1


def _plan(parameters: HeartParameters, protocol: Protocol, view: View, rng: np.random.Generator) -> Planes:
    matrix, field_mm, shape = protocol.matrix, protocol.field_mm, _shape(protocol)
    if view is not View.SAX:
        return long_axis_plane(parameters, view, rng, matrix=matrix, field_mm=field_mm, shape=shape)
    n, thickness, gap = protocol.sax_planes, protocol.slice_thickness_mm, protocol.slice_gap_mm
    if gap is None:
        needed = (parameters.lv_length_mm + 18.0) / max(n - 1, 1)
        gap = min(max(0.0, float(np.ceil(needed - thickness))), 4.0)
    return short_axis_planes(
        parameters, rng, n=n, step_mm=thickness + gap, matrix=matrix, field_mm=field_mm, shape=shape
    )


def _render_cine(scene: Scene, view: View, planes: Planes, rng: np.random.Generator, bank: NoiseBank) -> Cine:
    protocol, n = scene.protocol, len(planes.corner)
    shifts = rng.normal(0.0, 1.0, (n, 3)) * np.array([0.2, 0.35, 1.0]) * protocol.breath_hold_mm
    zoom = zoom_of(protocol.matrix, protocol.stored_matrix)
    stored = planes.zoomed(*zoom)
    gain = scene.contrast.scale * float(np.exp(rng.normal(0.0, 0.05)))
    mask = _disc(stored.rows, stored.cols) if scene.contrast.round_field else None
    frames = np.empty((n, protocol.phases, stored.rows, stored.cols), dtype=np.uint16)
    for k in range(n):
        picture = _acquired(scene, picture_of(scene, planes, k, shifts[k], zoom[1]), stored, rng)
        for i in range(protocol.phases):
            image = picture.still.copy()
            image[picture.box] += picture.change[i]
            image = bank.add(image, rng, picture.gain)
            if mask is not None:
                image *= mask
            image *= gain
            np.clip(image, 0, _MOST_STORED, out=image)
            frames[k, i] = image
    return Cine(
        view,
        frames,
        source=f"phantom {view}",
        spacing_mm=(stored.spacing_mm, stored.spacing_mm),
        slice_positions_mm=stored.positions_mm,
        trigger_times_ms=np.tile(frame_times(protocol) * scene.anatomy.parameters.rr_ms, (n, 1)),
        affine=stored.affine,
        attributes=_attributes(scene, planes, shifts),
    )


def _acquired(scene: Scene, picture: Picture, stored: Planes, rng: np.random.Generator) -> Picture:
    """The picture as the scanner reconstructs it, without noise, at the stored matrix."""
    protocol, axis = scene.protocol, _phase_axis(scene.protocol)
    zoom = zoom_of(protocol.matrix, protocol.stored_matrix)

    def scanned(images: Image) -> Image:
        rows, cols = images.shape[-2:]
        filtered = KSpace(
            rows,
            cols,
            scene.contrast.acquired,
            phase_axis=axis,
            partial_fourier=protocol.partial_fourier,
            zoom=zoom,
        )
        return filtered(images)

    still, change = scanned(picture.still), scanned(picture.change)
    box = _zoomed(picture.box, zoom)
    how = acquisition_of(protocol, scene.anatomy.parameters.rhythm, still.shape[axis], rng)
    if how is not None:
        change, box = _whole_length(change, box, still.shape, axis)
        change = gather(change, how, axis)
        if not how.still:
            shift = -how.moved_mm @ np.stack([stored.down, stored.right], axis=1) / stored.spacing_mm
            still, change = smear(still, how, shift, axis), smear(change, how, shift, axis)
    return Picture(still, change, box, None if picture.gain is None else stretch(picture.gain, zoom))


def _zoomed(box: Box, zoom: tuple[int, int]) -> Box:
    p, q = zoom
    rows, cols = (slice(side.start * p // q, side.stop * p // q) for side in box)
    return rows, cols


def _whole_length(change: Image, box: Box, shape: tuple[int, ...], axis: int) -> tuple[Image, Box]:
    """`change` (time, row, col) in a box that spans the whole image along `axis`."""
    sides = list(box)
    sides[axis] = slice(0, shape[axis])
    around = [(0, 0), (0, 0), (0, 0)]
    around[axis + 1] = (box[axis].start, shape[axis] - box[axis].stop)
    return np.pad(change, around), (sides[0], sides[1])


def _attributes(scene: Scene, planes: Planes, shifts: npt.NDArray[np.float64]) -> dict[str, str | float]:
    """Facts under the DICOM reader's names, and what only a phantom knows."""
    protocol, rate = scene.protocol, scene.anatomy.parameters.heart_rate
    facts: dict[str, str | float] = {
        "Manufacturer": MANUFACTURER,
        "ManufacturerModelName": f"phantom, {protocol.vendor} manner",
        "MagneticFieldStrength": protocol.field_strength_t,
        "RepetitionTime": round(protocol.header_repetition_ms, 3),
        "EchoTime": round(protocol.echo_ms, 3),
        "FlipAngle": round(protocol.flip_deg, 1),
        THICKNESS: protocol.slice_thickness_mm,
        "HeartRate": round(rate),
        "NominalInterval": round(scene.anatomy.parameters.rr_ms),
        "PixelBandwidth": protocol.bandwidth_hz,
        "InPlanePhaseEncodingDirection": protocol.phase_encoding,
        "PercentPhaseFieldOfView": round(100.0 * protocol.phase_field),
        "PercentSampling": round(100.0 * scene.contrast.acquired[0]),
        "PartialFourier": protocol.partial_fourier,
        "ParallelReductionFactorInPlane": protocol.acceleration,
        "CardiacSynchronizationTechnique": protocol.gating.upper(),
        SHIFTS: ";".join(",".join(f"{v:.4f}" for v in shift) for shift in shifts),
    }
    if len(planes.corner) > 1:
        facts["SpacingBetweenSlices"] = round(float(np.diff(planes.positions_mm).mean()), 4)
    if protocol.agent_mm > 0:
        facts["ContrastBolusAgent"] = "simulated gadolinium"
    if protocol.trigger_delay:
        facts[TRIGGER_DELAY] = protocol.trigger_delay
    return facts


def _disc(rows: int, cols: int) -> Image:
    y, x = np.ogrid[:rows, :cols]
    radius = np.hypot((y - (rows - 1) / 2) / max(rows, cols), (x - (cols - 1) / 2) / max(rows, cols))
    return np.asarray(radius < 0.43, dtype=np.float32)
