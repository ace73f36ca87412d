"""Heart parameters: what is refused, and that a record gives the same heart back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart import RANGES, HeartParameters
from cardiolens.phantom.heart.parts import (
    MASS_KINDS,
    MASS_SITES,
    PROSTHESES,
    RHYTHMS,
    SCAR_PATTERNS,
    SURGERIES,
    Mass,
    Septa,
    Surgery,
    Tissue,
    Valves,
    Vessels,
)
from cardiolens.phantom.truth import truth_of
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL


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
        ("age", "55"),
        ("age", True),
        ("body_seed", -1),
        ("body_seed", 1.5),
        ("aneurysm_segment", 3.0),
        ("segment_motion", [1.0] * 17),
        ("segment_thickness", ("thick",) * 17),
        ("valves", {"sam": 0.5}),
        ("masses", [Mass(kind="cyst", site="pericardium", size_mm=20.0)]),
        ("masses", ("thrombus",)),
        ("conditions", [NORMAL]),
        ("rhythm", ["sinus"]),
    ],
)
def test_an_impossible_heart_is_refused_by_the_name_of_the_field(name, value):
    settings = {name: value, "lv_length_mm": 60.0} if name == "mapse_mm" else {name: value}
    with pytest.raises(PhantomError, match="unknown condition" if value == ("gout",) else name):
        HeartParameters(**settings)


@pytest.mark.parametrize(
    ("names", "message"),
    [(("myocarditis",) * 2, "names one twice"), ((NORMAL, "myocarditis"), "'normal' beside others")],
)
def test_conditions_that_contradict_one_another_are_refused(names, message):
    with pytest.raises(PhantomError, match=message):
        HeartParameters(conditions=names, severities=(0.5, 0.5))


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
        (lambda: Surgery(kinds=["myectomy"]), "kinds must be a tuple"),
        (lambda: Surgery(wires=1), "wires must be True or False"),
        (lambda: Valves(bicuspid=0.5), "bicuspid must be True or False"),
        (lambda: Septa(atrial_fat="yes"), "atrial_fat must be True or False"),
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


SEVENTEEN = {"min_size": 17, "max_size": 17}


def _numbers(low, high):
    return st.floats(low, high, allow_nan=False)


def _seventeen(low, high):
    return st.lists(_numbers(low, high), **SEVENTEEN).map(tuple)


@st.composite
def hearts(draw):
    """Any heart that the checks let pass, with something in every part of it."""
    plain = {name: draw(_numbers(low, high)) for name, (low, high, _) in RANGES.items()}
    plain["mapse_mm"] = min(plain["mapse_mm"], 0.35 * plain["lv_length_mm"])
    share = _numbers(0.0, 1.0)
    scar = draw(_seventeen(0.0, 1.0))
    mass = st.builds(
        Mass,
        kind=st.sampled_from(MASS_KINDS),
        site=st.sampled_from(MASS_SITES),
        size_mm=_numbers(3.0, 90.0),
        mobile=share,
    )
    kinds = st.lists(st.sampled_from(SURGERIES), unique=True).map(tuple)
    names = draw(st.lists(st.sampled_from([c for c in CONDITION_NAMES if c != NORMAL]), unique=True, max_size=4))
    return HeartParameters(
        **plain,
        sex=draw(st.sampled_from("FM")),
        rhythm=draw(st.sampled_from(RHYTHMS)),
        segment_thickness=draw(_seventeen(0.25, 5.0)),
        segment_motion=draw(_seventeen(-0.6, 1.5)),
        aneurysm_segment=draw(st.integers(1, 17)),
        body_seed=draw(st.integers(0, 2**31)),
        valves=draw(st.builds(Valves, sam=share, bicuspid=st.booleans(), prosthesis=st.sampled_from(PROSTHESES))),
        vessels=draw(st.builds(Vessels, override=_numbers(0.0, 0.8))),
        septa=draw(st.builds(Septa, vsd_mm=_numbers(1.0, 30.0), vsd_site=st.sampled_from(["outlet", "muscular"]))),
        tissue=Tissue(scar=scar, scar_pattern=draw(st.sampled_from(SCAR_PATTERNS[1:])) if any(scar) else ""),
        masses=tuple(draw(st.lists(mass, max_size=3))),
        surgery=draw(st.builds(Surgery, kinds=kinds, wires=st.booleans())),
        conditions=tuple(names),
        severities=tuple(draw(share) for _ in names),
    )


@given(heart=hearts())
@settings(max_examples=60, deadline=None)
def test_a_heart_comes_back_from_its_record(heart):
    assert HeartParameters.from_dict(heart.to_dict()) == heart
    again = HeartParameters.from_dict(json.loads(json.dumps(heart.to_dict())))
    assert again == heart and hash(again) == hash(heart)


def _without(name):
    return {key: value for key, value in HeartParameters().to_dict().items() if key != name}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([], "phantom heart: must be a mapping of age"),
        (_without("lvef_pct"), "phantom heart: missing lvef_pct"),
        (_without("septa"), "phantom heart: missing septa"),
        ({**HeartParameters().to_dict(), "lvef": 55.0}, "phantom heart: unknown lvef"),
        ({**HeartParameters().to_dict(), "lvef_pct": 120.0}, "lvef_pct must lie in 5 to 80 %, got 120"),
        ({**HeartParameters().to_dict(), "lvef_pct": None}, "lvef_pct must lie in 5 to 80 %, got None"),
        (
            {**HeartParameters().to_dict(), "valves": {"sam": 0.5}},
            "phantom heart: valves: missing aortic_regurgitation",
        ),
        ({**HeartParameters().to_dict(), "valves": 3}, "phantom heart: valves: must be a mapping"),
        ({**HeartParameters().to_dict(), "masses": [{"kind": "cyst"}]}, "phantom heart: masses: missing mobile"),
        ({**HeartParameters().to_dict(), "masses": "cyst"}, "masses must be a tuple"),
    ],
)
def test_a_record_that_is_not_whole_is_refused(record, message):
    with pytest.raises(PhantomError, match=message):
        HeartParameters.from_dict(record)
