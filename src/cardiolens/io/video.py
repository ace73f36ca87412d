"""AVI, MP4 and Matroska → `Volume` of a loop, with the time of every image.

>>> loop = read_video("Videos/0X1A2B3C.avi")                  # doctest: +SKIP
>>> loop.images.shape, loop.attributes["frame_rate"]          # doctest: +SKIP
((167, 112, 112), 55.0)

The container is told from its first bytes, and the decoder is given that file and nothing else: a playlist that names
other files or addresses is never followed.  Text in a container (title, comment) is not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from cardiolens.errors import ReadError
from cardiolens.volume import Volume

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm"})
MAX_PIXELS = 2**29  # images x rows x columns: 18 minutes of 112 x 112 at 40 a second, 25 s of 800 x 600 at 45
MAX_EDGE = 8192
VariableRate = Literal["refuse", "keep"]

_STEADY = 0.1  # share of the usual step by which a steady clip's steps may differ, beyond what its clock resolves
_SAME = 0.02  # share by which a rate may differ from the one that is asked for
_COLOURED, _COLOURED_SHARE = 48, 5e-4  # spread of R, G, B that compression of a grey image does not reach; of pixels


def read_video(path: str | Path, *, variable_rate: VariableRate = "refuse", max_pixels: int = MAX_PIXELS) -> Volume:
    """Every image of a video.

    Args:
        path: AVI, MP4/MOV or Matroska/WebM.
        variable_rate: what happens to a clip whose images do not come in even steps: "refuse" it, or "keep" it with
            its own times and a note.  A model that counts images needs even steps.
        max_pixels: images x rows x columns that may be decoded; stops a small file that unpacks to gigabytes.

    Returns:
        Along time; uint8 (image, row, col), or (image, row, col, 3) RGB where an image is in colour.  `times_ms` starts
        at 0.  No distances: a video has none.

    Raises:
        ReadError: not such a file, no images, truncated or damaged, larger than `max_pixels`, or an uneven rate.
    """
    where = Path(path)
    try:
        with where.open("rb") as file:
            return _read(file, where, variable_rate, max_pixels)
    except OSError as error:
        raise ReadError(f"{where}: cannot be opened ({error.strerror or error})") from error


def is_video(path: Path) -> bool:
    """Whether a file's first bytes are those of a container that `read_video` knows."""
    try:
        with path.open("rb") as file:
            return _container(file.read(32)) is not None
    except OSError:
        return False


@dataclass(frozen=True)
class _Decoded:
    """images (image, row, col) or (image, row, col, 3); stamps (image,) in s or None each; promised by the header."""

    images: npt.NDArray[np.uint8]
    stamps: list[float | None]
    promised: int
    rate: float | None
    tick: float
    codec: str


def _read(file: BinaryIO, where: Path, variable_rate: VariableRate, max_pixels: int) -> Volume:
    start = file.read(32)
    form = _container(start)
    if form is None:
        raise ReadError(f"{where}: {_what_else(start)}; a loop is read from AVI, MP4, MOV, MKV or WebM")
    if form == "avi":
        _require_whole_avi(start, where)
    file.seek(0)
    found = _decode(file, form, where, max_pixels)
    notes = []
    if found.promised - len(found.images) > 1:
        raise ReadError(
            f"{where}: truncated: {len(found.images)} of the {found.promised} images that its header promises; "
            "copy the file again"
        )
    if found.promised - len(found.images) == 1:
        notes.append(f"the header promises {found.promised} images, there are {len(found.images)}")
    times, rate, said = _times(found, where, variable_rate)
    notes += said
    attributes: dict[str, str | float] = {"container": form, "codec": found.codec}
    if rate is not None:
        attributes["frame_rate"] = rate
    return Volume(found.images, "time", source=where.name, times_ms=times, attributes=attributes, notes=tuple(notes))


