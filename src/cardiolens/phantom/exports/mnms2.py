"""M&Ms-2: right ventricle in short axis and four-chamber view (Martin-Isla et al., IEEE JBHI 2023;27:3302).

    MnM2/dataset_information.csv                        SUBJECT_CODE,DISEASE,VENDOR,SCANNER,FIELD
    MnM2/dataset/001/001_SA_CINE.nii.gz                 4-D
    MnM2/dataset/001/001_SA_ED.nii.gz, 001_SA_ED_gt.nii.gz, 001_SA_ES.nii.gz, 001_SA_ES_gt.nii.gz
    MnM2/dataset/001/001_LA_CINE.nii.gz, ...            the same five of the four-chamber view

Labels: 1 LV, 2 LV myocardium, 3 RV.  Subjects 1 to 160 are for training, 161 to 200 for validation, the rest for
testing; RV and TRI occur in the last two only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cardiolens.phantom.exports.build import Case, Layout, Record, csv_bytes, split_of
from cardiolens.phantom.exports.hearts import Group, draw_heart
from cardiolens.phantom.exports.scan import Scan, key_frames, masks_of, save_nifti, scan_heart, truth_record
from cardiolens.study import View

if TYPE_CHECKING:
    from cardiolens.phantom.heart import HeartParameters

TABLE = "dataset_information.csv"
HEADER = ("SUBJECT_CODE", "DISEASE", "VENDOR", "SCANNER", "FIELD")
SPLITS = {"training": 160, "testing": 160, "validation": 40}
_FIRST = {"training": 1, "validation": 161, "testing": 201}
GROUPS = (
    Group("NOR", "normal"),
    Group("LV", "left ventricular dilation"),
    Group("HCM", "hypertrophic cardiomyopathy"),
    Group("ARR", "arrhythmogenic right ventricular cardiomyopathy"),
    Group("FALL", "tetralogy of Fallot"),
    Group("CIA", "atrial septal defect"),
)
LATE_GROUPS = (*GROUPS, Group("RV", "right ventricular dilation"), Group("TRI", "right ventricular dilation"))
_SCANNERS = (
    ("SIEMENS", "SymphonyTim", 1.5),
    ("GE MEDICAL SYSTEMS", "SIGNA EXCITE", 1.5),
    ("Philips Medical Systems", "Achieva", 1.5),
)


def _name(index: int) -> str:
    split, place = split_of(index, SPLITS)
    return f"{place + _FIRST[split]:03d}"


def _write(case: Case) -> Record:
    split, place = split_of(case.index, SPLITS)
    groups = GROUPS if split == "training" else LATE_GROUPS
    name, group = _name(case.index), groups[case.index % len(groups)]
    heart = draw_heart(case.rng("heart"), group)
    if group.name == "TRI":
        heart = _leaky(heart)
    study = scan_heart(heart, case.scan, case.rng("scan"), (View.SAX, View.CH4))
    folder, frames = case.part / "dataset" / name, None
    for prefix, view in (("SA", View.SAX), ("LA", View.CH4)):
        cine = study.cine(view)
        labels = masks_of(heart, cine)
        frames = frames or key_frames(labels)
        save_nifti(folder / f"{name}_{prefix}_CINE.nii.gz", cine.frames.astype(np.int16), cine)
        for end, phase in zip(("ED", "ES"), frames, strict=True):
            save_nifti(folder / f"{name}_{prefix}_{end}.nii.gz", cine.frames[:, phase].astype(np.int16), cine)
            save_nifti(folder / f"{name}_{prefix}_{end}_gt.nii.gz", labels[:, phase], cine)
    assert frames is not None  # noqa: S101 - two views were written
    row = [int(name), group.name, *_SCANNERS[place % len(_SCANNERS)]]
    return truth_record(heart, split=split, group=group.name, ed=frames[0], es=frames[1], row=row)


def _leaky(heart: HeartParameters) -> HeartParameters:
    """The same heart with tricuspid regurgitation."""
    return replace(heart, valves=replace(heart.valves, tricuspid_regurgitation=0.85))


def _tables(records: Sequence[Record]) -> Mapping[str, bytes]:
    return {TABLE: csv_bytes(HEADER, sorted(record["row"] for record in records))}


LAYOUT = Layout(
    name="mnms2",
    title="M&Ms-2",
    root="MnM2",
    capacity=sum(SPLITS.values()),
    scan=Scan(matrix=256, field_mm=360.0, phases=(25, 30), slice_thickness_mm=8, slice_gap_mm=2),
    source="https://www.ub.edu/mnms-2/; CineMA, cinema/data/mnms2 (README.md and preprocess.py); values of the table "
    "as quoted by tests of public readers",
    unverified="which scanner belongs to which vendor beyond one of each; the real table ends in empty rows, which are "
    "left out here.",
    case_name=_name,
    write=_write,
    tables=_tables,
)
