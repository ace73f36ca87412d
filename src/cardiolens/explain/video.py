"""Pictures to MP4 (H.264), without network and without a program beside Python."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import InputError, StoreError
from cardiolens.store.atomic import disk_errors, write_whole

RGB = npt.NDArray[np.uint8]
_QUALITY = "18"  # constant rate factor of x264: 0 lossless, 18 hardly to be told from it, 51 worst


def to_mp4(frames: RGB, fps: float) -> bytes:
    """Encode pictures as H.264 in MP4; an odd edge is repeated, since the format halves the colour planes.

    Args:
        frames: (time, row, col, 3) uint8.
        fps: frames in a second, above 0 and at most 240.

    Raises:
        InputError: no frame, another shape or type, or an impossible rate.
        StoreError: PyAV is absent, or was built without an H.264 encoder.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise InputError(f"a video needs uint8 pictures (time, row, col, 3), got {frames.dtype} {frames.shape}")
    if not 0 < fps <= 240:
        raise InputError(f"a video plays at more than 0 and at most 240 frames a second, got {fps:g}")
    av = _encoder()
    even = np.pad(frames, [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)], mode="edge")
    target = io.BytesIO()
    with av.open(target, mode="w", format="mp4", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = even.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": _QUALITY, "preset": "veryfast"}
        stream.codec_context.thread_count = 1
        for picture in even:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        file.mux(stream.encode(None))
    return target.getvalue()


def write_mp4(path: Path, frames: RGB, fps: float) -> None:
    """Write a video whole or not at all; errors as in `to_mp4`, and `StoreError` where the disk refuses."""
    content = to_mp4(frames, fps)
    with disk_errors(path):
        write_whole(path, content)


def _encoder() -> Any:
    try:
        import av
    except ImportError as error:
        raise StoreError(f"videos need PyAV, which is not usable here ({error}); pip install av") from error
    if "libx264" not in av.codecs_available:
        raise StoreError(
            "this PyAV was built without the H.264 encoder libx264; its wheels have it: "
            "pip install --force-reinstall --only-binary av av"
        )
    return av
