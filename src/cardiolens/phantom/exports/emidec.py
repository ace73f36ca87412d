"""EMIDEC: late enhancement after infarction (Lalande et al., Data 2020;5:89), the training set.

    emidec-dataset-1.0.1/Readme.txt
    emidec-dataset-1.0.1/Case N006.txt
    emidec-dataset-1.0.1/Case_N006/Images/Case_N006.nii.gz
    emidec-dataset-1.0.1/Case_N006/Contours/Case_N006.nii.gz

N is a normal case, P one with infarct.  Labels: 0 background, 1 cavity, 2 normal myocardium, 3 infarct, 4 no-reflow.
The text file gives clinical facts, one "key : value" a line, as shown in CineMA's README.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cardiolens.phantom.exports.build import Case, Layout, Record, split_of
from cardiolens.phantom.exports.hearts import Group, acute_infarct, draw_heart
from cardiolens.phantom.exports.scan import Scan, save_nifti, save_text, scan_heart, truth_record
from cardiolens.study import View

if TYPE_CHECKING:
    from cardiolens.phantom.heart import HeartParameters

KINDS = {"P": 67, "N": 33}
GROUPS = {"P": Group("P", "ischemic cardiomyopathy"), "N": Group("N", "normal", lambda h: not any(h.tissue.scar))}
_README = (
    "Synthetic cases in the layout of the EMIDEC training set, rendered by cardiolens.\n"
    "No person was imaged; nothing here comes from EMIDEC.\n"
)


def _name(index: int) -> str:
    return f"{split_of(index, KINDS)[0]}{index + 1:03d}"


def _write(case: Case) -> Record:
    from cardiolens.phantom.enhancement import enhance

    kind, _ = split_of(case.index, KINDS)
    name, rng, table = _name(case.index), case.rng("scan"), case.rng("table")
    heart = draw_heart(case.rng("heart"), GROUPS[kind])
    if kind == "P":
        heart = acute_infarct(heart, table)
    cine = scan_heart(heart, case.scan, rng, (View.SAX,), still=True).cine(View.SAX)
    seen = enhance(heart, cine, seed=int(rng.integers(2**31)))
    labels = np.where(seen.labels <= 2, seen.labels, 0).astype(np.uint8)
    labels[seen.scar], labels[seen.no_reflow] = 3, 4
    folder = case.part / f"Case_{name}"
    save_nifti(folder / "Images" / f"Case_{name}.nii.gz", seen.lge.astype(np.int16), cine)
    save_nifti(folder / "Contours" / f"Case_{name}.nii.gz", labels, cine)
    save_text(case.part / f"Case {name}.txt", _clinic(name, heart, kind == "P", case.scan, table), "latin-1")
    return truth_record(heart, kind=kind, infarct_voxels=int((labels == 3).sum()))


def _clinic(name: str, heart: HeartParameters, infarct: bool, scan: Scan, rng: np.random.Generator) -> str:
    """The text file.  A no-break space follows two of its keys, as CineMA's README shows it (read in another code)."""

    def said(chance: float) -> str:
        return "Y" if rng.random() < chance else "N"

    bmi = heart.weight_kg / (heart.height_cm / 100.0) ** 2
    troponin = float(np.exp(rng.normal(3.2, 0.9))) if infarct else float(np.exp(rng.normal(-1.5, 0.8)))
    failing = max(0.0, 55.0 - heart.lvef_pct)
    facts = (
        ("Gap between slices\xa0", f"{scan.slice_thickness_mm + scan.slice_gap_mm:g} mm"),
        ("Sex\xa0", heart.sex),
        ("Age ", int(heart.age)),
        ("Tobacco ", int(rng.integers(1, 4))),
        ("Overweight ", "Y" if bmi > 25 else "N"),
        ("Arterial hypertension ", said(0.5)),
        ("Diabetes ", said(0.2)),
        ("Familial history of coronary artery disease", said(0.25)),
        ("ECG (ST +) ", said(0.75 if infarct else 0.1)),
        ("Troponin ", f"{troponin:.1f}"),
        ("Killip Max", 1 + int(failing > 12) + int(failing > 22)),
        ("FEVG ", round(heart.lvef_pct)),
        ("NTProBNP ", round(120 * float(np.exp(0.07 * failing + rng.normal(0, 0.4))))),
    )
    return f"Case {name}\n\n" + "".join(f"{key}: {value}\n" for key, value in facts)


def _tables(records: Sequence[Record]) -> Mapping[str, bytes]:
    return {"Readme.txt": _README.encode()}


LAYOUT = Layout(
    name="emidec",
    title="EMIDEC",
    root="emidec-dataset-1.0.1",
    capacity=sum(KINDS.values()),
    scan=Scan(matrix=240, field_mm=350.0, phases=(1, 1), sax_planes=(6, 9), slice_thickness_mm=8, slice_gap_mm=2),
    source="https://emidec.com/dataset (labels); CineMA, cinema/data/emidec (README.md, preprocess.py), for names and "
    "the text file",
    unverified="pixel types, the affine (here the true one), the units of troponin and NT-proBNP, the encoding of the "
    "text files (here Latin-1), and which numbers are normal cases.",
    case_name=_name,
    write=_write,
    tables=_tables,
)
