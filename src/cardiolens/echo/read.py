"""An ultrasound DICOM file or a video → `EchoLoop`: images in their own colours, times, regions, told view.

>>> loop = read_loop("IM0001.dcm")                            # doctest: +SKIP
>>> loop.volume, loop.view.words                              # doctest: +SKIP
(Volume(time, shape=(62, 600, 800, 3), source='2c1f0b9a4d3e'), 'apical four-chamber, by ViewName')

No name, number, date or text of the patient is kept; a loop is called by the hash of its file.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from cardiolens.dicom.deid import load_key, pseudonym
from cardiolens.dicom.files import FileRef
from cardiolens.dicom.headers import FileKind, read_headers
from cardiolens.dicom.pixels import decode_colours
from cardiolens.dicom.tags import Tags
from cardiolens.echo.regions import Region, read_regions, spacing_of
from cardiolens.echo.views import ToldView, told_view, view_of_text
from cardiolens.errors import ReadError
from cardiolens.files import sha256_of
from cardiolens.io.video import MAX_PIXELS, is_video, read_video
from cardiolens.volume import Volume

_ULTRASOUND = "1.2.840.10008.5.1.4.1.1."
_CLASSES = frozenset(_ULTRASOUND + end for end in ("3", "3.1", "6", "6.1"))
_VOLUMES = _ULTRASOUND + "6.2"
_KEY_LETTERS = 12


class NotUltrasoundError(ReadError):
    """DICOM of another kind, or no image at all."""


@dataclass(frozen=True, eq=False)
class EchoLoop:
    """A loop as it was stored.

    Attributes:
        volume: along time; colour where the file has colour; the text that the machine wrote is still in it.
        regions: what the file says of parts of the image; () of a video.
        view: which view the file says that it is of.
        key: first 12 hex digits of the file's SHA-256.
        patient: pseudonym; "" where the file names none.
    """

    volume: Volume
    regions: tuple[Region, ...]
    view: ToldView
    key: str
    patient: str = ""


def read_loop(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> EchoLoop:
    """Read one file.

    Args:
        max_pixels: images x rows x columns that may be decoded.

    Raises:
        NotUltrasoundError: DICOM of another modality, or a file of no known kind.
        ReadError: damaged, too large, or in a form that cannot be decoded.
    """
    where = Path(path)
    if not where.is_file():
        raise ReadError(f"{where}: no such file")
    key = file_key(where)
    if is_video(where):
        volume = read_video(where, variable_rate="keep", max_pixels=max_pixels)
        view = view_of_text(where.stem)
        return EchoLoop(_renamed(volume, key), (), ToldView(view, "the file's name") if view else ToldView(), key)
    return _of_dicom(where, key, max_pixels)


def file_key(path: Path) -> str:
    """What a loop is called: the start of its file's SHA-256; `ReadError` where the file cannot be opened."""
    try:
        return sha256_of(path)[:_KEY_LETTERS]
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened ({error.strerror or error})") from error


def _renamed(volume: Volume, key: str) -> Volume:
    """Without the file's name, which may be a patient's."""
    return Volume(
        volume.images,
        "time",
        source=key,
        times_ms=volume.times_ms,
        attributes=volume.attributes,
        notes=volume.notes,
    )


def _of_dicom(where: Path, key: str, max_pixels: int) -> EchoLoop:
    ref = FileRef(os.fspath(where))
    with warnings.catch_warnings(), where.open("rb") as stream:
        warnings.simplefilter("ignore")  # pydicom about broken tags
        result = read_headers(ref, stream, where.stat().st_size)
    if result.kind is FileKind.DAMAGED:
        raise ReadError(f"{where}: {result.problem}; send the file again")
    if result.kind is not FileKind.IMAGE:
        raise NotUltrasoundError(f"{where}: {result.kind.value}; a loop is ultrasound DICOM, AVI or MP4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tags = Tags(pydicom.dcmread(where, stop_before_pixels=True, force=True))
    _require_ultrasound(tags, where)
    header = result.frames[0].file
    if header.n_frames * header.rows * header.cols > max_pixels:
        raise ReadError(
            f"{where}: {header.n_frames} images of {header.rows} x {header.cols} are more than the {max_pixels:,} "
            "pixels that are read; cut the loop, or raise max_pixels if you trust the file"
        )
    images = _eight_bits(decode_colours(ref), tags.integer("BitsStored") or 8, where)
    regions = read_regions(tags)
    spacing, why_not = spacing_of(regions, *images.shape[1:3])
    times, said = _times(tags, len(images))
    volume = Volume(
        images,
        "time",
        source=key,
        times_ms=times,
        spacing_mm=spacing,
        attributes=_attributes(tags, times),
        notes=tuple(note for note in (why_not, said) if note),
    )
    who = tags.text("PatientID")
    return EchoLoop(volume, regions, told_view(tags), key, pseudonym("patient", who, load_key()) if who else "")


def _require_ultrasound(tags: Tags, where: Path) -> None:
    kind, modality = tags.text("SOPClassUID"), tags.text("Modality").upper()
    if kind == _VOLUMES:
        raise NotUltrasoundError(f"{where}: three-dimensional ultrasound; a loop has two dimensions and time")
    if kind not in _CLASSES and modality not in ("US", "IVUS", "ECHO"):
        raise NotUltrasoundError(f"{where}: modality {modality or 'not given'}, not ultrasound")


def _eight_bits(images: npt.NDArray[Any], bits: int, where: Path) -> npt.NDArray[np.uint8]:
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "u" or bits <= 8:
        raise ReadError(f"{where}: pixels are {images.dtype}; ultrasound has unsigned grey levels or colours")
    return (images >> (bits - 8)).clip(0, 255).astype(np.uint8)


def _times(tags: Tags, count: int) -> tuple[npt.NDArray[np.float64] | None, str]:
    """ms from the first image, by the vector of steps, else the step, else the rate; or why unknown."""
    if count == 1:
        return None, ""
    steps = tags.numbers("FrameTimeVector")
    if steps is not None and len(steps) == count and min(steps[1:]) > 0:
        times = np.cumsum(np.array(steps))
        return times - times[0], ""
    said = "" if steps is None else f"the frame time vector does not fit the {count} images and is left out"
    step = next((v for n in ("FrameTime", "ActualFrameDuration") if (v := tags.number(n)) and v > 0), None)
    rate = tags.number("CineRate")
    if step is None and rate and rate > 0:
        step = 1000.0 / rate
    if step is None:
        return None, "no frame time and no cine rate: when images were taken is unknown"
    return np.arange(count, dtype=np.float64) * step, said


def _attributes(tags: Tags, times: npt.NDArray[np.float64] | None) -> dict[str, str | float]:
    """Facts that identify nobody."""
    out: dict[str, str | float] = {"container": "DICOM"}
    for name in ("Manufacturer", "ManufacturerModelName", "TransducerType", "PhotometricInterpretation"):
        if text := tags.text(name):
            out[name] = text
    rate = tags.number("HeartRate")
    if rate and rate > 0:
        out["HeartRate"] = rate
    if times is not None:
        out["frame_rate"] = float(1000.0 / np.median(np.diff(times)))
    return out
