"""DICOM → `Study`: the road from files to cines, and the table of series beside it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cardiolens.dicom.choose import JOINED_NOTE, choose
from cardiolens.dicom.files import PathLike
from cardiolens.dicom.findings import SeriesFinding
from cardiolens.dicom.headers import Frame
from cardiolens.dicom.kind import is_steady_state
from cardiolens.dicom.pixels import DicomFrames, PlaneRefs, digest, frame_ref
from cardiolens.dicom.scan import Scan, scan
from cardiolens.dicom.series import make_piles, normal_of
from cardiolens.dicom.stacks import Stack
from cardiolens.errors import NoCineError, ReadError
from cardiolens.study import Cine, FloatArray, Refusal, Study, View

log = logging.getLogger(__name__)

_ATTRIBUTE_TEXTS = ("Manufacturer", "ManufacturerModelName")
_ATTRIBUTE_NUMBERS = [
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "FlipAngle",
    "SliceThickness",
    "HeartRate",
    "NominalInterval",
]


@dataclass(frozen=True)
class Examination:
    """One study as read: its cines (perhaps none) and what was found for every series."""

    study: Study
    series: tuple[SeriesFinding, ...]
    uid: str
    example: str

    def require_cine(self) -> Study:
        """The study, or `NoCineError` listing every series with its reason."""
        if self.study.cines:
            return self.study
        reasons = "\n".join(f"  {refusal.series}: {refusal.reason}" for refusal in self.study.refused)
        raise NoCineError(f"no cine in the study of {self.example}; every series was refused:\n{reasons}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: series, notes, study."""
        study = self.study
        return {
            "series": [finding.to_dict() for finding in self.series],
            "notes": list(study.notes),
            "study": {
                "patient": study.patient,
                "accession": study.accession,
                "site": study.site,
                "sex": study.sex,
                "age": study.age,
                "views": {str(cine.view): list(cine.shape) for cine in study.cines},
            },
        }


def examine(found: Scan, view: View | None = None) -> Iterator[Examination]:
    """Every study of a scan, in order of its first file.  `view` names the only cine of each."""
    for uid, frames in found.studies.items():
        yield _examine_study(uid, frames, found.notes, view)


def series_table(paths: PathLike | Sequence[PathLike], *, view: View | None = None) -> list[SeriesFinding]:
    """A finding for every series of every study under `paths`."""
    listed = [paths] if isinstance(paths, str) or not isinstance(paths, Sequence) else list(paths)
    return [finding for examination in examine(scan(listed), view) for finding in examination.series]


def _examine_study(uid: str, frames: list[Frame], notes: Sequence[str], view: View | None) -> Examination:
    choice = choose(make_piles(frames, digest), view)
    cines = tuple(_cine(view, stack, choice.findings) for view, stack in choice.stacks.items())
    refused = [Refusal(f.name, f.reason, f.n_files) for f in choice.findings if f.reason is not None]
    for stack in choice.stacks.values():
        refused += [Refusal(stack.name, reason) for reason in stack.dropped]
    patients = {frame.file.texts["PatientID"] for frame in frames} - {""}
    if len(patients) > 1:
        notes = [*notes, f"{len(patients)} different PatientID in one study; the first is used"]
    first = frames[0]
    texts = first.file.texts
    study = Study(
        cines,
        patient=texts["PatientID"] or None,
        accession=_common(frames, "AccessionNumber") or uid or None,
        site=_common(frames, "InstitutionName") or None,
        sex=next((sex for sex in (_common(frames, "PatientSex").upper()[:1],) if sex in ("F", "M")), None),
        age=_age(frames),
        refused=tuple(refused),
        notes=tuple(notes),
    )
    return Examination(study, choice.findings, uid, first.file.ref.name)


def _common(frames: Sequence[Frame], name: str) -> str:
    """The first value that is not empty."""
    return next((frame.file.texts[name] for frame in frames if frame.file.texts[name]), "")


def _age(frames: Sequence[Frame]) -> float | None:
    """Years, from PatientAge or from valid dates of birth and study; None when neither is usable."""
    match = re.fullmatch(r"(\d{1,3})([YMWD]?)", _common(frames, "PatientAge").upper())
    if match and int(match[1]) > 0:
        return int(match[1]) / {"Y": 1, "": 1, "M": 12, "W": 52.18, "D": 365.25}[match[2]]
    try:
        born, seen = (np.datetime64(_iso(_common(frames, name))) for name in ("PatientBirthDate", "StudyDate"))
    except ValueError:
        return None
    years = float((seen - born) / np.timedelta64(1, "D")) / 365.25
    return round(years, 1) if 0 < years < 120 else None


