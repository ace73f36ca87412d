"""The one door by which studies come in: DICOM or NIfTI, folder, archive or files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cardiolens.errors import ReadError
from cardiolens.study import Study, View

if TYPE_CHECKING:
    from cardiolens.dicom.read import Examination

PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike]


def read_study(path: Paths, *, view: View | str | None = None, workers: int | None = None) -> Study:
    """Read one examination; headers now, pixels on first use of `cine.frames`.

    >>> study = read_study("scan/")
    >>> study.cine("SAX").frames.shape
    (12, 20, 256, 256)

    Args:
        path: a folder of any nesting, a zip or tar, a DICOM or NIfTI file, or a list of these.
        view: what the only cine shows, for input that does not tell by itself.
        workers: threads that read headers.

    Raises:
        ReadError: nothing to read, or more than one study (use `read_studies`).
        NoCineError: a study without a cine; the message lists each series with its reason.
    """
    from cardiolens.dicom.read import only_one

    return only_one(list(examinations(path, view=view, workers=workers))).require_cine()


def read_studies(path: Paths, *, view: View | str | None = None, workers: int | None = None) -> Iterator[Study]:
    """Every examination under `path`, one after the other; those without a cine come with `study.cines == ()`."""
    for examination in examinations(path, view=view, workers=workers):
        yield examination.study


def examinations(path: Paths, *, view: View | str | None = None, workers: int | None = None) -> Iterator[Examination]:
    """Like `read_studies`, with the table of series beside each study (what `cardiolens views` shows)."""
    from cardiolens.dicom.read import examine
    from cardiolens.dicom.scan import scan
    from cardiolens.io.nifti import examine_nifti

    paths: Sequence[PathLike] = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not paths:
        raise ReadError("no path given")
    wanted = _view(view)
    found = scan(paths, workers)
    if not found.studies and not found.nifti:
        listed = ", ".join(os.fspath(p) for p in paths)
        ignored = "; ".join(found.notes) or "it is empty"
        raise ReadError(f"{listed}: no DICOM images and no NIfTI here ({ignored}); give the folder that holds the scan")
    yield from examine(found, wanted)
    if not found.studies:
        yield from examine_nifti([ref.path for ref in found.nifti], wanted)


def _view(view: View | str | None) -> View | None:
    if view is None:
        return None
    try:
        return View(view)
    except ValueError as error:
        raise ReadError(f"unknown view {view!r}; one of {', '.join(v.value for v in View)}") from error
