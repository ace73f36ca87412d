"""Late-enhancement and T2-weighted images of a phantom heart at end-diastole, with masks of what they show.

    seen = enhance(parameters, study.cine("SAX"), seed=3)
    seen.lge[k], seen.scar[k]              # one short-axis plane

Light by intent: no sequence is simulated.  Tissue signals are set relative to scar (late enhancement) or oedema (T2),
outside the ventricles the cine's own grey is re-mapped, and noise is Rician.  Late enhancement: muscle nulled, blood
grey, scar bright, a no-reflow core dark within it.  T2: black blood with fat suppressed, as the SPAIR images of MyoPS
(Li et al., Medical Image Analysis 2023;87:102808), oedema bright.  Scar grows from the endocardium outward as the
wavefront of ischaemia does (Reimer and Jennings, Lab Invest 1979;40:633).  All signal levels are this package's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy.planes import heart_frame
from cardiolens.phantom.anatomy.shapes import N_ANGLES, segment_field
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.render import THICKNESS
from cardiolens.phantom.truth.on_images import MASK_LABELS, masks
from cardiolens.study import Cine, View

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_FINE = 3  # sub-pixels along an edge
_LAYERS = 3  # samples through the slice
_MARGIN = 3  # pixels around the heart
_NO_REFLOW_FROM = 0.68  # transmural share of an acute scar from which its core may stay dark
_CAVITY, _MUSCLE, _RIGHT = MASK_LABELS["LV cavity"], MASK_LABELS["LV myocardium"], MASK_LABELS["RV cavity"]
_ATRIA = (MASK_LABELS["LA"], MASK_LABELS["RA"])
_CLASSES = ("cavity", "muscle", "scar", "no_reflow", "edema", "right", "atria")

_GREY = (0.0, 0.2, 0.45, 0.8, 1.3)  # the cine's signal, blood 1 ...
_GREY_LGE = (0.01, 0.09, 0.18, 0.55, 1.0)  # ... and what a tissue of that grey shows: fat stays bright,
_GREY_T2 = (0.01, 0.24, 0.34, 0.16, 0.10)  # or is suppressed like blood, and muscle is seen


@dataclass(frozen=True, kw_only=True)
class EnhancementSignal:
    """Signal of each tissue in the two kinds of image, brightest 1, and the noise in each channel."""

    lge_blood: float = 0.52
    lge_muscle: float = 0.07
    lge_no_reflow: float = 0.10
    lge_noise: float = 0.030
    t2_blood: float = 0.09
    t2_muscle: float = 0.36
    t2_edema: float = 0.80
    t2_no_reflow: float = 0.50
    t2_noise: float = 0.035
    scale: float = 420.0


@dataclass(frozen=True, eq=False)
class Enhancement:
    """Images and masks on the planes of a cine, each (slice, row, col).

    Attributes:
        lge, t2: uint16.
        labels: uint8, `truth.MASK_LABELS`; what most of each voxel is, through the thickness of the slice.
        scar: enhanced muscle, bright in `lge`; no_reflow: the dark core, not part of `scar`; edema: bright in `t2`,
            scar or not.  All three lie within the LV myocardium of `labels`.
    """

    lge: npt.NDArray[np.uint16]
    t2: npt.NDArray[np.uint16]
    labels: npt.NDArray[np.uint8]
    scar: BoolArray
    no_reflow: BoolArray
    edema: BoolArray


def sample_signal(rng: np.random.Generator) -> EnhancementSignal:
    """Draw the contrast of one examination: how well muscle was nulled, how bright blood stayed, how noisy it is."""
    return EnhancementSignal(
        lge_blood=float(rng.uniform(0.42, 0.62)),
        lge_muscle=float(rng.uniform(0.04, 0.11)),
        lge_noise=float(np.exp(rng.normal(np.log(0.030), 0.25))),
        t2_blood=float(rng.uniform(0.05, 0.13)),
        t2_muscle=float(rng.uniform(0.32, 0.40)),
        t2_edema=float(rng.uniform(0.72, 0.88)),
        t2_noise=float(np.exp(rng.normal(np.log(0.035), 0.25))),
        scale=float(rng.uniform(300.0, 600.0)),
    )


def enhance(
    parameters: HeartParameters, cine: Cine, *, seed: int, signal: EnhancementSignal | None = None
) -> Enhancement:
    """Late enhancement and T2 at end-diastole on the planes of a rendered short-axis cine, co-registered with it.

    Args:
        parameters: the heart of `cine`; `parameters.tissue` says where scar and oedema lie.
        cine: a SAX cine by `render.render_study`; its first phase gives what lies around the ventricles.
        seed: contrast, noise and the grain of patchy scar.
        signal: None draws it.

    Raises:
        PhantomError: not a short-axis cine, or one without geometry, times and slice thickness, or whose planes miss
            the ventricle.
    """
    known = cine.affine is not None and cine.trigger_times_ms is not None and THICKNESS in cine.attributes
    if cine.view is not View.SAX or not known:
        raise PhantomError(
            f"{cine.source}: late enhancement needs a short-axis cine with affine, trigger times and {THICKNESS}"
        )
    if seed < 0:
        raise PhantomError(f"enhance: seed must not be negative, got {seed}")
    rng = np.random.default_rng([seed, 31])
    drawn = sample_signal(rng) if signal is None else signal
    grain = _Grain(rng)
    share = _shares(parameters, cine, grain)
    muscle = share["muscle"] + share["scar"] + share["no_reflow"]
    labels = _labels(share, muscle)
    wall = labels == _MUSCLE
    scar = wall & (share["scar"] > 0.5 * muscle) & (share["scar"] > share["no_reflow"])
    no_reflow = wall & (share["no_reflow"] > 0.5 * muscle)
    edema = wall & (share["edema"] > 0.5 * muscle)
    grey = _normalised(cine, labels)
    lge, t2 = (_image(kind, grey, share, drawn) for kind in ("lge", "t2"))
    return Enhancement(
        _scan(lge, drawn.lge_noise, drawn.scale, rng),
        _scan(t2, drawn.t2_noise, drawn.scale, rng),
        labels,
        scar,
        no_reflow,
        edema,
    )


class _Grain:
    """Random texture in heart coordinates, so that patchy scar goes on from plane to plane."""

    def __init__(self, rng: np.random.Generator) -> None:
        noise = gaussian_filter(rng.standard_normal((40, 40, 40)), 1.3, mode="wrap")
        order = np.argsort(np.argsort(noise.ravel()))
        self._quantile = (order / order.size).reshape(noise.shape)

    def __call__(self, points: FloatArray, cell_mm: float) -> FloatArray:
        """0 to 1, about evenly spread, at heart points (..., 3) mm."""
        place = np.moveaxis(points / cell_mm, -1, 0)
        return np.asarray(map_coordinates(self._quantile, place, order=1, mode="grid-wrap"))


def _shares(parameters: HeartParameters, cine: Cine, grain: _Grain) -> dict[str, FloatArray]:
    """What share of each voxel (slice, row, col) each of `_CLASSES` has.

    "edema" overlaps the muscle and scar; the others exclude one another.
    """
    still = _still(cine)
    seen = masks(parameters, still)[:, 0]
    if not (seen == _MUSCLE).any():
        raise PhantomError(f"{cine.source}: no plane cuts the left ventricle; plan the stack anew")
    box = _box(seen > 0)
    out = {name: np.zeros(seen.shape) for name in _CLASSES}
    thickness = float(cine.attributes[THICKNESS])
    for layer in (np.arange(_LAYERS) + 0.5) / _LAYERS - 0.5:
        fine = _refined(still, box, layer * thickness)
        found = _classify(parameters, fine, grain)
        for name, mask in found.items():
            n, rows, cols = mask.shape
            pooled = mask.reshape(n, rows // _FINE, _FINE, cols // _FINE, _FINE).mean((2, 4))
            out[name][:, box[0], box[1]] += pooled / _LAYERS
    return out


def _still(cine: Cine) -> Cine:
    """The geometry of the first phase, without its pixels."""
    assert cine.trigger_times_ms is not None  # noqa: S101 - see enhance
    n, _, rows, cols = cine.shape
    blank = np.broadcast_to(np.zeros((), np.uint8), (n, 1, rows, cols))
    return replace(cine, frames=blank, trigger_times_ms=np.zeros((n, 1)))


def _box(mask: BoolArray) -> tuple[slice, slice]:
    out = []
    for axis, size in ((1, mask.shape[1]), (2, mask.shape[2])):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in (0, 1, 2) if a != axis)))
        out.append(slice(max(int(hit[0]) - _MARGIN, 0), min(int(hit[-1]) + _MARGIN + 1, size)))
    return out[0], out[1]


def _refined(still: Cine, box: tuple[slice, slice], off_mm: float) -> Cine:
    """The part of the planes in `box`, moved along their normal and cut into `_FINE` sub-pixels each way."""
    assert still.affine is not None and still.slice_positions_mm is not None and still.spacing_mm is not None  # noqa: S101
    affine = still.affine.copy()
    right, down = affine[:3, 0].copy(), affine[:3, 1].copy()
    normal = np.cross(right, down) / np.linalg.norm(np.cross(right, down))
    inset = (_FINE - 1) / (2 * _FINE)
    affine[:3, 3] += (box[1].start - inset) * right + (box[0].start - inset) * down + off_mm * normal
    affine[:3, 0], affine[:3, 1] = right / _FINE, down / _FINE
    shape = (still.n_slices, 1, (box[0].stop - box[0].start) * _FINE, (box[1].stop - box[1].start) * _FINE)
    return replace(
        still,
        frames=np.broadcast_to(np.zeros((), np.uint8), shape),
        affine=affine,
        spacing_mm=(still.spacing_mm[0] / _FINE, still.spacing_mm[1] / _FINE),
        slice_positions_mm=still.slice_positions_mm + off_mm,
    )


def _classify(parameters: HeartParameters, fine: Cine, grain: _Grain) -> dict[str, FloatArray]:
    """Shares (slice, row, col) of `_CLASSES` at the sub-pixels of `fine`: 0 or 1, but for diffuse scar."""
    labels = masks(parameters, fine)[:, 0]
    muscle = (labels == _MUSCLE).astype(np.float64)
    tissue = parameters.tissue
    scar, wet_muscle, core = (np.zeros(muscle.shape) for _ in range(3))
    if any(tissue.scar) or any(tissue.edema):
        depth = np.stack([_depth(plane, fine) for plane in labels])
        points = _heart_points(parameters, fine)
        share, wet = (_by_segment(values, points, parameters) for values in (tissue.scar, tissue.edema))
        speckle = grain(points, 2.6)
        diffuse = tissue.scar_pattern == "diffuse"
        if diffuse:
            scar = muscle * np.clip(share + 0.35 * (speckle - 0.5), 0.0, 1.0) * (share > 0.02)  # a haze
        else:
            scar = muscle * _within(tissue.scar_pattern, share, depth, speckle)
        soaked = _within("" if diffuse else tissue.scar_pattern, wet, depth, speckle)
        wet_muscle = muscle * (soaked | ((scar > 0) & (wet > 0.15)))
        if tissue.scar_pattern == "subendocardial":
            core = scar * ((share > _NO_REFLOW_FROM) & (wet > 0.5) & (depth > 0.1) & (depth < 0.55 * share))
    return {
        "cavity": 1.0 * (labels == _CAVITY),
        "right": 1.0 * (labels == _RIGHT),
        "atria": 1.0 * np.isin(labels, _ATRIA),
        "muscle": muscle - scar,
        "scar": scar - core,
        "no_reflow": core,
        "edema": wet_muscle,
    }


def _within(pattern: str, share: FloatArray, depth: FloatArray, speckle: FloatArray) -> BoolArray:
    """Where a process that takes `share` of the wall lies: depth 0 endocardium, 1 epicardium; speckle 0 to 1."""
    if pattern == "subepicardial":
        return np.asarray(depth > 1.0 - share)
    if pattern == "mid-wall":
        return np.asarray(np.abs(depth - 0.5) < 0.5 * share)
    if pattern == "patchy":
        return np.asarray(speckle < share)
    return np.asarray((depth < share) & (share > 0.02))


def _depth(plane: npt.NDArray[np.uint8], fine: Cine) -> FloatArray:
    """Share of the way through the wall (row, col), 0 at the cavity and 1 at the outer border.

    Where a plane cuts the apex below the cavity, the middle of the muscle counts as the inner border.
    """
    cavity, muscle = plane == _CAVITY, plane == _MUSCLE
    outer = np.asarray(distance_transform_edt(cavity | muscle, sampling=fine.spacing_mm))
    if not cavity.any():
        return 1.0 - outer / max(float(outer.max()), 1e-6)
    inner = np.asarray(distance_transform_edt(~cavity, sampling=fine.spacing_mm))
    return np.where(cavity, 0.0, inner / np.maximum(inner + outer, 1e-6))


def _heart_points(parameters: HeartParameters, cine: Cine) -> FloatArray:
    """Heart coordinates (slice, row, col, 3) of the voxel centres, mm, breath-hold shifts left out."""
    assert cine.affine is not None  # noqa: S101 - see enhance
    n, _, rows, cols = cine.shape
    a = cine.affine
    grid = (
        a[:3, 3]
        + np.arange(n)[:, None, None, None] * a[:3, 2]
        + np.arange(rows)[None, :, None, None] * a[:3, 1]
        + np.arange(cols)[None, None, :, None] * a[:3, 0]
    )
    return heart_frame(parameters).to_heart(grid)


def _by_segment(values: tuple[float, ...], points: FloatArray, parameters: HeartParameters) -> FloatArray:
    """17 segment values, with soft borders, at heart points (..., 3) near the left ventricle."""
    u = np.linspace(0.0, 1.0, 51)
    table = np.asarray(segment_field(values, u))
    turn = np.arctan2(-points[..., 1], points[..., 0]) / (2 * np.pi / N_ANGLES) % N_ANGLES
    height = np.clip(-points[..., 2] / parameters.lv_length_mm, 0.0, 1.0) * 50.0
    wrapped = np.concatenate([table, table[:1]], axis=0)
    return np.asarray(map_coordinates(wrapped, [turn, height], order=1, mode="nearest"))


def _labels(share: dict[str, FloatArray], muscle: FloatArray) -> npt.NDArray[np.uint8]:
    """What most of each voxel is; `MASK_LABELS`, the atria as LA."""
    stack = np.stack([share["cavity"], muscle, share["right"], share["atria"]])
    rest = 1.0 - stack.sum(0)
    best = stack.argmax(0)
    codes = np.array([_CAVITY, _MUSCLE, _RIGHT, _ATRIA[0]], dtype=np.uint8)
    return np.where(stack.max(0) > np.maximum(rest, 1e-9), codes[best], 0).astype(np.uint8)


def _normalised(cine: Cine, labels: npt.NDArray[np.uint8]) -> FloatArray:
    """First phase of the cine with the blood in the left ventricle at 1."""
    frame = cine.frames[:, 0].astype(np.float64)
    blood = frame[labels == _CAVITY]
    if blood.size == 0:
        raise PhantomError(f"{cine.source}: no plane cuts the cavity of the left ventricle; plan the stack anew")
    return np.asarray(frame / max(float(np.percentile(blood, 70)), 1.0))


def _image(kind: str, grey: FloatArray, share: dict[str, FloatArray], signal: EnhancementSignal) -> FloatArray:
    """Signal (slice, row, col) without noise: each tissue by its share of the voxel, the rest from the cine."""
    late = kind == "lge"
    blood = signal.lge_blood if late else signal.t2_blood
    muscle = signal.lge_muscle if late else signal.t2_muscle
    core = signal.lge_no_reflow if late else signal.t2_no_reflow
    clear = np.clip((grey - 0.45) / 0.4, 0.0, 1.0)  # papillary muscles are dark on the cine
    cavity = clear * blood + (1.0 - clear) * muscle
    inside = share["cavity"] * cavity + (share["right"] + share["atria"]) * (clear * blood + (1 - clear) * muscle)
    if late:
        wall = share["muscle"] * muscle + share["scar"] * 1.0 + share["no_reflow"] * core
    else:
        wet = np.minimum(share["edema"], share["muscle"] + share["scar"])
        wall = (share["muscle"] + share["scar"] - wet) * muscle + wet * signal.t2_edema + share["no_reflow"] * core
    named = sum(share[name] for name in ("cavity", "muscle", "scar", "no_reflow", "right", "atria"))
    around = np.interp(grey, _GREY, _GREY_LGE if late else _GREY_T2)
    return np.asarray(inside + wall + np.clip(1.0 - named, 0.0, 1.0) * around)


def _scan(image: FloatArray, noise: float, scale: float, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    """Blur of the acquisition and Rician noise; 12-bit grey."""
    out = np.empty(image.shape, dtype=np.uint16)
    for k, plane in enumerate(image):
        real = gaussian_filter(plane, 0.45) + rng.normal(0.0, noise, plane.shape)
        imaginary = rng.normal(0.0, noise, plane.shape)
        out[k] = np.clip(np.hypot(real, imaginary) * scale, 0, 4095)
    return out
