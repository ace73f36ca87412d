"""Split-conformal intervals: the finite-sample rank, and coverage that holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.stats import StatsError, check_coverage, split_conformal


@given(st.integers(1, 300), st.sampled_from([0.5, 0.7, 0.8, 0.9, 0.95]))
def test_quantile_is_the_ceil_of_n_plus_one_times_coverage(n, coverage):
    numerator, denominator = int(coverage * 20 + 0.5) * (n + 1), 20
    k = -(-numerator // denominator)
    residuals = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    if k > n:
        with pytest.raises(StatsError, match="too few"):
            split_conformal(residuals, coverage)
    else:
        assert split_conformal(residuals, coverage) == k


def test_too_few_cases_name_how_many_are_needed_and_that_many_suffice():
    with pytest.raises(StatsError, match=r"8 held-out cases .* at least 9 are needed"):
        split_conformal(np.ones(8), 0.9)
    assert split_conformal(np.ones(9), 0.9) == 1.0
    with pytest.raises(StatsError, match="at least 19 are needed"):
        split_conformal(np.ones(3), 0.95)


def test_new_cases_are_covered_as_often_as_promised_even_from_few():
    rng = np.random.default_rng(0)
    covered = [rng.standard_t(3, 20) for _ in range(4000)]
    rate = np.mean([abs(rng.standard_t(3)) <= split_conformal(np.abs(held), 0.9) for held in covered])
    assert 0.9 - 0.015 < rate < 19 / 21 + 0.015


def test_coverage_check_tells_intervals_that_are_too_narrow():
    rng = np.random.default_rng(1)
    label = rng.normal(0, 1, 500)
    good = check_coverage(label, np.full(500, -1.645), np.full(500, 1.645), nominal=0.9)
    narrow = check_coverage(label, np.full(500, -1.0), np.full(500, 1.0), nominal=0.9)
    assert good.holds is True
    assert narrow.holds is False
    assert good.mean_width == pytest.approx(3.29)
    assert narrow.observed.value == np.mean(np.abs(label) <= 1)
    assert check_coverage([1.0], [0.0], [2.0]).holds is None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: split_conformal([-1.0, 2.0], 0.5), "negative"),
        (lambda: split_conformal([1.0, float("nan")], 0.5), "NaN"),
        (lambda: split_conformal([1.0, 2.0], 90), "coverage"),
        (lambda: check_coverage([1.0], [2.0], [0.0]), "low end above"),
        (lambda: check_coverage([1.0], [2.0, 3.0], [4.0]), "unequal"),
    ],
)
def test_degenerate_input_is_refused_in_words(call, says):
    with pytest.raises(StatsError, match=says):
        call()
