"""Contours of the Sunnybrook Cardiac Data: text files of "x y" lines, one file an image and an outline.

    IM-0001-0048-icontour-manual.txt    endocardium, papillary muscle inside; at end-diastole and end-systole
    IM-0001-0059-ocontour-manual.txt    epicardium; at end-diastole

The last number is that of the image in its short-axis series, and of nothing else: the series number (0001) is not that
of the DICOM file.  Coordinates are pixels of the image in steps of half a pixel, with 0 at the centre of the first one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiolens.errors import ReadError

Points = npt.NDArray[np.float64]

_FILE = re.compile(r"IM-\d+-(\d+)-([iop]\d?)contour-(?:manual|auto)\.txt", re.IGNORECASE)
_SUBPIXELS = 4


@dataclass(frozen=True, eq=False)
class Contours:
    """Outlines on one image, (point, 2) of x (column) and y (row) in pixels; None where not drawn."""

    endocardium: Points | None = None
    epicardium: Points | None = None


def same_patient(name: str) -> str:
    """A patient's name without the zeros by which copies differ: SC-HF-I-01 is SC-HF-I-1."""
    return re.sub(r"(?<=-)0+(?=\d)", "", name.strip().upper())


def contours(folder: str | Path, patient: str) -> dict[int, Contours]:
    """What was drawn for a patient, by number of the image.

    Args:
        folder: what holds the patients' folders, at any depth.
        patient: as SC-HF-I-1 or SC-HF-I-01.

    Raises:
        ReadError: no contour of this patient, a file that holds something else, or an image drawn twice.
    """
    found: dict[tuple[int, str], Path] = {}
    for path in sorted(Path(folder).rglob("*contour-*.txt")):
        named = _FILE.fullmatch(path.name)
        above = {same_patient(part) for part in path.relative_to(folder).parts[:-1]} | {same_patient(Path(folder).name)}
        if named is None or same_patient(patient) not in above:
            continue
        key = (int(named[1]), named[2].lower())
        if key in found:
            raise ReadError(f"{found[key]} and {path} are both the {key[1]}-contour of image {key[0]}; keep one")
        found[key] = path
    outlines = {key: read_contour(path) for key, path in found.items() if key[1] in ("i", "o")}
    if not outlines:
        raise ReadError(f"{folder}: no contour of {patient} (IM-0001-0048-icontour-manual.txt in a folder {patient})")
    numbers = sorted({number for number, _ in outlines})
    return {number: Contours(outlines.get((number, "i")), outlines.get((number, "o"))) for number in numbers}


def read_contour(path: Path) -> Points:
    """One outline, (point, 2) of x, y.

    Raises:
        ReadError: not such a file, or fewer than three points.
    """
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        points = np.array([[float(x), float(y)] for x, y in rows])
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: not a contour, which is one `x y` a line ({error})") from error
    if len(points) < 3 or not np.isfinite(points).all():
        raise ReadError(f"{path}: {len(points)} points; an outline needs three finite ones or more")
    return np.asarray(points)


def area(points: Points) -> float:
    """Area inside an outline, pixels."""
    x, y = points.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2.0)


def fill(points: Points, rows: int, cols: int) -> npt.NDArray[np.bool_]:
    """(row, col) pixels that lie inside an outline by half or more, so that their number is near its area."""
    from matplotlib.path import Path as Outline

    out = np.zeros((rows, cols), bool)
    low = np.clip(np.floor(points.min(0)).astype(int) - 1, 0, [cols, rows])
    high = np.clip(np.ceil(points.max(0)).astype(int) + 2, 0, [cols, rows])
    if (high <= low).any():
        return out
    steps = (np.arange(_SUBPIXELS) + 0.5) / _SUBPIXELS - 0.5
    x, y = (np.add.outer(np.arange(low[axis], high[axis]), steps).ravel() for axis in (0, 1))
    inside = Outline(points).contains_points(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2))
    cells = inside.reshape(high[1] - low[1], _SUBPIXELS, high[0] - low[0], _SUBPIXELS)
    out[low[1] : high[1], low[0] : high[0]] = cells.mean((1, 3)) >= 0.5
    return out


def drawn_on(contours: Mapping[int, Contours]) -> list[int]:
    """Numbers of the images with an endocardium."""
    return [number for number, each in contours.items() if each.endocardium is not None]
