"""MyoPS 2020: three co-registered short-axis sequences with scar and oedema (Li et al., Med Image Anal 2023;87:102808).

    train25/myops_training_101_C0.nii.gz     balanced steady-state free precession
    train25/myops_training_101_DE.nii.gz     late enhancement
    train25/myops_training_101_T2.nii.gz     T2-weighted, black blood
    train25_myops_gd/myops_training_101_gd.nii.gz
    test20/myops_test_201_C0.nii.gz, ...     no labels

Labels: 500 LV blood, 600 RV blood, 200 normal myocardium, 1220 oedema, 2221 scar.
"""

from __future__ import annotations

import numpy as np

from cardiolens.phantom.exports.build import Case, Layout, Record, split_of
from cardiolens.phantom.exports.hearts import Group, acute_infarct, draw_heart
from cardiolens.phantom.exports.scan import Scan, save_nifti, scan_heart, truth_record
from cardiolens.study import View

SPLITS = {"training": 25, "test": 20}
LV, RV, MUSCLE, EDEMA, SCAR = 500, 600, 200, 1220, 2221
_FIRST = {"training": 101, "test": 201}
_FOLDER = {"training": "train25", "test": "test20"}
_INFARCT = Group("infarct", "ischemic cardiomyopathy")


def _name(index: int) -> str:
    split, place = split_of(index, SPLITS)
    return f"myops_{split}_{place + _FIRST[split]}"


def _write(case: Case) -> Record:
    from cardiolens.phantom.enhancement import enhance

    split, _ = split_of(case.index, SPLITS)
    name, rng = _name(case.index), case.rng("scan")
    heart = acute_infarct(draw_heart(case.rng("heart"), _INFARCT), case.rng("table"))
    cine = scan_heart(heart, case.scan, rng, (View.SAX,), still=True).cine(View.SAX)
    seen = enhance(heart, cine, seed=int(rng.integers(2**31)))
    folder = case.part / _FOLDER[split]
    for suffix, image in (("C0", cine.frames[:, 0]), ("DE", seen.lge), ("T2", seen.t2)):
        save_nifti(folder / f"{name}_{suffix}.nii.gz", image.astype(np.int16), cine)
    labels = np.array([0, LV, MUSCLE, RV, 0, 0], dtype=np.int16)[seen.labels]
    labels[seen.edema] = EDEMA
    labels[seen.scar | seen.no_reflow] = SCAR
    if split == "training":
        save_nifti(case.part / "train25_myops_gd" / f"{name}_gd.nii.gz", labels, cine)
    return truth_record(heart, split=split, scar_voxels=int((labels == SCAR).sum()))


LAYOUT = Layout(
    name="myops",
    title="MyoPS 2020",
    root="myops2020",
    capacity=sum(SPLITS.values()),
    scan=Scan(matrix=384, field_mm=340.0, phases=(1, 1), sax_planes=(4, 6), slice_thickness_mm=8, slice_gap_mm=6),
    source="https://zmiclab.github.io/zxh/0/myops20/; CineMA, cinema/data/myops2020 (README.md, preprocess.py); names "
    "of the test files as CineMA's code and public listings of the download have them",
    unverified="the name of the top folder (here myops2020), pixel types, and the affine; the encrypted labels of the "
    "test set (MyoPS2020_EvaluateByYouself) are left out.",
    case_name=_name,
    write=_write,
)
