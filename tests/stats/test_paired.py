"""The paired bootstrap of two models."""

import numpy as np
import pytest

from cardiolens.errors import StatsError
from cardiolens.stats import auroc, compare_bootstrap, r2


def cases(n=80, seed=0):
    rng = np.random.default_rng(seed)
    true = rng.normal(size=n)
    return true, true + 0.3 * rng.normal(size=n), true + 1.5 * rng.normal(size=n)


def test_a_better_model_is_told_and_its_difference_lies_in_the_limits():
    true, good, poor = cases()
    found = compare_bootstrap("r2", true, good, poor)
    assert found.a == pytest.approx(r2(good, true))
    assert found.difference == pytest.approx(r2(good, true) - r2(poor, true))
    assert 0 < found.low < found.difference < found.high
    assert found.p == pytest.approx(1 / 1001)
    back = compare_bootstrap("r2", true, poor, good)
    assert back.difference == pytest.approx(-found.difference)
    assert back.p == found.p


def test_labels_come_first_in_what_concerns_a_class():
    true, good, poor = cases()
    labels = (true > 0).astype(float)
    found = compare_bootstrap("auroc", labels, good, poor)
    assert found.a == pytest.approx(auroc(labels, good).auc)
    assert found.b == pytest.approx(auroc(labels, poor).auc)


def test_the_t_test_over_resamples_shrinks_with_their_number_and_the_share_does_not():
    true, first, _ = cases(40)
    second = first + 0.02 * np.random.default_rng(5).normal(size=40)
    few, many = (compare_bootstrap("mae", true, first, second, n_resamples=n) for n in (100, 4000))
    assert many.p_t < few.p_t / 10
    assert abs(many.p - few.p) < 0.2


def test_equal_models_do_not_differ():
    true, good, _ = cases()
    found = compare_bootstrap("r2", true, good, good)
    assert (found.difference, found.p, found.p_t) == (0.0, 1.0, 1.0)


def test_unknown_metrics_and_unequal_lengths_are_refused():
    with pytest.raises(StatsError, match="unknown metric"):
        compare_bootstrap("dice", [0, 1], [0, 1], [0, 1])
    with pytest.raises(StatsError, match="unequal lengths"):
        compare_bootstrap("r2", [0, 1, 2], [0, 1], [0, 1])
