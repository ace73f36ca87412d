"""Heart parameters: what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.parts import Mass, Septa, Surgery, Tissue, Valves, Vessels
from cardiolens.phantom.truth import truth_of


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lvef_pct", 120.0),
        ("lvef_pct", -5.0),  # ESV above EDV
        ("rvef_pct", -1.0),
        ("wall_mm", -3.0),
        ("lv_edv_ml", float("nan")),
        ("lv_edv_ml", float("inf")),
        ("la_max_ml", 0.0),
        ("heart_rate", 0.0),
        ("effusion_mm", -1.0),
        ("mapse_mm", 24.9),
        ("sex", "X"),
        ("conditions", ("gout",)),
        ("segment_motion", (1.0,) * 16),
        ("segment_thickness", (0.0,) * 17),
        ("rhythm", "waltz"),
        ("aneurysm_segment", 18),
        ("rv_wall_mm", 40.0),
        ("severities", (0.5,)),
    ],
)
def test_an_impossible_heart_is_refused_by_the_name_of_the_field(name, value):
    settings = {name: value, "lv_length_mm": 60.0} if name == "mapse_mm" else {name: value}
    with pytest.raises(PhantomError, match="unknown condition" if name == "conditions" else name):
        HeartParameters(**settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Valves(mitral_regurgitation=1.2), "mitral_regurgitation must lie in 0 to 1"),
        (lambda: Valves(prosthesis="tricuspid"), "prosthesis must be one of"),
        (lambda: Vessels(aortic_root_mm=5.0), "aortic_root_mm must lie in 12 to 80 mm"),
        (lambda: Septa(vsd_mm=8.0), "vsd_mm 8 and vsd_site '' contradict"),
        (lambda: Tissue(scar=(0.5,) * 17), "scar and scar_pattern '' contradict"),
        (lambda: Tissue(edema=(0.5,) * 3), "edema must be 17 numbers"),
        (lambda: Mass(kind="stone", site="LV apex", size_mm=10.0), "kind must be one of"),
        (lambda: Mass(kind="cyst", site="pericardium", size_mm=-1.0), "size_mm must lie in"),
        (lambda: Surgery(kinds=("haircut",)), "unknown .'haircut'.; known are coronary bypass"),
    ],
)
def test_an_impossible_part_is_refused(make, message):
    with pytest.raises(PhantomError, match=message):
        make()


def test_walls_that_do_not_move_cannot_eject():
    still = HeartParameters(segment_motion=(0.0,) * 17, lvef_pct=60.0)
    with pytest.raises(PhantomError, match="cannot be reached"):
        truth_of(still)


def test_larger_parameters_give_larger_truth():
    mass = [truth_of(HeartParameters(wall_mm=w)).lv_mass_g for w in (5, 7, 9, 12)]
    width = [truth_of(HeartParameters(lv_edv_ml=v)).lv_edd_mm for v in (90, 140, 200, 300)]
    assert mass == sorted(mass) and width == sorted(width)
