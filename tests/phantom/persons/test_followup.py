"""Follow-up: what is refused, and that a Cox model finds the known hazard ratios again."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.persons.covariates import Person, draw_person
from cardiolens.phantom.persons.followup import (
    BASELINE_5_YEARS,
    HAZARDS,
    LONGEST_YEARS,
    SHORTEST_YEARS,
    FollowUp,
    follow_up,
    hazard_covariates,
    log_hazard,
)
from cardiolens.phantom.persons.population import POPULATIONS
from cardiolens.phantom.truth import truth_of

REFERENCE = Person(sex="F", age=60.0, height_cm=163.0, weight_kg=26.0 * 1.63**2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"years": -1.0}, "must hold"),
        ({"years": 6.0}, "must hold"),
        ({"heart_failure": True, "heart_failure_years": 5.5}, "must hold"),
        ({"study_years": math.nan}, "must hold"),
        ({"years": 4.0, "heart_failure_years": 4.0}, "without death"),
        ({"heart_failure_years": 3.0}, "without heart failure"),
    ],
)
def test_an_impossible_course_is_refused(change, message):
    good = {"study_years": 5.0, "years": 5.0, "death": False, "heart_failure": False, "heart_failure_years": 5.0}
    FollowUp(**good)
    with pytest.raises(PhantomError, match=message):
        FollowUp(**{**good, **change})


def test_survival_is_known_only_where_the_study_lasted():
    dead = FollowUp(study_years=6.0, years=1.5, death=True, heart_failure=False, heart_failure_years=1.5)
    assert [dead.survived(t) for t in (1, 2, 5, 7)] == [True, False, False, None]


def test_the_reference_person_dies_as_often_as_stated():
    heart = HeartParameters(lvef_pct=60.0, mapse_mm=13.0, lv_length_mm=100.0)
    for event in BASELINE_5_YEARS:
        assert log_hazard(event, hazard_covariates(REFERENCE, heart)) == pytest.approx(0.0, abs=1e-9)
    rng = np.random.default_rng(0)
    known = [f.survived(5) for f in (follow_up(REFERENCE, heart, rng=rng) for _ in range(8000))]
    known = [alive for alive in known if alive is not None]
    assert 1.0 - np.mean(known) == pytest.approx(BASELINE_5_YEARS["death"], abs=0.006)


def test_the_same_state_gives_the_same_course_and_every_study_ends_in_time():
    courses = [follow_up(REFERENCE, HeartParameters(), rng=np.random.default_rng(s)) for s in range(200)]
    assert courses == [follow_up(REFERENCE, HeartParameters(), rng=np.random.default_rng(s)) for s in range(200)]
    assert all(SHORTEST_YEARS <= c.study_years <= LONGEST_YEARS and c.years > 0 for c in courses)


def test_the_truth_gives_its_own_strain():
    heart = HeartParameters()
    given, without = hazard_covariates(REFERENCE, heart, truth_of(heart)), hazard_covariates(REFERENCE, heart)
    assert given["gls_pct"] + 13.0 == pytest.approx(truth_of(heart).gls_pct)
    assert abs(without["gls_pct"] - given["gls_pct"]) < 2.0
    assert {k: v for k, v in given.items() if k != "gls_pct"} == {k: v for k, v in without.items() if k != "gls_pct"}


def test_an_unknown_event_is_refused():
    with pytest.raises(PhantomError, match="unknown event 'lottery'; known are death, heart failure"):
        log_hazard("lottery", {})


def _cohort(n=4000):
    """Persons of a clinic with hearts from failing to vigorous, and what happened to them."""
    rng = np.random.default_rng(7)
    rows = []
    for _ in range(n):
        person = draw_person(rng, POPULATIONS["default"])
        lvef = float(np.clip(rng.normal(50.0, 12.0), 12.0, 75.0))
        heart = HeartParameters(lvef_pct=lvef, mapse_mm=float(np.clip(0.15 * lvef + rng.normal(4.0, 2.0), 2.0, 18.0)))
        after = follow_up(person, heart, rng=rng)
        rows.append({**hazard_covariates(person, heart), **after.to_dict()})
    return pd.DataFrame(rows)


def test_a_cox_model_recovers_the_log_hazard_ratios():
    cohort = _cohort()
    off = []
    for event, years, column in (
        ("death", "years", "death"),
        ("heart failure", "heart_failure_years", "heart_failure"),
    ):
        known = {h.covariate: h.log_hazard_ratio for h in HAZARDS if h.event == event}
        names = [*known, *({"bmi", "cancer", "smoker"} - set(known))]  # and some that have none
        assert cohort[column].sum() > 200
        fit = CoxPHFitter().fit(cohort[[*names, years, column]], duration_col=years, event_col=column)
        for name in names:
            off.append((fit.params_[name] - known.get(name, 0.0)) / fit.standard_errors_[name])
        assert fit.params_["lvef_pct"] == pytest.approx(known["lvef_pct"], abs=0.02)
        assert fit.summary.loc["lvef_pct", "p"] < 0.001
        assert fit.summary.loc["age", "p"] < 0.001
    assert len(off) == 18
    assert np.abs(off).max() < 3.4
    assert np.square(off).sum() < 42.3  # chi-squared with 18 degrees of freedom: one cohort in a thousand is beyond


def test_every_hazard_names_its_source_and_a_covariate_that_is_there():
    known = hazard_covariates(REFERENCE, HeartParameters())
    assert all(h.source and h.covariate in known and h.event in BASELINE_5_YEARS for h in HAZARDS)
    assert len({(h.event, h.covariate) for h in HAZARDS}) == len(HAZARDS)
