"""Sections of a validation from predictions made by hand: every figure is what its formula says."""

import numpy as np
import pandas as pd
import pytest
from validation_cases import hand_made

from cardiolens.stats import auroc, bland_altman, compare_auroc, mae
from cardiolens.validation.conditions import condition_section
from cardiolens.validation.groups import subgroup_section
from cardiolens.validation.looks import attention_section
from cardiolens.validation.lvef import lvef_section
from cardiolens.validation.maps import map_section
from cardiolens.validation.people import cohort_section


def table(section, name):
    return next(table.frame for table in section.tables if table.name == name)


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


def test_lvef_is_compared_with_the_baseline_and_its_correction_reported_where_it_was_not_fitted(tmp_path, rng):
    label = rng.uniform(20, 70, 120)
    pred, other = label + 6 + rng.normal(0, 3, 120), label + rng.normal(0, 9, 120)
    case = hand_made(tmp_path, {"lvef": pred}, {"lvef": label}, baseline={"lvef": other}, interval=12.0)
    section = lvef_section(case)
    metrics = table(section, "lvef_metrics").set_index("metric")["value"]
    assert metrics["mae"] == pytest.approx(mae(np.clip(pred, 0, 100), label))
    assert metrics["bias"] == pytest.approx(bland_altman(np.clip(pred, 0, 100), label).bias)
    fits = table(section, "lvef_bias_correction").set_index("correction")
    assert fits.loc["shift", "fitted on"] == fits.loc["shift", "reported on"] == 60
    assert abs(fits.loc["shift", "bias"]) < 1.5
    assert fits.loc["none (raw)", "bias"] > 4
    assert fits.loc["shift", "bias"] != 0
    assert fits.loc["shift", "MAE"] < fits.loc["none (raw)", "MAE"]
    more = dict(table(section, "lvef_more").to_numpy())
    assert "90 %" in more["Interval, all"]
    assert any("against" in text for text in more.values())
    assert {drawn.name for drawn in section.figures} == {"lvef_scatter", "lvef_bland_altman", "lvef_roc_below_40"}


def test_nan_predictions_are_left_out_of_the_figures_and_counted_in_the_flow(tmp_path, rng):
    label = rng.uniform(20, 70, 30)
    pred = label + rng.normal(0, 3, 30)
    pred[:4] = np.nan
    label[4:6] = np.nan
    case = hand_made(tmp_path, {"lvef": pred}, {"lvef": label})
    assert table(lvef_section(case), "lvef_metrics")["n"].max() == 24
    flow = table(cohort_section(case), "flow").set_index("step")
    assert flow.loc["with true and predicted LVEF", "n"] == 24
    assert flow.loc["read by the model", "reasons"] == "without a true LVEF: 2; LVEF is NaN: 4"


def scores_of(labels, rng, power):
    return 1 / (1 + np.exp(-(power * (2 * labels - 1) + rng.normal(size=labels.size))))


@pytest.fixture(scope="module")
def conditions(rng):
    labels = {
        name: (rng.random(150) < share).astype(float) for name, share in (("amyloidosis", 0.3), ("myocarditis", 0.2))
    }
    labels["sarcoidosis"] = np.zeros(150)
    labels["pericarditis"] = (np.arange(150) < 4).astype(float)
    labels["amyloidosis"][::10] = np.nan
    model = {name: scores_of(np.nan_to_num(values), rng, 1.0) for name, values in labels.items()}
    base = {name: scores_of(np.nan_to_num(labels[name]), rng, 0.2) for name in ("amyloidosis", "pericarditis")}
    return labels, model | {"previous_surgery": np.full(150, 0.5)}, base


def test_auroc_and_its_paired_test_are_those_of_stats_on_the_studies_with_a_label(tmp_path, conditions):
    labels, model, base = conditions
    section = condition_section(hand_made(tmp_path, model, labels, baseline=base))
    rows = table(section, "conditions").set_index("condition")
    known = ~np.isnan(labels["amyloidosis"])
    expected = auroc(labels["amyloidosis"][known], model["amyloidosis"][known])
    row = rows.loc["amyloidosis"]
    assert (row.n, row.auroc, row.low, row.high) == pytest.approx((135, expected.auc, expected.low, expected.high))
    test = compare_auroc(labels["amyloidosis"][known], model["amyloidosis"][known], base["amyloidosis"][known])
    assert row.p == pytest.approx(test.p_value)
    assert row.p <= row.p_fdr <= row.p_holm <= 2 * row.p + 1e-12


def test_the_threshold_of_the_card_is_applied_as_it_is(tmp_path, conditions):
    labels, model, _ = conditions
    case = hand_made(tmp_path, model, labels, thresholds={"myocarditis": 0.7})
    row = table(condition_section(case), "conditions").set_index("condition").loc["myocarditis"]
    present = labels["myocarditis"] == 1
    assert row.sensitivity_at_threshold == pytest.approx((model["myocarditis"][present] >= 0.7).mean())
    assert row.specificity_at_threshold == pytest.approx((model["myocarditis"][~present] < 0.7).mean())


