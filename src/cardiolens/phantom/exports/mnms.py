"""M&Ms: Multi-Centre, Multi-Vendor and Multi-Disease challenge (Campello et al., IEEE Trans Med Imaging 2021;40:3543).

    OpenDataset/211230_M&Ms_Dataset_information_diagnosis_opendataset.csv
    OpenDataset/Training/Labeled/A0S9V9/A0S9V9_sa.nii.gz, A0S9V9_sa_gt.nii.gz
    OpenDataset/Training/Unlabeled/..., OpenDataset/Validation/..., OpenDataset/Testing/...

Both files are 4-D.  Labels, at end-diastole and end-systole only: 1 LV, 2 LV myocardium, 3 RV; in Unlabeled the file is
there and empty.  In the table, whose first column has no name, ED and ES are counted from 0, and some heights and
weights are missing.  Labelled training cases come from vendors A and B, unlabelled ones from C, the rest from all four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cardiolens.phantom.exports.build import Case, Layout, Record, csv_bytes, split_of
from cardiolens.phantom.exports.hearts import Group, draw_heart
from cardiolens.phantom.exports.scan import Scan, key_frames, masks_of, save_nifti, scan_heart, truth_record
from cardiolens.study import View

TABLE = "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv"
HEADER = (
    "",
    "External code",
    "VendorName",
    "Vendor",
    "Centre",
    "ED",
    "ES",
    "Age",
    "Pathology",
    "Sex",
    "Height",
    "Weight",
)
SPLITS = {"Training/Labeled": 150, "Testing": 136, "Validation": 34, "Training/Unlabeled": 25}
GROUPS = (
    Group("NOR", "normal"),
    Group("HCM", "hypertrophic cardiomyopathy"),
    Group("DCM", "non-ischemic cardiomyopathy"),
    Group("ARV", "right ventricular dilation"),
    Group("HHD", "left ventricular hypertrophy"),
    Group("IHD", "ischemic cardiomyopathy"),
    Group("LVNC", "left ventricular non-compaction"),
)
_VENDORS = {"A": "Siemens", "B": "Philips", "C": "GE", "D": "Canon"}
_CENTRES = {"A": (1, 6), "B": (2, 3), "C": (4,), "D": (5,)}
_OF_SPLIT = {"Training/Labeled": "AB", "Training/Unlabeled": "C", "Validation": "ABCD", "Testing": "ABCD"}
_CODES = 26**3 * 10**3


def _name(index: int) -> str:
    """A code such as A0S9V9, another for every case."""
    number, out = (index * 7_919_111 + 3_141_593) % _CODES, ""
    for _ in range(3):
        number, digit = divmod(number, 10)
        number, letter = divmod(number, 26)
        out += f"{chr(ord('A') + letter)}{digit}"
    return out


def _write(case: Case) -> Record:
    split, place = split_of(case.index, SPLITS)
    name, group, table = _name(case.index), GROUPS[case.index % len(GROUPS)], case.rng("table")
    vendors = _OF_SPLIT[split]
    vendor = vendors[place % len(vendors)]
    heart = draw_heart(case.rng("heart"), group)
    cine = scan_heart(heart, _at_site(case.scan, vendor), case.rng("scan"), (View.SAX,)).cine(View.SAX)
    labels = masks_of(heart, cine)
    ed, es = key_frames(labels)
    kept = np.zeros_like(labels)
    if split != "Training/Unlabeled":
        kept[:, [ed, es]] = labels[:, [ed, es]]
    folder = case.part / split / name
    save_nifti(folder / f"{name}_sa.nii.gz", cine.frames.astype(np.int16), cine)
    save_nifti(folder / f"{name}_sa_gt.nii.gz", kept, cine)
    known = table.random() > 0.12
    row = [name, _VENDORS[vendor], vendor, _CENTRES[vendor][place % len(_CENTRES[vendor])], ed, es]
    row += [int(heart.age), group.name, heart.sex, round(heart.height_cm) if known else None]
    row += [round(heart.weight_kg) if known else None]
    return truth_record(heart, split=split, group=group.name, ed=ed, es=es, row=row)


def _at_site(scan: Scan, vendor: str) -> Scan:
    """The protocol as this vendor's centres have it: the same number of pixels over another field."""
    return replace(scan, field_mm=scan.field_mm * {"A": 1.0, "B": 0.96, "C": 1.05, "D": 0.92}[vendor])


def _tables(records: Sequence[Record]) -> Mapping[str, bytes]:
    return {TABLE: csv_bytes(HEADER, [[i, *record["row"]] for i, record in enumerate(records)])}


LAYOUT = Layout(
    name="mnms",
    title="M&Ms",
    root="OpenDataset",
    capacity=sum(SPLITS.values()),
    scan=Scan(matrix=256, field_mm=350.0, phases=(25, 30), slice_thickness_mm=8, slice_gap_mm=2),
    source="https://www.ub.edu/mnms/; CineMA, cinema/data/mnms (README.md and preprocess.py), for the names of the "
    "columns, the labels and frames counted from 0",
    unverified="the order of the table's columns, the units of Height and Weight (here cm and kg), which centre has "
    "which vendor, the sizes of the open splits (150 + 25, 34 and 136, of which only their sum, 345, is told), and "
    "whether the labels' file is 4-D with empty frames between.",
    case_name=_name,
    write=_write,
    tables=_tables,
)
