"""Persons and the known coefficients: what is refused, and that ordinary least squares finds them again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.errors import PhantomError
from cardiolens.phantom.disease import sample_parameters
from cardiolens.phantom.persons.covariates import EFFECTS, Effect, Person, disparity_ratio, draw_person, effects_on
from cardiolens.phantom.persons.population import ETHNIC_GROUPS, HEALTHY, POPULATIONS, TRAITS

REFERENCE = Person(sex="F", age=60.0, height_cm=163.0, weight_kg=26.0 * 1.63**2)
MIXED = dict.fromkeys(ETHNIC_GROUPS, 1.0)
MANY_RISKS = dataclasses.replace(
    POPULATIONS["biobank"], prevalence={"normal": 1.0}, ethnic_mix=MIXED, diabetes=0.3, cancer=0.3, smoker=0.3
)
"""Healthy hearts in persons of whom many have each trait, so that a modest cohort is enough."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sex": "X"}, "sex must be one of"),
        ({"age": 12.0}, "age must lie in 16 to 100 years"),
        ({"age": float("nan")}, "age must lie"),
        ({"height_cm": 300.0}, "height_cm must lie"),
        ({"weight_kg": 0.0}, "weight_kg must lie"),
        ({"height_cm": 210.0, "weight_kg": 40.0}, "bmi must lie in 13 to 70 kg/m2, got 9.07"),
        ({"ethnic_group": "Martian"}, "ethnic_group must be one of 'White'"),
        ({"diabetes": 1}, "diabetes must be True or False, got 1"),
    ],
)
def test_an_impossible_person_is_refused_by_the_name_of_the_field(change, message):
    with pytest.raises(PhantomError, match=message):
        dataclasses.replace(REFERENCE, **change)


@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(list(POPULATIONS)))
@settings(max_examples=150, deadline=None)
def test_every_drawn_person_is_valid_and_within_the_population(seed, name):
    population = POPULATIONS[name]
    person = draw_person(np.random.default_rng(seed), population)
    assert population.age_low <= person.age <= population.age_high
    assert population.ethnic_mix[person.ethnic_group] > 0
    assert 15.5 < person.bmi < 50.5
    assert person == draw_person(np.random.default_rng(seed), population)
    assert set(effects_on(person)) == {e.outcome for e in EFFECTS}
    assert all(np.isfinite(v) for v in effects_on(person).values())


def _people(population, n, seed=0):
    rng = np.random.default_rng(seed)
    return [draw_person(rng, population) for _ in range(n)]


def test_a_biobank_looks_like_the_uk_biobank():
    people = _people(POPULATIONS["biobank"], 3000)
    for sex, height, bmi in (("F", (163, 6), (26.6, 4.3)), ("M", (176, 7), (26.6, 4.3))):
        group = [p for p in people if p.sex == sex]
        assert np.mean([p.height_cm for p in group]) == pytest.approx(height[0], abs=1.0)
        assert np.std([p.height_cm for p in group]) == pytest.approx(height[1], abs=0.6)
        assert np.mean([p.bmi for p in group]) == pytest.approx(bmi[0], abs=0.4)
        assert np.std([p.bmi for p in group]) == pytest.approx(bmi[1], abs=0.5)
    assert np.mean([p.ethnic_group == "White" for p in people]) == pytest.approx(0.909, abs=0.02)
    assert np.mean([p.diabetes for p in people]) == pytest.approx(0.055, abs=0.02)


def test_traits_go_with_age_and_weight_as_in_life():
    people = _people(POPULATIONS["default"], 3000)

    def share(trait, chosen):
        return np.mean([getattr(p, trait) for p in people if chosen(p)])

    assert share("hypertension", lambda p: p.age > 65) > share("hypertension", lambda p: p.age < 50) + 0.2
    assert share("diabetes", lambda p: p.bmi > 32) > 2 * share("diabetes", lambda p: p.bmi < 24)
    assert np.corrcoef([p.height_cm for p in people], [p.weight_kg for p in people])[0, 1] > 0.3


def test_nothing_is_added_for_the_reference_person():
    assert all(abs(v) < 1e-9 for v in effects_on(REFERENCE).values())
    assert set(effects_on(REFERENCE)) <= set(HEALTHY)


def test_effects_add_up_and_others_can_be_planted():
    person = dataclasses.replace(REFERENCE, diabetes=True, hypertension=True)
    assert effects_on(person)["lvef_pct"] == pytest.approx(-1.33 + 0.75)
    assert effects_on(person, [Effect("lvef_pct", "diabetes", -6.0, "test")])["lvef_pct"] == pytest.approx(-6.0)
    assert set(effects_on(person, ()).values()) == {0.0}


def _off(fit, outcome):
    """Distance of each known coefficient (0 where the table has none) from its estimate, in standard errors."""
    known = {e.covariate: e.coefficient for e in EFFECTS if e.outcome == outcome}
    if outcome in HEALTHY:
        known["male"] = HEALTHY[outcome].mean["M"] - HEALTHY[outcome].mean["F"]
    return {n: (fit.params[n] - known.get(n, 0.0)) / fit.bse[n] for n in fit.params.index if n != "const"}


