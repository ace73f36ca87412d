"""What exports share in scanning a heart: the protocol, the frames at end-diastole and end-systole, NIfTI, DICOM."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import PhantomError
from cardiolens.study import Cine, Study, View

if TYPE_CHECKING:
    from cardiolens.phantom.heart import HeartParameters

_BEYOND_MM = 16.0  # that a stack reaches beyond mitral plane and apex together
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Protocol of an export.

    Attributes:
        matrix: rows and columns; field_mm: their extent.
        phases, sax_planes: lowest and highest number, drawn for each case; None: as many planes as cover the ventricle.
        slice_thickness_mm; slice_gap_mm: between short-axis planes.
    """

    matrix: int = 256
    field_mm: float = 350.0
    phases: tuple[int, int] = (25, 25)
    sax_planes: tuple[int, int] | None = None
    slice_thickness_mm: float = 8.0
    slice_gap_mm: float = 2.0

    def __post_init__(self) -> None:
        for name in ("phases", "sax_planes"):
            ends = getattr(self, name)
            if ends is not None and not 1 <= ends[0] <= ends[1]:
                raise PhantomError(f"export scan: {name} must be (lowest, highest) from 1, got {ends}")

    def planes_for(self, parameters: HeartParameters, rng: np.random.Generator) -> int:
        """Number of short-axis planes for this heart."""
        if self.sax_planes is not None:
            return int(rng.integers(self.sax_planes[0], self.sax_planes[1] + 1))
        step = self.slice_thickness_mm + self.slice_gap_mm
        return min(40, 1 + math.ceil((parameters.lv_length_mm + _BEYOND_MM) / step))


def scan_heart(
    parameters: HeartParameters, scan: Scan, rng: np.random.Generator, views: tuple[View, ...], *, still: bool = False
) -> Study:
    """One examination of the heart; `still` has one phase, at the R wave."""
    from cardiolens.phantom.render import render_study

    phases = int(rng.integers(scan.phases[0], scan.phases[1] + 1))
    return render_study(
        parameters,
        seed=int(rng.integers(2**31)),
        matrix=scan.matrix,
        field_mm=scan.field_mm,
        phases=1 if still else phases,
        sax_planes=scan.planes_for(parameters, rng),
        slice_thickness_mm=scan.slice_thickness_mm,
        slice_gap_mm=scan.slice_gap_mm,
        views=views,
    )


def masks_of(parameters: HeartParameters, cine: Cine) -> Labels:
    """`truth.MASK_LABELS` of every voxel, the atria left out: 1 LV, 2 LV muscle, 3 RV (slice, time, row, col)."""
    from cardiolens.phantom.truth.on_images import masks

    labels = masks(parameters, cine)
    return np.where(labels <= 3, labels, 0).astype(np.uint8)


def key_frames(labels: Labels) -> tuple[int, int]:
    """Phases from 0 with most and with least LV cavity."""
    volume = (labels == 1).sum(axis=(0, 2, 3))
    return int(volume.argmax()), int(volume.argmin())


def cavity_ml(labels: Labels, cine: Cine, phase: int) -> float:
    """LV cavity by summing voxels over the stack."""
    return float((labels[:, phase] == 1).sum() * cine.voxel_volume_ml())


def save_nifti(path: Path, values: npt.NDArray[Any], cine: Cine) -> None:
    """(slice, row, col) or (slice, time, row, col) on the planes of `cine` as NIfTI (col, row, slice[, time]), RAS."""
    import nibabel

    from cardiolens.phantom.render import THICKNESS

    assert cine.affine is not None and cine.trigger_times_ms is not None  # noqa: S101 - the phantom has both
    data = values.transpose(2, 1, 0) if values.ndim == 3 else values.transpose(3, 2, 0, 1)
    affine = cine.affine.copy()
    if cine.n_slices == 1:
        affine[:3, 2] *= float(cine.attributes[THICKNESS]) / np.linalg.norm(affine[:3, 2])
    image = nibabel.Nifti1Image(np.ascontiguousarray(data), _LPS_TO_RAS @ affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm", "msec")  # type: ignore[no-untyped-call]
    if values.ndim == 4 and values.shape[1] > 1:
        image.header["pixdim"][4] = float(np.diff(cine.trigger_times_ms, axis=1).mean())
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)


def save_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def truth_record(parameters: HeartParameters, **more: Any) -> dict[str, Any]:
    """What a record says of the heart."""
    from cardiolens.phantom.truth import truth_of

    return {**more, "truth": asdict(truth_of(parameters)), "parameters": parameters.to_dict()}
