"""Calibration, proportions and decision thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from cardiolens.stats import StatsError, calibration, operating_point, proportion, threshold_at_sensitivity


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.8, 0.95]))
@settings(max_examples=60, deadline=None)
def test_wilson_limits_equal_scipys(case, level):
    found = proportion(*case, level=level)
    reference = binomtest(*case).proportion_ci(level, method="wilson")
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_calibration_equals_scikit_learn_and_the_definition():
    rng = np.random.default_rng(0)
    p = rng.random(500)
    labels = rng.random(500) < p**2
    found = calibration(labels, p)
    observed, predicted = calibration_curve(labels, p, n_bins=10)
    assert [b.observed.value for b in found.bins] == pytest.approx(observed)
    assert [b.predicted for b in found.bins] == pytest.approx(predicted)
    assert found.brier == pytest.approx(sk.brier_score_loss(labels, p))
    weights = np.histogram(p, np.linspace(0, 1, 11))[0] / 500
    assert found.ece == pytest.approx((weights * np.abs(observed - predicted)).sum())
    assert found.in_the_large == pytest.approx(p.mean() - labels.mean())


def test_bins_of_equal_size_hold_every_case_once_even_with_ties_and_ends():
    p = np.array([0.0] * 50 + [0.2] * 30 + [1.0] * 20)
    for strategy in ("uniform", "quantile"):
        found = calibration(np.r_[np.zeros(50), np.ones(50)], p, strategy=strategy)
        assert sum(b.observed.n for b in found.bins) == 100
    assert calibration([0, 1], [0.5, 0.5], strategy="quantile").bins[0].observed.n == 2


def test_perfect_probabilities_have_no_error():
    found = calibration([0, 0, 1, 1], [0.0, 0.0, 1.0, 1.0])
    assert (found.brier, found.ece) == (0.0, 0.0)


def test_operating_point_counts_at_and_above_the_threshold():
    found = operating_point([1, 1, 1, 0, 0, 0, 0], [0.9, 0.5, 0.2, 0.5, 0.1, 0.1, 0.1], 0.5)
    assert (found.true_positive, found.false_negative, found.false_positive, found.true_negative) == (2, 1, 1, 3)
    assert found.sensitivity.value == pytest.approx(2 / 3)
    assert found.specificity.value == pytest.approx(3 / 4)
    assert found.ppv.value == pytest.approx(2 / 3)
    assert found.npv.value == pytest.approx(3 / 4)
    assert np.isnan(operating_point([0, 0], [0.1, 0.2], 0.5).sensitivity.value)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=4, max_size=40).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    ),
    st.sampled_from([0.1, 0.5, 0.8, 0.9, 1.0]),
)
def test_threshold_is_the_highest_that_reaches_the_sensitivity(rows, target):
    labels, scores = np.array(rows).T
    chosen = threshold_at_sensitivity(labels, scores, target)
    assert operating_point(labels, scores, chosen).sensitivity.value >= target - 1e-12
    for higher in scores[scores > chosen]:
        assert operating_point(labels, scores, higher).sensitivity.value < target


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: calibration([0, 1], [-2.0, 3.0]), "must lie in \\[0, 1\\], found -2 to 3"),
        (lambda: calibration([0, 2], [0.1, 0.2]), "0 or 1"),
        (lambda: calibration([0, 1], [0.1, 0.2], strategy="odd"), "unknown strategy"),
        (lambda: calibration([0, 1], [0.1, 0.2], n_bins=0), "n_bins"),
        (lambda: operating_point([0, 1], [0.1, 0.2], float("nan")), "NaN"),
        (lambda: threshold_at_sensitivity([1, 1], [0.1, 0.2], 0.9), "both classes"),
        (lambda: threshold_at_sensitivity([0, 1], [0.1, 0.2], 90), "sensitivity"),
        (lambda: proportion(5, 4), "no proportion"),
    ],
)
def test_degenerate_input_is_refused_in_words(call, says):
    with pytest.raises(StatsError, match=says):
        call()
