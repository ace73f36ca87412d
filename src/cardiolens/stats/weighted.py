"""Metrics of weighted cases, for many sets of weights at once: what makes the bootstrap one matrix product.

Each takes its columns (n,) and `weights` (n,) or (resamples, n), and gives a scalar array or (resamples,).  Weights
are counts: how often a case was drawn.  A metric that a resample leaves undefined (one class only) is NaN there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from cardiolens.stats.inputs import BoolArray, FloatArray

WeightedMetric = Callable[..., npt.NDArray[np.float64]]


def mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean."""
    return _array(weights @ values / weights.sum(axis=-1))


def mae(pred: FloatArray, label: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean absolute error."""
    return mean(np.abs(pred - label), weights)


def rmse(pred: FloatArray, label: FloatArray, weights: FloatArray) -> FloatArray:
    """Root mean squared error."""
    return _array(np.sqrt(mean((pred - label) ** 2, weights)))


def bias(pred: FloatArray, label: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean of prediction minus label."""
    return mean(pred - label, weights)


def sd(pred: FloatArray, label: FloatArray, weights: FloatArray) -> FloatArray:
    """Standard deviation (n - 1) of prediction minus label."""
    difference = pred - label
    return _sd(difference, weights)


def sd_abs_error(pred: FloatArray, label: FloatArray, weights: FloatArray) -> FloatArray:
    """Standard deviation (n - 1) of the absolute error."""
    return _sd(np.abs(pred - label), weights)


def limit_low(pred: FloatArray, label: FloatArray, weights: FloatArray) -> FloatArray:
    """Lower 95 % limit of agreement."""
    return _array(bias(pred, label, weights) - norm.ppf(0.975) * sd(pred, label, weights))


def limit_high(pred: FloatArray, label: FloatArray, weights: FloatArray) -> FloatArray:
    """Upper 95 % limit of agreement."""
    return _array(bias(pred, label, weights) + norm.ppf(0.975) * sd(pred, label, weights))


def r2(pred: FloatArray, label: FloatArray, weights: FloatArray) -> FloatArray:
    """Coefficient of determination, 1 - residual / total sum of squares about the mean label (NaN if labels agree)."""
    centred = label - label.mean()
    total = mean(centred**2, weights) - mean(centred, weights) ** 2
    residual = mean((pred - label) ** 2, weights)
    return _divide(total - residual, total)


def pearson_r(pred: FloatArray, label: FloatArray, weights: FloatArray) -> FloatArray:
    """Pearson's correlation (NaN where either side is constant)."""
    x, y = pred - pred.mean(), label - label.mean()
    mean_x, mean_y = mean(x, weights), mean(y, weights)
    var_x = mean(x * x, weights) - mean_x**2
    var_y = mean(y * y, weights) - mean_y**2
    scale = np.sqrt(np.clip(var_x, 0, None) * np.clip(var_y, 0, None))
    return _array(np.clip(_divide(mean(x * y, weights) - mean_x * mean_y, scale), -1.0, 1.0))


def brier(labels: BoolArray, scores: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean squared distance of the predicted probability from the outcome (Brier 1950)."""
    return mean((scores - labels) ** 2, weights)


def auroc(labels: BoolArray, scores: FloatArray, weights: FloatArray) -> FloatArray:
    """Area under the ROC curve by the trapezoid rule, ties counting one half."""
    _, hits, alarms = cumulative_counts(labels, scores, weights)
    hits, alarms = _from_zero(hits), _from_zero(alarms)
    area = (np.diff(alarms, axis=-1) * (hits[..., 1:] + hits[..., :-1]) / 2).sum(axis=-1)
    return _divide(area, hits[..., -1] * alarms[..., -1])


def average_precision(labels: BoolArray, scores: FloatArray, weights: FloatArray) -> FloatArray:
    """Sum over thresholds of precision times the gain in recall."""
    _, hits, alarms = cumulative_counts(labels, scores, weights)
    called = hits + alarms
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return _divide((precision * np.diff(_from_zero(hits), axis=-1)).sum(axis=-1), hits[..., -1])


def cumulative_counts(
    labels: BoolArray, scores: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distinct scores in falling order (g,), and the positives and negatives at or above each (..., g)."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    starts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])
    drawn = weights[..., order]
    positive = labels[order].astype(np.float64)
    hits = np.cumsum(np.add.reduceat(drawn * positive, starts, axis=-1), axis=-1)
    alarms = np.cumsum(np.add.reduceat(drawn * (1 - positive), starts, axis=-1), axis=-1)
    return ordered[starts], hits, alarms


BY_NAME: dict[str, WeightedMetric] = {
    f.__name__: f
    for f in (mae, rmse, bias, sd, sd_abs_error, limit_low, limit_high, r2, pearson_r, brier, auroc, average_precision)
}


def _array(values: Any) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _sd(values: FloatArray, weights: FloatArray) -> FloatArray:
    centred = values - values.mean()
    total = weights.sum(axis=-1)
    about = mean(centred**2, weights) - mean(centred, weights) ** 2
    return _array(np.sqrt(np.clip(_divide(about * total, total - 1), 0, None)))


def _from_zero(cumulative: FloatArray) -> FloatArray:
    return np.concatenate([np.zeros_like(cumulative[..., :1]), cumulative], axis=-1)


def _divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    top, bottom = np.broadcast_arrays(_array(numerator), _array(denominator))
    quotient: FloatArray = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return quotient
