"""The images that a result was made from: what names them, and the patient and study that the result belongs to."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from cardiolens.dicom.files import FileRef, open_files
from cardiolens.dicom.headers import Frame, read_headers
from cardiolens.dicom.pixels import FrameRef, PlaneRefs
from cardiolens.dicom.tags import Tags
from cardiolens.errors import ReadError

_COPIED = (
    "PatientName",
    "PatientID",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
)
_MUST_BE_THERE = ("PatientName", "PatientID", "StudyID", "AccessionNumber", "ReferringPhysicianName")  # may be empty


@dataclass(frozen=True)
class SourceImage:
    """One image that a result was made from; `number` is its frame in a multi-frame file, from 1, else None."""

    sop_class: str
    sop_instance: str
    series: str
    frame_of_reference: str
    number: int | None
    frame: Frame

    @property
    def uid(self) -> tuple[str, int | None]:
        return self.sop_instance, self.number


@contextmanager
def unchecked() -> Iterator[None]:
    """Values of the source that break the standard are copied and noted by us, not complained of one by one."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def read_sources(planes: Sequence[PlaneRefs], notes: dict[str, None]) -> tuple[dict[FrameRef, SourceImage], Dataset]:
    """Every image of the planes by reference, and what the first file says of patient and study."""
    wanted: dict[FileRef, list[FrameRef]] = {}
    for ref in (ref for plane in planes for ref in plane.frames):
        wanted.setdefault(ref.file, []).append(ref)
    images: dict[FrameRef, SourceImage] = {}
    about: Dataset | None = None
    for file, stream in open_files(wanted):
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        frames = read_headers(file, stream, size).frames
        stream.seek(0)
        tags = Tags(pydicom.dcmread(stream, stop_before_pixels=True, force=True))
        about = about or _about(tags, notes)
        for ref in wanted[file]:
            if ref.index >= len(frames):
                raise ReadError(f"{file.name}: frame {ref.index + 1} is gone; the file changed since it was listed")
            frame = frames[ref.index]
            images[ref] = SourceImage(
                frame.file.texts["SOPClassUID"],
                frame.file.texts["SOPInstanceUID"],
                frame.file.texts["SeriesInstanceUID"],
                tags.text("FrameOfReferenceUID"),
                ref.index + 1 if frame.file.n_frames > 1 else None,
                frame,
            )
    assert about is not None  # noqa: S101 - a cine has an image
    return images, about


def _about(tags: Tags, notes: dict[str, None]) -> Dataset:
    """Patient and study as the first image names them; values that DICOM does not allow are left empty and noted."""
    about = Dataset()
    about.SpecificCharacterSet = "ISO_IR 192"
    for name in _COPIED:
        if (text := tags.text(name)) or name in _MUST_BE_THERE:
            setattr(about, name, text)
    sex = tags.text("PatientSex").upper()
    about.PatientSex = sex if sex in ("F", "M", "O") else ""
    for name, form in (("PatientBirthDate", "%Y%m%d"), ("StudyDate", "%Y%m%d")):
        text = tags.text(name)
        setattr(about, name, text if not text or _is_date(text, form) else "")
        if text and not getattr(about, name):
            notes[f"{name} of the images is no date, so it is left empty in what is written"] = None
    time = tags.text("StudyTime")
    about.StudyTime = time if re.fullmatch(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", time) else ""
    return about


def _is_date(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def drawn_on(plane: PlaneRefs, phase: int) -> list[FrameRef]:
    """The images behind one phase of a plane, the one that weighs more first; two where it was resampled."""
    if plane.resampling is None:
        return [plane.frames[phase]]
    weight = plane.resampling.weight[phase]
    left, right = plane.frames[plane.resampling.left[phase]], plane.frames[plane.resampling.right[phase]]
    weighed = [(1 - weight, left), (weight, right)]
    return [ref for share, ref in sorted(weighed, key=lambda pair: -pair[0]) if share > 0]
