"""Drawn hearts: reproducible, buildable, labelled by what they are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.errors import PhantomError
from cardiolens.phantom.disease import CAUSES, SCENARIOS, measured, sample_parameters
from cardiolens.phantom.heart import limits
from cardiolens.phantom.truth import truth_of
from cardiolens.text.conditions import CONDITION_NAMES


def test_there_is_a_scenario_for_each_of_the_35_conditions():
    assert len(CONDITION_NAMES) == len(set(CONDITION_NAMES)) == 35
    assert set(SCENARIOS) | {"normal"} == set(CONDITION_NAMES)
    assert set(CAUSES) < set(CONDITION_NAMES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"condition": "dilatation"}, "unknown condition 'dilatation'; known are amyloidosis"),
        ({"population": "mars"}, "unknown population 'mars'; known are"),
    ],
)
def test_an_unknown_name_is_refused_and_the_known_ones_named(wrong, message):
    with pytest.raises(PhantomError, match=message):
        sample_parameters(np.random.default_rng(0), **wrong)


@given(seed=st.integers(0, 2**32 - 1), condition=st.sampled_from([None, *CONDITION_NAMES]))
@settings(max_examples=40, deadline=None)
def test_every_drawn_heart_can_be_built_and_has_the_figures_it_was_given(seed, condition):
    p = sample_parameters(np.random.default_rng(seed), condition=condition)
    t = truth_of(p)
    assert t.edv_ml == pytest.approx(p.lv_edv_ml, rel=1e-3)
    assert t.lvef_pct == pytest.approx(p.lvef_pct, abs=0.1)
    assert t.rv_edv_ml == pytest.approx(p.rv_edv_ml, rel=2e-3)
    assert t.rvef_pct == pytest.approx(p.rvef_pct, abs=0.2)
    assert t.lv_mass_g > 20
    assert condition is None or condition in p.conditions
    assert t.severity.keys() == set(t.conditions)


@pytest.mark.parametrize("condition", CONDITION_NAMES)
def test_a_named_condition_is_there_and_graded(condition):
    rng = np.random.default_rng(4)
    severity = [sample_parameters(rng, condition=condition).severity[condition] for _ in range(12)]
    assert all(0.0 <= s <= 1.0 for s in severity)
    fixed = {"normal", "bicuspid aortic valve", "previous surgery", "prosthetic valve"}  # there or not
    assert (len(set(severity)) > 6) == (condition not in fixed)


def test_the_same_state_draws_the_same_heart():
    a, b = (sample_parameters(np.random.default_rng(5)) for _ in range(2))
    assert a == b
    assert a != sample_parameters(np.random.default_rng(6))


def test_labels_follow_the_measurements():
    rng = np.random.default_rng(8)
    for _ in range(300):
        p = sample_parameters(rng)
        assert set(measured(p)) <= set(p.conditions) <= set(measured(p)) | {*CAUSES, "normal"}
        assert ("left atrial dilation" in p.conditions) == (p.la_max_ml / p.bsa_m2 >= limits.LA_INDEX)
        assert ("severe mitral regurgitation" in p.conditions) == (
            p.valves.mitral_regurgitation >= limits.VALVE_STEPS[2]
        )
        if "normal" in p.conditions:
            assert p.conditions == ("normal",)
            assert p.lvef_pct >= 52 and not p.masses and p.rhythm == "sinus"


def test_conditions_occur_together_as_in_patients():
    rng = np.random.default_rng(3)

    def share(main, other, n=60):
        return np.mean([other in sample_parameters(rng, condition=main).conditions for _ in range(n)])

    assert share("amyloidosis", "left ventricular hypertrophy") > 0.8
    assert share("pulmonary hypertension", "right ventricular hypertrophy") > 0.3
    assert share("prosthetic valve", "previous surgery") == 1.0
    assert share("systolic anterior motion", "hypertrophic cardiomyopathy") > 0.6
    assert share("myocarditis", "left ventricular hypertrophy") < 0.1


def test_every_condition_occurs_in_the_default_population_and_most_hearts_have_several():
    rng = np.random.default_rng(1)
    drawn = [sample_parameters(rng) for _ in range(2500)]
    found = Counter(name for p in drawn for name in p.conditions)
    assert set(found) == set(CONDITION_NAMES)
    assert 0.08 < found["normal"] / len(drawn) < 0.3
    assert np.mean([len(p.conditions) for p in drawn if "normal" not in p.conditions]) > 1.2


def test_a_cohort_spans_lvef_from_failing_to_vigorous():
    rng = np.random.default_rng(1)
    ef = np.array([sample_parameters(rng).lvef_pct for _ in range(600)])
    assert ef.min() < 18
    assert ef.max() > 72
    assert 0.1 < (ef < 40).mean() < 0.5
    counts, _ = np.histogram(ef, bins=np.arange(15, 75, 10))
    assert (counts > 12).all()  # no gap that a regressor would learn to bridge


@pytest.mark.parametrize(("sex", "lvef", "mass"), [("F", (61, 5), (42, 7)), ("M", (58, 5), (53, 9))])
def test_healthy_hearts_match_the_uk_biobank_reference_means(sex, lvef, mass):
    """LVEF and indexed LV mass, mean and SD as in the abstract of Petersen et al. 2017."""
    rng = np.random.default_rng(0)
    drawn = (sample_parameters(rng, condition="normal", population="biobank") for _ in range(300))
    group = [p for p in drawn if p.sex == sex]
    ef = np.array([p.lvef_pct for p in group])
    indexed = np.array([truth_of(p).lv_mass_g / p.bsa_m2 for p in group])
    assert abs(ef.mean() - lvef[0]) < 0.4 * lvef[1]
    assert 0.5 * lvef[1] < ef.std() < 1.3 * lvef[1]
    assert abs(indexed.mean() - mass[0]) < 0.5 * mass[1]
    assert 0.5 * mass[1] < indexed.std() < 1.5 * mass[1]


def test_each_cause_shows_in_its_defining_measure():
    rng = np.random.default_rng(2)
    names = ("normal", *CAUSES, "left ventricular hypertrophy", "left ventricular dilation")
    groups = {name: [truth_of(sample_parameters(rng, condition=name)) for _ in range(12)] for name in names}

    def mean(name, field):
        return np.mean([getattr(t, field) for t in groups[name]])

    assert all(t.wall_thickness_mm >= 14.5 for t in groups["hypertrophic cardiomyopathy"])
    assert mean("left ventricular hypertrophy", "lv_mass_g") > 1.5 * mean("normal", "lv_mass_g")
    assert mean("non-ischemic cardiomyopathy", "edv_ml") > 1.4 * mean("normal", "edv_ml")
    assert all(t.lvef_pct < 51 for t in groups["non-ischemic cardiomyopathy"])
    assert mean("left ventricular dilation", "edv_ml") > 1.3 * mean("normal", "edv_ml")
    assert all(set(t.regional.values()) != {"normal"} for t in groups["ischemic cardiomyopathy"])
    assert all(set(t.regional.values()) == {"normal"} for t in groups["normal"])
    assert mean("amyloidosis", "mapse_mm") < 0.65 * mean("normal", "mapse_mm")
    assert mean("arrhythmogenic right ventricular cardiomyopathy", "rvef_pct") < 40
    assert mean("pulmonary hypertension", "pulmonary_trunk_mm") > 30
    assert mean("tetralogy of Fallot", "aortic_root_mm") > 36
    assert mean("pericarditis", "pericardium_mm") > 4


def test_a_disease_comes_at_its_age():
    rng = np.random.default_rng(12)
    assert min(sample_parameters(rng, condition="amyloidosis").age for _ in range(25)) >= 48
    drawn = [sample_parameters(rng) for _ in range(1500)]
    assert min(p.age for p in drawn if "coronary bypass" in p.surgery.kinds) >= 42
    assert max(p.age for p in drawn if "tetralogy of Fallot" in p.conditions) <= 55
