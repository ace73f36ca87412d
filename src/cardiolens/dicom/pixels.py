"""Pixels, read on first use: any transfer syntax → grey (slice, time, row, col) in the stored type."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, JPEGExtended12Bit

from cardiolens.dicom.files import FileRef, open_files
from cardiolens.dicom.headers import Frame
from cardiolens.dicom.tags import Tags
from cardiolens.dicom.timing import Resampling
from cardiolens.errors import ReadError

Image = npt.NDArray[Any]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class FrameRef:
    """Where one image lies, and how its stored values become grey ones."""

    file: FileRef
    index: int
    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class PlaneRefs:
    """Images of one plane in time order, and how they are resampled (None: as they are)."""

    frames: tuple[FrameRef, ...]
    resampling: Resampling | None = None


@dataclass(frozen=True)
class DicomFrames:
    """A `LazyFrames`: only names and numbers, so it can be pickled and works after fork and spawn.

    Attributes:
        shape: (slice, time, row, col), from the headers.
        planes: one entry a slice.
        source: for messages.
    """

    shape: tuple[int, int, int, int]
    planes: tuple[PlaneRefs, ...]
    source: str

    def load(self) -> Image:
        """Decode every image.

        Returns:
            (slice, time, row, col): the stored integer type, or float32 where rescale slopes or intercepts apply.

        Raises:
            ReadError: names the file that is gone or cannot be decoded.
        """
        images = decode(frame for plane in self.planes for frame in plane.frames)
        planes = [_resampled([images[frame] for frame in plane.frames], plane, self) for plane in self.planes]
        return np.stack(planes)


def frame_ref(frame: Frame) -> FrameRef:
    return FrameRef(frame.file.ref, frame.index, *frame.rescale)


def decode(frames: Iterable[FrameRef]) -> dict[FrameRef, Image]:
    """(row, col) image of each frame; every file is opened once.  Raises `ReadError` naming the file."""
    wanted: dict[FileRef, list[FrameRef]] = {}
    for frame in frames:
        wanted.setdefault(frame.file, []).append(frame)
    images: dict[FrameRef, Image] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about broken tags that do not concern pixels
        for ref, stream in open_files(wanted):
            images.update(_decode_file(ref, stream, wanted[ref]))
    return images


def digest(frame: Frame) -> bytes | None:
    """Hash of a frame's grey values, or None when it cannot be decoded."""
    try:
        image = decode([frame_ref(frame)])[frame_ref(frame)]
    except ReadError:
        return None
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).digest()


def decode_colours(ref: FileRef) -> Image:
    """Every image of a file in its own colours.

    Returns:
        (image, row, col) grey in the stored type, or (image, row, col, 3) RGB; YBR and palettes become RGB.

    Raises:
        ReadError: names the file that is gone or cannot be decoded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, stream in open_files([ref]):
            with _undecodable(ref):
                return _coloured(_with_syntax(pydicom.dcmread(stream, force=True)))
    raise ReadError(f"{ref.name}: cannot be opened")


def _coloured(dataset: pydicom.FileDataset) -> Image:
    tags = Tags(dataset)
    with _quiet_decoders():
        images = pixel_array(dataset)
    photometric = tags.text("PhotometricInterpretation").upper()
    if photometric == "PALETTE COLOR":
        images = apply_color_lut(images, dataset)
        images = images if images.dtype == np.uint8 else (images >> 8).astype(np.uint8)
    elif (tags.integer("SamplesPerPixel") or 1) == 1:
        images = _stored_bits(images, tags.integer("BitsStored"), photometric == "MONOCHROME1")
    return images if (tags.integer("NumberOfFrames") or 1) > 1 else images[None]


def _with_syntax(dataset: pydicom.FileDataset) -> pydicom.FileDataset:
    """The data set, with the transfer syntax that it was parsed by where file meta name none."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = UID(_guessed_syntax(dataset))
    return dataset


@contextmanager
def _undecodable(ref: FileRef) -> Iterator[None]:
    """Whatever a decoder of damaged data raises becomes a `ReadError` that names the file."""
    try:
        yield
    except ReadError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise ReadError(
            f"{ref.name}: pixels cannot be decoded ({said}); send this file again or leave it out"
        ) from error


def _decode_file(ref: FileRef, stream: BinaryIO, frames: Sequence[FrameRef]) -> Mapping[FrameRef, Image]:
    with _undecodable(ref), _quiet_decoders():
        dataset = _with_syntax(pydicom.dcmread(stream, force=True))
        return {frame: _grey(dataset, frame) for frame in frames}


