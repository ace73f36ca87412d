"""Errors, limits of agreement and bias correction."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn import metrics as sk

from cardiolens.stats import (
    StatsError,
    auroc,
    bland_altman,
    fit_bias_correction,
    mae,
    pearson_r,
    r2,
    regression_report,
    rmse,
)

finite = st.floats(-100, 100)


@given(st.lists(st.tuples(finite, finite), min_size=3, max_size=40))
@settings(max_examples=50, deadline=None)
def test_errors_equal_scikit_learn(pairs):
    pred, label = np.array(pairs).T
    assert mae(pred, label) == pytest.approx(sk.mean_absolute_error(label, pred))
    assert rmse(pred, label) == pytest.approx(sk.root_mean_squared_error(label, pred))
    if label.std() > 0.1 and pred.std() > 0.1:
        assert r2(pred, label) == pytest.approx(sk.r2_score(label, pred), rel=1e-7, abs=1e-9)
        assert pearson_r(pred, label) == pytest.approx(scipy_stats.pearsonr(pred, label)[0], abs=1e-9)


@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=40), finite)
@settings(max_examples=50, deadline=None)
def test_shifting_predictions_shifts_bias_and_limits_and_swapping_mirrors_them(pairs, shift):
    pred, label = np.array(pairs).T
    found, shifted, swapped = bland_altman(pred, label), bland_altman(pred + shift, label), bland_altman(label, pred)
    assert (shifted.bias, shifted.low, shifted.high) == pytest.approx(
        (found.bias + shift, found.low + shift, found.high + shift), abs=1e-8
    )
    assert (swapped.bias, swapped.low, swapped.high) == pytest.approx((-found.bias, -found.high, -found.low), abs=1e-8)


def test_bias_is_prediction_minus_label():
    found = bland_altman([12.0, 14.0], [10.0, 10.0])
    assert found.bias == 3.0
    assert found.sd == pytest.approx(np.sqrt(2))
    assert found.high == pytest.approx(3 + 1.959963984540054 * np.sqrt(2))


def test_confidence_limits_of_bias_are_those_of_the_t_test():
    rng = np.random.default_rng(3)
    pred, label = rng.normal(2, 5, 30), rng.normal(0, 1, 30)
    reference = scipy_stats.ttest_rel(pred, label).confidence_interval(0.95)
    found = bland_altman(pred, label)
    assert (found.bias_low, found.bias_high) == pytest.approx((reference.low, reference.high))


def test_confidence_limits_of_the_limits_hold_the_true_limit_as_often_as_they_say():
    rng = np.random.default_rng(5)
    held = []
    for _ in range(600):
        found = bland_altman(rng.normal(1, 4, 60), np.zeros(60))
        held.append(found.high_low <= 1 + 1.959964 * 4 <= found.high_high)
    assert 0.92 < np.mean(held) < 0.98


def test_bias_correction_is_fitted_on_one_set_and_applied_to_another():
    rng = np.random.default_rng(1)
    label = rng.normal(55, 10, 200)
    pred = 0.5 * label + 20 + rng.normal(0, 1, 200)
    linear = fit_bias_correction(pred[:100], label[:100], kind="linear")
    reference = scipy_stats.linregress(pred[:100], label[:100])
    assert (linear.slope, linear.intercept) == pytest.approx((reference.slope, reference.intercept))
    shift = fit_bias_correction(pred[:100], label[:100])
    assert shift.slope == 1.0
    assert bland_altman(shift.apply(pred[:100]), label[:100]).bias == pytest.approx(0)
    raw, corrected = mae(pred[100:], label[100:]), mae(linear.apply(pred[100:]), label[100:])
    assert corrected < raw / 2
    assert abs(bland_altman(linear.apply(pred[100:]), label[100:]).bias) > 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bland_altman([1.0], [1.0]), "at least two"),
        (lambda: bland_altman([1.0, float("nan")], [1.0, 2.0]), "NaN or infinite"),
        (lambda: mae([1.0, 2.0], [1.0]), "unequal lengths"),
        (lambda: rmse([], []), "empty"),
        (lambda: r2([1.0, 2.0], [3.0, 3.0]), "undefined"),
        (lambda: pearson_r([1.0, 1.0], [3.0, 4.0]), "undefined"),
        (lambda: mae(["a"], [1.0]), "not numeric"),
        (lambda: fit_bias_correction([1.0, 1.0], [1.0, 2.0], kind="linear"), "no slope"),
        (lambda: fit_bias_correction([1.0, 2.0], [1.0, 2.0], kind="cubic"), "unknown kind"),
    ],
)
def test_degenerate_input_is_refused_in_words(call, says):
    with pytest.raises(StatsError, match=says):
        call()


def test_published_lvef_tables_give_the_reference_figures(shared_data):
    folder = shared_data / "paper_tables"
    for _, row in pd.read_csv(folder / "expected_lvef.csv").iterrows():
        table = pd.read_csv(folder / f"{row.table}.csv")
        found = bland_altman(table.pred, table.label)
        assert (found.bias, found.low, found.high) == pytest.approx((row.bias, row.limit_low, row.limit_high), abs=1e-9)
        assert mae(table.pred, table.label) == pytest.approx(row.mae, abs=1e-9)
        area = auroc(table.label < 40, -table.pred)
        assert (area.auc, area.low, area.high) == pytest.approx((row.auc_below_40, row.auc_low, row.auc_high), abs=1e-9)
        assert (area.n_positive, found.n) == (row.n_below_40, row.n)
        report = regression_report(table.pred, table.label, n_resamples=100)
        assert report["sd_abs_error"].value == pytest.approx(row.sd_abs_error, abs=1e-9)
        assert report["auroc_below_40"].low == pytest.approx(row.auc_low, abs=1e-9)
