"""A `Study` as MR DICOM files with its true geometry, laid out as one of several archives would.

    write_dicom(study, "out/dicom", style="siemens", seed=7)

What the headers say is exact to the 16 characters of a DICOM decimal string.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from cardiolens._version import __version__
from cardiolens.errors import PhantomError
from cardiolens.phantom.dicom.enhanced import REQUIRED, enhanced_dataset
from cardiolens.phantom.dicom.header import (
    IMPLEMENTATION_UID,
    StudyIdentity,
    ds,
    fact,
    fill_common,
    fill_pixels,
    interval_ms,
    is_prospective,
    plane_geometry,
    require_facts,
    require_geometry,
    step_mm,
)
from cardiolens.phantom.dicom.styles import LOCALIZER_DESCRIPTION, STYLES, SeriesPlan, file_names, plan_series
from cardiolens.study import Cine, Study, View

_EMPTY_IF_UNKNOWN = ("RepetitionTime", "EchoTime", "SliceThickness")  # type 2 and 2C of the MR image and plane modules
_ABSENT_IF_UNKNOWN = (
    "FlipAngle",
    "MagneticFieldStrength",
    "PixelBandwidth",
    "PercentSampling",
    "PercentPhaseFieldOfView",
    "InPlanePhaseEncodingDirection",
    "ContrastBolusAgent",
)  # type 3, and what only a study with contrast says
_SCOUT_TYPE = ("ORIGINAL", "PRIMARY", "OTHER")
_SCOUT_VIEWS = (View.SAX, View.CH2, View.CH4)


def write_dicom(
    study: Study,
    folder: str | Path,
    *,
    style: str = "siemens",
    patient_id: str | None = None,
    accession: str | None = None,
    seed: int = 0,
    localizer: bool = False,
) -> tuple[Path, ...]:
    """Write a study as DICOM and give the files, in the order of series and instance.

    Args:
        study: every cine needs an affine, spacing, slice positions and trigger times, and integer pixels of up to
            16 bits.  Facts of the protocol (`Cine.attributes`) that it does not carry are not made up: they stay empty
            or out of the header, and the style "enhanced", for which the standard requires them, is refused.
        folder: made if absent; must be empty, so that two studies cannot mix.
        style: "siemens" and "ukb" write one series a SAX plane; "ge" one series for the stack, planes interleaved,
            file names that say nothing; "enhanced" one multi-frame file a view.
        patient_id, accession: default to those of the study, else "PHANTOM" and "1".
        seed: UIDs and file names depend on it, on patient, accession and style, and on nothing else.
        localizer: also write a three-plane scout from the first phases, which a reader must refuse.

    Raises:
        PhantomError: unknown style, no cine, a folder that holds something, or facts missing that the style requires.
        GeometryError: geometry or times are missing, or the pixels are not integers.
    """
    folder = Path(folder)
    if style not in STYLES:
        raise PhantomError(f"unknown DICOM style {style!r}; choose one of {', '.join(STYLES)}")
    if seed < 0:
        raise PhantomError(f"write_dicom: seed must not be negative, got {seed}")
    if not study.cines:
        raise PhantomError("a study without cines cannot be written as DICOM")
    if folder.is_dir() and any(folder.iterdir()):
        raise PhantomError(f"{folder}: is not empty; DICOM of two studies would mix, so name a new folder")
    for cine in study.cines:
        require_geometry(cine)
        if style == "enhanced":
            require_facts(cine, REQUIRED, "an enhanced MR image")
    who = StudyIdentity(seed, patient_id or study.patient or "PHANTOM", accession or study.accession or "1", style)
    for name, value, limit in (("accession", who.accession, 16), ("patient_id", who.patient_id, 64)):
        if len(value) > limit:
            raise PhantomError(f"{name} {value!r} is longer than the {limit} characters that DICOM allows")
    folder.mkdir(parents=True, exist_ok=True)
    plans = plan_series(study, style, first_number=2 if localizer else 1)
    written = _write_localizer(study, folder, who) if localizer else []
    if style == "enhanced":
        for plan in plans:
            written.append(_save(enhanced_dataset(study, plan, who), folder / f"XX_{plan.number:04d}"))
        return tuple(written)
    names = file_names(style, plans, np.random.default_rng([seed, 0xD1C0]))
    for plan in plans:
        written.extend(_write_series(study, plan, folder, who, names))
    return tuple(written)


def _write_series(
    study: Study, plan: SeriesPlan, folder: Path, who: StudyIdentity, names: dict[tuple[int, int], str]
) -> list[Path]:
    """One file a frame; what is common to the series is filled once."""
    image = _series_header(study, plan, who)
    cine = plan.cine
    assert cine.trigger_times_ms is not None  # noqa: S101 - see require_geometry
    frames = cine.frames
    low, high = np.percentile(frames[list(plan.planes)], [1, 99])
    image.WindowCenter, image.WindowWidth = ds(round((low + high) / 2)), ds(max(1, round(high - low)))
    sign = -1.0 if who.style == "ge" else 1.0  # SliceLocation rises at some sites and falls at others
    written = []
    for index, (plane, phase) in enumerate(plan.order, start=1):
        place = plane_geometry(cine, plane)
        image.SOPInstanceUID = who.uid("instance", plan.number, index)
        image.InstanceNumber = index
        image.ImagePositionPatient = [ds(v) for v in place.position]
        image.ImageOrientationPatient = [ds(v) for v in place.orientation]
        image.SliceLocation = ds(sign * place.location)
        image.TriggerTime = ds(cine.trigger_times_ms[plane, phase])
        image.AcquisitionTime = image.ContentTime = _clock(plan.number, plane)
        fill_pixels(image, frames[plane, phase])
        name = names.get((plan.number, index), f"{image.SOPInstanceUID}.dcm")
        written.append(_save(image, folder / name))
    return written


def _series_header(study: Study, plan: SeriesPlan, who: StudyIdentity) -> Dataset:
    """General series and MR image modules of a classic (one frame a file) cine."""
    cine = plan.cine
    assert cine.spacing_mm is not None  # noqa: S101 - see require_geometry
    image = Dataset()
    fill_common(image, study, who)
    image.SOPClassUID = MRImageStorage
    image.SeriesInstanceUID = who.uid("series", plan.number)
    image.SeriesNumber = plan.number
    image.SeriesTime = _clock(plan.number, 0)
    image.SeriesDescription = image.ProtocolName = plan.description
    image.ImageType = list(plan.image_type)
    image.AcquisitionNumber = 1
    image.ScanningSequence = "GR"
    image.SequenceVariant = "SS" if who.style == "ge" else ["SK", "SS"]
    image.ScanOptions = "CT" if is_prospective(cine) else "CG"
    image.SequenceName = "ssfp2d"
    image.MRAcquisitionType = "2D"
    image.ImagedNucleus = "1H"
    image.EchoTrainLength = 1
    _fill_facts(image, cine)
    step = step_mm(cine)
    if step is not None:
        image.SpacingBetweenSlices = ds(step)
    image.PixelSpacing = [ds(v) for v in cine.spacing_mm]
    beat = interval_ms(cine)
    image.NominalInterval = round(beat)
    image.HeartRate = round(60000.0 / beat)
    image.BeatRejectionFlag = "N"
    image.CardiacNumberOfImages = cine.n_phases
    image.ImagesInAcquisition = len(plan.order)
    return image


def _fill_facts(image: Dataset, cine: Cine) -> None:
    """What the cine knows of its protocol; the rest stays empty or is left out, as PS3.3 C.8.3.1 allows."""
    for keyword in _EMPTY_IF_UNKNOWN:
        value = fact(cine, keyword, None)
        setattr(image, keyword, None if value is None else ds(value))
    for keyword in _ABSENT_IF_UNKNOWN:
        value = fact(cine, keyword, None)
        if value is not None:
            setattr(image, keyword, value if isinstance(value, str) else ds(value))


def _write_localizer(study: Study, folder: Path, who: StudyIdentity) -> list[Path]:
    """Series 1: one still frame each of up to three crossing planes, without any time axis."""
    written: list[Path] = []
    for view in _SCOUT_VIEWS:
        if view not in study.views:
            continue
        cine = study.cine(view)
        index = len(written) + 1
        plan = SeriesPlan(cine, (cine.n_slices // 2,), 1, LOCALIZER_DESCRIPTION[who.style], _SCOUT_TYPE, ())
        image = _series_header(study, plan, who)
        for keyword in ("NominalInterval", "HeartRate", "BeatRejectionFlag", "CardiacNumberOfImages"):
            delattr(image, keyword)
        image.ScanOptions = ""
        image.ImagesInAcquisition = len(_SCOUT_VIEWS)
        place = plane_geometry(cine, plan.planes[0])
        image.SOPInstanceUID = who.uid("instance", 1, index)
        image.InstanceNumber = index
        image.ImagePositionPatient = [ds(v) for v in place.position]
        image.ImageOrientationPatient = [ds(v) for v in place.orientation]
        image.AcquisitionTime = image.ContentTime = _clock(1, index)
        fill_pixels(image, cine.frames[plan.planes[0], 0])
        name = f"{image.SOPInstanceUID}.dcm" if who.style == "ukb" else f"LOC{index}"
        written.append(_save(image, folder / name))
    return written


def _clock(series: int, plane: int) -> str:
    """DICOM TM of an acquisition: a minute a series, ten seconds (one breath-hold) a plane, from 8 o'clock."""
    seconds = 60 * series + 10 * plane
    return f"{8 + seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def _save(image: Dataset, path: Path) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = image.SOPClassUID
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = f"CARDIOLENS {__version__}"[:16]
    image.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path
