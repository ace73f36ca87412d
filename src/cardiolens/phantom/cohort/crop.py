"""A cine cut to a square about the heart, its geometry with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cardiolens.phantom.anatomy.planes import heart_frame
from cardiolens.phantom.heart import HeartParameters
from cardiolens.study import Cine, Study, View


def crop_study(study: Study, parameters: HeartParameters, crop_mm: float) -> Study:
    """Every cine cut to `crop_mm` about the heart, or to the image's edge where that is nearer."""
    return replace(study, cines=tuple(crop_cine(cine, parameters, crop_mm) for cine in study.cines))


def crop_cine(cine: Cine, parameters: HeartParameters, crop_mm: float) -> Cine:
    """`cine` of this heart cut to a square; affine and positions say where it lies."""
    assert cine.affine is not None and cine.spacing_mm is not None  # noqa: S101 - the phantom has both
    length = parameters.lv_length_mm
    middle = np.array([-8.0, 2.0, -0.45 * length] if cine.view is View.SAX else [-8.0, 2.0, -0.22 * length])
    away = heart_frame(parameters).to_patient(middle) - cine.affine[:3, 3]
    axes = cine.affine[:3, :2]
    col, row = np.linalg.lstsq(axes, away, rcond=None)[0]
    rows, cols = cine.shape[2:]
    (r0, r1), (c0, c1) = (
        _range(centre, size, round(crop_mm / spacing))
        for centre, size, spacing in ((row, rows, cine.spacing_mm[0]), (col, cols, cine.spacing_mm[1]))
    )
    affine = cine.affine.copy()
    affine[:3, 3] += axes @ np.array([c0, r0])
    return replace(cine, frames=np.ascontiguousarray(cine.frames[:, :, r0:r1, c0:c1]), affine=affine)


def _range(centre: float, size: int, wanted: int) -> tuple[int, int]:
    """First and end of at most `wanted` pixels about `centre`, within 0 to `size`."""
    wanted = min(wanted, size)
    first = int(np.clip(round(centre - (wanted - 1) / 2), 0, size - wanted))
    return first, first + wanted
