"""Subgroup tables and corrections for many tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from cardiolens.stats import StatsError, adjust_p_values, auroc, bootstrap, mae, subgroup_table


def cohort(seed, n=400, worse_in_b=0.0):
    rng = np.random.default_rng(seed)
    groups = np.where(rng.random(n) < 0.4, "b", "a")
    label = rng.normal(55, 10, n)
    pred = label + rng.normal(0, 4, n) * np.where(groups == "b", 1 + worse_in_b, 1)
    return pred, label, groups


def test_each_group_has_its_own_figure_and_its_difference_from_the_rest():
    pred, label, groups = cohort(0, worse_in_b=1.0)
    found = subgroup_table("mae", pred, label, groups=groups)
    inside = groups == "b"
    assert [group.name for group in found.groups] == ["a", "b"]
    assert found["b"].value == pytest.approx(mae(pred[inside], label[inside]))
    assert found["b"].difference == pytest.approx(mae(pred[inside], label[inside]) - mae(pred[~inside], label[~inside]))
    assert found["b"].difference == -found["a"].difference
    assert found["b"].difference_low > 0
    assert found.interaction_p < 1e-4


def test_limits_of_a_group_are_about_those_of_a_bootstrap_of_it_alone():
    pred, label, groups = cohort(1)
    inside = groups == "a"
    found = subgroup_table("mae", pred, label, groups=groups, n_resamples=3000)["a"]
    alone = bootstrap("mae", pred[inside], label[inside], n_resamples=3000)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=0.06)


def test_equal_groups_are_called_different_about_as_often_as_five_in_a_hundred():
    p = []
    for seed in range(200):
        pred, label, groups = cohort(seed, n=150)
        p.append(subgroup_table("mae", pred, label, groups=groups, n_resamples=300, seed=seed).interaction_p)
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.11


def test_auroc_by_group_is_that_of_the_group_and_one_class_is_refused():
    rng = np.random.default_rng(3)
    labels, scores = rng.random(300) < 0.3, rng.normal(size=300)
    groups = np.array(["GE", "Siemens", "Philips"])[rng.integers(0, 3, 300)]
    labels[groups == "Philips"] = False
    found = subgroup_table("auroc", labels, scores, groups=groups)
    inside = groups == "GE"
    assert found["GE"].value == pytest.approx(auroc(labels[inside], scores[inside]).auc)
    assert "one class" in found["Philips"].refused
    assert np.isnan(found["Philips"].value)
    assert not np.isnan(found.interaction_p)


def test_small_groups_and_rows_of_no_group_are_counted_and_said():
    pred, label, groups = cohort(4, n=100)
    groups = np.array(groups, dtype=object)
    groups[:3], groups[3:8] = "rare", None
    found = subgroup_table("mae", pred, label, groups=groups)
    assert found.n_unknown == 5
    assert (found["rare"].n, found["rare"].refused) == (3, "3 patients, fewer than 10")


def test_patients_with_many_studies_widen_the_limits():
    pred, label, groups = (np.repeat(column, 8) for column in cohort(5, n=60))
    patients = np.repeat(np.arange(60), 8)
    wide = subgroup_table("mae", pred, label, groups=groups, patients=patients)["a"]
    narrow = subgroup_table("mae", pred, label, groups=groups)["a"]
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert wide.n_patients * 8 == wide.n


def test_one_group_only_has_no_test_and_says_so():
    pred, label, _ = cohort(6, n=50)
    found = subgroup_table("mae", pred, label, groups=["a"] * 50)
    assert np.isnan(found.interaction_p)
    assert "fewer than two" in found.interaction_note
    assert np.isnan(found["a"].difference)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=35),
    st.sampled_from([("holm", "holm"), ("benjamini-hochberg", "fdr_bh")]),
)
@settings(max_examples=30, deadline=None)
def test_corrected_p_values_equal_statsmodels_and_keep_their_names(values, methods):
    ours, theirs = methods
    p = {f"condition {i}": value for i, value in enumerate(values)}
    found = adjust_p_values(p, ours)
    rejected, corrected, _, _ = multipletests(values, method=theirs)
    assert list(found) == list(p)
    np.testing.assert_allclose([row.adjusted for row in found.values()], corrected, atol=1e-12)
    assert [row.found for row in found.values()] == [
        r if abs(c - 0.05) > 1e-9 else f.found for r, c, f in zip(rejected, corrected, found.values(), strict=True)
    ]


def test_a_test_that_was_not_done_is_not_corrected_for():
    found = adjust_p_values({"a": 0.02, "b": float("nan"), "c": 0.5})
    assert found["a"].adjusted == pytest.approx(0.04)
    assert np.isnan(found["b"].adjusted)
    assert not found["b"].found


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: subgroup_table("nonsense", [1.0], [1.0], groups=["a"]), "unknown metric"),
        (lambda: subgroup_table("mae", [1.0], [1.0], groups=["a", "b"]), "unequal lengths"),
        (lambda: subgroup_table("mae", [np.nan], [1.0], groups=["a"]), "NaN"),
        (lambda: adjust_p_values({"a": 1.5}), "p-values lie in"),
        (lambda: adjust_p_values({"a": 0.5}, "bonferroni"), "unknown method"),
    ],
)
def test_degenerate_input_is_refused_in_words(call, says):
    with pytest.raises(StatsError, match=says):
        call()
