"""The two standard reports: what they hold, what they refuse, what they say about it."""

import numpy as np
import pytest

from cardiolens.stats import StatsError, auroc, classification_report, regression_report


@pytest.fixture
def lvef():
    rng = np.random.default_rng(0)
    label = rng.normal(50, 12, 90)
    return label + rng.normal(0, 5, 90), label


def test_detection_counts_values_strictly_below_the_threshold():
    report = regression_report([39.9, 40.0, 45.0, 30.0], [40.0, 39.0, 39.9, 20.0], n_resamples=100)
    assert report["prevalence_below_40"].value == 0.75  # 40.0 itself is not below 40
    assert report["sensitivity_below_40"].value == pytest.approx(1 / 3)
    assert report["specificity_below_40"].value == 0.0


def test_positive_above_turns_labels_and_scores(lvef):
    below = regression_report(*lvef, n_resamples=100)
    above = regression_report(-lvef[0], -lvef[1], threshold=-40, positive_below=False, n_resamples=100)
    assert above["auroc_above_-40"].value == below["auroc_below_40"].value


def test_no_case_below_the_threshold_refuses_the_area_by_name_and_gives_the_rest(lvef):
    report = regression_report(lvef[0] + 100, lvef[1] + 100, n_resamples=100)
    assert "both classes are needed" in report.refused["auroc_below_40"]
    assert "no case is positive" in report.refused["sensitivity_below_40"]
    assert report["mae"].low < report["mae"].value < report["mae"].high
    with pytest.raises(StatsError, match="auroc_below_40 was refused: labels: all 90"):
        report["auroc_below_40"]
    with pytest.raises(KeyError, match="this report has mae"):
        report["mea"]


def test_a_single_case_gives_its_error_and_refuses_what_needs_more():
    report = regression_report([50.0], [45.0])
    assert report["mae"].value == 5.0
    assert np.isnan(report["mae"].low)
    assert {"bias", "r2", "pearson_r", "sd_abs_error"} <= set(report.refused)


def test_limits_by_patient_come_where_patients_have_several_rows(lvef):
    patients = np.arange(90) // 3
    report = regression_report(*lvef, patients=patients, n_resamples=200)
    assert "auroc_below_40_by_patient" in report
    assert report["auroc_below_40"].method == "DeLong"
    assert report["mae"].method.startswith("bootstrap by patient")
    assert any("90 rows are from 30 patients" in note for note in report.notes)
    single = regression_report(*lvef, patients=np.arange(90), n_resamples=200)
    assert "auroc_below_40_by_patient" not in single


def test_classifier_of_one_class_keeps_what_one_class_allows():
    report = classification_report([0, 0, 0], [0.1, 0.2, 0.7], n_resamples=100)
    assert {"auroc", "average_precision", "sensitivity", "threshold_at_90_sensitivity"} <= set(report.refused)
    assert report["specificity"].value == pytest.approx(2 / 3)
    assert report["brier"].value == pytest.approx((0.01 + 0.04 + 0.49) / 3)


def test_scores_that_are_no_probabilities_have_an_area_and_no_calibration():
    report = classification_report([0, 1, 0, 1], [-2.0, 3.0, 0.5, 0.4], n_resamples=200)
    assert report["auroc"].value == 0.75
    assert "not probabilities: -2 to 3" in report.refused["brier"]
    assert "sensitivity" not in report
    assert "sensitivity" in classification_report([0, 1, 0, 1], [-2.0, 3.0, 0.5, 0.4], threshold=0.45, n_resamples=200)


def test_low_scores_are_positive_only_on_the_users_word():
    labels, scores = [1, 1, 0, 0, 0], [0.1, 0.3, 0.2, 0.8, 0.9]
    plain = classification_report(labels, scores, n_resamples=100)
    turned = classification_report(labels, scores, positive_below=True, threshold=0.25, n_resamples=100)
    assert plain["auroc"].value == auroc(labels, scores).auc < 0.5
    assert turned["auroc"].value == pytest.approx(1 - plain["auroc"].value)
    assert turned["sensitivity"].value == 0.5
    assert turned["threshold_at_90_sensitivity"].value == 0.3
    assert "low scores" in turned.refused["brier"]


def test_report_refuses_patients_of_another_length(lvef):
    with pytest.raises(StatsError, match="patients 3, rows 90"):
        regression_report(*lvef, patients=[1, 2, 3])
