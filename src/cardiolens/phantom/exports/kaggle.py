"""Kaggle's Second Annual Data Science Bowl: DICOM cines, labelled with two volumes of the left ventricle.

    second-annual-data-science-bowl/train.csv, validate.csv      Id,Systole,Diastole (ml)
    second-annual-data-science-bowl/solution.csv                 Id,Volume,Usage; Id is 701_Diastole or 701_Systole
    second-annual-data-science-bowl/train/train/1/study/sax_5/IM-4557-0001.dcm
    second-annual-data-science-bowl/train/train/1/study/2ch_21/..., 4ch_22/...
    second-annual-data-science-bowl/validate/validate/501/..., test/test/701/...

One series a folder, one folder a short-axis plane, named after the series number.  Height and weight are not told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cardiolens.phantom.exports.build import Case, Layout, Record, csv_bytes, split_of
from cardiolens.phantom.exports.hearts import Group, draw_heart
from cardiolens.phantom.exports.scan import Scan, scan_heart, truth_record
from cardiolens.study import View

SPLITS = {"train": 500, "test": 440, "validate": 200}
_FIRST = {"train": 1, "validate": 501, "test": 701}
_PREFIX = {View.CH2: "2ch", View.CH4: "4ch", View.SAX: "sax"}  # in the order of their series
_ANY = Group("any", None)


def _name(index: int) -> str:
    split, place = split_of(index, SPLITS)
    return str(place + _FIRST[split])


def _write(case: Case) -> Record:
    from cardiolens.phantom.dicom import write_dicom

    split, _ = split_of(case.index, SPLITS)
    name = _name(case.index)
    heart = draw_heart(case.rng("heart"), _ANY, population="referral")
    study = scan_heart(heart, case.scan, case.rng("scan"), tuple(_PREFIX))
    study = replace(study, patient=name, accession=name, sex=heart.sex, age=float(int(heart.age)))
    flat = case.part / "flat"
    files = write_dicom(study, flat, style="siemens", seed=case.seed * 1_000_003 + case.index)
    first = int(case.rng("table").integers(1000, 9000))
    folder, done, number = case.part / split / split / name / "study", 0, 0
    for view, prefix in _PREFIX.items():
        cine = study.cine(view)
        for _ in range(cine.n_slices):
            number += 1
            series = folder / f"{prefix}_{number}"
            series.mkdir(parents=True)
            for phase, path in enumerate(files[done : done + cine.n_phases], start=1):
                path.rename(series / f"IM-{first + number:04d}-{phase:04d}.dcm")
            done += cine.n_phases
    flat.rmdir()
    record = truth_record(heart, split=split)
    record["row"] = [int(name), round(record["truth"]["esv_ml"], 1), round(record["truth"]["edv_ml"], 1)]
    return record


def _tables(records: Sequence[Record]) -> Mapping[str, bytes]:
    out = {}
    for split in ("train", "validate"):
        rows = sorted(record["row"] for record in records if record["split"] == split)
        out[f"{split}.csv"] = csv_bytes(("Id", "Systole", "Diastole"), rows)
    tested = sorted(record["row"] for record in records if record["split"] == "test")
    rows = [[f"{i}_{end}", v, "Private"] for i, es, ed in tested for end, v in (("Diastole", ed), ("Systole", es))]
    out["solution.csv"] = csv_bytes(("Id", "Volume", "Usage"), rows)
    return out


LAYOUT = Layout(
    name="kaggle",
    title="Kaggle Data Science Bowl 2",
    root="second-annual-data-science-bowl",
    capacity=sum(SPLITS.values()),
    scan=Scan(matrix=256, field_mm=360.0, phases=(30, 30), slice_thickness_mm=8, slice_gap_mm=2),
    source="https://www.kaggle.com/c/second-annual-data-science-bowl; CineMA, cinema/data/kaggle (README.md and "
    "preprocess.py), for the nested train/train of the bundle and for the tables; file names as quoted in public code",
    unverified="the values of Usage; DICOM headers, which are the phantom's own; the faults of the real set (missing "
    "views, mixed sizes, two planes in a folder) are not imitated. Older copies have train/1 for train/train/1.",
    case_name=_name,
    write=_write,
    tables=_tables,
)
