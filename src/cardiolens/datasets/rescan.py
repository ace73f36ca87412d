"""Rescan: patients scanned twice; each view a pickle of arrays, which `plain_pickle` reads without running it.

`DATASET.verified` and `DATASET.unverified` say what of the layout was checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.labelled import LabelledFrames, relabel
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.plain_pickle import read_plain
from cardiolens.datasets.tables import number, read_rows
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import GeometryError, ReadError, ReportError
from cardiolens.ingest import Identity, Unit
from cardiolens.segmentation import STRUCTURES
from cardiolens.study import Cine, Study, View

LABELS: Mapping[int, str] = MappingProxyType({1: "LV cavity", 2: "LV myocardium", 3: "RV cavity"})
_FILES = {"SAX": View.SAX, "2C": View.CH2, "4C": View.CH4}
_PARTS = {"train": "train", "test": "test", "test_retest_100": "test"}
_PAIRED = "test_retest_100"
_SCANS = ("A", "B1", "B2")
_COLUMNS = (*_SCANS, *(f"{end}_{scan}" for scan in _SCANS for end in ("EDV", "ESV")))


@dataclass(frozen=True)
class Volumes:
    """One scan of a pair, as `labels.csv` has it (ml)."""

    subject: str
    scan: str
    edv: float
    esv: float


def read_case(paths: Sequence[str]) -> Study:
    """SAX, 2CH and 4CH of one scan.

    Raises:
        ReadError: a file that is damaged or lacks an array.
        GeometryError: arrays that do not fit each other.
    """
    return Study(tuple(_cine(Path(path))[0] for path in paths))


def _cine(path: Path) -> tuple[Cine, npt.NDArray[np.int64]]:
    """The cine, and in which order the planes of the file come in it."""
    view = _FILES[path.stem]
    content = read_plain(path)
    voxels = _array(path, content, "image_voxels", 4 if view is View.SAX else 3)
    positions = _array(path, content, "ImagePositionPatient", 2 if view is View.SAX else 1).astype(float)
    orientation = _array(path, content, "ImageOrientationPatient", 1).astype(float)
    spacing = _array(path, content, "PixelSpacing", 1).astype(float)
    if view is not View.SAX:
        voxels, positions = voxels[None], positions[None]
    if positions.shape != (len(voxels), 3) or orientation.shape != (6,) or spacing.shape != (2,):
        raise GeometryError(
            f"{path}: {len(voxels)} planes with positions of shape {positions.shape}, orientation "
            f"{orientation.shape} and spacing {spacing.shape}"
        )
    right, down = orientation[:3], orientation[3:]
    normal = np.cross(right, down)
    along = positions @ normal
    order = np.argsort(along)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = right * spacing[1], down * spacing[0]
    first, last = positions[order[0]], positions[order[-1]]
    affine[:3, 2] = (last - first) / (len(order) - 1) if len(order) > 1 else normal
    affine[:3, 3] = first
    cine = Cine(
        view,
        np.ascontiguousarray(voxels[order]),
        source=f"Rescan {path.stem}",
        spacing_mm=(float(spacing[0]), float(spacing[1])),
        slice_positions_mm=along[order],
        affine=affine,
    )
    return cine, order


def _array(path: Path, content: Any, name: str, n_axes: int) -> npt.NDArray[Any]:
    if not isinstance(content, dict) or name not in content:
        raise ReadError(f"{path}: no {name} in it")
    values = np.asarray(content[name])
    if values.ndim != n_axes or values.dtype.kind not in "biuf" or not values.size:
        raise ReadError(f"{path}: {name} has shape {values.shape} and type {values.dtype}; {n_axes} axes are needed")
    return values


def masks_of(case: Case) -> list[LabelledFrames]:
    """For `masks.load_masks`: every phase of the short axis; none for test_retest_100, whose volumes are in its table.

    "ED" and "ES" are the phases with most and with least LV cavity; the others have no name.
    """
    sax = next((Path(path) for path in case.unit.paths if Path(path).stem == "SAX"), None)
    path = sax.with_name("SAX_segs.pickle") if sax is not None else None
    if sax is None or path is None or not path.is_file():
        return []
    cine, order = _cine(sax)
    values = _array(path, read_plain(path), "image_segmentation", 4)
    if values.shape != cine.shape:
        raise GeometryError(f"{path}: shape {values.shape}, SAX.pickle has {cine.shape}")
    labels = relabel(values[order], LABELS, str(path))
    cavity = (labels == STRUCTURES["LV cavity"]).sum((0, 2, 3))
    if not cavity.any():
        raise ReadError(f"{path}: no LV cavity at any phase")
    names = [""] * cine.n_phases
    names[int(cavity.argmin())], names[int(cavity.argmax())] = "ES", "ED"
    phases = tuple(range(cine.n_phases))
    return [LabelledFrames(cine, phases, tuple(names), labels, tuple(LABELS.values()), source=f"rescan {case.name}")]


def read_volumes(path: Path) -> tuple[dict[str, Volumes], list[Remark]]:
    """Folder of a scan to what `labels.csv` says of it.

    Raises:
        ReportError: other columns, or a scan in two rows.
    """
    out: dict[str, Volumes] = {}
    remarks = []
    for line, row in read_rows(path, _COLUMNS, keep=lambda column: False):
        subject = f"retest-{line - 1:03d}"
        for scan in _SCANS:
            value = number(row[scan])
            if value is None or math.isnan(value):
                continue
            folder = str(int(value))
            if folder in out:
                raise ReportError(f"{path}: scan {folder} is there twice; keep one")
            ends = [number(row[f"{end}_{scan}"]) for end in ("EDV", "ESV")]
            if any(end is None or end <= 0 for end in ends):
                remarks.append(Remark(folder, "a volume that is no positive number", f"{path}: line {line}"))
            edv, esv = (math.nan if end is None or end <= 0 else end for end in ends)
            out[folder] = Volumes(subject, scan, edv, esv)
    return out, remarks


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    root = folder / "pickle" if (folder / "pickle").is_dir() else folder
    tops = {name: root / name for name in _PARTS if (root / name).is_dir()}
    if not tops:
        raise DATASET.nothing_in(folder)
    table = root / _PAIRED / "labels.csv"
    rows, remarks = read_volumes(table) if table.is_file() else ({}, [])
    if _PAIRED in tops and not rows:
        remarks.append(Remark("labels.csv", f"no {_PAIRED}/labels.csv: volumes and pairs are missing"))
    cases, skipped = [], []
    folders = [(name, path.parent) for name, top in tops.items() for path in sorted(top.rglob("*.pickle"))]
    for place, (split, top) in enumerate(dict.fromkeys(folders), start=1):
        seen(place)
        name = "-".join((split.replace("_", "-"), *re.sub("_", "-", str(top.relative_to(tops[split]))).split("/")))
        if name in exclusions.cases:
            skipped.append(Remark(name, "on the exclusion list"))
            continue
        paths = tuple(str(top / f"{each}.pickle") for each in _FILES if (top / f"{each}.pickle").is_file())
        if not paths or Path(paths[0]).stem != "SAX":
            skipped.append(Remark(name, "no SAX.pickle", str(top)))
            continue
        remarks += [Remark(name, f"no {each}.pickle") for each in _FILES if not (top / f"{each}.pickle").is_file()]
        cases.append(_case(name, split, top, paths, rows, remarks))
    there = {top.name for split, top in folders if split == _PAIRED}
    remarks += [Remark(scan, "a row for a scan that is not here") for scan in sorted(set(rows) - there)]
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


def _case(
    name: str, split: str, top: Path, paths: tuple[str, ...], rows: Mapping[str, Volumes], remarks: list[Remark]
) -> Case:
    row = rows.get(top.name) if split == _PAIRED else None
    pair = re.fullmatch(r"(.+)-([AB]\d?)", name) if split == "test" else None
    subject, scan = (pair[1], pair[2]) if pair else (name, None)
    labels: dict[str, Label] = {"case": name}
    if row is not None:
        subject, scan = row.subject, row.scan
        labels |= {"edv": row.edv, "esv": row.esv}
        labels["lvef"] = 100.0 * (row.edv - row.esv) / row.edv if row.esv <= row.edv else math.nan
    elif split == _PAIRED and rows:
        remarks.append(Remark(name, "no row in labels.csv: volumes are missing"))
    labels |= {"subject": subject, "scan": scan}
    identity = Identity(f"rescan/{name}", Pseudonym(subject), Pseudonym(name))
    return Case(name, Unit(paths, (identity,), read_case, "rescan 1"), identity, labels, _PARTS[split])


DATASET = Dataset(
    name="rescan",
    title="Rescan, patients scanned twice",
    holds="pairs of scans, SAX, 2CH and 4CH cines as pickled arrays; masks on every phase, or volumes in a table",
    licence="given on request by its authors; their terms hold (not checked here)",
    source="the authors of the paper; as read by github.com/mathpluscode/CineMA, cinema/data/rescan",
    citation="Bhuva et al., Circ Cardiovasc Imaging 2019;12:e009214, doi:10.1161/CIRCIMAGING.119.009214",
    layout="""\
