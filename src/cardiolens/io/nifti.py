"""NIfTI 3D+t → `Cine`.  Axes (x, y, slice, time) RAS become (slice, time, row, col) LPS."""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from cardiolens.dicom.findings import SeriesFinding
from cardiolens.dicom.read import Examination
from cardiolens.dicom.views import classify_description
from cardiolens.errors import ReadError
from cardiolens.study import Cine, FloatArray, Refusal, Study, View

log = logging.getLogger(__name__)

_DAMAGE = (OSError, EOFError, ValueError, zlib.error, nibabel.filebasedimages.ImageFileError)
_LABELS = re.compile(r"(^|[_-])(label|seg|gt|mask)([_.-]|$)", re.IGNORECASE)
_SECONDS = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}
_MILLIMETRES = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}


@dataclass(frozen=True)
class NiftiFrames:
    """A `LazyFrames` over one file; only a path, so it works after fork and spawn."""

    path: str
    shape: tuple[int, int, int, int]
    flipped: bool

    def load(self) -> npt.NDArray[Any]:
        """(slice, time, row, col) in the stored type (floating when the file carries a scale)."""
        try:
            data = np.asanyarray(_open(self.path).dataobj)
        except _DAMAGE as error:
            raise ReadError(f"{self.path}: pixels cannot be read ({error}); the file may be truncated") from error
        data = data[..., None] if data.ndim == 3 else data
        frames = np.ascontiguousarray(np.transpose(data, (2, 3, 1, 0)))
        return frames[::-1].copy() if self.flipped else frames


def read_nifti(path: str, view: View | None = None) -> Cine:
    """One file as a cine.

    Args:
        view: which plane; by default told from the file name.

    Raises:
        ReadError: not NIfTI, not 3D+t, or no view in the name.
    """
    try:
        image = _open(path)
    except _DAMAGE as error:
        raise ReadError(f"{path}: not a readable NIfTI file ({error})") from error
    if len(image.shape) != 4 or image.shape[3] < 2:
        raise ReadError(f"{path}: shape {image.shape}; a cine needs four axes (x, y, slice, time) with time > 1")
    view = view or view_of_name(path)
    if view is None:
        raise ReadError(f"{path}: the name does not tell the view; pass view= (SAX, 2CH, 3CH or 4CH)")
    return _as_cine(path, image, view)


def read_still(path: str, view: View) -> Cine:
    """One file of one image a plane, such as late enhancement, on the grid of a `Cine` with one phase.

    Raises:
        ReadError: not NIfTI, or more than one phase.
    """
    try:
        image = _open(path)
    except _DAMAGE as error:
        raise ReadError(f"{path}: not a readable NIfTI file ({error})") from error
    if not (len(image.shape) == 3 or (len(image.shape) == 4 and image.shape[3] == 1)):
        raise ReadError(f"{path}: shape {image.shape}; a still needs three axes (x, y, slice)")
    return _as_cine(path, image, view)


def _as_cine(path: str, image: Any, view: View) -> Cine:
    cols, rows, slices, phases = (*image.shape, 1)[:4]
    geometry = _geometry(image)
    notes = list(geometry.notes)
    times = _times(image, slices, phases)
    if times is not None:
        notes.append("NIfTI gives the interval between phases only: the first phase is taken at 0 ms")
    for note in geometry.notes:
        log.warning("%s: %s", path, note)
    return Cine(
        view,
        NiftiFrames(path, (slices, phases, rows, cols), geometry.flipped),
        source=f"NIfTI {view}",
        spacing_mm=geometry.spacing,
        slice_positions_mm=geometry.positions,
        trigger_times_ms=times,
        affine=geometry.affine,
        notes=tuple(notes),
    )


def read_label_map(path: str, cine_path: str) -> npt.NDArray[Any]:
    """A label map, voxel by voxel on the frames of a cine file or still, turned as `read_nifti` turns that.

    Returns:
        (slice, row, col) of one phase, or (slice, time, row, col), in the stored type.

    Raises:
        ReadError: either file is not readable, or the map has neither three nor four axes.
    """
    try:
        image, cine = _open(path), _open(cine_path)
        data = np.asanyarray(image.dataobj)
    except _DAMAGE as error:
        raise ReadError(f"{path}: not a readable NIfTI file ({error})") from error
    if data.ndim not in (3, 4):
        raise ReadError(f"{path}: shape {data.shape}; a label map has three axes (x, y, slice), over time four")
    planes = np.ascontiguousarray(np.transpose(data, (2, 1, 0) if data.ndim == 3 else (2, 3, 1, 0)))
    return planes[::-1].copy() if _geometry(cine).flipped else planes


def _open(path: str) -> Any:
    """A nibabel image; untyped, since its base class does not know `shape`."""
    return nibabel.load(path)


