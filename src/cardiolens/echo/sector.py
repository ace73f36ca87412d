"""Where in the image the ultrasound sector lies: what moves there, not text, rulers or an ECG strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull

from cardiolens.echo.regions import Region
from cardiolens.errors import ReadError

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]

_LOOKED_AT = 64  # images of a loop
_FLOOR, _SHARE_OF_LOUDEST = 1.0, 0.05  # grey levels of spread over time from which a pixel surely moves
_FAINT = 0.25  # from which it moves at all, compression around text included
_REACH = 0.008  # radius of what is too thin to be tissue, as a share of the shorter edge: the line of an ECG
_SMALLEST = 0.05  # share of the image that a sector takes at least
_TURNS = np.arange(15.0, 66.0, 1.0)  # degrees that a side of a sector leans from upright
_BAND = 0.015  # width of the bands along a side that are compared, as a share of the shorter edge
_INSIDE, _MOVING = 0.95, 0.6  # of what surely moves, how much a wedge must hold; of a wedge, how much must move
_ARCS = (50.0, 65.0, 80.0)  # percentiles of where beams end; the first that holds the piece: an ECG may lie below
_NEAR_TOP = 0.06  # share of a sector's height at which the width of its top is measured


class NoSectorError(ReadError):
    """Nothing in the images moves as a sector does."""


class FrozenError(NoSectorError):
    """Nothing moves at all."""


@dataclass(frozen=True, eq=False)
class Sector:
    """The sector of a loop.

    Attributes:
        mask: (row, col) True inside; convex.
        found_by: in words.
    """

    mask: Mask
    found_by: str

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(first row, first col, last row + 1, last col + 1)."""
        rows, cols = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1

    @property
    def top_width(self) -> float:
        """Width near its top as a share of its largest: small for a phased array seen apex up."""
        return self._width(_NEAR_TOP)

    @property
    def bottom_width(self) -> float:
        """The same near its bottom: small where the loop is upside down."""
        return self._width(1.0 - _NEAR_TOP)

    def _width(self, at: float) -> float:
        widths = self.mask.sum(1)
        top, _, bottom, _ = self.box
        return float(widths[top + round(at * (bottom - top - 1))] / widths.max())


def grey_of(images: Grey) -> Grey:
    """(image, row, col): colour by ITU-R BT.601."""
    if images.ndim == 3:
        return images
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.stack([np.rint(image @ weights).astype(np.uint8) for image in images])


