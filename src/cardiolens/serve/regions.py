"""Edits of a mask on one plane at one phase: a line drawn, a brush, a structure grown, cleared or copied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cardiolens.errors import InputError
from cardiolens.segmentation import STRUCTURES

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Points = Sequence[Sequence[float]]

CAVITY, MUSCLE = "LV cavity", "LV myocardium"
_MOST_POINTS = 20_000
_MOST_LOOKS = 10**9  # of a point of a line at a pixel: about two seconds
_MOST_STROKED = 10**8  # pixels around the pieces of a stroke, likewise


def region_of(labels: Labels, structure: str) -> Mask:
    """(row, col) inside the line of a structure; that of the LV myocardium is the epicardium, cavity included."""
    inside = labels == _label(structure)
    if structure == MUSCLE:
        inside |= labels == STRUCTURES[CAVITY]
    return np.asarray(inside)


def with_region(labels: Labels, structure: str, region: Mask) -> Labels:
    """Labels (row, col) where a structure's line encloses `region`.

    The cavity of the left ventricle lies inside its muscle: what is taken from the cavity becomes muscle, where there
    is muscle at all; a smaller epicardium cuts the cavity.  Any other structure takes the pixels drawn last.
    """
    out: Labels = labels.copy()
    cavity, muscle = STRUCTURES[CAVITY], STRUCTURES[MUSCLE]
    if structure == CAVITY:
        left = (labels == cavity) & ~region
        out[left] = muscle if (labels == muscle).any() else 0
        out[region] = cavity
    elif structure == MUSCLE:
        heart = (labels == cavity) | (labels == muscle)
        out[heart & ~region] = 0
        out[region & (labels != cavity)] = muscle
    else:
        value = _label(structure)
        out[labels == value] = 0
        out[region] = value
    return out


def polygon_region(lines: Sequence[Points], shape: tuple[int, int]) -> Mask:
    """(row, col) pixels whose centres lie in closed lines of (col, row); a line in a line is a hole.

    Raises:
        InputError: a line of fewer than three points, too many points, or no numbers.
    """
    from matplotlib.path import Path

    if sum(map(len, lines)) > _MOST_POINTS:
        raise InputError(f"the lines together have at most {_MOST_POINTS} points")
    inside, looks = np.zeros(shape, dtype=bool), 0
    for line in lines:
        points = _points(line)
        if len(points) < 3:
            raise InputError(f"a closed line needs three points or more, got {len(points)}")
        box = _box(points, 1.0, shape)
        rows, cols = np.mgrid[box]
        looks += len(points) * rows.size
        if looks > _MOST_LOOKS:
            raise InputError(f"a line around so large a region has too many points ({len(points)}); draw it with fewer")
        centres = np.column_stack([cols.ravel(), rows.ravel()]).astype(np.float64)
        inside[box] ^= Path(points).contains_points(centres).reshape(rows.shape)
    return inside


def brush_region(points: Points, radius: float, shape: tuple[int, int]) -> Mask:
    """(row, col) pixels within `radius` pixels of a stroke through points of (col, row).

    Raises:
        InputError: no point, a radius that is not positive, no numbers, or too long a stroke for its width.
    """
    way = _points(points)
    if not len(way) or not 0 < radius <= max(shape):
        raise InputError("a brush stroke needs a point and a positive radius in pixels")
    found, looks = np.zeros(shape, dtype=bool), 0
    for start, end in zip(way, way[1:] if len(way) > 1 else way, strict=False):
        box = _box(np.stack([start, end]), radius, shape)
        rows, cols = np.mgrid[box].astype(np.float64)
        looks += rows.size
        if looks > _MOST_STROKED:
            raise InputError(f"a stroke of {len(way)} points is too long for a brush so wide; draw it in parts")
        span = end - start
        length = float(span @ span)
        along = ((cols - start[0]) * span[0] + (rows - start[1]) * span[1]) / length if length else np.zeros_like(rows)
        along = along.clip(0.0, 1.0)
        away = np.hypot(cols - start[0] - along * span[0], rows - start[1] - along * span[1])
        found[box] |= away <= radius
    return found


def grown(region: Mask, pixels: int) -> Mask:
    """A region wider by some pixels all round, or narrower for a negative number."""
    from scipy.ndimage import binary_dilation, binary_erosion

    if not 1 <= abs(pixels) <= 10:
        raise InputError(f"a line is moved by 1 to 10 pixels, not {pixels}")
    change = binary_dilation if pixels > 0 else binary_erosion
    return np.asarray(change(region, iterations=abs(pixels)), dtype=bool)


def _box(points: npt.NDArray[np.float64], margin: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the pixels within `margin` of the points' bounding box."""
    first = np.floor(points.min(0) - margin).clip(0, shape[::-1]).astype(int)
    last = np.ceil(points.max(0) + margin + 1).clip(0, shape[::-1]).astype(int)
    return slice(first[1], last[1]), slice(first[0], last[0])


def _label(structure: str) -> int:
    if structure not in STRUCTURES:
        raise InputError(f"unknown structure {structure!r}; one of {', '.join(STRUCTURES)}")
    return STRUCTURES[structure]


def _points(points: Points) -> npt.NDArray[np.float64]:
    try:
        found = np.asarray(points, dtype=np.float64).reshape(len(points), 2)
    except (TypeError, ValueError):
        raise InputError("points are pairs of numbers: column, row") from None
    if len(found) > _MOST_POINTS or not np.isfinite(found).all():
        raise InputError(f"a line has at most {_MOST_POINTS} points, all finite")
    return found
