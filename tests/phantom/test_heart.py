"""Heart parameters: what is refused, what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart import CONDITIONS, HeartParameters, sample_parameters
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
    ],
)
def test_an_impossible_heart_is_refused_by_the_name_of_the_field(name, value):
    settings = {name: value, "lv_length_mm": 60.0} if name == "mapse_mm" else {name: value}
    with pytest.raises(PhantomError, match="unknown condition" if name == "conditions" else name):
        HeartParameters(**settings)


def test_an_unknown_condition_is_refused_and_the_known_ones_named():
    with pytest.raises(PhantomError, match="dilated cardiomyopathy"):
        sample_parameters(np.random.default_rng(0), condition="dilatation")


def test_walls_that_do_not_move_cannot_eject():
    still = HeartParameters(segment_motion=(0.0,) * 17, lvef_pct=60.0)
    with pytest.raises(PhantomError, match="cannot be reached"):
        truth_of(still)


@given(seed=st.integers(0, 2**32 - 1), condition=st.sampled_from([None, *CONDITIONS]))
@settings(max_examples=40, deadline=None)
def test_every_drawn_heart_can_be_built_and_has_the_figures_it_was_given(seed, condition):
    p = sample_parameters(np.random.default_rng(seed), condition=condition)
    t = truth_of(p)
    assert t.edv_ml == pytest.approx(p.lv_edv_ml, rel=1e-3)
    assert t.lvef_pct == pytest.approx(p.lvef_pct, abs=0.1)
    assert t.rv_edv_ml == pytest.approx(p.rv_edv_ml, rel=2e-3)
    assert t.rvef_pct == pytest.approx(p.rvef_pct, abs=0.2)
    assert t.lv_mass_g > 20
    assert set(p.conditions) == ({condition} - {"normal"} if condition else set(p.conditions))


def test_the_same_state_draws_the_same_heart():
    a, b = (sample_parameters(np.random.default_rng(5)) for _ in range(2))
    assert a == b
    assert a != sample_parameters(np.random.default_rng(6))


def _healthy(n=300):
    rng = np.random.default_rng(0)
    return [sample_parameters(rng, condition="normal") for _ in range(n)]


@pytest.mark.parametrize(("sex", "lvef", "mass"), [("F", (61, 5), (42, 7)), ("M", (58, 5), (53, 9))])
def test_healthy_hearts_match_the_uk_biobank_reference_means(sex, lvef, mass):
    """LVEF and indexed LV mass, mean and SD as in the abstract of Petersen et al. 2017 ."""
    group = [p for p in _healthy() if p.sex == sex]
    ef = np.array([p.lvef_pct for p in group])
    indexed = np.array([truth_of(p).lv_mass_g / p.bsa_m2 for p in group])
    assert abs(ef.mean() - lvef[0]) < 0.3 * lvef[1]
    assert 0.6 * lvef[1] < ef.std() < 1.3 * lvef[1]
    assert abs(indexed.mean() - mass[0]) < 0.5 * mass[1]
    assert 0.6 * mass[1] < indexed.std() < 1.5 * mass[1]


def test_a_cohort_spans_lvef_from_failing_to_vigorous():
    rng = np.random.default_rng(1)
    ef = np.array([sample_parameters(rng).lvef_pct for _ in range(600)])
    assert ef.min() < 15
    assert ef.max() > 72
    assert 0.2 < (ef < 40).mean() < 0.5
    counts, _ = np.histogram(ef, bins=np.arange(15, 75, 10))
    assert (counts > 20).all()  # no gap that a regressor would learn to bridge


def test_each_condition_shows_in_its_defining_measure():
    rng = np.random.default_rng(2)
    groups = {name: [truth_of(sample_parameters(rng, condition=name)) for _ in range(40)] for name in CONDITIONS}

    def mean(name, field):
        return np.mean([getattr(t, field) for t in groups[name]])

    assert all(t.wall_thickness_mm >= 14.5 for t in groups["hypertrophic cardiomyopathy"])
    assert mean("left ventricular hypertrophy", "lv_mass_g") > 1.5 * mean("normal", "lv_mass_g")
    assert mean("dilated cardiomyopathy", "edv_ml") > 1.4 * mean("normal", "edv_ml")
    assert all(t.lvef_pct < 50 for t in groups["dilated cardiomyopathy"])
    assert mean("right ventricular dilation", "rv_edv_ml") > 1.3 * mean("normal", "rv_edv_ml")
    assert all(t.effusion_mm >= 6 for t in groups["pericardial effusion"])
    assert all(set(t.regional.values()) != {"normal"} for t in groups["ischemic cardiomyopathy"])
    assert all(set(t.regional.values()) == {"normal"} for t in groups["normal"])


def test_larger_parameters_give_larger_truth():
    mass = [truth_of(HeartParameters(wall_mm=w)).lv_mass_g for w in (5, 7, 9, 12)]
    width = [truth_of(HeartParameters(lv_edv_ml=v)).lv_edd_mm for v in (90, 140, 200, 300)]
    assert mass == sorted(mass) and width == sorted(width)
