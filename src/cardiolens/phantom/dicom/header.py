"""What every DICOM file of a phantom study says alike: patient, study, equipment, geometry, identifiers."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from cardiolens._version import __version__
from cardiolens.errors import GeometryError, PhantomError
from cardiolens.study import Cine, Study

MANUFACTURER = "cardiolens phantom"
IMPLEMENTATION_UID = "2.25.184442081504272200814843485742066519904"
_NAMESPACE = uuid.UUID("5b0b3a5e-6f0b-4c4f-9a4e-0d2f5d1f7c11")
_FIRST_DAY = datetime.date(2001, 1, 1)


@dataclass(frozen=True)
class StudyIdentity:
    """Who and when, all of it made up from the seed.

    Attributes:
        seed: two studies of the same patient, accession and seed get the same UIDs.
        patient_id, accession: as they stand in the files.
        style: of `styles.STYLES`.
    """

    seed: int
    patient_id: str
    accession: str
    style: str

    def uid(self, *parts: object) -> str:
        """A UID under 2.25 (a UUID as an integer, DICOM PS3.5 B.2), the same for the same parts."""
        text = "/".join(map(str, (self.seed, self.patient_id, self.accession, self.style, *parts)))
        return f"2.25.{uuid.uuid5(_NAMESPACE, text).int}"

    @property
    def date(self) -> str:
        """A scan date (DICOM DA) within the twenty years from 2001."""
        return (_FIRST_DAY + datetime.timedelta(days=self.seed % 7300)).strftime("%Y%m%d")


@dataclass(frozen=True)
class PlaneGeometry:
    """One plane as DICOM gives it.

    Attributes:
        position: (3,) LPS mm of the centre of the first voxel (ImagePositionPatient).
        orientation: (6,) direction along a row, then down a column (ImageOrientationPatient).
        location: mm along the normal (SliceLocation).
    """

    position: npt.NDArray[np.float64]
    orientation: npt.NDArray[np.float64]
    location: float


def ds(value: float) -> str:
    """A number as a decimal string (DS): the most exact that fits into its 16 characters.

    pydicom's own `format_number_as_ds` gives 17 for numbers such as 9.9999999999999982.
    """
    candidates = [repr(float(value)), *(f"{float(value):.{digits}g}" for digits in range(17, 0, -1))]
    return next(text for text in candidates if len(text) <= 16)


def require_geometry(cine: Cine) -> None:
    """Refuse a cine whose place in the patient or whose times are not known: DICOM would have to invent them."""
    for name in ("affine", "spacing_mm", "slice_positions_mm", "trigger_times_ms"):
        if getattr(cine, name) is None:
            raise GeometryError(f"{cine.source or cine.view}: cannot be written as DICOM without {name}")


def plane_geometry(cine: Cine, plane: int) -> PlaneGeometry:
    """Position and orientation of one plane, uneven slice steps included."""
    assert cine.affine is not None and cine.slice_positions_mm is not None  # noqa: S101 - see require_geometry
    row_dir, col_dir = (cine.affine[:3, i] / np.linalg.norm(cine.affine[:3, i]) for i in (0, 1))
    normal = np.cross(row_dir, col_dir)
    step = cine.affine[:3, 2]
    shear = step - normal * float(normal @ step)  # zero unless the stack leans
    along = float(cine.slice_positions_mm[plane] - cine.slice_positions_mm[0])
    position = cine.affine[:3, 3] + plane * shear + along * normal
    return PlaneGeometry(position, np.concatenate([row_dir, col_dir]), float(cine.slice_positions_mm[plane]))


def interval_ms(cine: Cine) -> float:
    """The heart beat's length: from the cine's heart rate, else from its evenly spaced trigger times."""
    assert cine.trigger_times_ms is not None  # noqa: S101 - see require_geometry
    rate = fact(cine, "HeartRate", None)
    if rate:
        return 60000.0 / float(rate)
    times = cine.trigger_times_ms
    if times.shape[1] < 2:
        raise GeometryError(f"{cine.source or cine.view}: one phase tells no heart rate; is it a cine?")
    return float(np.median(np.diff(times, axis=1)) * times.shape[1])


def step_mm(cine: Cine) -> float | None:
    """Mean distance between planes; None for a single plane."""
    if cine.slice_positions_mm is None or cine.n_slices < 2:
        return None
    return float(np.diff(cine.slice_positions_mm).mean())


def require_facts(cine: Cine, keywords: Iterable[str], what: str) -> None:
    """Refuse a cine that does not carry all of these facts, which the standard wants of `what`."""
    missing = [keyword for keyword in keywords if keyword not in cine.attributes]
    if missing:
        raise PhantomError(
            f"{cine.source or cine.view}: {what} must say {', '.join(missing)}, which this cine does not know; "
            "add them to its attributes or choose another style"
        )


def fact(cine: Cine, keyword: str, default: Any) -> Any:
    """An acquisition fact that the cine carries under its DICOM keyword, else the default."""
    return cine.attributes.get(keyword, default)


def is_prospective(cine: Cine) -> bool:
    """Whether the scan was triggered by the R wave and stopped before the next."""
    return str(fact(cine, "CardiacSynchronizationTechnique", "RETROSPECTIVE")) == "PROSPECTIVE"


def fill_common(ds_: Dataset, study: Study, who: StudyIdentity) -> None:
    """Patient, general study, frame of reference and equipment modules, and what says that nobody is in it."""
    ds_.SpecificCharacterSet = "ISO_IR 192"
    ds_.PatientName = f"PHANTOM^{who.patient_id}"
    ds_.PatientID = who.patient_id
    ds_.PatientBirthDate = ""
    ds_.PatientSex = study.sex or ""
    if study.age is not None:
        ds_.PatientAge = f"{int(study.age):03d}Y"
    ds_.PatientIdentityRemoved = "YES"
    ds_.DeidentificationMethod = "Synthetic phantom: no person was imaged"
    ds_.StudyInstanceUID = who.uid("study")
    ds_.StudyID = "1"
    ds_.StudyDate = ds_.SeriesDate = ds_.AcquisitionDate = ds_.ContentDate = who.date
    ds_.StudyTime = "080000"
    ds_.AccessionNumber = who.accession
    ds_.ReferringPhysicianName = ""
    ds_.StudyDescription = "Cardiac MRI (synthetic phantom)"
    ds_.Modality = "MR"
    ds_.FrameOfReferenceUID = who.uid("frame of reference")
    ds_.PositionReferenceIndicator = ""
    ds_.Manufacturer = MANUFACTURER
    ds_.ManufacturerModelName = f"phantom, {who.style} style"
    ds_.DeviceSerialNumber = "0"
    ds_.SoftwareVersions = f"cardiolens {__version__}"
    ds_.BodyPartExamined = "HEART"
    ds_.PatientPosition = "HFS"
    ds_.BurnedInAnnotation = "NO"
    if study.site:
        ds_.InstitutionName = study.site


def fill_pixels(ds_: Dataset, frames: npt.NDArray[Any]) -> None:
    """Image pixel module for (row, col) or (frame, row, col) pixels; integer dtypes of up to 16 bits only."""
    if frames.dtype.kind not in "iu" or frames.dtype.itemsize > 2:
        raise GeometryError(f"pixels of dtype {frames.dtype} cannot be written as MR DICOM; scale them to uint16 first")
    signed = frames.dtype.kind == "i"
    bits = 16 if signed or int(frames.max()) > 4095 else 12
    ds_.SamplesPerPixel = 1
    ds_.PhotometricInterpretation = "MONOCHROME2"
    ds_.Rows, ds_.Columns = frames.shape[-2:]
    ds_.BitsAllocated = 16
    ds_.BitsStored = bits
    ds_.HighBit = bits - 1
    ds_.PixelRepresentation = int(signed)
    ds_.PixelData = frames.astype("<i2" if signed else "<u2").tobytes()
    if frames.ndim == 3:
        ds_.NumberOfFrames = frames.shape[0]
    ds_["PixelData"].VR = "OW"