def _guessed_syntax(dataset: pydicom.FileDataset) -> str:
    """Of a file without file meta: as it was parsed."""
    implicit, little = dataset.original_encoding
    if implicit:
        return "1.2.840.10008.1.2"
    return "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"


def _grey(dataset: pydicom.FileDataset, frame: FrameRef) -> Image:
    """One frame as (row, col) grey: palette and colour folded, unused bits cleared, MONOCHROME1 turned, rescaled."""
    tags = Tags(dataset)
    multi = (tags.integer("NumberOfFrames") or 1) > 1
    if dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit and (tags.integer("BitsStored") or 8) > 8:
        image = _jpeg_12_bit(dataset, tags, frame.index)
    else:
        image = pixel_array(dataset, index=frame.index if multi else None)
    photometric = tags.text("PhotometricInterpretation").upper()
    if photometric == "PALETTE COLOR":
        image = apply_color_lut(image, dataset)
    if image.ndim == 3 and image.shape[-1] in (3, 4):
        image = _luma(image[..., :3])
    elif image.dtype.kind in "iu":
        image = _stored_bits(image, tags.integer("BitsStored"), photometric == "MONOCHROME1")
    if (frame.slope, frame.intercept) != (1.0, 0.0):
        return np.asarray(image * np.float32(frame.slope) + np.float32(frame.intercept), dtype=np.float32)
    return image


def _jpeg_12_bit(dataset: pydicom.FileDataset, tags: Tags, index: int) -> Image:
    """JPEG Extended with more than 8 bits, which pydicom does not hand to gdcm, though gdcm reads it."""
    import gdcm  # type: ignore[import-untyped]

    rows, cols, bits = dataset.Rows, dataset.Columns, tags.integer("BitsStored") or 12
    signed = tags.integer("PixelRepresentation") or 0
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(
        get_frame(dataset.PixelData, index, number_of_frames=tags.integer("NumberOfFrames") or 1)
    )
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    picture = gdcm.Image()
    picture.SetNumberOfDimensions(2)
    picture.SetDimensions((cols, rows, 1))
    picture.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.MONOCHROME2
    picture.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    syntax = gdcm.TransferSyntax.GetTSType(str(JPEGExtended12Bit))
    picture.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    picture.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, signed))
    buffer = picture.GetBuffer().encode("utf-8", "surrogateescape")  # gdcm gives char* as str
    image: Image = np.frombuffer(buffer, "<i2" if signed else "<u2").reshape(rows, cols).copy()
    return image


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Keep pydicom from logging a traceback for each decoder that fails; the last failure is raised anyway."""
    logger = logging.getLogger("pydicom.pixels.decoders.base")

    def silence(record: logging.LogRecord) -> bool:
        return record.levelno != logging.ERROR

    logger.addFilter(silence)
    try:
        yield
    finally:
        logger.removeFilter(silence)


def _luma(image: Image) -> Image:
    """(row, col, 3) → (row, col) in the same type."""
    if (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all():
        return np.ascontiguousarray(image[..., 0])
    return np.asarray(np.rint(image @ _LUMA), dtype=image.dtype)


def _stored_bits(image: Image, bits: int | None, inverted: bool) -> Image:
    """Clear what lies above BitsStored (old overlays hide there), keep the sign, turn MONOCHROME1 to white-is-high."""
    width = image.dtype.itemsize * 8
    if bits and 0 < bits < width:
        shift = width - bits
        image = np.right_shift(np.left_shift(image, shift), shift)  # arithmetic for signed types
    if inverted:
        bits = bits or width
        image = (-1 - image if image.dtype.kind == "i" else (1 << bits) - 1 - image).astype(image.dtype)
    return image


def _resampled(images: Sequence[Image], plane: PlaneRefs, cine: DicomFrames) -> Image:
    """(time, row, col) of one plane."""
    for image, frame in zip(images, plane.frames, strict=True):
        if image.shape != cine.shape[2:]:
            raise ReadError(
                f"{frame.file.name}: pixels are {image.shape}, the headers said {cine.shape[2:]}; "
                "the file changed since it was listed"
            )
    stack = np.stack(images)
    if plane.resampling is None:
        return stack
    left, right = list(plane.resampling.left), list(plane.resampling.right)
    weight = np.array(plane.resampling.weight, dtype=np.float32)[:, None, None]
    mixed = stack[left] * (1 - weight) + stack[right] * weight
    return (np.rint(mixed) if stack.dtype.kind in "iu" else mixed).astype(stack.dtype)
