"""A grey clip as Motion-JPEG in AVI, as EchoNet-Dynamic has them."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from cardiolens.errors import PhantomError

_QUANTISER = 2  # of 1, finest, to 31


def to_avi(frames: npt.NDArray[np.uint8], fps: float) -> bytes:
    """Encode (time, row, col) uint8; the same clip gives the same bytes with the same FFmpeg.

    Raises:
        PhantomError: an odd edge, which the half-sized colour planes of the format do not fit.
    """
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise PhantomError(f"a Motion-JPEG video needs an even number of rows and columns, got {frames.shape[1:]}")
    import av

    target = io.BytesIO()
    with av.open(target, mode="w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mjpeg", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuvj420p"
        stream.options = {"qmin": str(_QUANTISER), "qmax": str(_QUANTISER)}
        stream.codec_context.thread_count = 1
        stream.codec_context.bit_rate = 0
        for picture in frames:
            grey = av.VideoFrame.from_ndarray(np.repeat(picture[..., None], 3, axis=-1), format="rgb24")
            container.mux(stream.encode(grey))
        container.mux(stream.encode(None))
    return target.getvalue()
