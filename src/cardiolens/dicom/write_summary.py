"""A picture → DICOM Secondary Capture (PS3.3 A.8.1), in the study that it is about."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from cardiolens._version import __version__
from cardiolens.dicom.pixels import FrameRef
from cardiolens.dicom.sources import unchecked
from cardiolens.dicom.write_report import RESEARCH, Sources, copy_patient, set_times, uid
from cardiolens.errors import InputError

_SERIES_NUMBER = 9102


def write_summary(
    sources: Sources,
    picture: npt.NDArray[np.uint8],
    *,
    made: dt.datetime,
    shown: Sequence[FrameRef] = (),
    title: str = "cardiolens summary",
) -> bytes:
    """The picture as a DICOM file; its UIDs follow from its pixels and the images of the study.

    Args:
        picture: (row, col, 3), holding nothing that names the patient.
        shown: the images that can be seen on it.

    Raises:
        InputError: a picture of another shape, or headers that highdicom or pydicom do not accept.
    """
    from highdicom.sc import SCImage

    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise InputError(f"a summary is a picture (row, col, 3) in uint8, got {picture.shape} in {picture.dtype}")
    entropy = [*sorted(sources.instances), hashlib.sha256(np.ascontiguousarray(picture).data).hexdigest()]
    about = sources.about
    buffer = io.BytesIO()
    try:
        with unchecked():
            image: Dataset = SCImage(
                pixel_array=picture,
                photometric_interpretation="RGB",
                bits_allocated=8,
                coordinate_system="PATIENT",
                patient_orientation=("L", "F"),  # highdicom asks for it; emptied below, since a page lies nowhere
                study_instance_uid=about.StudyInstanceUID,
                series_instance_uid=uid(entropy, "summary series"),
                series_number=_SERIES_NUMBER,
                sop_instance_uid=uid(entropy, "summary"),
                instance_number=1,
                manufacturer="cardiolens",
            )
            _dress(image, sources, shown, made, title)
            image.save_as(buffer, enforce_file_format=True)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"no summary image, since its headers are not accepted ({error})") from error
    return buffer.getvalue()


def _dress(image: Dataset, sources: Sources, shown: Sequence[FrameRef], made: dt.datetime, title: str) -> None:
    copy_patient(image, sources.about)
    set_times(image, made)
    image.Modality = sources.modality  # of the source: highdicom writes OT, which some viewers hide
    image.PatientOrientation = None
    image.BodyPartExamined = "HEART"
    image.ConversionType = "WSD"
    image.DateOfSecondaryCapture = made.strftime("%Y%m%d")
    image.TimeOfSecondaryCapture = made.strftime("%H%M%S")
    image.SecondaryCaptureDeviceManufacturer = "cardiolens"
    image.SecondaryCaptureDeviceManufacturerModelName = "cardiolens node"
    image.SecondaryCaptureDeviceSoftwareVersions = __version__
    image.SeriesDescription = f"{title}, {RESEARCH.lower()}"[:64]
    image.ImageComments = f"{RESEARCH}."
    image.DerivationDescription = f"Summary page drawn by cardiolens {__version__}. {RESEARCH}."
    image.BurnedInAnnotation = "NO"  # as DICOM means it: nothing in the pixels names the patient
    image.LossyImageCompression = "00"
    refs = [_reference(*one) for one in sources.by_instance(shown)]
    if refs:
        image.SourceImageSequence = refs


def _reference(sop_class: str, instance: str, numbers: list[int] | None) -> Dataset:
    one = Dataset()
    one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = sop_class, instance
    if numbers:
        one.ReferencedFrameNumber = numbers
    return one
