"""Landmark: mitral hinge points and apex on long-axis stills, as blobs.  Points, no masks; nothing for a store.

`DATASET.verified` and `DATASET.unverified` say what of the layout was checked.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.tables import number
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import GeometryError, ReadError, ReportError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import View

NAMES = ("mitral 1", "mitral 2", "apex")
GREY = (85, 170, 255)
_FOLDERS = {"lax_2c": View.CH2, "lax_4c": View.CH4}
_UID = re.compile(r"(?P<patient>[^_]+)_.*?(?P<frame>\d+)")
_FAR = 3.0  # pixels between a blob's middle and the table's point that are told


@dataclass(frozen=True, eq=False)
class Landmarks:
    """One still with its three points.

    Attributes:
        view: 2CH or 4CH.
        image: (row, col) uint8, no spacing.
        points: (landmark, 2) of x (column) and y (row) in pixels of `image`; rows are `NAMES`.
        uid: as the data set calls the image; frame: the number at its end, or None.
    """

    view: View
    image: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float64]
    uid: str
    frame: int | None

    @property
    def clockwise(self) -> bool:
        """Whether the points run clockwise as one looks at the image; mostly so in 2CH, mostly not in 4CH."""
        (x1, y1), (x2, y2), (x3, y3) = self.points
        return bool((y2 - y1) * (x3 - x2) - (x2 - x1) * (y3 - y2) > 0)


def landmarks(case: Case) -> list[Landmarks]:
    """Every still of a patient, with the middle of each blob.

    Raises:
        ReadError: a file that is absent or damaged, or a mask without one of the three blobs.
        GeometryError: image and mask of different shapes.
    """
    return [_read(Path(path)) for path in case.unit.paths]


def _read(path: Path) -> Landmarks:
    mask_path = path.parents[1] / "masks" / path.name
    image, mask = _grey(path), _grey(mask_path)
    if image.shape != mask.shape:
        raise GeometryError(f"{mask_path}: shape {mask.shape}, the image has {image.shape}")
    strange = sorted(set(np.unique(mask).tolist()) - {0, *GREY})
    if strange:
        raise ReadError(f"{mask_path}: holds grey values {strange[:8]}; 0, 85, 170 and 255 are expected")
    points = []
    for name, value in zip(NAMES, GREY, strict=True):
        rows, cols = np.nonzero(mask == value)
        if not len(rows):
            raise ReadError(f"{mask_path}: no blob of {name} (grey {value})")
        points.append((cols.mean(), rows.mean()))
    found = _UID.fullmatch(path.stem)
    frame = int(found["frame"]) if found else None
    return Landmarks(_FOLDERS[path.parents[1].name], image, np.array(points), path.stem, frame)


def _grey(path: Path) -> npt.NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: not a readable image ({error})") from error


def read_table(path: Path) -> dict[str, dict[int, tuple[float, float]]]:
    """uid to landmark number to (x, y), from a table without header: cohort, uid, view, landmark number, x, y.

    Raises:
        ReportError: not such a table.
    """
    out: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in enumerate(csv.reader(stream), start=1):
                values = [number(cell) for cell in row[3:6]]
                if len(row) != 6 or any(value is None for value in values):
                    raise ReportError(f"{path}: line {line}: cohort, uid, view, landmark number, x and y are needed")
                which, x, y = (float(value) for value in values if value is not None)
                out[row[1].strip()][int(which)] = (x, y)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReportError(f"{path}: cannot be read ({error})") from error
    return dict(out)


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    root = folder / "raw" if (folder / "raw").is_dir() else folder
    patients: dict[str, list[Path]] = defaultdict(list)
    remarks: list[Remark] = []
    skipped: list[Remark] = []
    for name in _FOLDERS:
        paths = sorted((root / name / "images").glob("*.png"))
        table = root / f"{name}.csv"
        rows = read_table(table) if table.is_file() else {}
        if paths and not rows:
            remarks.append(Remark(name, "no table: points come from the blobs alone"))
        for path in paths:
            if not (root / name / "masks" / path.name).is_file():
                skipped.append(Remark(f"{name}/{path.stem}", "an image without a mask"))
                continue
            patients[path.stem.split("_")[0]].append(path)
            if rows:
                remarks += _against(path, rows.get(path.stem))
        there = {path.stem for path in paths}
        remarks += [Remark(f"{name}/{uid}", "rows for an image that is not here") for uid in sorted(set(rows) - there)]
    if not patients and not skipped:
        raise DATASET.nothing_in(folder)
    cases = []
    for place, (patient, paths) in enumerate(sorted(patients.items()), start=1):
        seen(place)
        if patient in exclusions.cases:
            skipped.append(Remark(patient, "on the exclusion list"))
            continue
        labels: dict[str, Label] = {"case": patient}
        identity = Identity(f"landmark/{patient}", Pseudonym(patient), Pseudonym(patient))
        cases.append(Case(patient, Unit(tuple(map(str, paths)), (identity,)), identity, labels))
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


def _against(path: Path, row: dict[int, tuple[float, float]] | None) -> list[Remark]:
    """Remarks on an image whose blobs and table disagree."""
    name = f"{path.parents[1].name}/{path.stem}"
    if row is None or set(row) != {1, 2, 3}:
        return [Remark(name, "no three rows in the table: points come from the blobs alone")]
    try:
        found = _read(path).points
    except (ReadError, GeometryError) as error:
        return [Remark(name, "image or mask is damaged", str(error))]
    away = np.linalg.norm(found - np.array([row[k] for k in (1, 2, 3)]), axis=1).max()
    return [Remark(name, "table and blobs differ", f"{away:.1f} pixels")] if away > _FAR else []


DATASET = Dataset(
    name="landmark",
    title="Landmark, mitral hinges and apex on long-axis images",
    holds="2CH and 4CH stills at ED and ES as PNG with three points each; no spacing, no cine",
    licence="given on request by its authors; their terms hold (not checked here)",
    source="the authors of the paper; as read by github.com/mathpluscode/CineMA, cinema/data/landmark",
    citation="Xue et al., Radiol Artif Intell 2021;3:e200197, doi:10.1148/ryai.2021200197",
    layout="""\
raw/lax_2c.csv, raw/lax_4c.csv          no header: cohort_name, uid, view, landmark_number, x, y
    lax_2c/images/0001__00.png          grey; the part of the uid before the first _ is the patient
    lax_2c/masks/0001__00.png           85, 170, 255: blobs around landmarks 1 and 2 (mitral) and 3 (apex)
    lax_4c/...""",
    labels={"case": "the patient's part of the uid"},
    official_split="",
    verified="folders, columns, grey values and that the patient is the part before the first underscore, against the "
    "reader of CineMA (github.com/mathpluscode/CineMA, cinema/data/landmark)",
    unverified="whether x and y of the tables are pixels of the PNG (a difference is told), which hinge is number 1, "
    "and which of a patient's frames is end-diastole; CineMA shrinks the images to a quarter",
    options=("exclude",),
    public_names=True,
    cines=False,
    find=_find,
)
