"""Cine loops for a page: one picture a plane, its phases side by side, small enough to embed."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cardiolens.study import Cine

LONGEST_SIDE = 192
MOST_PHASES = 30
MOST_CHARACTERS = 5_000_000  # of all sheets of a page, so that it stays below 6 MB
_QUALITIES = ((LONGEST_SIDE, 72), (LONGEST_SIDE, 50), (144, 50), (96, 40), (64, 30))


@dataclass(frozen=True)
class Sheet:
    """The phases of one plane as one WebP picture, row by row.

    Attributes:
        uri: data URI of the picture.
        columns: frames in a row of the picture.
        phases: frames in all.
        width, height: of one frame, pixels.
    """

    uri: str
    columns: int
    phases: int
    width: int
    height: int


def all_sheets(cines: Sequence[Cine], most: int = MOST_CHARACTERS) -> list[list[Sheet]]:
    """Sheets of every cine, together at most `most` characters: noisy or many images are made smaller until they fit.

    The smallest setting is kept even where it is too large, which takes hundreds of planes.
    """
    sheets: list[list[Sheet]] = []
    for longest, quality in _QUALITIES:
        sheets = [sheets_of(cine, longest=longest, quality=quality) for cine in cines]
        if sum(len(sheet.uri) for own in sheets for sheet in own) <= most:
            break
    return sheets


def sheets_of(cine: Cine, *, longest: int = LONGEST_SIDE, quality: int = 72) -> list[Sheet]:
    """One sheet a plane, all planes windowed alike (1st to 99.5th percentile of the cine).

    A frame is scaled so that its longer side, in mm where spacing is known, has at most `longest` pixels; it is never
    enlarged beyond square pixels.  Of more than `MOST_PHASES` phases, evenly spaced ones are kept.
    """
    frames = cine.frames
    if frames.dtype.kind == "f":
        frames = np.nan_to_num(frames, posinf=0.0, neginf=0.0)  # planes that no model reads may hold NaN
    phases = shown_phases(cine)
    low, high = np.percentile(frames[:, phases, ::2, ::2], (1.0, 99.5))
    width, height = _frame_size(cine, longest)
    gain = 255.0 / max(float(high - low), 1e-6)
    sheets = []
    for plane in range(cine.n_slices):
        grey = ((frames[plane, phases].astype(np.float32) - float(low)) * gain).clip(0, 255).astype(np.uint8)
        sheets.append(_sheet(grey, width, height, quality))
    return sheets


def shown_phases(cine: Cine) -> npt.NDArray[np.int64]:
    """The phases (from 0) that a sheet holds."""
    spread = np.linspace(0, cine.n_phases - 1, min(cine.n_phases, MOST_PHASES))
    return np.unique(spread.round().astype(np.int64))


def _frame_size(cine: Cine, longest: int) -> tuple[int, int]:
    """(width, height) of an embedded frame in pixels, at the true aspect ratio."""
    rows, cols = cine.shape[2:]
    tall, wide = cine.spacing_mm or (1.0, 1.0)
    unit = min(tall, wide)
    height, width = rows * tall / unit, cols * wide / unit
    scale = min(1.0, longest / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _sheet(grey: npt.NDArray[np.uint8], width: int, height: int, quality: int) -> Sheet:
    columns = math.ceil(math.sqrt(len(grey)))
    picture = Image.new("L", (columns * width, math.ceil(len(grey) / columns) * height))
    for i, frame in enumerate(grey):
        small = Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)
        picture.paste(small, (i % columns * width, i // columns * height))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=4)
    uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Sheet(uri, columns, len(grey), width, height)


def model_field(cine: Cine, short_side: int, crop: int) -> list[float]:
    """The centred square that a model reads, as [left, top, width, height] in fractions of the frame."""
    rows, cols = cine.shape[2:]
    side = min(rows, cols) * crop / short_side
    return [(1 - side / cols) / 2, (1 - side / rows) / 2, side / cols, side / rows]


def loop_data(
    cine: Cine, sheets: Sequence[Sheet], attention: Mapping[int, float], scores: Mapping[int, float | None]
) -> dict[str, Any]:
    """What the page's script needs of one cine; weights and scores by plane, absent where a plane was not read."""
    return {
        "view": str(cine.view),
        "planes": [
            {
                "uri": sheet.uri,
                "columns": sheet.columns,
                "phases": sheet.phases,
                "width": sheet.width,
                "height": sheet.height,
                "attention": attention.get(plane),
                "score": scores.get(plane),
            }
            for plane, sheet in enumerate(sheets)
        ],
    }
