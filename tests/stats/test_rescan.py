"""Scan-rescan agreement and intraclass correlation against published and textbook values."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.stats import StatsError, intraclass_correlation, rescan_agreement

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_shrout_and_fleiss_own_table_gives_their_mean_squares_and_correlations():
    found = intraclass_correlation(SHROUT_FLEISS)
    assert (found.ms_subjects, found.ms_raters, found.ms_error) == pytest.approx((11.24, 32.49, 1.02), abs=0.005)
    assert found.agreement.value == pytest.approx(0.29, abs=0.005)
    assert found.consistency.value == pytest.approx(0.71, abs=0.006)


def test_limits_on_their_table_are_those_of_the_r_package_psych():
    found = intraclass_correlation(SHROUT_FLEISS)
    assert (found.agreement.low, found.agreement.high) == pytest.approx((0.019, 0.761), abs=0.0006)
    assert (found.consistency.low, found.consistency.high) == pytest.approx((0.342, 0.946), abs=0.0006)


def test_mean_squares_equal_those_of_a_two_way_analysis_of_variance():
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = np.random.default_rng(0).normal(50, 8, (12, 3))
    rows = [{"subject": i, "rater": j, "y": table[i, j]} for i in range(12) for j in range(3)]
    reference = anova_lm(ols("y ~ C(subject) + C(rater)", pd.DataFrame(rows)).fit())["mean_sq"]
    found = intraclass_correlation(table)
    assert (found.ms_subjects, found.ms_raters, found.ms_error) == pytest.approx(tuple(reference))


def test_limits_hold_the_true_correlation_as_often_as_they_say():
    rng = np.random.default_rng(1)
    held = {"agreement": [], "consistency": []}
    for _ in range(500):
        true = rng.normal(0, 3, 40)
        found = intraclass_correlation(true[:, None] + rng.normal(0, 2, (40, 2)))
        for name, hits in held.items():
            icc = getattr(found, name)
            hits.append(icc.low <= 9 / 13 <= icc.high)
    assert all(0.92 < np.mean(hits) < 0.98 for hits in held.values())


def test_a_shift_between_the_scans_lowers_agreement_and_leaves_consistency():
    rng = np.random.default_rng(2)
    first = rng.normal(55, 10, 60)
    second = first + rng.normal(0, 2, 60)
    plain, shifted = rescan_agreement(first, second), rescan_agreement(first, second + 6)
    assert shifted.icc.consistency.value == pytest.approx(plain.icc.consistency.value)
    assert shifted.icc.agreement.value < plain.icc.agreement.value - 0.1
    assert shifted.limits.bias == pytest.approx(plain.limits.bias + 6)


def test_within_subject_figures_are_those_of_their_formulas():
    first, second = np.array([60.0, 50.0, 40.0, 70.0]), np.array([62.0, 47.0, 41.0, 70.0])
    found = rescan_agreement(first, second)
    by_anova = np.sqrt(np.mean([np.var([a, b], ddof=1) for a, b in zip(first, second, strict=True)]))
    assert found.within_sd == pytest.approx(by_anova)
    assert found.cv_pct == pytest.approx(100 * by_anova / 55)
    assert found.repeatability == pytest.approx(2.7718 * by_anova, rel=1e-4)
    own = [np.std([a, b], ddof=1) / np.mean([a, b]) for a, b in zip(first, second, strict=True)]
    assert found.cv_rms_pct == pytest.approx(100 * np.sqrt(np.mean(np.square(own))))
    assert found.within_sd_low < found.within_sd < found.within_sd_high


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(1, 100)), min_size=3, max_size=30))
@settings(max_examples=60, deadline=None)
def test_correlations_stay_in_range_and_scans_may_be_swapped_and_scaled(pairs):
    first, second = np.array(pairs).T
    if np.ptp([first, second]) < 1e-3:
        return
    found, swapped = rescan_agreement(first, second), rescan_agreement(3 * second, 3 * first)
    for icc, other in (
        (found.icc.agreement, swapped.icc.agreement),
        (found.icc.consistency, swapped.icc.consistency),
    ):
        assert -1 <= icc.low <= icc.high <= 1 or np.isnan(icc.low)
        assert other.value == pytest.approx(icc.value, abs=1e-9, nan_ok=True)
    assert swapped.within_sd == pytest.approx(3 * found.within_sd)


def test_identical_scans_agree_fully_and_without_spread():
    found = rescan_agreement([50.0, 60.0, 70.0], [50.0, 60.0, 70.0])
    assert (found.within_sd, found.icc.agreement.value, found.icc.consistency.value) == (0.0, 1.0, 1.0)


def test_strain_is_negative_and_gets_no_coefficient_of_variation():
    assert rescan_agreement([-20.0, -18.0, -15.0], [-19.0, -18.5, -14.0]).cv_pct is None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: rescan_agreement([1.0], [1.0]), "two subjects"),
        (lambda: rescan_agreement([1.0, 2.0], [1.0]), "unequal lengths"),
        (lambda: rescan_agreement([1.0, np.nan], [1.0, 2.0]), "NaN"),
        (lambda: rescan_agreement([2.0, 2.0], [2.0, 2.0]), "all are equal"),
        (lambda: intraclass_correlation([[1.0], [2.0]]), "two raters"),
        (lambda: intraclass_correlation([[1.0, 2.0], [3.0, 4.0]], level=95), "level"),
    ],
)
def test_degenerate_input_is_refused_in_words(call, says):
    with pytest.raises(StatsError, match=says):
        call()


def test_subjects_that_are_all_alike_have_no_consistency_and_rounding_makes_none():
    alike = np.tile([1.0, 1.664579779116897], (3, 1))
    for scale in (1.0, 3.0):
        assert np.isnan(rescan_agreement(*(scale * alike.T)).icc.consistency.value)
