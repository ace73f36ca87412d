"""Corrections by a reader: a mask file that replaces the labels of some phases or planes.

    better = correct(segmentation, Path("sax_corrected.nii.gz"), phases=[0, 8])
    measure([better, *long_axis], es=8)

A changed ED or ES needs no file: give `ed=` and `es=` to `measure`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import GeometryError, InputError, ReadError
from cardiolens.segmentation import Segmentation
from cardiolens.study import Cine

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_OFF = 0.05  # voxels that the grids may differ by


def correct(
    segmentation: Segmentation,
    path: Path,
    *,
    phases: Sequence[int] | None = None,
    planes: Sequence[int] | None = None,
) -> Segmentation:
    """The segmentation with labels from a NIfTI file in place of its own; what was replaced stands in its notes.

    Args:
        path: labels of `STRUCTURES` on the cine's grid, axes in any order and direction: (x, y, slice, time), or
            (x, y, slice) for a single phase.
        phases, planes: which to replace, from 0; None: all.  A file of one phase needs exactly one.

    Raises:
        ReadError: no such file, or none of NIfTI.
        GeometryError: another grid than the cine's.
        InputError: a phase or plane that is not there, values that are no labels.
    """
    cine = segmentation.cine
    new = _on_grid(path, cine)
    at_phases = _checked(phases, cine.n_phases, "phases", cine)
    at_planes = _checked(planes, cine.n_slices, "planes", cine)
    if new.shape[1] == 1 and len(at_phases) != 1:
        raise InputError(f"{path.name}: one phase of labels; say which with phases=[...]")
    if new.shape[1] not in (1, cine.n_phases):
        raise GeometryError(f"{path.name}: {new.shape[1]} phases, the cine has {cine.n_phases}")
    labels = segmentation.labels.copy()
    for phase in at_phases:
        labels[at_planes, phase] = new[at_planes, 0 if new.shape[1] == 1 else phase]
    changed = int((labels != segmentation.labels).sum())
    where = f"phase(s) {_listed(at_phases)}, plane(s) {_listed(at_planes)}"
    note = f"corrected by {path.name}: {where}; {changed} voxels changed"
    try:
        return Segmentation(
            cine,
            labels,
            segmentation.structures,
            segmentation.confidence,
            f"{segmentation.source}, corrected" if segmentation.source else "corrected",
            (*segmentation.notes, note),
        )
    except ValueError as error:
        raise InputError(f"{path.name}: {error}") from error


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(n + 1) for n in numbers) if len(numbers) <= 6 else f"{numbers[0] + 1} to {numbers[-1] + 1}"


def _checked(asked: Sequence[int] | None, n: int, what: str, cine: Cine) -> list[int]:
    if asked is None:
        return list(range(n))
    wrong = [k for k in asked if not 0 <= k < n]
    if wrong or not asked:
        raise InputError(f"{cine.source}: {what}={list(asked)}; they run from 0 to {n - 1}")
    return sorted(set(asked))


def _on_grid(path: Path, cine: Cine) -> npt.NDArray[np.uint8]:
    """(slice, time, row, col) of a file, turned to the cine's axes."""
    import nibabel

    if not path.is_file():
        raise ReadError(f"{path}: no such file; a correction is a NIfTI mask")
    try:
        image: Any = nibabel.load(path)
        data = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, nibabel.filebasedimages.ImageFileError) as error:
        raise ReadError(f"{path.name}: not a readable NIfTI file ({error})") from error
    if data.ndim == 3:
        data = data[..., None]
    if data.ndim != 4:
        raise GeometryError(f"{path.name}: shape {data.shape}; labels have axes (x, y, slice) or (x, y, slice, time)")
    rounded = np.rint(data)
    if not np.array_equal(rounded, data) or rounded.min() < 0 or rounded.max() > 255:
        raise InputError(f"{path.name}: holds values that are no labels (whole numbers 0 to 255)")
    if cine.affine is not None:
        rounded = _turned(rounded, np.linalg.inv(_LPS_TO_RAS @ cine.affine) @ image.affine, path, cine)
    labels = np.transpose(rounded, (2, 3, 1, 0)).astype(np.uint8)
    wanted = (cine.n_slices, cine.shape[2], cine.shape[3])
    if (labels.shape[0], labels.shape[2], labels.shape[3]) != wanted:
        raise GeometryError(
            f"{path.name}: planes, rows, columns {(labels.shape[0], *labels.shape[2:])}; the cine has {wanted}"
        )
    return labels


def _turned(data: npt.NDArray[Any], to_cine: npt.NDArray[np.float64], path: Path, cine: Cine) -> npt.NDArray[Any]:
    """Axes reordered and reversed as the file's affine says; GeometryError where it is not the cine's grid."""
    turn = np.rint(to_cine[:3, :3])
    if cine.n_slices == 1:  # the step of a single plane says nothing
        turn[:, 2] = np.sign(to_cine[:3, 2]) * (np.abs(to_cine[:3, 2]) > 0.5 * np.abs(to_cine[:3, 2]).max())
        to_cine = np.c_[to_cine[:, :2], np.r_[turn[:, 2], 0.0], to_cine[:, 3]]
    whole = (np.abs(turn).sum(0) == 1).all() and (np.abs(turn).sum(1) == 1).all()
    size = max(data.shape[:3])
    if not whole or np.abs(to_cine[:3, :3] - turn).max() * size > 0.5:
        raise GeometryError(f"{path.name}: pixel size or direction differ from the cine's; save it on the cine's grid")
    order = [int(np.flatnonzero(turn[row])[0]) for row in range(3)]
    out = np.transpose(data, (*order, 3))
    origin = to_cine[:3, 3].copy()
    for axis in range(3):
        if turn[axis, order[axis]] < 0:
            out = np.flip(out, axis)
            origin[axis] -= out.shape[axis] - 1
    if np.abs(origin).max() > max(_OFF, 0.05):
        raise GeometryError(f"{path.name}: lies {np.round(origin, 2).tolist()} voxels off the cine's grid")
    return out
