"""ACDC: Automated Cardiac Diagnosis Challenge (Bernard et al., IEEE Trans Med Imaging 2018;37:2514).

    database/training/patient001/Info.cfg
    database/training/patient001/patient001_4d.nii.gz
    database/training/patient001/patient001_frame01.nii.gz, patient001_frame01_gt.nii.gz    end-diastole
    database/training/patient001/patient001_frame12.nii.gz, patient001_frame12_gt.nii.gz    end-systole
    database/testing/patient101/...

Labels: 1 RV, 2 LV myocardium, 3 LV.  Frames are counted from 1.  `Info.cfg` holds ED, ES, Group (NOR, MINF, DCM, HCM,
RV), Height (cm), NbFrame and Weight (kg), one "key: value" a line.  Groups are defined as in the paper's section III.
"""

from __future__ import annotations

import numpy as np

from cardiolens.phantom.exports.build import Case, Layout, Record, split_of
from cardiolens.phantom.exports.hearts import Group, draw_heart, thickest_mm
from cardiolens.phantom.exports.scan import (
    Scan,
    key_frames,
    masks_of,
    save_nifti,
    save_text,
    scan_heart,
    truth_record,
)
from cardiolens.study import View

SPLITS = {"training": 100, "testing": 50}
LABELS = np.array([0, 3, 2, 1], dtype=np.uint8)  # from the phantom's 1 LV, 2 myocardium, 3 RV
GROUPS = (
    Group("DCM", "non-ischemic cardiomyopathy", lambda h: h.lvef_pct < 40 and h.lv_edv_ml > 100 * h.bsa_m2),
    Group("HCM", "hypertrophic cardiomyopathy", lambda h: h.lvef_pct > 55 and thickest_mm(h) > 15),
    Group("MINF", "ischemic cardiomyopathy", lambda h: h.lvef_pct < 40),
    Group("NOR", "normal", lambda h: h.lvef_pct > 50 and thickest_mm(h) < 12),
    Group(
        "RV",
        "right ventricular dilation",
        lambda h: h.rv_edv_ml > (110 if h.sex == "M" else 100) * h.bsa_m2 or h.rvef_pct < 40,
    ),
)


def _name(index: int) -> str:
    split, place = split_of(index, SPLITS)
    return f"patient{place + (1 if split == 'training' else 101):03d}"


def _write(case: Case) -> Record:
    split, _ = split_of(case.index, SPLITS)
    name, group = _name(case.index), GROUPS[case.index % len(GROUPS)]
    heart = draw_heart(case.rng("heart"), group, population="challenge")
    cine = scan_heart(heart, case.scan, case.rng("scan"), (View.SAX,)).cine(View.SAX)
    labels = masks_of(heart, cine)
    ed, es = key_frames(labels)
    folder = case.part / split / name
    save_nifti(folder / f"{name}_4d.nii.gz", cine.frames.astype(np.int16), cine)
    for phase in (ed, es):
        stem = f"{name}_frame{phase + 1:02d}"
        save_nifti(folder / f"{stem}.nii.gz", cine.frames[:, phase].astype(np.int16), cine)
        save_nifti(folder / f"{stem}_gt.nii.gz", LABELS[labels[:, phase]], cine)
    facts = {
        "ED": ed + 1,
        "ES": es + 1,
        "Group": group.name,
        "Height": f"{heart.height_cm:.1f}",
        "NbFrame": cine.n_phases,
        "Weight": f"{heart.weight_kg:.1f}",
    }
    save_text(folder / "Info.cfg", "".join(f"{key}: {value}\n" for key, value in facts.items()))
    return truth_record(heart, split=split, group=group.name, ed=ed, es=es)


LAYOUT = Layout(
    name="acdc",
    title="ACDC",
    root="database",
    capacity=sum(SPLITS.values()),
    scan=Scan(matrix=232, field_mm=350.0, phases=(20, 32), slice_thickness_mm=8, slice_gap_mm=2),
    source="https://www.creatis.insa-lyon.fr/Challenge/acdc/; CineMA, cinema/data/acdc (README.md and preprocess.py)",
    unverified="the affine (here the true one; the real files may carry no orientation), the pixel type (here int16), "
    "and whether the first frame is always end-diastole; the real folders also hold a MANDATORY_CITATION.md, left out.",
    case_name=_name,
    write=_write,
)
