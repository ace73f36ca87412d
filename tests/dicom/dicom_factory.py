"""Small DICOM files for tests: a cine of any shape, spoilt as a test likes.

Pixel [0, 0] of an image holds `1000 + 100 * plane + phase`, so that a test sees which image came where.
"""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

SIDE = 32
ROW = np.array([1.0, 0.0, 0.0])
COL = np.array([0.0, 0.8, -0.6])
NORMAL = np.cross(ROW, COL)
ORIGIN = np.array([-60.0, 20.0, 35.0])
STUDY_UID = generate_uid(entropy_srcs=["study"])


def pixels(plane: int, phase: int, side: int = SIDE, dtype: str = "int16") -> np.ndarray:
    """(side, side); a ramp with the plane and phase in the first pixel."""
    image = np.add.outer(np.arange(side), np.arange(side)).astype(dtype)
    image[0, 0] = value(plane, phase)
    return image


def value(plane: int, phase: int) -> int:
    return 1000 + 100 * plane + phase


def image(plane=0, phase=0, *, n_phases=10, step_mm=8.0, rr_ms=800.0, array=None, origin=ORIGIN, **tags) -> FileDataset:
    """One classic MR image.  Any tag may be given by keyword; None deletes it."""
    data = FileDataset("", {}, preamble=b"\0" * 128)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = MRImageStorage
    values = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": STUDY_UID,
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series", str(tags.get("SeriesNumber", 5))]),
        "SeriesNumber": 5,
        "SeriesDescription": "cine SAX",
        "Modality": "MR",
        "ImageType": ["ORIGINAL", "PRIMARY", "M"],
        "ScanningSequence": "GR",
        "SequenceVariant": "SS",
        "PatientID": "P1",
        "PatientSex": "F",
        "PatientAge": "052Y",
        "AccessionNumber": "A1",
        "Manufacturer": "ACME",
        "SliceThickness": 6.0,
        "PixelSpacing": [1.5, 1.25],
        "ImageOrientationPatient": [*ROW, *COL],
        "ImagePositionPatient": list(np.round(np.asarray(origin) + plane * step_mm * NORMAL, 4)),
        "SliceLocation": -3.0 * plane,
        "TriggerTime": round(phase * rr_ms / n_phases, 4),
        "AcquisitionTime": f"1010{plane:02d}.000000",
        "InstanceNumber": plane * n_phases + phase + 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
    } | tags
    for name, given in values.items():
        if given is not None:
            setattr(data, name, given)
    array = pixels(plane, phase) if array is None else array
    data.Rows, data.Columns = array.shape[:2]
    data.PixelData = array.tobytes()
    data["PixelData"].VR = "OW"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    return data


def stack(n_planes=3, n_phases=10, **tags) -> list[FileDataset]:
    """Images of a stack, plane by plane."""
    return [image(p, t, n_phases=n_phases, **tags) for p in range(n_planes) for t in range(n_phases)]


def save(images, folder: Path, name="img{:04d}", start: int = 0) -> list[Path]:
    """Write images as files of the given pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, data in enumerate(images, start):
        path = folder / name.format(index)
        data.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def in_syntax(data: FileDataset, syntax: str) -> FileDataset:
    """The same image in another transfer syntax."""
    if syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        data.file_meta.TransferSyntaxUID = syntax
    elif syntax == ExplicitVRBigEndian:
        data.PixelData = np.frombuffer(data.PixelData, "<i2").astype(">i2").tobytes()
        data["PixelData"].VR = "OW"
        data.file_meta.TransferSyntaxUID = syntax
        # a data set made in memory has no encoding yet; big endian must be said
        data.set_original_encoding(False, False)
    elif syntax != ExplicitVRLittleEndian:
        uid = data.SOPInstanceUID
        data.compress(syntax, generate_instance_uid=False)
        data.SOPInstanceUID = uid
    return data


def recode(paths: list[Path], syntax: str) -> None:
    """Write files anew in a transfer syntax that only gdcm encodes (JPEG, JPEG-LS)."""
    gdcm = pytest.importorskip("gdcm")
    for path in paths:
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax


def long_axis(number: int, description: str, row, col, n_phases=10, origin=ORIGIN, **tags) -> list[FileDataset]:
    """A single-plane cine of another orientation."""
    tags = {"ImageOrientationPatient": [*row, *col]} | tags
    return [
        image(0, t, n_phases=n_phases, origin=origin, SeriesNumber=number, SeriesDescription=description, **tags)
        for t in range(n_phases)
    ]


def enhanced(n_planes=3, n_phases=10, *, shared_orientation=True, interleave=False, side=SIDE, **tags) -> FileDataset:
    """An enhanced multi-frame cine: position and delay per frame, the rest shared (or per frame)."""
    order = [(p, t) for p in range(n_planes) for t in range(n_phases)]
    if interleave:
        order = [(p, t) for t in range(n_phases) for p in range(n_planes)]
    array = np.stack([pixels(p, t, side) for p, t in order])
    top = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None, "TriggerTime": None}
    top |= {"SliceThickness": None, "SliceLocation": None, "AcquisitionTime": None}
    data = image(array=array[0], **(top | {"SOPClassUID": EnhancedMRImageStorage} | tags))
    data.NumberOfFrames = len(order)
    data.PixelData = array.tobytes()
    shared, frames = pydicom.Dataset(), []
    measures, orientation = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1.5, 1.25], 6.0
    orientation.ImageOrientationPatient = [*ROW, *COL]
    shared.PixelMeasuresSequence = Sequence([measures])
    if shared_orientation:
        shared.PlaneOrientationSequence = Sequence([orientation])
    for p, t in order:
        item, position, heart, content = (pydicom.Dataset() for _ in range(4))
        position.ImagePositionPatient = list(np.round(ORIGIN + p * 8.0 * NORMAL, 4))
        heart.NominalCardiacTriggerDelayTime = t * 80.0
        content.TemporalPositionIndex, content.InStackPositionNumber, content.StackID = t + 1, p + 1, "1"
        item.PlanePositionSequence = Sequence([position])
        item.CardiacSynchronizationSequence = Sequence([heart])
        item.FrameContentSequence = Sequence([content])
        if not shared_orientation:
            item.PlaneOrientationSequence = Sequence([orientation])
        frames.append(item)
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return data
