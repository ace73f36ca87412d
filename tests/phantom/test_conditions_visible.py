"""A finding changes the pixels where it lies, the right way, and none elsewhere; signs leave the masks alone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.motion import beat_times
from cardiolens.phantom.anatomy.planes import heart_frame
from cardiolens.phantom.anatomy.vessels import great_vessels
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.heart.parts import Mass, Septa, Surgery, Tissue, Valves, Vessels
from cardiolens.phantom.mr import Contrast
from cardiolens.phantom.render import render_study
from cardiolens.phantom.truth.on_images import masks
from cardiolens.study import View

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
HEALTHY = HeartParameters(epicardial_fat_mm=3.0)
PHASES = 6
SYSTOLE = round(0.75 * beat_times(HEALTHY).end_systole * PHASES)


def _place(name: str, i: int) -> np.ndarray:
    """Heart mm of a place in the healthy heart in frame i."""
    anatomy = anatomy_of(HEALTHY)
    tables = anatomy.tables([i / PHASES])
    mitral, vessels = float(tables.mitral_z[0]), great_vessels(anatomy, float(tables.share[0]))
    septum = 0.5 * (anatomy.left_atrium.septum_x + anatomy.right_atrium.septum_x)
    return {
        "LA above the valve": np.array([2.0, 0.0, mitral + 12.0]),
        "mitral ring": np.array([3.0 + 14.0, 1.0, mitral]),
        "aortic root": 0.3 * vessels.annulus + 0.7 * vessels.sinus,
        "LV apex": np.array([0.0, 0.0, -0.86 * HEALTHY.lv_length_mm]),
        "behind the LV": np.array([22.0, 36.0, -45.0]),
        "atrial septum": np.array([septum, 6.0, 18.0]),
        "LA": np.array([-2.0, 4.0, mitral + 20.0]),
        "ventricular septum": np.array([-30.0, 4.0, -0.5 * HEALTHY.lv_length_mm]),
    }[name]


@dataclass(frozen=True)
class Case:
    """A finding, the view and frame that show it, where, which way, and how far (mm) it may reach from there."""

    change: dict[str, object]
    view: View
    frame: int
    place: str
    sense: int
    reach: float
    within: float = 6.0


CASES = {
    "severe mitral regurgitation": Case(
        {"valves": Valves(mitral_regurgitation=0.9)}, View.CH4, SYSTOLE, "LA above the valve", -1, 65.0
    ),
    "severe aortic stenosis": Case(
        {"valves": Valves(aortic_stenosis=0.9)}, View.CH3, SYSTOLE, "aortic root", -1, 65.0, 8.0
    ),
    "prosthetic valve": Case(
        {"valves": Valves(prosthesis="mitral", mechanical=True)}, View.CH4, 0, "mitral ring", -1, 55.0
    ),
    "cardiac thrombus": Case(
        {"masses": (Mass(kind="thrombus", site="LV apex", size_mm=26.0),)}, View.CH4, 0, "LV apex", -1, 40.0
    ),
    "atrial myxoma": Case(
        {"masses": (Mass(kind="myxoma", site="LA septum", size_mm=34.0),)}, View.CH4, 0, "LA", -1, 45.0
    ),
    "atrial septal defect": Case({"septa": Septa(asd_mm=24.0)}, View.CH4, 0, "atrial septum", 1, 40.0, 4.0),
    "ventricular septal defect": Case(
        {"septa": Septa(vsd_mm=14.0, vsd_site="muscular")}, View.CH4, 0, "ventricular septum", 1, 40.0
    ),
    "large pericardial effusion": Case({"effusion_mm": 26.0}, View.SAX, 0, "behind the LV", 1, 140.0),
}


def _render(p: HeartParameters, view: View):
    return render_study(
        p,
        seed=3,
        matrix=128,
        phases=PHASES,
        sax_planes=3,
        noise=0.0,
        contrast=Contrast(),
        breath_hold_mm=0.0,
        views=(view,),
    ).cines[0]


def _distance(cine, place: np.ndarray) -> np.ndarray:
    """Distance (slice, row, col) in mm of each pixel from a heart point."""
    k, r, c = np.indices((cine.n_slices, *cine.shape[2:]))
    voxels = np.stack([c, r, k], axis=-1)
    points = voxels @ cine.affine[:3, :3].T + cine.affine[:3, 3]
    return np.linalg.norm(heart_frame(HEALTHY).to_heart(points) - place, axis=-1)


@pytest.mark.parametrize("name", CASES)
def test_a_finding_changes_the_pixels_where_it_lies_and_none_elsewhere(name):
    case = CASES[name]
    plain, found = (_render(p, case.view) for p in (HEALTHY, replace(HEALTHY, **case.change)))
    change = (found.frames[:, case.frame].astype(float) - plain.frames[:, case.frame]) / Contrast().scale
    away = _distance(plain, _place(case.place, case.frame))
    near = away < max(case.within, away.min() + 3.0)
    assert np.quantile(case.sense * change[near], 0.7) > 0.1
    assert np.abs(change[away > case.reach]).max() < 0.04


@pytest.mark.parametrize("name", ["severe mitral regurgitation", "severe aortic stenosis"])
def test_a_systolic_jet_is_gone_in_late_diastole(name):
    case = CASES[name]
    plain, found = (_render(p, case.view) for p in (HEALTHY, replace(HEALTHY, **case.change)))
    near = _distance(plain, _place(case.place, PHASES - 1)) < 10.0
    change = (found.frames[:, -1].astype(float) - plain.frames[:, -1]) / Contrast().scale
    assert np.abs(change[near].mean()) < 0.06


def test_sternal_wires_darken_the_front_and_nothing_of_the_heart():
    wired = replace(HEALTHY, surgery=Surgery(kinds=("coronary bypass",), wires=True))
    plain, found = (_render(p, View.CH4) for p in (HEALTHY, wired))
    change = (found.frames.astype(float) - plain.frames) / Contrast().scale
    assert change.max() < 0.05
    assert change.min() < -0.15
    assert np.abs(change[masks(HEALTHY, plain) > 0]).max() < 0.05


SIGNS: dict[str, dict[str, object]] = {
    "valves": {
        "valves": Valves(
            mitral_regurgitation=0.9,
            aortic_stenosis=0.9,
            pulmonary_stenosis=0.9,
            sam=0.9,
            bicuspid=True,
            prosthesis="aortic",
            mechanical=True,
        )
    },
    "masses": {
        "masses": (
            Mass(kind="tumor", site="RA wall", size_mm=35.0),
            Mass(kind="thrombus", site="LV apex", size_mm=25.0),
            Mass(kind="cyst", site="pericardium", size_mm=45.0),
        )
    },
    "holes": {"septa": Septa(asd_mm=25.0, vsd_mm=12.0, vsd_site="muscular")},
    "muscle": {"tissue": Tissue(edema=(0.8,) * 17, scar=(0.5,) * 17, scar_pattern="diffuse")},
    "sponge": {"noncompacted_mm": 14.0},
    "pericardium": {"effusion_mm": 25.0, "pericardium_mm": 6.0},
    "vessels": {"vessels": Vessels(aortic_root_mm=50.0, ascending_aorta_mm=55.0, pulmonary_trunk_mm=40.0)},
    "RV wall": {"rv_wall_mm": 9.0, "tissue": Tissue(rv_fat=0.8)},
    "surgery": {"surgery": Surgery(kinds=("coronary bypass",), wires=True)},
}


@pytest.mark.parametrize("name", SIGNS)
def test_signs_that_are_no_size_leave_the_masks_unchanged(name):
    for view in (View.SAX, View.CH4):
        cine = _render(HEALTHY, view)
        changed = replace(HEALTHY, **SIGNS[name])
        assert np.array_equal(masks(HEALTHY, cine), masks(changed, cine))


@pytest.fixture
def conditions(monkeypatch) -> Callable[[str], object]:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    return importlib.import_module("phantom_conditions")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_condition_differs_from_normal_but_those_listed_as_invisible(conditions):
    n = 10
    normals = [conditions.rendered(conditions.heart("normal", j), "normal", j, tuple(View)) for j in range(n)]
    areas = {
        name: conditions.result(name, conditions.measured(name, n, 0, normals)).area.auc
        for name in conditions.SIGNS
        if name not in conditions.HARD
    }
    unseen = {name: round(area, 2) for name, area in areas.items() if area < 0.7}
    assert not unseen
