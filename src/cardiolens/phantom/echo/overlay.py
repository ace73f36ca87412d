"""What a machine writes beside the sector: an ECG along the bottom and lines of text.

Off by default: EchoNet-Dynamic's clips have it masked out, other sources do not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.echo.beats import Rhythm, ecg
from cardiolens.phantom.echo.sector import Sector, visible
from cardiolens.phantom.heart import HeartParameters

_TRACE, _TEXT = 150, 190  # grey


def burn_in(
    frames: npt.NDArray[np.uint8], sector: Sector, timing: Rhythm, parameters: HeartParameters, fps: float
) -> npt.NDArray[np.uint8]:
    """A copy of `frames` (time, row, col) with text and a sweeping ECG wherever the sector is not."""
    outside = ~visible(sector)
    text = _text(sector, parameters, fps)
    out: npt.NDArray[np.uint8] = frames.copy()
    n, size = len(frames), sector.size
    moment = np.linspace(0.0, n - 1.0, size)  # frame that each column of the sweep belongs to
    height = ecg(np.interp(moment, np.arange(n), np.unwrap(timing.phases, period=1.0)), parameters.rhythm)
    row = np.rint(size * (0.955 - 0.09 * height)).astype(int).clip(0, size - 1)
    drawn, layer = 0, np.zeros((size, size), dtype=np.uint8)
    for i in range(n):
        while drawn < size and moment[drawn] <= i:
            low, high = sorted((row[max(drawn - 1, 0)], row[drawn]))
            layer[low : high + 1, drawn] = _TRACE
            drawn += 1
        both = np.maximum(layer, text)
        out[i][outside] = np.maximum(out[i], both)[outside]
    return out


def _text(sector: Sector, parameters: HeartParameters, fps: float) -> npt.NDArray[np.uint8]:
    """(row, col) the settings as a machine prints them, upper left."""
    from PIL import Image, ImageDraw, ImageFont

    size = sector.size
    picture = Image.new("L", (size, size))
    lines = f"{fps:.0f} Hz\n{sector.probe.depth_mm / 10.0:.1f} cm\n{parameters.heart_rate:.0f} bpm"
    font = ImageFont.load_default(max(7, size // 20))
    ImageDraw.Draw(picture).multiline_text((max(1, size // 60), 1), lines, fill=_TEXT, font=font, spacing=1)
    out: npt.NDArray[np.uint8] = np.asarray(picture, dtype=np.uint8)
    return out
