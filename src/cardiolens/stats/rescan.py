"""How alike two measurements of the same person are: scan-rescan agreement and intraclass correlation.

Sources: Shrout & Fleiss, Psychological Bulletin 86:420 (1979), for ICC(2,1) and ICC(3,1); McGraw & Wong, Psychological
Methods 1:30 (1996), table 7, for their limits; Bland & Altman, BMJ 313:106 (1996), for the within-subject coefficient
of variation, and BMJ 312:1654 (1996) for the standard deviation and the repeatability coefficient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, norm
from scipy.stats import f as fisher

from cardiolens.errors import StatsError
from cardiolens.stats.agreement import BlandAltman, bland_altman
from cardiolens.stats.inputs import FloatArray, fraction, numbers, same_length


@dataclass(frozen=True)
class Icc:
    """An intraclass correlation of single measurements with limits, in [-1, 1]; NaN where all subjects are alike."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class IntraclassCorrelation:
    """Agreement of `n_raters` measurements of `n` subjects.

    Attributes:
        agreement: ICC(2,1), McGraw & Wong's ICC(A,1): a systematic difference between raters counts against it.
        consistency: ICC(3,1), ICC(C,1): such a difference is left out.
        ms_subjects, ms_raters, ms_error: mean squares of the two-way analysis of variance.
    """

    agreement: Icc
    consistency: Icc
    n: int
    n_raters: int
    ms_subjects: float
    ms_raters: float
    ms_error: float
    level: float


@dataclass(frozen=True)
class RescanAgreement:
    """Two scans of each of `n` persons, in the unit of the measurement.

    Attributes:
        mean: over all scans.
        within_sd: within-subject standard deviation, sqrt(sum of squared differences / 2n), with chi-squared limits.
        cv_pct: `within_sd` over the mean, percent; None unless all measurements are positive.
        cv_rms_pct: root mean square of each person's own coefficient of variation, percent; None likewise.
        repeatability: 1.96 sqrt(2) `within_sd`: two scans of one person differ by less, 95 times in 100.
        icc: intraclass correlations.
        limits: Bland-Altman, second minus first.
    """

    n: int
    mean: float
    within_sd: float
    within_sd_low: float
    within_sd_high: float
    cv_pct: float | None
    cv_rms_pct: float | None
    repeatability: float
    icc: IntraclassCorrelation
    limits: BlandAltman
    level: float


def rescan_agreement(first: npt.ArrayLike, second: npt.ArrayLike, *, level: float = 0.95) -> RescanAgreement:
    """Scan-rescan agreement of one measurement, first and second scan of the same persons row by row.

    Raises StatsError for NaN, unequal lengths, fewer than two persons, or values that are all equal.

    >>> rescan_agreement([55.0, 60.0, 42.0], [57.0, 58.0, 44.0]).within_sd.__round__(4)
    1.4142
    """
    one, two = numbers(first, "first scans"), numbers(second, "second scans")
    n = same_length(**{"first scans": one, "second scans": two})
    correlation = intraclass_correlation(np.column_stack([one, two]), level=level)
    squares = (two - one) ** 2
    within = float(np.sqrt(squares.sum() / (2 * n)))
    tail = (1 - fraction(level, "level")) / 2
    low, high = (within * math.sqrt(n / float(chi2.ppf(edge, n))) for edge in (1 - tail, tail))
    middle = (one + two) / 2
    positive = bool((one > 0).all() and (two > 0).all())
    return RescanAgreement(
        n=n,
        mean=float(middle.mean()),
        within_sd=within,
        within_sd_low=low,
        within_sd_high=high,
        cv_pct=100 * within / float(middle.mean()) if positive else None,
        cv_rms_pct=100 * float(np.sqrt((squares / 2 / middle**2).mean())) if positive else None,
        repeatability=float(norm.ppf(0.975)) * math.sqrt(2) * within,
        icc=correlation,
        limits=bland_altman(two, one, level=level),
        level=level,
    )


def intraclass_correlation(ratings: npt.ArrayLike, *, level: float = 0.95) -> IntraclassCorrelation:
    """ICC(2,1) and ICC(3,1) of ratings (subject, rater), every rater having measured every subject.

    Raises StatsError for NaN, fewer than two subjects or raters, or ratings that are all equal.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise StatsError(f"ratings: need at least two subjects and two raters, got shape {table.shape}")
    numbers(table.ravel(), "ratings")
    fraction(level, "level")
    if np.ptp(table) == 0:
        raise StatsError("ratings: all are equal; an intraclass correlation needs subjects that differ")
    n, k = table.shape
    subjects, raters, error = _mean_squares(table)
    return IntraclassCorrelation(
        agreement=_agreement(subjects, raters, error, n, k, level),
        consistency=_consistency(subjects, error, n, k, level),
        n=n,
        n_raters=k,
        ms_subjects=subjects,
        ms_raters=raters,
        ms_error=error,
        level=level,
    )


def _mean_squares(table: FloatArray) -> tuple[float, float, float]:
    """Between subjects, between raters, residual."""
    n, k = table.shape
    grand = table.mean()
    by_subject, by_rater = table.mean(1) - grand, table.mean(0) - grand
    residual = table - grand - by_subject[:, None] - by_rater[None]
    least = 1e-24 * float(((table - grand) ** 2).sum())  # below it is rounding alone

    def squares(values: FloatArray) -> float:
        total = float((values**2).sum())
        return total if total > least else 0.0

    return (
        k * squares(by_subject) / (n - 1),
        n * squares(by_rater) / (k - 1),
        squares(residual) / ((n - 1) * (k - 1)),
    )


def _agreement(subjects: float, raters: float, error: float, n: int, k: int, level: float) -> Icc:
    value = (subjects - error) / (subjects + (k - 1) * error + k * (raters - error) / n)
    if math.isclose(value, 1.0, abs_tol=1e-15):
        return Icc(1.0, 1.0, 1.0)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    spread = (a * raters) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    if spread == 0:
        return Icc(value, float("nan"), float("nan"))
    freedom = (a * raters + b * error) ** 2 / spread
    edge = 0.5 + level / 2
    above, below = float(fisher.ppf(edge, n - 1, freedom)), float(fisher.ppf(edge, freedom, n - 1))
    mixed = k * raters + (k * n - k - n) * error
    low = n * (subjects - above * error) / (above * mixed + n * subjects)
    high = n * (below * subjects - error) / (mixed + n * below * subjects)
    return Icc(value, *_clipped(low, high))


def _consistency(subjects: float, error: float, n: int, k: int, level: float) -> Icc:
    value = (subjects - error) / (subjects + (k - 1) * error) if subjects + error > 0 else float("nan")
    if error == 0:
        return Icc(value, value, value)
    ratio, edge = subjects / error, 0.5 + level / 2
    low = ratio / float(fisher.ppf(edge, n - 1, (n - 1) * (k - 1)))
    high = ratio * float(fisher.ppf(edge, (n - 1) * (k - 1), n - 1))
    return Icc(value, *_clipped((low - 1) / (low + k - 1), (high - 1) / (high + k - 1)))


def _clipped(low: float, high: float) -> tuple[float, float]:
    return float(np.clip(low, -1.0, 1.0)), float(np.clip(high, -1.0, 1.0))