def _container(start: bytes) -> str | None:
    """FFmpeg's name of the container with these first bytes; None for all others."""
    if start[:4] == b"RIFF" and start[8:12] in (b"AVI ", b"AVIX"):
        return "avi"
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return "mov"
    return "matroska" if start[:4] == b"\x1aE\xdf\xa3" else None


def _what_else(start: bytes) -> str:
    if not start:
        return "an empty file"
    if start[:4] == b"GIF8":
        return "a GIF, whose 256 colours and rounded delays are no measurement; export the loop as AVI, MP4 or DICOM"
    if start[:8] == b"\x89PNG\r\n\x1a\n" or start[:3] == b"\xff\xd8\xff" or start[:2] == b"BM":
        return "a single picture, not a loop"
    if start[:7] == b"#EXTM3U" or start[:8] == b"ffconcat":
        return "a playlist that names other files; give the video itself"
    return "not a video that is known here"


def _require_whole_avi(start: bytes, where: Path) -> None:
    """Raise where the first RIFF chunk says that it is longer than the file."""
    said, there = struct.unpack("<I", start[4:8])[0] + 8, where.stat().st_size
    if said < 0xFFFFFFFF and said > there + 1:  # an odd last chunk may lack its padding
        raise ReadError(f"{where}: truncated: {there} of {said} bytes; copy the file again")


def _decode(file: BinaryIO, form: str, where: Path, max_pixels: int) -> _Decoded:
    import av

    pictures = _Pictures(where, max_pixels)
    stamps: list[float | None] = []
    with _said_as_read_error(where), av.open(file, mode="r", format=form, metadata_errors="ignore") as container:
        stream = _stream(container, where, max_pixels)
        pictures.require_room(max(1, stream.frames), stream.codec_context.height, stream.codec_context.width)
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise ReadError(f"{where}: image {len(stamps)} is damaged; copy the file again")
            pictures.add(frame)
            stamps.append(frame.time)
        rate = stream.average_rate or stream.guessed_rate
        if not stamps:
            raise ReadError(f"{where}: a video without images; export it again")
        return _Decoded(
            pictures.stacked(),
            stamps,
            stream.frames,
            float(rate) if rate else None,
            float(stream.time_base or 0),
            stream.codec_context.name,
        )


def _stream(container: InputContainer, where: Path, max_pixels: int) -> VideoStream:
    if not container.streams.video:
        raise ReadError(f"{where}: holds no pictures ({len(container.streams)} other streams); export the loop again")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # a loader reads many clips side by side
    stream.codec_context.options = {"max_pixels": str(min(max_pixels, MAX_EDGE**2)), "err_detect": "explode"}
    return stream


@contextmanager
def _said_as_read_error(where: Path) -> Iterator[None]:
    import av

    try:
        yield
    except av.error.FFmpegError as error:
        raise ReadError(
            f"{where}: cannot be decoded ({error.strerror or error}); the file is damaged, truncated or of a kind "
            "that FFmpeg does not know"
        ) from error
    except (ValueError, EOFError, MemoryError) as error:
        raise ReadError(f"{where}: cannot be decoded ({error})") from error


