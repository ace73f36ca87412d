"""Where the heart lies: the crossing of its planes, or the middle of a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.study import Cine, FloatArray, Study, View

_FLATTEST = 0.2  # least singular value of three plane normals that cross in a point; 1 for planes at right angles
_OF_CROSSING = (View.SAX, View.CH2, View.CH4)


@dataclass(frozen=True)
class Centre:
    """Where the middle of the window lies and how that was found.

    Attributes:
        point: (3,) patient LPS mm; None for the middle of the image.
        words: for a note.
    """

    point: FloatArray | None
    words: str


def heart_centre(study: Study) -> Centre:
    """The point where SAX (middle plane), 2CH and 4CH cross, by least squares; the image centre where they do not.

    Planes without an affine, fewer than three of them, planes that are too nearly parallel, or a crossing outside the
    short-axis field give no point, and the words say why.
    """
    cines = {cine.view: cine for cine in study.cines if cine.view in _OF_CROSSING}
    missing = [str(view) for view in _OF_CROSSING if view not in cines or cines[view].affine is None]
    if missing:
        return Centre(None, f"image centre: no plane geometry of {', '.join(missing)}")
    normals, offsets = [], []
    for cine in cines.values():
        assert cine.affine is not None  # noqa: S101 - looked at above
        normal = np.cross(cine.affine[:3, 0], cine.affine[:3, 1])
        normal /= np.linalg.norm(normal)
        normals.append(normal)
        offsets.append(normal @ (cine.affine[:3, 3] + (cine.n_slices - 1) / 2 * cine.affine[:3, 2]))
    if np.linalg.svd(np.stack(normals), compute_uv=False)[-1] < _FLATTEST:
        return Centre(None, "image centre: SAX, 2CH and 4CH are too nearly parallel to cross in a point")
    point = np.linalg.lstsq(np.stack(normals), np.array(offsets), rcond=None)[0]
    col, row = pixel_of(cines[View.SAX], point)
    rows, cols = cines[View.SAX].shape[2:]
    if not (0 <= col < cols and 0 <= row < rows):
        return Centre(None, "image centre: SAX, 2CH and 4CH cross outside the short-axis image")
    return Centre(point, "crossing of SAX, 2CH and 4CH")


def mask_centre(mask: npt.NDArray[np.bool_]) -> tuple[float, float, float] | None:
    """(col, row, slice) in the middle of the box about a mask (slice, row, col); None for an empty one."""
    if not mask.any():
        return None
    where = [np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 1), (0, 2), (1, 2))]
    col, row, plane = ((float(line[0]) + float(line[-1])) / 2 for line in where)
    return col, row, plane


def pixel_of(cine: Cine, point: FloatArray) -> tuple[float, float]:
    """(col, row) of a patient point, dropped onto the plane."""
    assert cine.affine is not None  # noqa: S101 - asked before
    col, row = np.linalg.lstsq(cine.affine[:3, :2], point - cine.affine[:3, 3], rcond=None)[0]
    return float(col), float(row)


def around_heart(study: Study, view: View, images: npt.NDArray[Any], field_mm: float) -> tuple[npt.NDArray[Any], str]:
    """Cut a square about the heart out of images of one view, so that a pixel is the same length in every study.

    Args:
        images: (..., row, col), of the view's own grid; beyond its edge zeros.
        field_mm: edge of the square.

    Returns:
        The square, and how its middle was found.

    Raises:
        GeometryError: the view has no pixel spacing.
    """
    cine = study.cine(view)
    spacing = cine.require_spacing_mm("a field in mm")
    centre = heart_centre(study)
    if centre.point is not None and cine.affine is None:
        centre = Centre(None, f"image centre: no plane geometry of {view}")
    rows, cols = images.shape[-2:]
    middle = ((rows - 1) / 2, (cols - 1) / 2) if centre.point is None else pixel_of(cine, centre.point)[::-1]
    pad, starts, edges = [], [], []
    for at, count, step in zip(middle, (rows, cols), spacing, strict=True):
        edge = max(round(field_mm / step), 1)
        start = round(at - (edge - 1) / 2)
        pad.append((max(-start, 0), max(start + edge - count, 0)))
        starts.append(start + pad[-1][0])
        edges.append(edge)
    wide = np.pad(images, [(0, 0)] * (images.ndim - 2) + pad)
    (top, left), (high, broad) = starts, edges
    return wide[..., top : top + high, left : left + broad], centre.words
