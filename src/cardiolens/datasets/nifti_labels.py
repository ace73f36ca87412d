"""Label maps of NIfTI data sets, checked against the images that they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cardiolens.datasets.labelled import Labels, relabel
from cardiolens.errors import GeometryError, ReadError
from cardiolens.study import Cine


def read_labels(path: Path, image: Path, cine: Cine, known: Mapping[int, str]) -> Labels:
    """(slice, time, row, col) of `STRUCTURES` and `PATHOLOGY`, on the grid of `cine` as it was read from `image`.

    Args:
        known: the data set's own label values, 0 left out.

    Raises:
        ReadError: no such file, not readable, or with other label values.
        GeometryError: another shape than the image.
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
    return relabel(values, known, str(path))


def need(path: Path) -> Path:
    """The path; `ReadError` where there is no such file."""
    if not path.is_file():
        raise ReadError(f"{path}: no such file")
    return path