pickle/train/A/s_0000/SAX.pickle, 2C.pickle, 4C.pickle, SAX_segs.pickle      one scan each
       test/scan_00_A/..., test/scan_00_B/...                                two scans of a patient
       test_retest_100/1027/SAX.pickle, 2C.pickle, 4C.pickle                 two or three scans of a patient
       test_retest_100/labels.csv       A,B1,B2,EDV_A,ESV_A,EDV_B1,ESV_B1,EDV_B2,ESV_B2""",
    labels={
        "case": "folders of the scan, joined by hyphens",
        "subject": "whom the scan is of: the row of labels.csv, or the folder's name without A and B",
        "scan": "A, B, B1 or B2; CineMA takes the mean of B1 and B2 for the volumes of the second",
        "edv": "LV end-diastolic volume, ml, of labels.csv",
        "esv": "LV end-systolic volume, ml, of labels.csv",
        "lvef": "LV ejection fraction, % (derived)",
    },
    official_split="train → train, test and test_retest_100 → test",
    verified="folders, keys of the pickles, columns and labels 1 LV, 2 myocardium, 3 RV, against the reader of CineMA",
    unverified="types in the real pickles (only numbers, texts, lists, dictionaries and arrays of numbers are read and "
    "nothing is run); whether B1 and B2 are two scans or parts of one; whether train/A and train/B share patients "
    "(each scan is taken for a patient, all of them in train)",
    options=("exclude",),
    public_names=True,
    masks=masks_of,
    find=_find,
)
