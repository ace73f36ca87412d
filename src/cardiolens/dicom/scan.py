"""Every file under some paths → frames by study, with what was left out counted.  Headers in parallel."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from cardiolens.dicom.files import FileRef, PathLike, archive_contents, list_files
from cardiolens.dicom.headers import FileKind, FileResult, Frame, read_headers
from cardiolens.errors import ReadError

log = logging.getLogger(__name__)

NIFTI = (".nii", ".nii.gz")
_THREADS = 4  # they hide the waiting of network disks; parsing itself is held by the interpreter lock
_NAMED = 20


@dataclass
class Scan:
    """What lies under the paths.

    Attributes:
        studies: StudyInstanceUID ("" when absent) → frames, duplicates gone.
        nifti: NIfTI files met on the way.
        counts: files by kind.
        notes: damaged files by name, duplicates, what was ignored.
    """

    studies: dict[str, list[Frame]] = field(default_factory=dict)
    nifti: list[FileRef] = field(default_factory=list)
    counts: Counter[FileKind] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def scan(paths: Sequence[PathLike], workers: int | None = None) -> Scan:
    """Read the header of every file.

    Args:
        paths: folders, files, archives.
        workers: threads; by default a few.

    Raises:
        ReadError: a path that does not exist, an archive that is damaged or too large.
    """
    found = Scan()
    files, archives = list_files(paths)
    found.nifti = [ref for ref in files if ref.name.lower().endswith(NIFTI)]
    nifti = set(found.nifti)
    results: list[FileResult] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom about broken tags; ours are notes
        with ThreadPoolExecutor(workers or _THREADS) as pool:
            results += pool.map(_read_file, (ref for ref in files if ref not in nifti))
        for archive in archives:
            results += _read_archive(archive, asked_for=archive in {os.fspath(path) for path in paths})
    _collect(found, results)
    return found


def _read_file(ref: FileRef) -> FileResult:
    try:
        with Path(ref.path).open("rb") as stream:
            return read_headers(ref, stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        return FileResult(ref, FileKind.DAMAGED, problem=f"cannot be read ({error.strerror})")


def _read_archive(path: str, *, asked_for: bool) -> list[FileResult]:
    """Headers of all members.  A bad archive is an error when it was asked for, else one damaged file of a folder."""
    try:
        return [read_headers(ref, io.BytesIO(content), len(content)) for ref, content in archive_contents(path)]
    except ReadError as error:
        if asked_for:
            raise
        return [FileResult(FileRef(path), FileKind.DAMAGED, problem=str(error))]


def _collect(found: Scan, results: Sequence[FileResult]) -> None:
    seen: dict[object, Frame] = {}
    duplicates, damaged = [], []
    for result in results:
        found.counts[result.kind] += 1
        if result.kind is FileKind.DAMAGED:
            damaged.append(f"{result.ref.short_name}: {result.problem}")
        for frame in result.frames:
            identity = _identity(frame)
            if identity is not None and identity in seen:
                if frame.index == 0:
                    duplicates.append(f"{frame.file.ref.short_name} = {seen[identity].file.ref.short_name}")
                continue
            seen[identity] = frame
            found.studies.setdefault(frame.file.texts["StudyInstanceUID"], []).append(frame)
    if "" in found.studies and len(found.studies) == 2:  # files that lost their study UID belong to the only study
        nameless = found.studies.pop("")
        next(iter(found.studies.values())).extend(nameless)
    if damaged:
        found.notes.append(f"{len(damaged)} damaged files left out: {_listed(damaged)}")
        log.warning("%s", found.notes[-1])
    if duplicates:
        found.notes.append(f"{len(duplicates)} duplicate files left out: {_listed(duplicates)}")
    if found.nifti and found.studies:
        found.notes.append(f"{len(found.nifti)} NIfTI files beside DICOM ignored")
    for kind in (FileKind.NOT_DICOM, FileKind.DICOMDIR, FileKind.OTHER_DICOM):
        if found.counts[kind]:
            found.notes.append(f"{found.counts[kind]} files ignored: {kind.value}")


def _identity(frame: Frame) -> object | None:
    """Same SOP instance UID and same place in the study.  The UID alone is not trusted: anonymisers repeat them."""
    uid = frame.file.texts["SOPInstanceUID"]
    if not uid:
        return None
    series = (frame.file.texts["SeriesInstanceUID"], frame.file.series_number)
    return (uid, frame.index, series, frame.position, frame.trigger_ms, frame.instance, frame.component)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return "; ".join(names[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
