"""Label maps of NIfTI data sets, checked against the images that they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cardiolens.datasets.labelled import Labels, relabel
from cardiolens.errors import GeometryError, ReadError
from cardiolens.study import Cine


def read_labels(path: Path, image: Path, cine: Cine, known: Mapping[int, str]) -> Labels:
    """(slice, time, row, col) of `STRUCTURES` and `PATHOLOGY`, on the grid of `cine` as it was read from `image`.

    Args:
        known: the data set's own label values, 0 left out.

    Raises:
        ReadError: no such file, not readable, or with other label values.
        GeometryError: another shape than the image, or axes that the two headers point in different directions.
    """
    from cardiolens.io.nifti import read_label_map

    if not path.is_file():
        raise ReadError(f"{path}: no such file")
    values = read_label_map(str(path), str(image))
    values = values[:, None] if values.ndim == 3 else values
    if values.shape != cine.shape:
        raise GeometryError(
            f"{path}: shape (slice, time, row, col) {values.shape}, the image {image.name} has {cine.shape}"
        )
    _require_same_axes(path, image)
    return relabel(values, known, str(path))


def _require_same_axes(path: Path, image: Path) -> None:
    """A mask is laid on its image voxel by voxel, which is wrong where one of them is mirrored or turned.

    Where a header has no form code it says nothing; a shift between the two is let pass.
    """
    import nibabel
    import numpy as np

    axes = []
    for each in (path, image):
        loaded: Any = nibabel.load(each)
        if not (int(loaded.header["sform_code"]) or int(loaded.header["qform_code"])):
            return
        matrix = np.asarray(loaded.affine, dtype=float)[:3, :3]
        axes.append(matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-9))
    if not np.allclose(axes[0], axes[1], atol=0.05):
        raise GeometryError(
            f"{path}: its header turns or mirrors the axes of {image.name}; write it on the image's grid"
        )


def need(path: Path) -> Path:
    """The path; `ReadError` where there is no such file."""
    if not path.is_file():
        raise ReadError(f"{path}: no such file")
    return path
