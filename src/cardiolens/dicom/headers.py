"""One DICOM file → its frames as plain facts, no pixels; enhanced, plain multi-frame and classic files alike."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import BinaryIO

import numpy as np
import pydicom

from cardiolens.dicom.files import FileRef
from cardiolens.dicom.integrity import DamagedFile, check_deflated, check_pixel_data
from cardiolens.dicom.tags import Tag, Tags

log = logging.getLogger(__name__)

MAX_MATRIX = 4096  # no cine is larger; a forged header could ask for gigabytes
MAX_FRAMES = 100_000
_DICOMDIR = "1.2.840.10008.1.3.10"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_GROUPS = {  # attribute → the functional group that holds it (DICOM PS3.3 C.7.6.16 and C.8.13.5)
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "ActualCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "NominalPercentageOfCardiacPhase": "CardiacSynchronizationSequence",
    "RRIntervalTimeNominal": "CardiacSynchronizationSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "InStackPositionNumber": "FrameContentSequence",
    "FrameAcquisitionDateTime": "FrameContentSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "FrameType": "MRImageFrameTypeSequence",
    "ComplexImageComponent": "MRImageFrameTypeSequence",
    "AcquisitionContrast": "MRImageFrameTypeSequence",
    "VelocityEncodingMaximumValue": "MRVelocityEncodingSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "RepetitionTime": "MRTimingAndRelatedParametersSequence",
    "FlipAngle": "MRTimingAndRelatedParametersSequence",
    "InversionTimes": "MRModifierSequence",
}
_TEXTS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "SequenceName",
    "PulseSequenceName",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "PatientID",
    "PatientSex",
    "PatientAge",
    "PatientBirthDate",
    "StudyDate",
    "AccessionNumber",
    "InstitutionName",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "BurnedInAnnotation",
    "PhotometricInterpretation",
    "MRAcquisitionType",
    "PhaseContrast",
    "InversionRecovery",
    "Tagging",
    "SteadyStatePulseSequence",
    "CardiacSynchronizationTechnique",
    "ConversionType",
    "SeriesTime",
]
_NUMBERS = [
    "MagneticFieldStrength",
    "EchoTime",
    "SpacingBetweenSlices",
    "HeartRate",
    "NominalInterval",
    "CardiacNumberOfImages",
    "InversionTime",
    "FrameTime",
    "NumberOfTemporalPositions",
]
_FRAME_NUMBERS = ["RepetitionTime", "FlipAngle", "SliceThickness", "EffectiveEchoTime"]


class FileKind(Enum):
    """What a file turned out to be."""

    IMAGE = "image"
    OTHER_DICOM = "DICOM without pixels"
    DICOMDIR = "DICOMDIR"
    NOT_DICOM = "not DICOM"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class FileHeader:
    """Facts shared by all frames of a file.  `texts` (absent: "") and `numbers` are keyed by DICOM keyword."""

    ref: FileRef
    texts: Mapping[str, str]
    numbers: Mapping[str, float]
    image_type: tuple[str, ...]
    series_number: int | None
    rows: int
    cols: int
    n_frames: int
    samples: int
    enhanced: bool
    has_velocity: bool
    n_overlays: int


@dataclass(frozen=True)
class Frame:
    """One image.  Lengths in patient LPS mm, trigger in ms after the R wave, clock times in s after midnight."""

    file: FileHeader = field(repr=False)
    index: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, float] | None
    trigger_ms: float | None
    cardiac_phase: float | None
    temporal_index: float | None
    acquisition_s: float | None
    content_s: float | None
    instance: float | None
    acquisition_number: float | None
    plane_hint: float | None
    component: str
    echo: str
    contrast: str
    rescale: tuple[float, float]
    velocity: bool
    inversion_ms: float | None


@dataclass(frozen=True)
class FileResult:
    """Outcome for one file: frames, or why there are none."""

    ref: FileRef
    kind: FileKind
    frames: tuple[Frame, ...] = ()
    problem: str = ""


def read_headers(ref: FileRef, stream: BinaryIO, size: int) -> FileResult:
    """Read the header of one open file of `size` bytes; never raises for what is in the file."""
    start = stream.read(256)
    if not _looks_like_dicom(start):
        return FileResult(ref, FileKind.NOT_DICOM)
    stream.seek(0)
    try:
        if _DEFLATED.encode() in start + stream.read(768):
            check_deflated(stream)
        stream.seek(0)
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
    except DamagedFile as error:
        return FileResult(ref, FileKind.DAMAGED, problem=str(error))
    except Exception as error:  # noqa: BLE001 - a damaged file makes the parser raise anything
        if start[128:132] != b"DICM":
            return FileResult(ref, FileKind.NOT_DICOM)
        return FileResult(ref, FileKind.DAMAGED, problem=f"header cannot be parsed ({type(error).__name__})")
    result = _interpret(ref, stream, size, dataset)
    if result.kind is FileKind.DAMAGED and start[128:132] != b"DICM":
        return FileResult(ref, FileKind.NOT_DICOM)
    return result


def frames_of(ref: FileRef, dataset: pydicom.Dataset) -> tuple[Frame, ...]:
    """Frames by a header that came without its pixels, as DICOMweb gives metadata; () where it is no image."""
    tags = Tags(dataset)
    rows, cols = tags.integer("Rows"), tags.integer("Columns")
    if not rows or not cols:
        return ()
    try:
        return tuple(_frames(_file_header(ref, tags, rows, cols), tags))
    except DamagedFile:
        return ()


def _looks_like_dicom(start: bytes) -> bool:
    """The magic word, or (files saved without preamble) a first element of group 0002 or 0008."""
    if start[128:132] == b"DICM":
        return True
    return len(start) > 8 and start[:2] in (b"\x08\x00", b"\x02\x00") and start[3] == 0


def _interpret(ref: FileRef, stream: BinaryIO, size: int, dataset: pydicom.FileDataset) -> FileResult:
    tags = Tags(dataset)
    meta = Tags(dataset.file_meta)
    sop_class = meta.text("MediaStorageSOPClassUID") or tags.text("SOPClassUID")
    if sop_class == _DICOMDIR:
        return FileResult(ref, FileKind.DICOMDIR)
    rows, cols = tags.integer("Rows"), tags.integer("Columns")
    if not rows or not cols:
        if len(dataset) == 0 or (sop_class and _is_image_class(sop_class)):
            return FileResult(ref, FileKind.DAMAGED, problem="the header ends early")
        return FileResult(ref, FileKind.OTHER_DICOM if sop_class or tags.text("Modality") else FileKind.NOT_DICOM)
    try:
        header = _file_header(ref, tags, rows, cols)
        syntax = meta.text("TransferSyntaxUID")
        expected = rows * cols * header.n_frames * header.samples * ((tags.integer("BitsAllocated") or 16) // 8)
        check_pixel_data(stream, size, dataset, syntax, expected, header.texts["PhotometricInterpretation"])
    except DamagedFile as error:
        return FileResult(ref, FileKind.DAMAGED, problem=str(error))
    return FileResult(ref, FileKind.IMAGE, tuple(_frames(header, tags)))


def _is_image_class(sop_class: str) -> bool:
    """Image storage classes: MR, enhanced MR, MR spectroscopy left out; secondary capture."""
    return sop_class.startswith(("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"))


def _file_header(ref: FileRef, tags: Tags, rows: int, cols: int) -> FileHeader:
    n_frames = max(1, tags.integer("NumberOfFrames") or 1)
    if max(rows, cols) > MAX_MATRIX or n_frames > MAX_FRAMES:
        raise DamagedFile(f"implausible size {n_frames} x {rows} x {cols}")
    numbers = {name: value for name in _NUMBERS if (value := tags.number(name)) is not None}
    first = _PerFrameGroups(tags)[0]
    for name in _FRAME_NUMBERS:
        value = first.number(name)
        if value is not None:
            numbers[name] = value
    numbers.setdefault("EchoTime", numbers.pop("EffectiveEchoTime", -1.0))
    if numbers["EchoTime"] < 0:
        del numbers["EchoTime"]
    return FileHeader(
        ref=ref,
        texts={name: tags.text(name) for name in _TEXTS},
        numbers=numbers,
        image_type=tuple(text.upper() for text in tags.texts("ImageType")),
        series_number=tags.integer("SeriesNumber"),
        rows=rows,
        cols=cols,
        n_frames=n_frames,
        samples=tags.integer("SamplesPerPixel") or 1,
        enhanced=n_frames > 1 and bool(tags.items("PerFrameFunctionalGroupsSequence")),
        has_velocity=_has_velocity(tags),
        n_overlays=sum((group, 0x10) in tags.dataset for group in range(0x6000, 0x6020, 2)),
    )


class _Groups:
    """Looks an attribute up per frame, then in the shared groups, then at the top level."""

    def __init__(self, top: Tags, levels: Sequence[Tags]) -> None:
        self._levels = levels
        self._top = top

    def _holders(self, name: str) -> Iterator[Tags]:
        for level in self._levels:
            yield from level.items(_GROUPS[name])[:1]
        yield self._top

    def numbers(self, name: str, count: int = 1) -> tuple[float, ...] | None:
        for holder in self._holders(name):
            numbers = holder.numbers(name)
            if numbers is not None and len(numbers) >= count:
                return numbers
        return None

    def number(self, name: str) -> float | None:
        numbers = self.numbers(name)
        return numbers[0] if numbers else None

    def text(self, name: str) -> str:
        return next((text for holder in self._holders(name) if (text := holder.text(name))), "")

    def seconds(self, name: str) -> float | None:
        return next((time for holder in self._holders(name) if (time := holder.seconds(name)) is not None), None)


def _frames(header: FileHeader, tags: Tags) -> Iterator[Frame]:
    multi = header.n_frames > 1
    instance = tags.number("InstanceNumber")
    clock = {name: tags.seconds(name) for name in ("AcquisitionTime", "AcquisitionDateTime", "ContentTime")}
    acquisition = clock["AcquisitionTime"] if clock["AcquisitionTime"] is not None else clock["AcquisitionDateTime"]
    per_frame = _PerFrameGroups(tags)
    for index in range(header.n_frames):
        groups = per_frame[index]
        spacing = groups.numbers("PixelSpacing", 2)
        frame_time = groups.seconds("FrameAcquisitionDateTime")
        yield Frame(
            file=header,
            index=index,
            position=_triple(groups.numbers("ImagePositionPatient", 3)),
            orientation=_unit_orientation(groups.numbers("ImageOrientationPatient", 6)),
            spacing=(spacing[0], spacing[1]) if spacing and min(spacing[:2]) > 0 else None,
            trigger_ms=_trigger(groups, tags, multi),
            cardiac_phase=_first(groups.number("NominalPercentageOfCardiacPhase"), _private(tags, (0x2001, 0x1008))),
            temporal_index=_first(groups.number("TemporalPositionIndex"), tags.number("TemporalPositionIdentifier")),
            acquisition_s=frame_time if frame_time is not None else (None if multi else acquisition),
            content_s=None if multi else clock["ContentTime"],
            instance=float(index) if multi else instance,
            acquisition_number=_first(groups.number("FrameAcquisitionNumber"), tags.number("AcquisitionNumber")),
            plane_hint=_first(groups.number("InStackPositionNumber"), None if multi else tags.number("SliceLocation")),
            component=_component(groups, header),
            echo="" if header.enhanced else tags.text("EchoNumbers"),
            contrast=groups.text("AcquisitionContrast").upper(),
            rescale=(_first(groups.number("RescaleSlope"), 1.0) or 1.0, groups.number("RescaleIntercept") or 0.0),
            velocity=header.has_velocity or bool(groups.number("VelocityEncodingMaximumValue")),
            inversion_ms=_first(groups.number("InversionTimes"), header.numbers.get("InversionTime")),
        )


class _PerFrameGroups:
    """`_Groups` for each frame of a file; a file without functional groups has one for all."""

    def __init__(self, tags: Tags) -> None:
        self._top = tags
        self._per_frame = tags.items("PerFrameFunctionalGroupsSequence")
        self._shared = tags.items("SharedFunctionalGroupsSequence")[:1]

    def __getitem__(self, index: int) -> _Groups:
        return _Groups(self._top, [*self._per_frame[index : index + 1], *self._shared])


def _trigger(groups: _Groups, tags: Tags, multi: bool) -> float | None:
    """Delay after the R wave in ms: TriggerTime of a classic image, else the nominal, else the actual delay."""
    classic = None if multi else tags.number("TriggerTime")
    nominal = groups.number("NominalCardiacTriggerDelayTime")
    return _first(classic, nominal, groups.number("ActualCardiacTriggerDelayTime"))


def _component(groups: _Groups, header: FileHeader) -> str:
    """M, P, R or I: magnitude unless a tag says phase, velocity, real or imaginary (PS3.3 C.8.3.1.1.1 and vendors)."""
    enhanced = groups.text("ComplexImageComponent").upper()
    if enhanced and enhanced != "MIXED":
        return {"MAGNITUDE": "M", "PHASE": "P", "REAL": "R", "IMAGINARY": "I"}.get(enhanced, "M")
    kinds = set(groups.text("FrameType").upper().split("\\")) | set(header.image_type[2:])
    if kinds & {"P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP", "VEL", "V"} and not kinds & {"M", "M_FFE"}:
        return "P"
    if kinds & {"PHASE MAP", "VELOCITY MAP"}:
        return "P"
    if kinds & {"R", "REAL", "R_FFE"}:
        return "R"
    return "I" if kinds & {"I", "IMAGINARY", "I_FFE"} else "M"


def _has_velocity(tags: Tags) -> bool:
    """Velocity encoding by standard tags, Siemens sequence names (`fl2d1_v150in`) or Philips (2001,101A)."""
    if tags.text("PhaseContrast").upper() == "YES" or tags.number("VelocityEncodingMaximumValue"):
        return True
    if re.search(r"_v\d+(in|thr|fh|ap|rl|hf|lr|pa)", tags.text("SequenceName").lower()):
        return True
    if "PC" in tags.text("ScanningSequence").upper().split("\\"):
        return True
    velocity = tags.numbers((0x2001, 0x101A))
    return velocity is not None and any(velocity)


def _private(tags: Tags, tag: Tag) -> float | None:
    return tags.number(tag)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _triple(numbers: tuple[float, ...] | None) -> tuple[float, ...] | None:
    return numbers[:3] if numbers else None


def _unit_orientation(numbers: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Row and column directions made exactly unit length; None when they are not perpendicular directions."""
    if numbers is None:
        return None
    row, col = np.array(numbers[:3]), np.array(numbers[3:6])
    lengths = np.linalg.norm(row), np.linalg.norm(col)
    if min(lengths) < 0.5 or abs(row @ col) > 0.02 * lengths[0] * lengths[1]:
        return None
    row = row / lengths[0]
    col = col - (col @ row) * row
    col = col / np.linalg.norm(col)
    return tuple(float(x) for x in (*row, *col))
