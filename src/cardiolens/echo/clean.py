"""A loop as a model takes it: grey, black outside the sector, cut to a square around it, small.

EchoNet-Dynamic's loops were made likewise: text and ECG masked out, cropped to a square, 112 x 112 pixels (Ouyang et
al., Nature 2020;580:252, Methods).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from cardiolens.echo.sector import Grey, Sector
from cardiolens.volume import Volume

SIZE = 112
_MARGIN = 0.03  # of the sector's longer side, on each side of the square
_FILLED = 0.85  # of a square image's edge from which the sector fills it, as in EchoNet-Dynamic: it is not cut again


def clean_loop(volume: Volume, grey: Grey, sector: Sector, size: int = SIZE) -> Volume:
    """Blank, cut and resize.

    Args:
        volume: whose times, spacing and facts go over; grey: its images in grey.

    Returns:
        uint8 (image, size, size); spacing that of the new pixels where the old is known.
    """
    top, left, side, said = square_around(sector)
    images = np.stack([_resized(np.where(sector.mask, image, 0), (top, left, side), size) for image in grey])
    spacing = None
    if volume.spacing_mm is not None:
        spacing = (volume.spacing_mm[0] * side / size, volume.spacing_mm[1] * side / size)
    return Volume(
        images,
        "time",
        source=volume.source,
        times_ms=volume.times_ms,
        spacing_mm=spacing,
        attributes=volume.attributes,
        notes=(*volume.notes, f"sector by {sector.found_by}; {said}; {size} x {size} pixels"),
    )


def square_around(sector: Sector) -> tuple[float, float, float, str]:
    """First row, first column and edge of the square that is kept, in pixels, and what was done in words."""
    rows, cols = sector.mask.shape
    top, left, bottom, right = sector.box
    longer = max(bottom - top, right - left)
    if rows == cols and longer >= _FILLED * rows:
        return 0.0, 0.0, float(rows), "the image is square and filled by it: not cut"
    side = longer * (1.0 + 2.0 * _MARGIN)
    return (top + bottom - side) / 2, (left + right - side) / 2, side, f"cut to {side:.0f} pixels around it"


def _resized(image: Grey, square: tuple[float, float, float], size: int) -> Grey:
    """(size, size); black where the square reaches beyond the image."""
    top, left, side = square
    if (top, left, side) == (0.0, 0.0, float(size)) and image.shape == (size, size):
        return image
    pad = int(np.ceil(max(0.0, -top, -left, top + side - image.shape[0], left + side - image.shape[1])))
    padded = np.pad(image, pad) if pad else image
    box = (left + pad, top + pad, left + pad + side, top + pad + side)
    small = Image.fromarray(padded).resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(small, dtype=np.uint8)


def sheet(images: Grey, columns: int = 8) -> npt.NDArray[np.uint8]:
    """Images side by side, row by row, for the eye."""
    rows = -(-len(images) // columns)
    height, width = images.shape[1:]
    out = np.zeros((rows * height, columns * width), dtype=np.uint8)
    for i, image in enumerate(images):
        out[i // columns * height :, i % columns * width :][:height, :width] = image
    return out