def test_what_cannot_be_compared_or_computed_is_said_by_name(tmp_path, conditions):
    labels, model, base = conditions
    section = condition_section(hand_made(tmp_path, model, labels, baseline=base))
    said = " ".join(section.notes)
    assert "No labels for previous surgery" in said
    assert "all of one class: sarcoidosis (0 of 150)" in said
    assert "Compared on the 2 conditions that baseline has; not on myocarditis, sarcoidosis" in said
    assert "not to be relied on: pericarditis (4)" in said
    rows = table(section, "conditions").set_index("condition")
    assert np.isnan(rows.loc["sarcoidosis", "auroc"])
    assert np.isnan(rows.loc["myocarditis", "p"])
    assert {drawn.name for drawn in section.figures} == {
        "conditions_auroc",
        "conditions_roc",
        "conditions_prevalence",
        "conditions_calibration",
    }


def test_attention_with_and_without_a_condition_is_the_mean_relative_weight(tmp_path, rng):
    labels = np.repeat([0.0, 1.0], 20)
    sax = np.where(labels == 1, 0.9, 0.5) + rng.normal(0, 0.01, 40)
    case = hand_made(tmp_path, {"amyloidosis": labels}, {"amyloidosis": labels}, attention=sax)
    section = attention_section(case)
    found = table(section, "attention_by_condition").set_index(["condition", "studies", "view"])
    row = found.loc[("amyloidosis", "with", "SAX")]
    assert row.relative_attention == pytest.approx(2 * sax[20:].mean())
    assert row.low < row.relative_attention < row.high
    assert found.loc[("amyloidosis", "without", "4CH"), "relative_attention"] == pytest.approx(2 - 2 * sax[:20].mean())
    assert found.loc[("all studies", "all", "2CH"), "n"] == 0


def test_subgroups_that_are_worse_are_found_and_attributes_of_one_level_are_said(tmp_path, rng):
    vendor = np.repeat(["GE", "Siemens"], 100)
    label = rng.uniform(20, 70, 200)
    pred = label + rng.normal(0, 3, 200) * np.where(vendor == "GE", 1, 3)
    case = hand_made(tmp_path, {"lvef": pred}, {"lvef": label}, facts={"vendor": vendor})
    section = subgroup_section(case)
    rows = table(section, "subgroups").set_index(["figure", "attribute", "group"])
    row = rows.loc[("LVEF, MAE", "vendor", "Siemens")]
    assert row.difference > 2
    assert row.interaction_p < row.interaction_p_holm < 0.001
    assert rows.loc[("LVEF, bias", "vendor", "GE"), "n"] == 100
    assert any("sex: all are F" in note for note in section.notes)


def test_maps_say_what_is_not_known_and_count_neighbours_of_the_same_view(tmp_path, rng):
    labels = {"amyloidosis": (np.arange(40) % 2).astype(float), "sarcoidosis": np.zeros(40)}
    sex = np.where(rng.random(40) < 0.5, "F", "M")
    case = hand_made(tmp_path, labels, labels, baseline=labels, facts={"sex": sex})
    section = map_section(case)
    assert {drawn.name for drawn in section.figures} == {"map_view", "map_sex", "map_amyloidosis"}
    said = " ".join(section.notes)
    assert "No map by LVEF" in said
    assert "sarcoidosis (0)" in said
    shares = table(section, "view_mixing")["neighbours of the same view"]
    assert 0.3 < shares[0] < 0.7
    assert shares[2] == pytest.approx(0.5)


def test_a_model_without_heads_has_its_maps_and_says_the_rest(tmp_path):
    case = hand_made(tmp_path, {}, {"lvef": np.linspace(20, 60, 20)})
    case.reader.heads.clear()
    assert "no LVEF head" in lvef_section(case).notes[0]
    assert "no head for conditions" in condition_section(case).notes[0]
    assert "no head" in attention_section(case).notes[0]
    assert {"map_view", "map_lvef"} <= {drawn.name for drawn in map_section(case).figures}


def test_demographics_count_what_is_not_known(tmp_path):
    labels = pd.Series(np.linspace(30, 60, 10))
    labels[:2] = np.nan
    case = hand_made(tmp_path, {"lvef": np.linspace(30, 60, 10)}, {"lvef": labels.to_numpy()})
    rows = table(cohort_section(case), "demographics").set_index("What")
    assert rows.loc["LVEF, %: mean (SD)", "Unknown"] == "2"
    assert rows.loc["LVEF < 40 %", "Value"] == "1 (12.5 %)"
