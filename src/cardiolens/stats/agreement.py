"""How well a measured quantity agrees with its reference: errors, bias and limits of agreement, bias correction.

Everything here takes the prediction first and the label second, and a difference is prediction minus label.

Source: Bland & Altman, Lancet 327:307 (1986), for the limits; the same, Statistical Methods in Medical Research
8:135 (1999), section 2.1, for their standard error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

from cardiolens.errors import StatsError
from cardiolens.stats import weighted
from cardiolens.stats.inputs import FloatArray, fraction, numbers, same_length


@dataclass(frozen=True)
class BlandAltman:
    """Bias (mean of prediction - label) and limits of agreement (bias -/+ 1.96 sd), each with its own limits.

    `sd` divides by n - 1.  The `*_low`/`*_high` fields are confidence limits that take differences as independent.
    """

    bias: float
    low: float
    high: float
    sd: float
    n: int
    bias_low: float
    bias_high: float
    low_low: float
    low_high: float
    high_low: float
    high_high: float
    level: float


@dataclass(frozen=True)
class BiasCorrection:
    """corrected = slope * prediction + intercept, fitted on `n` cases (slope 1: a constant shift)."""

    slope: float
    intercept: float
    n: int

    def apply(self, pred: npt.ArrayLike) -> FloatArray:
        """Corrected predictions (n,) of another set."""
        return self.slope * numbers(pred, "predictions") + self.intercept


def mae(pred: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Mean absolute error."""
    return _single("mae", pred, label)


def rmse(pred: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Root mean squared error."""
    return _single("rmse", pred, label)


def r2(pred: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Coefficient of determination 1 - SS_residual / SS_total (not the squared correlation; can be negative)."""
    return _varying("r2", pred, label)


def pearson_r(pred: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Pearson's correlation coefficient.  StatsError if either side is constant."""
    return _varying("pearson_r", pred, label)


def bland_altman(
    pred: npt.ArrayLike, label: npt.ArrayLike, *, level: float = 0.95, coverage: float = 0.95
) -> BlandAltman:
    """Bias and limits of agreement of prediction minus label.

    `coverage` is the share of differences between the limits (0.95: 1.96 standard deviations), `level` the
    confidence of the limits on bias and on the limits themselves.  StatsError for fewer than two cases.

    >>> bland_altman([52.0, 61.0, 40.0], [50.0, 60.0, 43.0]).bias
    0.0
    """
    first, second = _pair(pred, label)
    n = first.size
    if n < 2:
        raise StatsError(f"limits of agreement need at least two cases, got {n}")
    difference = first - second
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    z = float(norm.ppf(0.5 + fraction(coverage, "coverage") / 2))
    t = float(student.ppf(0.5 + fraction(level, "level") / 2, n - 1))
    of_bias = t * sd / np.sqrt(n)
    of_limit = t * sd * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    low, high = bias - z * sd, bias + z * sd
    return BlandAltman(
        bias=bias,
        low=low,
        high=high,
        sd=sd,
        n=n,
        bias_low=float(bias - of_bias),
        bias_high=float(bias + of_bias),
        low_low=float(low - of_limit),
        low_high=float(low + of_limit),
        high_low=float(high - of_limit),
        high_high=float(high + of_limit),
        level=level,
    )


def fit_bias_correction(
    pred: npt.ArrayLike, label: npt.ArrayLike, *, kind: Literal["shift", "linear"] = "shift"
) -> BiasCorrection:
    """Correction to be fitted on one set and applied to another; on its own set it would flatter itself.

    "shift" takes off the mean difference, "linear" regresses label on prediction by least squares.
    """
    first, second = _pair(pred, label)
    if kind == "shift":
        return BiasCorrection(1.0, float((second - first).mean()), first.size)
    if kind != "linear":
        raise StatsError(f"unknown kind of correction {kind!r}; known: shift, linear")
    if np.ptp(first) == 0:
        raise StatsError("all predictions are equal: no slope can be fitted")
    centred = first - first.mean()
    slope = float(centred @ (second - second.mean()) / (centred @ centred))
    return BiasCorrection(slope, float(second.mean() - slope * first.mean()), first.size)


def _pair(pred: npt.ArrayLike, label: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = numbers(pred, "predictions"), numbers(label, "labels")
    same_length(predictions=first, labels=second)
    return first, second


def _single(name: str, pred: npt.ArrayLike, label: npt.ArrayLike) -> float:
    first, second = _pair(pred, label)
    return float(weighted.BY_NAME[name](first, second, np.ones(first.size)))


def _varying(name: str, pred: npt.ArrayLike, label: npt.ArrayLike) -> float:
    first, second = _pair(pred, label)
    if np.ptp(second) == 0 or (name == "pearson_r" and np.ptp(first) == 0):
        raise StatsError(f"{name} is undefined: all {first.size} labels or predictions are equal")
    return float(weighted.BY_NAME[name](first, second, np.ones(first.size)))
