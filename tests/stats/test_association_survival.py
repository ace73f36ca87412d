"""Regression, survival and disparity find the coefficients that the phantom's persons were made with."""

import numpy as np
import pandas as pd
import pytest

from cardiolens.errors import StatsError
from cardiolens.phantom import POPULATIONS, HeartParameters, draw_person, follow_up
from cardiolens.phantom.persons.covariates import EFFECTS, disparity_ratio, effects_on
from cardiolens.phantom.persons.followup import HAZARDS, hazard_covariates
from cardiolens.phantom.persons.population import HEALTHY
from cardiolens.stats import associate, cox, disparity_ratios, kaplan_meier

TRAITS = ["diabetes", "hypertension", "cancer", "smoker"]


@pytest.fixture(scope="module")
def persons():
    rng = np.random.default_rng(11)
    return [draw_person(rng, POPULATIONS["default"]) for _ in range(5000)]


@pytest.fixture(scope="module")
def people(persons) -> pd.DataFrame:
    """Figures by the known effects and a normal residual, follow-up by the known hazards."""
    rng = np.random.default_rng(12)
    rows = []
    for person in persons:
        shift = effects_on(person)
        draw = {
            name: HEALTHY[name].mean[person.sex] + shift[name] + rng.normal(0, HEALTHY[name].sd[person.sex])
            for name in ("lvef_pct", "mapse_mm")
        }
        heart = HeartParameters(
            lvef_pct=float(np.clip(draw["lvef_pct"] - rng.exponential(6.0), 8, 79)),
            mapse_mm=float(np.clip(draw["mapse_mm"] + rng.normal(0, 2.0), 1, 24)),
        )
        after = follow_up(person, heart, rng=rng)
        rows.append(
            {
                **draw, "sex": person.sex, "age": person.age, "bmi": person.bmi,
                **{t: "yes" if getattr(person, t) else "no" for t in TRAITS},
                "ethnicity": "White" if person.ethnic_group == "White" else "other",
                "group": person.ethnic_group, "scan_lvef": heart.lvef_pct,
                "gls": hazard_covariates(person, heart)["gls_pct"], "years": after.years, "death": int(after.death),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _within(estimate: float, error: float, truth: float) -> bool:
    return abs(estimate - truth) < 3.0 * error


@pytest.mark.parametrize("outcome", ["lvef_pct", "mapse_mm"])
def test_least_squares_find_the_planted_effects(people, outcome) -> None:
    found = associate(
        people, outcome=outcome, exposure="diabetes",
        adjust=["age", "sex", "bmi", "hypertension", "cancer", "smoker", "ethnicity"],
        references={"diabetes": "no", "sex": "F", "ethnicity": "White"},
    )  # fmt: skip
    planted = {e.covariate: e.coefficient for e in EFFECTS if e.outcome == outcome}
    assert found.n == len(people)
    terms = {"diabetes: yes": "diabetes", "hypertension: yes": "hypertension", "cancer: yes": "cancer",
             "smoker: yes": "smoker", "ethnicity: other": "not_white", "age": "age", "bmi": "bmi"}  # fmt: skip
    for term, covariate in terms.items():
        c = found[term]
        assert _within(c.estimate, c.standard_error, planted.get(covariate, 0.0)), term
        assert c.low < c.estimate < c.high
    assert found.exposure[0].estimate < 0
    assert found.exposure[0].p_value < 0.01


def test_without_adjustment_the_effect_is_confounded(people) -> None:
    """Men have a lower LVEF and more diabetes: unadjusted, diabetes looks worse than it is."""
    alone = associate(people, outcome="lvef_pct", exposure="diabetes", references={"diabetes": "no"})
    adjusted = associate(people, outcome="lvef_pct", exposure="diabetes", adjust=["sex"], references={"diabetes": "no"})
    assert alone.exposure[0].estimate < adjusted.exposure[0].estimate


def test_cox_finds_the_planted_hazards(people) -> None:
    found = cox(
        people, time="years", event="death", exposure="scan_lvef",
        adjust=["gls", "age", "sex", *TRAITS], references={"sex": "F", **dict.fromkeys(TRAITS, "no")},
    )  # fmt: skip
    planted = {h.covariate: h.log_hazard_ratio for h in HAZARDS if h.event == "death"}
    terms = {"scan_lvef": "lvef_pct", "gls": "gls_pct", "age": "age", "sex: M": "male",
             **{f"{t}: yes": t for t in TRAITS}}  # fmt: skip
    for term, covariate in terms.items():
        assert _within(found[term].log_ratio, found[term].standard_error, planted[covariate]), term
    assert found.exposure[0].high < 1.0
    assert 0.65 < found.c_index < 0.95
    assert all(0 <= h.ph_p_value <= 1 for h in found.hazards)
    assert not [note for note in found.notes if "proportional" in note]
    short = cox(people, time="years", event="death", exposure="scan_lvef", adjust=["age"], horizon=2.0)
    assert short.n_events < found.n_events


def test_hazards_that_change_over_time_are_noted() -> None:
    rng = np.random.default_rng(3)
    exposed = rng.integers(0, 2, 1500)
    early, late = rng.exponential(np.where(exposed, 0.4, 3.0)), 1.0 + rng.exponential(np.where(exposed, 30.0, 2.0))
    time = np.where(early < 1.0, early, late)
    table = pd.DataFrame({"t": np.minimum(time, 6.0), "e": (time < 6.0).astype(int), "x": exposed})
    assert any("not proportional" in note for note in cox(table, time="t", event="e", exposure="x").notes)


def test_kaplan_meier_without_censoring_is_the_share_alive() -> None:
    table = pd.DataFrame({"t": [1.0, 2, 3, 4, 5, 6], "e": 1, "sex": ["F", "F", "F", "M", "M", "M"]})
    found = kaplan_meier(table, time="t", event="e")
    assert found.curves[0].share.tolist() == pytest.approx([1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0])
    assert found.curves[0].n_at_risk.tolist() == [6, 6, 5, 4, 3, 2, 1]
    by_sex = kaplan_meier(table, time="t", event="e", group="sex")
    assert [c.group for c in by_sex.curves] == ["F", "M"]
    assert by_sex.log_rank_p < 0.05
    assert np.isnan(found.log_rank_p)


def test_a_number_is_cut_into_groups_from_low_to_high(people) -> None:
    found = kaplan_meier(people, time="years", event="death", group="scan_lvef", cuts=[40, 50])
    assert [c.group for c in found.curves] == ["scan_lvef < 40", "scan_lvef 40 to 50", "scan_lvef >= 50"]
    assert found.curves[0].share[-1] < found.curves[2].share[-1]
    assert sum(c.n for c in found.curves) == len(people)
    assert len(kaplan_meier(people, time="years", event="death", group="age").curves) == 3


def test_disparity_is_the_one_that_was_planted(people, persons) -> None:
    found = disparity_ratios(people["lvef_pct"], people["ethnicity"].tolist(), group="White", percentiles=[50, 75])
    for row in found:
        truth = disparity_ratio(persons, "lvef_pct", row.threshold)
        assert row.low - 0.02 < truth < row.high + 0.02
        assert row.ratio == pytest.approx(row.share / row.share_rest)
    again = disparity_ratios(people["lvef_pct"], people["ethnicity"].tolist(), group="White", percentiles=[50, 75])
    assert again == found
    fixed = disparity_ratios(people["lvef_pct"], people["ethnicity"].tolist(), group="White", percentiles=[],
                             thresholds=[40.0])  # fmt: skip
    assert fixed[0].percentile is None
    with pytest.raises(StatsError, match="Martian"):
        disparity_ratios([1.0, 2.0], ["a", "b"], group="Martian")


def test_unusable_rows_are_counted_by_reason() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"y": rng.normal(size=60).astype(object), "x": rng.normal(size=60).astype(object),
                          "sex": ["F", "M"] * 30})  # fmt: skip
    table.loc[0, "y"] = ""
    table.loc[1, "y"] = "n/a?"
    table.loc[2, "x"] = np.nan
    table.loc[3, "sex"] = None
    found = associate(table.astype(object), outcome="y", exposure="x", adjust=["sex"])
    assert found.n == 56
    assert dict(found.dropped) == {"no y": 1, "y is not a number": 1, "no x": 1, "no sex": 1}


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"exposure": "nothing"}, "no column 'nothing'"),
        ({}, {"adjust": ["x"]}, "named twice"),
        ({"z": 3.0}, {"adjust": ["z"]}, "one value only"),
        ({"z": "all"}, {"adjust": ["z"]}, "one group only"),
        ({"z": lambda t: [f"p{i}" for i in range(len(t))]}, {"adjust": ["z"]}, "no grouping"),
        ({"z": lambda t: 2 * t["x"] + 1}, {"adjust": ["z"]}, "given exactly"),
        ({"sex": "keep"}, {"adjust": ["sex"], "references": {"sex": "?"}}, "reference group"),
    ],
)
def test_tables_that_cannot_be_fitted_say_why(change, options, words) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40), "sex": ["F", "M"] * 20})
    for name, value in change.items():
        if value != "keep":
            table[name] = value(table) if callable(value) else value
    with pytest.raises(StatsError, match=words):
        associate(table, **{"outcome": "y", "exposure": "x", **options})
    with pytest.raises(StatsError, match="too few"):
        associate(table.head(6), outcome="y", exposure="x")


def test_cox_says_why_it_cannot() -> None:
    rng = np.random.default_rng(1)
    n = 200
    table = pd.DataFrame({"t": rng.exponential(5, n) + 0.1, "e": rng.integers(0, 2, n), "x": rng.normal(size=n)})
    table["drug"] = np.where(table["e"] == 1, "no", np.where(rng.random(n) < 0.5, "yes", "no"))
    with pytest.raises(StatsError, match="separation"):
        cox(table, time="t", event="e", exposure="drug")
    few = table.assign(e=[1] * 3 + [0] * (n - 3))
    with pytest.raises(StatsError, match="3 events"):
        cox(few, time="t", event="e", exposure="x")
    with pytest.raises(StatsError, match="0 or less"):
        cox(table.assign(t=table["t"] - 1), time="t", event="e", exposure="x")
    with pytest.raises(StatsError, match="must be 0 or 1"):
        cox(table.assign(e="dead"), time="t", event="e", exposure="x")
    told = table.assign(x=-table["t"] - 1e-3 * table["x"])
    with pytest.raises(StatsError, match="does not settle"):
        cox(told.assign(e=1), time="t", event="e", exposure="x")
