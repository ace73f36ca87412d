"""`Segmentation` → 4-D NIfTI on the grid of the images: (slice, time, row, col) LPS become (x, y, slice, time) RAS.

`cardiolens.measures.correct` reads such a file back.
"""

from __future__ import annotations

import gzip
from typing import Any

import nibabel
import numpy as np

from cardiolens.io.nifti import NiftiFrames
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.study import Cine, FloatArray

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def encode_masks(segmentation: Segmentation) -> bytes:
    """The labels as a gzipped NIfTI file; the same labels give the same bytes.

    Voxel by voxel and in patient space the file lies on the images: a cine that came as NIfTI gets its masks in the
    slice order of its file.  The affine is that of the cine, whose slices lie at their mean step; a cine without one
    gets a header without form codes, as it had itself.
    """
    cine = segmentation.cine
    labels = np.transpose(segmentation.labels, (3, 2, 0, 1))
    affine = _ras(cine)
    if _reversed(cine):
        labels = labels[:, :, ::-1]
    make: Any = nibabel.Nifti1Image
    image = make(np.ascontiguousarray(labels), affine, dtype=np.uint8)
    header = image.header
    header["descrip"] = b"cardiolens; research use only"
    header["cal_max"] = max(STRUCTURES.values())
    if affine is None:
        row, col = cine.spacing_mm or (1.0, 1.0)
        header.set_zooms((col, row, _step(cine), 1.0))
        image.set_sform(None, code=0)
        image.set_qform(None, code=0)
    times = cine.trigger_times_ms
    if times is not None and cine.n_phases > 1:
        zooms = header.get_zooms()[:3]
        header.set_zooms((*zooms, float(np.median(np.diff(times, axis=1))) / 1000.0))
    header.set_xyzt_units("mm" if cine.spacing_mm else "unknown", "sec" if times is not None else "unknown")
    return gzip.compress(image.to_bytes(), mtime=0)


def _ras(cine: Cine) -> FloatArray | None:
    """4x4 from voxel (col, row, slice) of the file to RAS mm."""
    if cine.affine is None:
        return None
    ras: FloatArray = np.asarray(_LPS_TO_RAS @ cine.affine)
    return _turned(ras, cine.n_slices) if _reversed(cine) else ras


def _turned(affine: FloatArray, slices: int) -> FloatArray:
    """The affine of the same slices in reverse order."""
    out: FloatArray = np.array(affine)
    out[:3, 3] += (slices - 1) * out[:3, 2]
    out[:3, 2] *= -1
    return out


def _reversed(cine: Cine) -> bool:
    """Whether the cine's file holds the slices in reverse order."""
    return isinstance(cine.origin, NiftiFrames) and cine.origin.flipped


def _step(cine: Cine) -> float:
    at = cine.slice_positions_mm
    return float(np.diff(at).mean()) if at is not None and len(at) > 1 else 1.0