def find_sector(grey: Grey, regions: Sequence[Region] = ()) -> Sector:
    """The wedge around the largest piece of the image that moves, inside the 2D region where the file gives one.

    Sides are the longest slanted edges of the piece's convex hull, the arc lies where most beams end; where these do
    not hold the piece (a linear probe, an image cut short), the hull itself is taken.

    Args:
        grey: (image, row, col).

    Raises:
        FrozenError: no pixel changes.
        NoSectorError: what changes is too small.
    """
    rows, cols = grey.shape[1:]
    looked = grey[:: -(-len(grey) // _LOOKED_AT)].astype(np.float32)
    spread = looked.std(axis=0)
    box = next((r.box for r in regions if r.is_tissue and r.fits(rows, cols)), None)
    found_by = "motion"
    if box is not None:
        inside = np.zeros((rows, cols), dtype=bool)
        inside[box[0] : box[2] + 1, box[1] : box[3] + 1] = True
        spread, found_by = np.where(inside, spread, 0.0), "motion, within the 2D region"
    loudest = float(np.percentile(spread[spread > 0], 99)) if (spread > 0).any() else 0.0
    if loudest < _FLOOR:
        raise FrozenError("no pixel changes from image to image")
    piece = _largest(spread > max(_FLOOR, _SHARE_OF_LOUDEST * loudest))
    if piece is None or piece.mean() < _SMALLEST:
        raise NoSectorError(f"what moves takes less than {_SMALLEST:.0%} of the image")
    wedge = _wedge(piece, spread > _FAINT)
    mask = _hull(piece) if wedge is None else wedge
    return Sector(mask & inside if box is not None else mask, f"{found_by}, {'hull' if wedge is None else 'wedge'}")


def _largest(moving: Mask) -> Mask | None:
    """The largest connected piece once gaps are closed and thin lines are gone."""
    radius = max(1, round(_REACH * min(moving.shape)))
    closed = ndimage.binary_closing(np.pad(moving, 2 * radius), _disc(radius))[
        2 * radius : -2 * radius, 2 * radius : -2 * radius
    ]
    opened = ndimage.binary_opening(closed, _disc(2 * radius))
    labels, count = ndimage.label(opened)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _disc(radius: int) -> Mask:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x * x + y * y <= radius * radius + radius)


def _wedge(piece: Mask, moving: Mask) -> Mask | None:
    """The sector of a circle that holds a piece and moves; None where there is none."""
    points = np.argwhere(piece)
    top, bottom = int(points[0, 0]), int(points[-1, 0])
    y, x = np.mgrid[: piece.shape[0], : piece.shape[1]].astype(np.float64)
    edge = np.argwhere(piece ^ ndimage.binary_erosion(piece))[:, ::-1].astype(np.float64)  # x, y
    wide = max(2.0, _BAND * min(piece.shape))
    level = (y >= top) & (y <= bottom)
    left, right = (_side(edge, moving, (x, y, level), sign, wide) for sign in (-1.0, 1.0))
    both = np.array([left, right])
    apex = np.linalg.solve(both[:, :2], both[:, 2])
    reach, angle = np.hypot(x - apex[0], y - apex[1]), np.arctan2(x - apex[0], y - apex[1])
    within = np.logical_and(*(a * x + b * y - c <= 0.5 for a, b, c in both))
    beams = np.round(np.rad2deg(angle[piece & within])).astype(int)
    if not len(beams):
        return None
    far = ndimage.maximum(reach[piece & within], beams, np.unique(beams))
    for arc in _ARCS:
        wedge = np.asarray(within & (reach <= float(np.percentile(far, arc)) + 0.5) & (y >= top - 1))
        if (wedge & piece).sum() >= _INSIDE * piece.sum() and moving[wedge].mean() >= _MOVING:
            return wedge
    return None


def _side(
    edge: npt.NDArray[np.float64],
    moving: Mask,
    grid: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Mask],
    sign: float,
    wide: float,
) -> tuple[float, float, float]:
    """(a, b, c) of the line a x + b y = c that touches the piece and has most motion within and least without.

    Args:
        edge: (point, 2) x, y of the piece; grid: x, y of all pixels and whether they are level with it.
        sign: -1 for the left side, 1 for the right; wide: of the bands that are compared, pixels.
    """
    x, y, level = grid
    best, found = -np.inf, (0.0, 0.0, 0.0)
    for turn in np.deg2rad(_TURNS):
        a, b = sign * np.cos(turn), -np.sin(turn)
        c = float((edge @ np.array([a, b])).max())
        away = a * x + b * y - c
        inner, outer = level & (away <= 0) & (away > -wide), level & (away > 0.5) & (away <= 2 * wide)
        if not inner.any():
            continue
        score = float(moving[inner].mean()) - (float(moving[outer].mean()) if outer.any() else 0.0)
        if score > best:
            best, found = score, (a, b, c)
    return found


def _hull(piece: Mask) -> Mask:
    """Pixels whose centre lies in the convex hull of a piece."""
    points = np.argwhere(piece ^ ndimage.binary_erosion(piece))
    sides = ConvexHull(points).equations
    top, left = points.min(axis=0)
    bottom, right = points.max(axis=0) + 1
    y, x = np.mgrid[top:bottom, left:right]
    inside = np.ones(y.shape, dtype=bool)
    for down, across, offset in sides:
        inside &= down * y + across * x + offset <= 1e-9
    out = np.zeros_like(piece)
    out[top:bottom, left:right] = inside
    return out