class _Pictures:
    """Collects images of one size: grey until one is in colour, RGB from then on."""

    def __init__(self, where: Path, max_pixels: int) -> None:
        self._where, self._most = where, max_pixels
        self._images: list[npt.NDArray[np.uint8]] = []
        self._coloured = False
        self._pixels = 0

    def require_room(self, count: int, rows: int, cols: int) -> None:
        """Raise for a clip that would hold more than `max_pixels`."""
        if count * rows * cols > self._most or max(rows, cols) > MAX_EDGE:
            raise ReadError(
                f"{self._where}: {count} images of {rows} x {cols} are more than the {self._most:,} pixels that are "
                "read; cut the loop, or raise max_pixels if you trust the file"
            )

    def add(self, frame: VideoFrame) -> None:
        shape = (frame.height, frame.width)
        if self._images and self._images[0].shape[:2] != shape:
            raise ReadError(
                f"{self._where}: the size changes from {self._images[0].shape[:2]} to {shape} at image "
                f"{len(self._images)}; cut it into one loop a file"
            )
        self._pixels += shape[0] * shape[1]
        self.require_room(-(-self._pixels // (shape[0] * shape[1])), *shape)
        rgb = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        if not self._coloured and _in_colour(rgb):
            self._coloured = True
            self._images = [np.repeat(image[..., None], 3, axis=-1) for image in self._images]
        grey = None if self._coloured else np.asarray(frame.to_ndarray(format="gray"), dtype=np.uint8)
        self._images.append(rgb if grey is None else grey)

    def stacked(self) -> npt.NDArray[np.uint8]:
        return np.stack(self._images)


def _in_colour(rgb: npt.NDArray[np.uint8]) -> bool:
    """Whether more of an image (row, col, 3) is coloured than compression makes of a grey one."""
    spread = rgb.max(axis=-1).astype(np.int16) - rgb.min(axis=-1)
    return bool((spread > _COLOURED).mean() > _COLOURED_SHARE)


def _times(
    found: _Decoded, where: Path, variable_rate: VariableRate
) -> tuple[npt.NDArray[np.float64] | None, float | None, list[str]]:
    """ms of each image from the first, images a second, notes."""
    count, stamps = len(found.images), [stamp for stamp in found.stamps if stamp is not None]
    if len(stamps) < count or (np.diff(stamps) <= 0).any():
        if found.rate is None:
            return None, None, ["no time stamps and no frame rate: times are unknown"]
        return (
            np.arange(count, dtype=np.float64) * (1000.0 / found.rate),
            found.rate,
            ["no time stamps: times by the frame rate"],
        )
    times = (np.array(stamps) - stamps[0]) * 1000.0
    if count == 1:
        return times, found.rate, []
    steps = np.diff(times)
    usual = float(np.median(steps))
    rate = float(1000.0 * (count - 1) / times[-1])
    if np.abs(steps - usual).max() <= max(_STEADY * usual, 1500.0 * found.tick):
        return times, round(rate, 6), []
    said = (
        f"variable frame rate: {int((np.abs(steps - usual) > _STEADY * usual).sum())} of {count - 1} steps differ from "
        f"the usual {usual:.1f} ms ({steps.min():.1f} to {steps.max():.1f})"
    )
    if variable_rate == "refuse":
        raise ReadError(
            f"{where}: {said}; export it at a constant rate (ffmpeg -i IN -vf fps={1000.0 / usual:.0f} OUT), or read "
            'it with variable_rate="keep"'
        )
    return times, None, [said]


def even_in_time(loop: Volume, step_ms: float | None = None) -> Volume:
    """The loop with even steps: at each step, the image nearest in time.  A loop that has them already stays.

    Args:
        step_ms: length of a step; None for the loop's usual one.

    Raises:
        ReadError: times are unknown.
    """
    times: Any = loop.times_ms
    if times is None:
        raise ReadError(f"{loop.source}: when its images were taken is unknown")
    if len(loop) < 3:
        return loop
    steps = np.diff(times)
    usual = float(np.median(steps))
    wished = usual if step_ms is None else step_ms
    if np.abs(steps - usual).max() <= _STEADY * usual and abs(wished - usual) <= _SAME * usual:
        return loop
    wanted = np.arange(times[0], times[-1] + 0.5 * usual, wished, dtype=np.float64)
    nearest = np.abs(times[None, :] - wanted[:, None]).argmin(axis=1)
    return Volume(
        loop.images[nearest],
        loop.along,
        source=loop.source,
        times_ms=wanted,
        spacing_mm=loop.spacing_mm,
        attributes={**loop.attributes, "frame_rate": 1000.0 / wished},
        notes=(*loop.notes, f"taken every {wished:.1f} ms, the nearest image each (steps were {_range(steps)} ms)"),
    )


def _range(steps: npt.NDArray[np.float64]) -> str:
    low, high = f"{steps.min():.1f}", f"{steps.max():.1f}"
    return low if low == high else f"{low} to {high}"