def _iso(date: str) -> str:
    """DICOM date as ISO; "2012-00-00" for the invalid ones, which numpy refuses."""
    if not re.fullmatch(r"\d{8}", date):
        raise ValueError(date)
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"


def _cine(view: View, stack: Stack, findings: Sequence[SeriesFinding]) -> Cine:
    pile = stack.first
    positions = stack.positions_mm if pile.orientation is not None else None
    affine = _affine(stack, positions)
    refs = tuple(
        PlaneRefs(tuple(frame_ref(frame) for frame in timed.plane.frames), timed.resampling) for timed in stack.planes
    )
    times = [timed.times_ms for timed in stack.planes]
    labels = {pile.label for pile in stack.piles}
    own = (finding.notes for finding in findings if finding.key in labels)
    notes = dict.fromkeys(note for given in own for note in given if not note.startswith(JOINED_NOTE))
    for note in _pixel_notes(stack):
        notes[note] = None
    if pile.spacing is None or affine is None:
        log.warning("%s: %s", stack.name, _geometry_note(stack))
        notes[_geometry_note(stack)] = None
    return Cine(
        view,
        DicomFrames((len(stack.planes), stack.n_phases, pile.rows, pile.cols), refs, stack.name),
        source=stack.name,
        spacing_mm=pile.spacing,
        slice_positions_mm=positions,
        trigger_times_ms=None if None in times else np.array(times),
        affine=affine,
        attributes=_attributes(stack, positions),
        notes=tuple(notes),
    )


def _affine(stack: Stack, positions: FloatArray | None) -> FloatArray | None:
    """4x4 from voxel (col, row, slice) to patient LPS mm; None when any of it is unknown.

    The slice axis is the mean step between first and last plane; of one plane, the normal times SpacingBetweenSlices
    or SliceThickness, or 1 mm when neither is known (it spans no second plane).
    """
    pile = stack.first
    if pile.orientation is None or pile.spacing is None or positions is None:
        return None
    first, last = stack.planes[0].plane.origin, stack.planes[-1].plane.origin
    if first is None or last is None:
        return None
    affine = np.eye(4)
    affine[:3, 0] = pile.orientation[:3] * pile.spacing[1]
    affine[:3, 1] = pile.orientation[3:] * pile.spacing[0]
    if len(positions) > 1:
        affine[:3, 2] = (last - first) / (len(positions) - 1)
    else:
        numbers = pile.first.file.numbers
        affine[:3, 2] = normal_of(pile.orientation) * (
            numbers.get("SpacingBetweenSlices") or numbers.get("SliceThickness") or 1.0
        )
    affine[:3, 3] = first
    return affine


def _geometry_note(stack: Stack) -> str:
    if stack.first.spacing is None:
        return "no pixel spacing in the headers: measures in mm, ml and g will refuse"
    return "no image positions in the headers: volumes will refuse"


def _pixel_notes(stack: Stack) -> Iterator[str]:
    files = [frame.file for timed in stack.planes for frame in timed.plane.frames]
    if any(file.samples == 3 for file in files):
        yield "colour images turned to grey"
    if any(file.texts["PhotometricInterpretation"].upper() == "MONOCHROME1" for file in files):
        yield "MONOCHROME1 inverted, so that bright is high"
    if any(file.n_overlays for file in files):
        yield "overlay planes ignored"
    if not is_steady_state(stack.first.first):
        yield "no sign of a steady-state sequence in the tags"


def _attributes(stack: Stack, positions: FloatArray | None) -> dict[str, str | float]:
    file = stack.first.first.file
    attributes: dict[str, str | float] = {name: file.texts[name] for name in _ATTRIBUTE_TEXTS if file.texts[name]}
    for name in _ATTRIBUTE_NUMBERS:
        values = [
            timed.plane.frames[0].file.numbers[name]
            for timed in stack.planes
            if name in timed.plane.frames[0].file.numbers
        ]
        if values:
            attributes[name] = float(np.median(values))
    if positions is not None and len(positions) > 1:
        attributes["SpacingBetweenSlices"] = round(float(np.diff(positions).mean()), 4)
    return attributes


def only_one(examinations: Sequence[Examination]) -> Examination:
    """The one study; `ReadError` names all of them when there are more."""
    if len(examinations) == 1:
        return examinations[0]
    listed = "\n".join(f"  {e.uid or 'no StudyInstanceUID'} (for example {e.example})" for e in examinations)
    raise ReadError(
        f"{len(examinations)} studies (StudyInstanceUID) where one was expected; give one at a time:\n{listed}"
    )
