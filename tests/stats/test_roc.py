"""AUROC, DeLong and the curves against their definitions, scikit-learn, and the published tables."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as sk

from cardiolens.errors import CardiolensError
from cardiolens.stats import StatsError, auroc, compare_auroc, precision_recall, roc_curve


def textbook_delong(labels, *scores):
    """DeLong et al. 1988, eqs. 2-5, term by term over all pairs: areas and their covariance matrix."""
    labels = np.asarray(labels).astype(bool)
    v10, v01 = [], []
    for column in scores:
        x, y = np.asarray(column)[labels][:, None], np.asarray(column)[~labels][None, :]
        psi = (x > y) + 0.5 * (x == y)
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
    areas = np.array([v.mean() for v in v10])
    m, n = len(v10[0]), len(v01[0])
    return areas, np.atleast_2d(np.cov(v10)) / m + np.atleast_2d(np.cov(v01)) / n


@st.composite
def labelled_scores(draw, minimum=2):
    """Labels with at least `minimum` of either class, and two columns of scores with many ties."""
    positive = draw(st.integers(minimum, 15))
    negative = draw(st.integers(minimum, 15))
    labels = draw(st.permutations([1] * positive + [0] * negative))
    columns = [
        draw(st.lists(st.integers(-4, 4).map(float), min_size=len(labels), max_size=len(labels))) for _ in range(2)
    ]
    return np.array(labels), np.array(columns[0]), np.array(columns[1])


@given(labelled_scores())
@settings(max_examples=60, deadline=None)
def test_area_and_variance_equal_the_pairwise_definition(case):
    labels, scores, _ = case
    areas, covariance = textbook_delong(labels, scores)
    found = auroc(labels, scores)
    assert found.auc == pytest.approx(areas[0], abs=1e-12)
    assert found.auc == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert found.se == pytest.approx(np.sqrt(covariance[0, 0]), abs=1e-12)
    assert found.low == pytest.approx(max(0, areas[0] - norm.ppf(0.975) * np.sqrt(covariance[0, 0])), abs=1e-12)
    assert found.high == pytest.approx(min(1, areas[0] + norm.ppf(0.975) * np.sqrt(covariance[0, 0])), abs=1e-12)
    assert (found.n_positive, found.n_negative) == (labels.sum(), (1 - labels).sum())


@given(labelled_scores())
@settings(max_examples=60, deadline=None)
def test_paired_test_equals_the_pairwise_definition(case):
    labels, a, b = case
    areas, covariance = textbook_delong(labels, a, b)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    found = compare_auroc(labels, a, b)
    assert found.difference == pytest.approx(areas[0] - areas[1], abs=1e-12)
    if variance > 1e-12:
        assert found.p_value == pytest.approx(2 * norm.sf(abs(areas[0] - areas[1]) / np.sqrt(variance)), rel=1e-7)


@given(labelled_scores(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_area_depends_on_ranks_only_and_swapped_labels_mirror_it(case, random):
    labels, scores, _ = case
    found = auroc(labels, scores)
    order = list(range(len(labels)))
    random.shuffle(order)
    for same in (auroc(labels, np.exp(scores / 3) - 7), auroc(labels[order], scores[order])):
        assert (same.auc, same.low, same.high) == pytest.approx((found.auc, found.low, found.high), abs=1e-12)
    for mirrored in (auroc(1 - labels, scores), auroc(labels, -scores)):
        assert mirrored.auc == pytest.approx(1 - found.auc, abs=1e-12)
        assert mirrored.low == pytest.approx(1 - found.high, abs=1e-12)


def test_curve_below_one_half_is_not_turned_round():
    assert auroc([0, 0, 1, 1], [4.0, 3.0, 2.0, 1.0]).auc == 0.0


@given(labelled_scores())
@settings(max_examples=40, deadline=None)
def test_predictors_that_rank_alike_have_p_one(case):
    labels, scores, _ = case
    for other in (scores, scores**3 + 2 * scores):
        found = compare_auroc(labels, scores, other)
        assert (found.p_value, found.difference, found.low, found.high) == (1.0, 0.0, 0.0, 0.0)


def test_pairing_by_key_is_independent_of_row_order_and_counts_what_is_left_out():
    rng = np.random.default_rng(0)
    labels = rng.random(80) < 0.4
    a, b = labels + rng.normal(0, 1, 80), labels + rng.normal(0, 2, 80)
    keys = np.array([f"study{i}" for i in range(80)])
    plain = compare_auroc(labels[5:70], a[5:70], b[5:70])
    shuffled = rng.permutation(np.arange(5, 80))
    keyed = compare_auroc(
        labels[:70], a[:70], b[shuffled], keys_a=keys[:70], keys_b=keys[shuffled], labels_b=labels[shuffled]
    )
    assert keyed.p_value == pytest.approx(plain.p_value, rel=1e-10)
    assert (keyed.n, keyed.dropped_a, keyed.dropped_b) == (65, 5, 10)
    assert keyed.a.auc == pytest.approx(plain.a.auc)


def test_pairing_refuses_contradicting_labels_duplicate_keys_and_strangers():
    labels, scores, keys = [0, 0, 1, 1], [1.0, 2.0, 3.0, 4.0], ["a", "b", "c", "d"]
    with pytest.raises(StatsError, match="disagree on the label of 2 of 4"):
        compare_auroc(labels, scores, scores, keys_a=keys, keys_b=keys, labels_b=[1, 1, 1, 1])
    with pytest.raises(StatsError, match="'a' occurs more than once"):
        compare_auroc(labels, scores, scores, keys_a=["a", "a", "c", "d"], keys_b=keys)
    with pytest.raises(StatsError, match="no key in common"):
        compare_auroc(labels, scores, scores, keys_a=keys, keys_b=["w", "x", "y", "z"])
    with pytest.raises(StatsError, match="both keys_a and keys_b"):
        compare_auroc(labels, scores, scores, keys_a=keys)
    with pytest.raises(StatsError, match="unequal lengths"):
        compare_auroc(labels, scores, scores[:3])


@pytest.mark.parametrize(
    ("labels", "scores", "says"),
    [
        ([1, 1, 1], [1, 2, 3], "all 3 are positive"),
        ([0, 0], [1, 2], "all 2 are negative"),
        ([0, 1, 2], [1, 2, 3], "must be 0 or 1, found 0, 1, 2"),
        ([0, 1], [1, float("nan")], "1 of 2 values are NaN"),
        ([0, float("nan"), 1], [1, 2, 3], "NaN"),
        ([0, 1], [1, 2, 3], "unequal lengths"),
        ([], [], "empty"),
        (["no", "yes"], [1, 2], "not numeric"),
        ([[0, 1]], [[1, 2]], "one column"),
    ],
)
def test_degenerate_input_is_refused_in_words(labels, scores, says):
    with pytest.raises(StatsError, match=says) as caught:
        auroc(labels, scores)
    assert isinstance(caught.value, CardiolensError)
    assert isinstance(caught.value, ValueError)


def test_area_is_given_without_limits_where_a_class_has_one_case():
    found = auroc([1, 0, 0], [2.0, 1.0, 3.0])
    assert found.auc == 0.5
    assert np.isnan([found.low, found.high, found.se]).all()
    with pytest.raises(StatsError, match="at least two"):
        compare_auroc([1, 0, 0], [2.0, 1.0, 3.0], [1.0, 2.0, 3.0])


def test_limits_are_clipped_and_follow_the_level():
    labels, scores = [0, 0, 0, 1, 1, 1], [1, 2, 5, 4, 6, 7]
    wide, narrow = auroc(labels, scores, level=0.99), auroc(labels, scores, level=0.5)
    assert wide.high == 1.0
    assert wide.low < narrow.low < narrow.auc < narrow.high < 1.0
    with pytest.raises(StatsError, match="level"):
        auroc(labels, scores, level=95)


@given(labelled_scores())
@settings(max_examples=30, deadline=None)
def test_curves_equal_scikit_learn(case):
    labels, scores, _ = case
    curve = roc_curve(labels, scores)
    expected = sk.roc_curve(labels, scores, drop_intermediate=False)
    for found, reference in zip((curve.false_positive_rate, curve.sensitivity, curve.threshold), expected, strict=True):
        np.testing.assert_allclose(found, reference, atol=1e-12)
    pr = precision_recall(labels, scores)
    assert pr.average_precision == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)
    precision, recall, threshold = sk.precision_recall_curve(labels, scores)
    np.testing.assert_allclose(pr.precision[::-1], precision[:-1], atol=1e-12)
    np.testing.assert_allclose(pr.recall[::-1], recall[:-1], atol=1e-12)
    np.testing.assert_allclose(pr.threshold[::-1], threshold)


def test_published_diagnosis_tables_give_the_reference_areas_limits_and_p(shared_data):
    folder = shared_data / "paper_tables"
    expected = pd.read_csv(folder / "expected_auc.csv").set_index("table")
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in expected.index}
    for name, row in expected.iterrows():
        found = auroc(tables[name].label, tables[name].score)
        assert (found.auc, found.low, found.high) == pytest.approx((row.auc, row.low, row.high), abs=1e-9)
    for disease in ("hypertrophic_cardiomyopathy", "cardiac_tumor"):
        a, b = tables[f"{disease}_pretrained"], tables[f"{disease}_baseline"]
        found = compare_auroc(a.label, a.score, b.score, keys_a=a.key, keys_b=b.key, labels_b=b.label)
        row = expected.loc[f"{disease}_pretrained"]
        assert found.p_value == pytest.approx(row.paired_p_on_common_keys, rel=1e-9)
        assert found.n == row.n_common


def test_delong_takes_n_log_n_not_every_pair():
    rng = np.random.default_rng(0)
    labels, scores = np.repeat([0, 1], 4000), rng.normal(size=8000)
    start = time.perf_counter()
    textbook_delong(labels, scores)
    pairwise = time.perf_counter() - start
    quick = []
    for _ in range(3):
        start = time.perf_counter()
        auroc(labels, scores)
        quick.append(time.perf_counter() - start)
    assert min(quick) < pairwise / 4
