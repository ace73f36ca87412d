"""Ultrasound DICOM files made of rendered loops."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage, generate_uid

FPS = 30.0
WriteDicom = Callable[..., Path]


def region(spatial: int = 1, data: int = 1, box: Sequence[int] = (0, 0, 111, 111), delta: float = 0.15) -> Dataset:
    """box: x0, y0, x1, y1; delta: cm a pixel."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial, data, 0
    names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    for name, value in zip(names, box, strict=True):
        setattr(item, name, value)
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = delta
    return item


def write_loop(path: Path, images: np.ndarray, photometric: str = "MONOCHROME2", **tags: Any) -> Path:
    """A multi-frame file; `tags` set attributes, None takes one out."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Modality, data.PatientID, data.PatientName = "US", "4711-Meier", "Meier^Erna"
    data.Manufacturer = "Maker"
    data.NumberOfFrames, (data.Rows, data.Columns) = len(images), images.shape[1:3]
    data.SamplesPerPixel = 3 if images.ndim == 4 else 1
    if images.ndim == 4:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation = photometric
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.FrameTime = 1000.0 / FPS
    data.PixelData = images.tobytes()
    for tag, value in tags.items():
        if value is None:
            delattr(data, tag)
        else:
            setattr(data, tag, value)
    data.save_as(path, enforce_file_format=True)
    return path


def as_jpeg(data: FileDataset, images: np.ndarray) -> None:
    """Make a data set JPEG baseline, YBR_FULL_422."""
    parts = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=1)
        parts.append(buffer.getvalue())
    data.PixelData = encapsulate(parts)
    data["PixelData"].is_undefined_length = True
    data.PhotometricInterpretation = "YBR_FULL_422"
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
