"""The bootstrap: any metric, patients as the unit, seeds."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from cardiolens.stats import StatsError, auroc, bootstrap, mae, r2
from cardiolens.stats.weighted import BY_NAME


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    label = rng.normal(55, 10, 60)
    return label + rng.normal(1, 4, 60), label


def test_limits_equal_scipys_percentile_bootstrap_up_to_chance(pair):
    found = bootstrap("mae", *pair, n_resamples=20_000)
    reference = scipy_stats.bootstrap(
        (np.abs(pair[0] - pair[1]),), np.mean, method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    assert found.value == pytest.approx(mae(*pair))
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.03)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_weights_that_count_rows_give_what_repeated_rows_give(name):
    rng = np.random.default_rng(2)
    first, second = rng.random(30), rng.random(30).round(1)
    if name in ("auroc", "average_precision", "brier"):
        first = first < 0.4
    counts = rng.integers(0, 4, (5, 30))
    together = BY_NAME[name](first, second, counts.astype(float))
    assert together.shape == (5,)
    for weights, value in zip(counts, together, strict=True):
        rows = np.repeat(np.arange(30), weights)
        assert value == pytest.approx(float(BY_NAME[name](first[rows], second[rows], np.ones(rows.size))), abs=1e-10)


def test_named_metric_and_plain_function_draw_the_same_resamples(pair):
    assert bootstrap("r2", *pair, seed=7, n_resamples=200).distribution == pytest.approx(
        bootstrap(r2, *pair, seed=7, n_resamples=200).distribution
    )
    labels = pair[1] < 50
    assert bootstrap("auroc", labels, -pair[0], n_resamples=100).distribution == pytest.approx(
        bootstrap(lambda y, s: auroc(y, s).auc, labels, -pair[0], n_resamples=100).distribution
    )


def test_seed_decides_the_limits(pair):
    one, again, other = (bootstrap("rmse", *pair, seed=seed) for seed in (1, 1, 2))
    assert (one.low, one.high) == (again.low, again.high) != (other.low, other.high)


def test_copies_of_a_patients_study_do_not_narrow_the_limits():
    rng = np.random.default_rng(4)
    error = rng.normal(0, 5, 40)
    pred, label, patients = np.repeat(error, 10), np.zeros(400), np.repeat(np.arange(40), 10)
    single = bootstrap("bias", error, np.zeros(40), n_resamples=4000)
    clustered = bootstrap("bias", pred, label, patients=patients, n_resamples=4000)
    by_row = bootstrap("bias", pred, label, n_resamples=4000)
    assert clustered.n_clusters == 40
    assert (clustered.low, clustered.high) == pytest.approx((single.low, single.high), abs=1e-9)
    assert by_row.high - by_row.low < 0.5 * (clustered.high - clustered.low)


def test_resamples_without_both_classes_are_left_out_and_counted():
    found = bootstrap("auroc", np.array([True, False, False, False]), np.array([3.0, 1.0, 2.0, 0.0]), n_resamples=500)
    assert 0 < found.n_undefined < 250
    assert np.isnan(found.distribution).sum() == found.n_undefined


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bootstrap("mae", [1.0, 2.0], [1.0]), "unequal lengths"),
        (lambda: bootstrap("mae", [1.0, 2.0], [1.0, 2.0], patients=["a"]), "unequal lengths: patients 1, rows 2"),
        (lambda: bootstrap("mae", [1.0, 2.0], [1.0, 2.0], patients=["a", "a"]), "at least two patients"),
        (lambda: bootstrap("nonsense", [1.0, 2.0], [1.0, 2.0]), "unknown metric 'nonsense'"),
        (lambda: bootstrap("mae", [1.0, 2.0], [1.0, 2.0], level=1.0), "level"),
        (lambda: bootstrap("mae", [1.0, 2.0], [1.0, 2.0], n_resamples=0), "n_resamples"),
        (lambda: bootstrap("r2", [1.0, 2.0], [3.0, 3.0]), "undefined in"),
    ],
)
def test_degenerate_input_is_refused_in_words(call, says):
    with pytest.raises(StatsError, match=says):
        call()