def test_least_squares_recovers_every_coefficient_and_none_that_is_not_there():
    people = _people(MANY_RISKS, 3000, seed=1)
    design = sm.add_constant(pd.DataFrame([p.covariates for p in people]))
    rng = np.random.default_rng(2)
    off = {}
    for outcome in sorted({e.outcome for e in EFFECTS}):
        figure = HEALTHY[outcome]
        values = [
            figure.mean[p.sex] + effects_on(p)[outcome] + figure.sd[p.sex] * rng.normal()  # as the sampler does
            for p in people
        ]
        fit = sm.OLS(np.array(values), design).fit()
        off.update({(outcome, name): z for name, z in _off(fit, outcome).items()})
        assert fit.params["const"] == pytest.approx(figure.mean["F"], abs=4 * fit.bse["const"])
    scores = np.array(list(off.values()))
    assert len(scores) > 100
    assert np.abs(scores).max() < 3.8, max(off, key=lambda k: abs(off[k]))
    assert 0.85 < scores.std() < 1.15  # as wide as the standard errors say: neither biased nor too good
    assert (np.abs(scores) < 1.96).mean() > 0.90


PER_M2 = {"lv_edvi": "lv_edv_ml", "rv_edvi": "rv_edv_ml", "la_index": "la_max_ml"}


def test_least_squares_on_drawn_hearts_recovers_the_coefficients():
    """All hearts of a healthy population, not those labelled normal: that label asks for an LVEF of 52 or more, and a
    cohort selected by the outcome has smaller coefficients.  Atrial fibrillation comes with age and enlarges atria."""
    rng = np.random.default_rng(4)
    people = [draw_person(rng, MANY_RISKS) for _ in range(2500)]
    hearts = [sample_parameters(rng, population=MANY_RISKS, person=person) for person in people]
    sinus = [i for i, heart in enumerate(hearts) if heart.rhythm == "sinus"]
    assert len(sinus) > 2200
    design = sm.add_constant(pd.DataFrame([people[i].covariates for i in sinus]))
    off, fits = {}, {}
    for outcome in sorted({e.outcome for e in EFFECTS} - {"aortic_root_mm"}):
        drawn = [
            getattr(hearts[i], PER_M2[outcome]) / hearts[i].bsa_m2 if outcome in PER_M2 else getattr(hearts[i], outcome)
            for i in sinus
        ]
        fits[outcome] = sm.OLS(np.array(drawn), design).fit()
        off.update({(outcome, name): z for name, z in _off(fits[outcome], outcome).items()})
    assert max(abs(z) for z in off.values()) < 3.8, max(off, key=lambda k: abs(off[k]))
    assert 0.8 < np.std(list(off.values())) < 1.2
    assert fits["lvef_pct"].pvalues["diabetes"] < 0.05
    root = sm.OLS(np.array([hearts[i].vessels.aortic_root_mm for i in sinus]), design).fit()  # age and size: by itself
    assert root.params["hypertension"] == pytest.approx(0.9, abs=3.3 * root.bse["hypertension"])


@pytest.mark.parametrize(("outcome", "side"), [("lvef_pct", -1), ("mapse_mm", 1)])
def test_the_known_disparity_is_that_of_a_large_cohort(outcome, side):
    people = _people(dataclasses.replace(MANY_RISKS, ethnic_mix={"White": 1.0, "Other": 1.0}), 20000, seed=5)
    rng = np.random.default_rng(6)
    figure = HEALTHY[outcome]
    values = np.array([rng.normal(figure.mean[p.sex] + effects_on(p)[outcome], figure.sd[p.sex]) for p in people])
    white = np.array([p.ethnic_group == "White" for p in people])
    for percentile in (25, 50, 75):
        threshold = float(np.percentile(values, percentile))
        found = (values[white] >= threshold).mean() / (values[~white] >= threshold).mean()
        known = disparity_ratio(people, outcome, threshold)
        assert found == pytest.approx(known, abs=0.06)
        assert side * (known - 1.0) > 0.02


def test_a_disparity_needs_two_groups_and_a_known_outcome():
    with pytest.raises(PhantomError, match="of another"):
        disparity_ratio([REFERENCE], "lvef_pct", 55.0)
    with pytest.raises(PhantomError, match="unknown outcome 'shoe_size'"):
        disparity_ratio([REFERENCE], "shoe_size", 42.0)
    other = dataclasses.replace(REFERENCE, ethnic_group="Other")
    with pytest.raises(PhantomError, match="who may reach 1000"):
        disparity_ratio([REFERENCE, other], "lvef_pct", 1000.0)


def test_every_effect_names_its_source_and_a_covariate_that_persons_have():
    assert all(e.source and e.covariate in REFERENCE.covariates and e.outcome in HEALTHY for e in EFFECTS)
    assert len({(e.outcome, e.covariate) for e in EFFECTS}) == len(EFFECTS)
    assert set(TRAITS) <= set(REFERENCE.covariates)