def view_of_name(path: str) -> View | None:
    """View by the file's own name, then by its folder's."""
    name = re.sub(r"\.nii(\.gz)?$", "", Path(path).name, flags=re.IGNORECASE)
    return classify_description(name) or classify_description(Path(path).parent.name)


@dataclass(frozen=True)
class _Geometry:
    spacing: tuple[float, float] | None
    positions: FloatArray | None
    affine: FloatArray | None
    flipped: bool
    notes: tuple[str, ...] = ()


def _geometry(image: Any) -> _Geometry:
    """What the header really says: an affine only with a form code, spacing only where it was set."""
    header = image.header
    units = header.get_xyzt_units()[0]
    zooms = np.array(header.get_zooms()[:3], dtype=float) * _MILLIMETRES.get(units, 1.0)
    coded = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    ras = np.array(image.affine, dtype=float)
    blank = units == "unknown" and np.allclose(zooms, 1.0)
    if blank and (not coded or np.allclose(np.abs(ras[:3, :3]), np.eye(3))):
        return _Geometry(
            None, None, None, False, ("no geometry in the NIfTI header: measures in mm, ml and g will refuse",)
        )
    if not coded:
        positions = np.arange(image.shape[2]) * zooms[2]
        note = "no form code in the NIfTI header: spacing is kept, the place in the patient is unknown"
        return _Geometry((float(zooms[1]), float(zooms[0])), positions, None, False, (note,))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ras
    lps[:3] *= _MILLIMETRES.get(units, 1.0)
    spacing = tuple(float(n) for n in np.linalg.norm(lps[:3, [1, 0]], axis=0))
    normal = np.cross(lps[:3, 0], lps[:3, 1])
    normal /= np.linalg.norm(normal)
    step, flipped = float(normal @ lps[:3, 2]), False
    if step < 0:
        lps[:3, 3] += (image.shape[2] - 1) * lps[:3, 2]
        lps[:3, 2] *= -1
        step, flipped = -step, True
    if not np.isfinite(lps).all() or min(spacing) <= 0 or step <= 1e-6:
        return _Geometry(
            None, None, None, False, ("the NIfTI affine is singular: measures in mm, ml and g will refuse",)
        )
    positions = float(normal @ lps[:3, 3]) + np.arange(image.shape[2]) * step
    return _Geometry((spacing[0], spacing[1]), positions, lps, flipped)


def _times(image: Any, slices: int, phases: int) -> FloatArray | None:
    """(slice, time) in ms when the header has a time unit and a step that fits one heart beat; else None."""
    factor = _SECONDS.get(image.header.get_xyzt_units()[1])
    zooms = image.header.get_zooms()
    if factor is None or len(zooms) < 4:
        return None
    step = float(zooms[3]) * factor
    if not 200.0 <= step * phases <= 3000.0:
        return None
    return np.tile(np.arange(phases) * step, (slices, 1))


def examine_nifti(paths: Sequence[str], view: View | None = None) -> Iterator[Examination]:
    """One examination a folder of NIfTI files; label maps and files without a view are refused with the reason.

    Raises:
        ReadError: a lone file that cannot be read or does not tell its view.
    """
    if len(paths) == 1:
        cine = read_nifti(paths[0], view)
        finding = _finding(paths[0], cine).used_as(cine.view, ("view given or in the file name",), 1.0, cine.notes)
        yield Examination(Study((cine,)), (finding,), "", paths[0])
        return
    folders: dict[Path, list[str]] = {}
    for path in paths:
        folders.setdefault(Path(path).parent, []).append(path)
    for files in folders.values():
        yield _examine_folder(files, view)


def _examine_folder(paths: Sequence[str], view: View | None) -> Examination:
    cines: dict[View, Cine] = {}
    findings, refused = [], []
    for path in paths:
        reason = None
        try:
            if _LABELS.search(Path(path).name):
                raise ReadError(f"{path}: a label map by its name")
            cine = read_nifti(path, view)
            if cine.view in cines:
                reason = f"a second {cine.view} in this folder"
        except ReadError as error:
            cine, reason = None, str(error)
        finding = _finding(path, cine)
        if cine is not None and reason is None:
            cines[cine.view] = cine
            finding = finding.used_as(cine.view, ("file name",), 0.8, cine.notes)
        else:
            refused.append(Refusal(Path(path).name, reason or "", 1))
            finding = finding.refused(reason or "")
        findings.append(finding)
    return Examination(Study(tuple(cines.values()), refused=tuple(refused)), tuple(findings), "", paths[0])


def _finding(path: str, cine: Cine | None) -> SeriesFinding:
    shape = cine.shape if cine is not None else (0, 0, 0, 0)
    name = Path(path).name
    return SeriesFinding(name, None, name, 1, shape[0], shape[1], shape[2], shape[3])
