"""Rescan: the same patients scanned twice (Bhuva et al., Circ Cardiovasc Imaging 2019;12:e009214), as CineMA reads it.

    pickle/train/A/s_0000/2C.pickle, 4C.pickle, SAX.pickle, SAX_segs.pickle      one scan each
    pickle/test/scan_00_A/..., pickle/test/scan_00_B/...                         pairs, with segmentations
    pickle/test_retest_100/1027/2C.pickle, 4C.pickle, SAX.pickle                 pairs, with volumes:
    pickle/test_retest_100/labels.csv       A,B1,B2 (folder names), EDV_A,ESV_A,EDV_B1,ESV_B1,EDV_B2,ESV_B2

Each pickle is a dictionary: `image_voxels` (plane, time, row, col), of a long axis (time, row, col); PixelSpacing,
SliceSpacing, ImagePositionPatient (plane, 3), of a long axis (3,), ImageOrientationPatient (6,); SAX_segs:
`image_segmentation`, 1 LV, 2 LV myocardium, 3 RV.  Planes run against their normal, from base to apex.

Two scans of a patient are the same heart, planned and scanned anew.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cardiolens.phantom.exports.build import Case, Layout, Record, csv_bytes, split_of
from cardiolens.phantom.exports.hearts import Group, draw_heart
from cardiolens.phantom.exports.scan import Labels, Scan, cavity_ml, key_frames, masks_of, scan_heart, truth_record
from cardiolens.study import Cine, View

if TYPE_CHECKING:
    from cardiolens.phantom.heart import HeartParameters

SPLITS = {"test_retest_100": 100, "test": 100, "train": 100}
HEADER = ("A", "B1", "B2", "EDV_A", "ESV_A", "EDV_B1", "ESV_B1", "EDV_B2", "ESV_B2")
TABLE = "test_retest_100/labels.csv"
GROUPS = (
    Group("healthy", "normal"),
    Group("infarction", "ischemic cardiomyopathy"),
    Group("hypertrophy", "left ventricular hypertrophy"),
    Group("cardiomyopathy", "non-ischemic cardiomyopathy"),
    Group("other", None),
)
_VIEWS = (View.SAX, View.CH2, View.CH4)
_FIRST_FOLDER = 1000


def _name(index: int) -> str:
    return f"subject_{index:03d}"


def _write(case: Case) -> Record:
    split, place = split_of(case.index, SPLITS)
    group = GROUPS[case.index % len(GROUPS)]
    heart, rng = draw_heart(case.rng("heart"), group), case.rng("scan")
    if split == "train":
        names = [f"{'AB'[place % 2]}/s_{place // 2:04d}"]
    elif split == "test":
        names = [f"scan_{place:02d}_{which}" for which in "AB"]
    else:
        names = [str(_FIRST_FOLDER + 3 * place + k) for k in range(3 if place % 2 else 2)]
    volumes = [
        _write_scan(case, heart, rng, case.part / split / name, segs=split != "test_retest_100") for name in names
    ]
    record = truth_record(heart, split=split, group=group.name, scans=names)
    if split == "test_retest_100":
        missing: list[Any] = [None] * (3 - len(names))
        ends = [value for pair in volumes for value in pair] + missing * 2
        record["row"] = [*(int(name) for name in names), *missing, *ends]
    return record


def _write_scan(
    case: Case, heart: HeartParameters, rng: np.random.Generator, folder: Path, *, segs: bool
) -> tuple[float, float]:
    """One scan; gives EDV and ESV (ml) as its stack shows them."""
    study = scan_heart(heart, case.scan, rng, _VIEWS)
    folder.mkdir(parents=True)
    sax = study.cine(View.SAX)
    labels = masks_of(heart, sax)
    _dump(folder / "SAX.pickle", _stack(sax))
    if segs:
        _dump(folder / "SAX_segs.pickle", {"image_segmentation": np.ascontiguousarray(labels[::-1])})
    for view, name in ((View.CH2, "2C"), (View.CH4, "4C")):
        _dump(folder / f"{name}.pickle", _single(study.cine(view)))
    return _volumes(labels, sax)


def _volumes(labels: Labels, cine: Cine) -> tuple[float, float]:
    ed, es = key_frames(labels)
    return round(cavity_ml(labels, cine, ed), 1), round(cavity_ml(labels, cine, es), 1)


def _stack(cine: Cine) -> dict[str, Any]:
    assert cine.affine is not None and cine.slice_positions_mm is not None  # noqa: S101 - the phantom has both
    along = cine.slice_positions_mm - cine.slice_positions_mm[0]
    positions = cine.affine[:3, 3] + along[:, None] * (cine.affine[:3, 2] / along[-1] * (cine.n_slices - 1))
    return {
        "image_voxels": np.ascontiguousarray(cine.frames[::-1]),
        "ImagePositionPatient": np.ascontiguousarray(positions[::-1]),
        "SliceSpacing": float(np.diff(cine.slice_positions_mm).mean()),
        **_in_plane(cine),
    }


def _single(cine: Cine) -> dict[str, Any]:
    assert cine.affine is not None  # noqa: S101 - the phantom has it
    return {
        "image_voxels": np.ascontiguousarray(cine.frames[0]),
        "ImagePositionPatient": cine.affine[:3, 3].copy(),
        **_in_plane(cine),
    }


def _in_plane(cine: Cine) -> dict[str, Any]:
    assert cine.affine is not None and cine.spacing_mm is not None  # noqa: S101 - the phantom has both
    right, down = (cine.affine[:3, i] / np.linalg.norm(cine.affine[:3, i]) for i in (0, 1))
    return {
        "PixelSpacing": np.array(cine.spacing_mm),
        "ImageOrientationPatient": np.concatenate([right, down]),
    }


def _dump(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes(pickle.dumps(content, protocol=4))


def _tables(records: Sequence[Record]) -> Mapping[str, bytes]:
    rows = [record["row"] for record in records if record["split"] == "test_retest_100"]
    return {TABLE: csv_bytes(HEADER, rows)} if rows else {}


LAYOUT = Layout(
    name="rescan",
    title="Rescan",
    root="pickle",
    capacity=sum(SPLITS.values()),
    scan=Scan(matrix=256, field_mm=360.0, phases=(25, 30), slice_thickness_mm=8, slice_gap_mm=2),
    source="CineMA, cinema/data/rescan (README.md, preprocess.py); the data themselves are given on request",
    unverified="everything that CineMA's reader does not touch: further columns of labels.csv, further keys of the "
    "pickles, types of the arrays, and what splits train into A and B.",
    case_name=_name,
    write=_write,
    tables=_tables,
)
