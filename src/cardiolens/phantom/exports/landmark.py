"""Landmark: mitral hinge points and apex on long-axis frames (Xue et al., Radiol Artif Intell 2021;3:e200197).

    raw/lax_2c.csv, raw/lax_4c.csv          no header: cohort_name, uid, view, landmark_number, x, y
    raw/lax_2c/images/0001__00.png          8-bit grey; uid is patient__frame, end-diastole and end-systole
    raw/lax_2c/masks/0001__00.png           85, 170 and 255 around landmarks 1, 2 (mitral) and 3 (apex), else 0
    raw/lax_4c/...

As CineMA reads it: it takes each landmark as the mean of its blob, shrinks images to a quarter, and expects the three
points to run clockwise in two-chamber and anticlockwise in four-chamber images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import PhantomError
from cardiolens.phantom.exports.build import Case, Layout, Record, csv_bytes
from cardiolens.phantom.exports.hearts import Group, draw_heart
from cardiolens.phantom.exports.scan import Scan, key_frames, masks_of, scan_heart, truth_record
from cardiolens.study import Cine, View

if TYPE_CHECKING:
    from cardiolens.phantom.heart import HeartParameters
    from cardiolens.study import Study

UPSAMPLED = 4
GREY = (85, 170, 255)
_FOLDERS = {View.CH2: "lax_2c", View.CH4: "lax_4c"}
_NAMES = ("mitral_1", "mitral_2", "apex")
_RADIUS = 5.0  # pixels of the enlarged image
_TRIES = 6
_ANY = Group("any", None)

Points = npt.NDArray[np.float64]


def _name(index: int) -> str:
    return f"{index + 1:04d}"


def _write(case: Case) -> Record:
    name = _name(case.index)
    heart = draw_heart(case.rng("heart"), _ANY)
    study, points = _planned(heart, case)
    frames = key_frames(masks_of(heart, study.cine(View.CH4)))
    rows: dict[str, list[list[Any]]] = {}
    for view, folder in _FOLDERS.items():
        cine = study.cine(view)
        low, high = np.percentile(cine.frames, [0.5, 99.5])
        for phase in frames:
            uid = f"{name}__{phase:02d}"
            grey = np.clip((cine.frames[0, phase] - low) / max(high - low, 1.0), 0.0, 1.0)
            marks = _enlarged(_ordered(points[view][phase], view))
            _save(case.part / folder / "images" / f"{uid}.png", (255 * grey).astype(np.uint8), enlarge=True)
            _save(case.part / folder / "masks" / f"{uid}.png", _blobs(marks, cine), enlarge=False)
            rows.setdefault(folder, []).extend(
                ["phantom", uid, folder, k, round(float(x)), round(float(y))] for k, (x, y) in enumerate(marks, start=1)
            )
    return truth_record(heart, ed=frames[0], es=frames[1], rows=rows)


def _planned(heart: HeartParameters, case: Case) -> tuple[Study, dict[View, Points]]:
    """A scan whose planes cut both hinges and the apex, and those as (time, landmark, 2) of x, y in pixels."""
    from cardiolens.phantom.truth.on_images import landmarks

    rng = case.rng("scan")
    for _ in range(_TRIES):
        study = scan_heart(heart, case.scan, rng, tuple(_FOLDERS))
        found = {}
        for view in _FOLDERS:
            marks = landmarks(heart, study.cine(view))
            found[view] = np.stack([marks[name][0, :, ::-1] for name in _NAMES], axis=1)
        if all(np.isfinite(points).all() for points in found.values()):
            return study, found
    raise PhantomError(f"case {_name(case.index)}: no plan out of {_TRIES} cut hinges and apex; try another seed")


def _ordered(points: Points, view: View) -> Points:
    """Landmarks (3, 2) with the two hinges in the order that makes the three run as in the real set."""
    (x1, y1), (x2, y2), (x3, y3) = points
    clockwise = (y2 - y1) * (x3 - x2) - (x2 - x1) * (y3 - y2) > 0
    return points if clockwise == (view is View.CH2) else points[[1, 0, 2]]


def _enlarged(points: Points) -> Points:
    return np.asarray((points + 0.5) * UPSAMPLED - 0.5)


def _blobs(points: Points, cine: Cine) -> npt.NDArray[np.uint8]:
    """A disc of its own grey around each landmark; where two would touch, each pixel goes to the nearer one."""
    rows, cols = (UPSAMPLED * size for size in cine.shape[2:])
    y, x = np.ogrid[:rows, :cols]
    away = np.stack([np.hypot(x - px, y - py) for px, py in points])
    return np.where(away.min(0) <= _RADIUS, np.array(GREY, dtype=np.uint8)[away.argmin(0)], 0).astype(np.uint8)


def _save(path: Path, pixels: npt.NDArray[np.uint8], *, enlarge: bool) -> None:
    from PIL import Image

    image = Image.fromarray(pixels)
    if enlarge:
        image = image.resize((image.width * UPSAMPLED, image.height * UPSAMPLED), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _tables(records: Sequence[Record]) -> Mapping[str, bytes]:
    return {
        f"{folder}.csv": csv_bytes((), [row for record in records for row in record["rows"][folder]])
        for folder in _FOLDERS.values()
    }


LAYOUT = Layout(
    name="landmark",
    title="Landmark",
    root="raw",
    capacity=9999,
    scan=Scan(matrix=256, field_mm=360.0, phases=(20, 30)),
    source="CineMA, cinema/data/landmark (README.md, preprocess.py); the data themselves are given on request",
    unverified="the values of cohort_name and view, whether x and y in the tables are pixels of the PNG as here, the "
    "size of the blobs, which hinge is number 1, and the enlargement by 4 (inferred from CineMA's shrinking "
    "to a quarter).",
    case_name=_name,
    write=_write,
    tables=_tables,
)
