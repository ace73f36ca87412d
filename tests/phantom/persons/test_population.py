"""Populations: what is refused, what the presets promise, and that the healthy figures are those of drawn hearts."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.disease import sample_parameters
from cardiolens.phantom.persons.covariates import draw_person, effects_on
from cardiolens.phantom.persons.population import ETHNIC_GROUPS, HEALTHY, POPULATIONS, RISKS, TRAITS, weighted
from cardiolens.text.conditions import CONDITION_NAMES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"female_share": 1.2}, "female_share must lie in 0 to 1"),
        ({"diabetes": float("nan")}, "diabetes must lie in 0 to 1"),
        ({"age_low": 10.0}, "ages must run"),
        ({"age_mean": 95.0}, "ages must run"),
        ({"age_sd": 0.0}, "age_sd"),
        ({"bmi_mean": 60.0}, "bmi_mean"),
        ({"prevalence": {"gout": 1.0}}, r"prevalence: unknown \['gout'\]; known are amyloidosis"),
        ({"prevalence": {}}, "prevalence: weights"),
        ({"prevalence": {"normal": -1.0}}, "prevalence: weights"),
        ({"ethnic_mix": {"Martian": 1.0}}, "ethnic_mix: unknown"),
        ({"ethnic_mix": {"White": float("inf")}}, "ethnic_mix: weights"),
    ],
)
def test_an_impossible_population_is_refused_by_what_is_wrong(change, message):
    with pytest.raises(PhantomError, match=message):
        dataclasses.replace(POPULATIONS["default"], **change)


def test_the_presets_are_what_they_promise():
    shares = {name: {c: p.share(c) for c in CONDITION_NAMES} for name, p in POPULATIONS.items()}
    for name, share in shares.items():
        assert sum(share.values()) == pytest.approx(1.0), name
    assert shares["default"]["normal"] == pytest.approx(0.22, abs=0.01)
    assert min(shares["default"].values()) > 0.008
    assert shares["biobank"]["normal"] > 0.8
    assert shares["referral"]["amyloidosis"] < 0.01
    assert set(shares["balanced"].values()) == {1 / 35}
    assert sum(s > 0 for s in shares["challenge"].values()) == 5
    rare = ("sarcoidosis", "amyloidosis", "myocarditis", "cardiac tumor")
    assert all(shares["post-contrast"][c] > 2 * shares["referral"][c] for c in rare)


def test_an_unknown_condition_has_no_share():
    with pytest.raises(PhantomError, match="unknown condition 'gout'"):
        POPULATIONS["default"].share("gout")


def test_a_population_travels_to_another_process_and_into_a_manifest():
    for population in POPULATIONS.values():
        assert pickle.loads(pickle.dumps(population)) == population  # noqa: S301
        assert json.loads(json.dumps(population.to_dict()))["name"] == population.name


def test_weights_are_met_and_a_weight_of_zero_is_never_drawn():
    rng = np.random.default_rng(0)
    drawn = [weighted(rng, {"a": 3.0, "b": 0.0, "c": 1.0}) for _ in range(4000)]
    assert "b" not in drawn
    assert np.mean([name == "a" for name in drawn]) == pytest.approx(0.75, abs=0.03)


def test_risk_rises_as_the_table_says_and_certainty_stays():
    population = POPULATIONS["biobank"]
    someone = {"sex": "F", "age": 60.0, "bmi": 26.0, "ethnic_group": "White"}
    for trait in TRAITS:
        base = population.probability(trait, **someone)
        assert base == pytest.approx(getattr(population, trait))
        older = population.probability(trait, **{**someone, "age": 70.0})
        assert np.log(older / (1 - older)) - np.log(base / (1 - base)) == pytest.approx(10 * RISKS[trait]["age"])
    never = dataclasses.replace(population, diabetes=0.0, smoker=1.0)
    assert never.probability("diabetes", **{**someone, "bmi": 50.0}) == 0.0
    assert never.probability("smoker", **someone) == 1.0


def test_every_group_of_the_risks_is_an_ethnic_group():
    for risks in RISKS.values():
        assert set(risks) - {"age", "bmi", "male"} <= set(ETHNIC_GROUPS)


PER_M2 = {"lv_edvi": "lv_edv_ml", "rv_edvi": "rv_edv_ml", "la_index": "la_max_ml"}
PLAIN = ("lvef_pct", "rvef_pct", "wall_mm", "mapse_mm", "tapse_mm", "la_ef_pct", "ra_ef_pct", "heart_rate", "twist_deg")


def test_healthy_hearts_have_the_healthy_figures_after_their_covariates_are_taken_off():
    rng = np.random.default_rng(3)
    healthy = dataclasses.replace(POPULATIONS["biobank"], prevalence={"normal": 1.0})
    left = {name: [] for name in (*PLAIN, *PER_M2)}
    for _ in range(500):
        person = draw_person(rng, healthy)
        p = sample_parameters(rng, population=healthy, person=person)
        if p.rhythm != "sinus":  # a minor finding that enlarges the atria
            continue
        shift = effects_on(person)
        for name, rest in left.items():
            value = getattr(p, PER_M2[name]) / p.bsa_m2 if name in PER_M2 else getattr(p, name)
            figure = HEALTHY[name]
            rest.append((value - shift.get(name, 0.0) - figure.mean[p.sex]) / figure.sd[p.sex])
    for name, rest in left.items():
        assert abs(np.mean(rest)) < 0.2, name
        assert 0.8 < np.std(rest) < 1.15, name
