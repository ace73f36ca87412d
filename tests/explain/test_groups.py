"""Attention by view with and without a condition."""

import numpy as np
import pandas as pd
import pytest
import torch

from cardiolens.errors import ReportError
from cardiolens.explain.bags import StudyClips
from cardiolens.explain.groups import attention_by_condition, attention_table, groups_of
from cardiolens.study import View


def attention(relative, view="4CH"):
    keys = [f"s_p{i}/a" for i in range(len(relative))]
    return pd.DataFrame({"key": keys, "head": "h", "view": view, "clips": 1, "share": 0.1, "relative": relative})


def found(table, has, patients=None, **more):
    groups = pd.DataFrame({"myocarditis": has}, index=table["key"])
    whose = pd.Series(patients or list(table["key"]), index=table["key"])
    rows = attention_by_condition(table, groups, whose, n_resamples=500, **more)
    return rows.set_index(["view", "group"])


def test_the_table_holds_what_the_head_gives_each_view(model):
    torch.manual_seed(1)
    views = (View.SAX, View.SAX, View.CH4)
    one = StudyClips("s_p/a", views, (0, 1, 0), torch.randn(3, model.video_proj.in_features))
    rows = attention_table(model, "lvef", [one]).set_index("view")
    with torch.inference_mode():
        weights = model.measure("lvef", one.features[None]).attention[0].tolist()
    assert rows.share["SAX"] == pytest.approx(weights[0] + weights[1], abs=1e-6)
    assert rows.relative["4CH"] == pytest.approx(3 * weights[2], abs=1e-6)
    assert list(rows.clips) == [2, 1]


def test_means_and_difference_are_those_by_hand_with_limits_about_them():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(1.5, 0.1, 12), rng.normal(1.0, 0.1, 30)])
    rows = found(attention(values), [1] * 12 + [0] * 30)
    with_it, without, difference = (rows.loc[("4CH", group)] for group in ("with", "without", "difference"))
    assert (with_it.n, without.n, difference.n) == (12, 30, 42)
    assert with_it.relative == pytest.approx(values[:12].mean())
    assert without.relative == pytest.approx(values[12:].mean())
    assert difference.relative == pytest.approx(values[:12].mean() - values[12:].mean())
    assert difference.low < difference.relative < difference.high
    assert difference.low > 0.3
    assert rows.loc[("SAX", "with")].note == "no study"


def test_studies_without_the_label_do_not_count_and_small_groups_have_no_limits():
    rows = found(attention([1.0] * 10), [1, 1, 1, 0, 0, 0, 0, 0, 0, np.nan])
    assert rows.loc[("4CH", "with")].n == 3
    assert rows.loc[("4CH", "without")].n == 6
    assert "no limits: 3 patients" in rows.loc[("4CH", "with")].note
    assert "no limits: 3 patients" in rows.loc[("4CH", "difference")].note
    assert np.isfinite(rows.loc[("4CH", "without")].low)
    assert found(attention([1.0] * 6), [0] * 6).loc[("4CH", "difference")].note == "one group is empty"


def test_repeated_studies_of_a_patient_do_not_make_the_limits_narrower():
    rng = np.random.default_rng(2)
    values = np.repeat(rng.normal(1.0, 0.2, 10), 5)
    table, has = attention(values), [0] * 50
    apart = found(table, has).loc[("4CH", "without")]
    together = found(table, has, [f"p{i // 5}" for i in range(50)]).loc[("4CH", "without")]
    assert together.n_patients == 10
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_a_measure_is_looked_at_by_every_condition_and_low_lvef_a_classifier_by_its_own():
    labels = pd.DataFrame({"lvef": [30.0, 60.0, np.nan], "myocarditis": [1, 0, 1], "sarcoidosis": [0, 0, np.nan]})
    assert list(groups_of(labels)) == ["myocarditis", "sarcoidosis", "lvef_below_40"]
    assert groups_of(labels)["lvef_below_40"].tolist()[:2] == [1.0, 0.0]
    assert np.isnan(groups_of(labels)["lvef_below_40"][2])
    assert list(groups_of(labels, ["sarcoidosis", "tetralogy_of_Fallot"])) == ["sarcoidosis"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"myocarditis": [0, 2]}, "myocarditis: a condition is 0, 1 or empty"),
        ({"myocarditis": ["yes", "no"]}, "myocarditis: a condition is 0, 1 or empty"),
        ({"weight": [80, 90]}, "no column"),
    ],
)
def test_labels_that_tell_no_groups_are_refused(labels, message):
    with pytest.raises(ReportError, match=message):
        groups_of(pd.DataFrame(labels))
