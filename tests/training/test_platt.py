"""Calibration of conditions: Platt scaling, operating thresholds, what is left out, what stands on the card."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from cardiolens.stats import calibration, operating_point
from cardiolens.training.calibration import LEAST, calibrate_condition, operating_threshold, platt
from cardiolens.training.tasks import ConditionTask, Outputs, ValueTask


def sample(n, slope, intercept, seed=0):
    """Logits, and labels drawn with the probability sigmoid(slope * logit + intercept)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.5, 2.0, n)
    return rng.random(n) < expit(slope * logits + intercept), logits


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -2.0), (2.5, 1.0)])
def test_the_line_that_made_the_labels_is_found(slope, intercept):
    present, logits = sample(20_000, slope, intercept)
    found = platt(present, logits)
    assert found == pytest.approx((slope, intercept), abs=0.1)


def test_it_agrees_with_plain_logistic_regression_where_targets_are_nearly_0_and_1():
    from sklearn.linear_model import LogisticRegression

    present, logits = sample(30_000, 0.7, -1.0, seed=3)
    reference = LogisticRegression(C=1e9, tol=1e-10).fit(logits[:, None], present)
    slope, intercept = platt(present, logits)
    assert slope == pytest.approx(float(reference.coef_[0, 0]), rel=2e-3)
    assert intercept == pytest.approx(float(reference.intercept_[0]), rel=2e-3)


def test_the_mean_probability_is_the_share_of_positives_and_a_separated_score_stays_finite():
    present = np.repeat([False, True], [15, 5])
    logits = np.where(present, 30.0, -30.0)
    slope, intercept = platt(present, logits)
    p = expit(slope * logits + intercept)
    assert np.isfinite([slope, intercept]).all()
    assert p[present] == pytest.approx(6 / 7, abs=1e-4)  # Platt's targets
    assert p[~present] == pytest.approx(1 / 17, abs=1e-4)


def test_probabilities_of_new_studies_are_better_calibrated_than_the_scores():
    fit_labels, fit_logits = sample(400, 0.5, -2.0, seed=1)
    new_labels, new_logits = sample(5000, 0.5, -2.0, seed=2)
    slope, intercept = platt(fit_labels, fit_logits)
    raw = calibration(new_labels, expit(new_logits))
    after = calibration(new_labels, expit(slope * new_logits + intercept))
    assert after.ece < 0.05
    assert raw.ece > 0.2
    assert after.brier < raw.brier


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.integers(1, 99).map(lambda n: n / 100), min_size=4, max_size=40),
    seed=st.integers(0, 1000),
    wanted=st.sampled_from([None, 0.5, 0.9, 1.0]),
)
def test_no_other_threshold_is_better_by_the_rule(scores, seed, wanted):
    column = np.array(scores)
    present = np.random.default_rng(seed).permutation(np.arange(len(column)) < max(1, len(column) // 3))
    threshold = operating_threshold(present, column, wanted)
    own = operating_point(present, column, threshold)
    others = [operating_point(present, column, t) for t in np.unique(column)]
    if wanted is None:
        best = max(p.sensitivity.value + p.specificity.value for p in others)
        assert own.sensitivity.value + own.specificity.value == pytest.approx(best)
    else:
        assert own.sensitivity.value >= wanted
        enough = [p.specificity.value for p in others if p.sensitivity.value >= wanted]
        assert own.specificity.value == pytest.approx(max(enough))
    assert np.abs(column - threshold).min() > 1e-6  # no study stands on the threshold


def test_of_equal_youden_indices_the_most_sensitive_threshold_is_taken():
    present, scores = np.array([True, False, True, False]), np.array([0.9, 0.6, 0.5, 0.1])
    assert operating_threshold(present, scores) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("positive", "negative", "rises", "words"),
    [
        (LEAST - 1, 50, True, f"{LEAST - 1} with and 50 without"),
        (50, LEAST - 1, True, f"50 with and {LEAST - 1} without"),
        (20, 20, False, "no higher with the condition"),
    ],
)
def test_too_few_studies_and_a_score_that_does_not_rise_are_left_out_with_the_reason(positive, negative, rises, words):
    truth = np.repeat([1.0, 0.0], [positive, negative])
    logits = np.random.default_rng(0).normal(truth if rises else -truth, 0.5)
    assert words in calibrate_condition(truth, logits)


def test_studies_of_unknown_label_do_not_count():
    truth = np.array([1.0, 0.0] * 10)
    logits = np.random.default_rng(0).normal(truth, 0.7)
    fitted = calibrate_condition(truth, logits)
    more = calibrate_condition(np.append(truth, [np.nan] * 5), np.append(logits, [99.0] * 5))
    assert more == fitted
    assert (fitted["n"], fitted["positive"]) == (20, 10)
    assert 0 < fitted["threshold"] < 1


def test_the_card_names_the_rule_the_numbers_and_what_was_left_out():
    truth = torch.tensor([[1.0, 0.0], [0.0, 0.0]] * 10)
    logits = torch.from_numpy(np.random.default_rng(0).normal(truth.numpy(), 0.6)).float()
    task = ConditionTask(("amyloidosis", "sarcoidosis"), {}, (1.0, 1.0), sensitivity=0.8)
    entry = task.calibrate(Outputs(logits, logits.sigmoid()), truth)["calibration"]
    assert entry["threshold"] == "sensitivity of 0.8 or more"
    assert entry["conditions"]["amyloidosis"]["sensitivity"] >= 0.8
    assert "0 with and 20 without" in entry["left_out"]["sarcoidosis"]
    assert "as frequent as among the calibration studies" in entry["prevalence"]


def test_a_value_gets_its_conformal_quantile_from_the_calibration_part():
    truth = torch.arange(20.0)[:, None]
    task = ValueTask("lvef", "%", 5.0, {}, coverage=0.8)
    found = truth + torch.linspace(0, 10, 20)[:, None]
    entry = task.calibrate(Outputs(found, found), truth)["conformal"]
    assert entry["coverage"] == 0.8
    assert entry["n"] == 20
    assert 7.5 < entry["quantile"] < 9.5
    assert task.metrics("val", found, truth) == {"val_mae": pytest.approx(5.0)}
