"""Proportions with Wilson limits, and what a decision threshold gives: sensitivity, specificity, PPV, NPV.

Source: Wilson, JASA 22:209 (1927); recommended over the textbook interval by Brown, Cai & DasGupta, Statistical
Science 16:101 (2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from cardiolens.errors import StatsError
from cardiolens.stats.inputs import binary, fraction, numbers, same_length, two_classes


@dataclass(frozen=True)
class Proportion:
    """`count` of `n` with Wilson limits; all NaN where n is 0."""

    value: float
    low: float
    high: float
    count: int
    n: int


@dataclass(frozen=True)
class OperatingPoint:
    """The four proportions of the rule "positive where score >= threshold"; PPV and NPV at this set's prevalence."""

    threshold: float
    sensitivity: Proportion
    specificity: Proportion
    ppv: Proportion
    npv: Proportion
    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int


def proportion(count: int, n: int, *, level: float = 0.95) -> Proportion:
    """`count` of `n` with Wilson score limits."""
    if not 0 <= count <= n:
        raise StatsError(f"a count of {count} out of {n} is no proportion")
    z = float(norm.ppf(0.5 + fraction(level, "level") / 2))
    if n == 0:
        nan = float("nan")
        return Proportion(nan, nan, nan, 0, 0)
    share = count / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = 0.0 if count == 0 else max(0.0, float(middle - reach))
    high = 1.0 if count == n else min(1.0, float(middle + reach))
    return Proportion(share, low, high, count, n)


def operating_point(
    labels: npt.ArrayLike, scores: npt.ArrayLike, threshold: float, *, level: float = 0.95
) -> OperatingPoint:
    """Counts and proportions of the rule "positive where score >= threshold".

    A proportion of no case at all (the sensitivity of a set without positives) is NaN, with n = 0.
    """
    positive, column = binary(labels), numbers(scores, "scores", infinite=True)
    same_length(labels=positive, scores=column)
    if np.isnan(threshold):
        raise StatsError("threshold: NaN")
    called = column >= threshold
    tp, fp = int((called & positive).sum()), int((called & ~positive).sum())
    fn, tn = int((~called & positive).sum()), int((~called & ~positive).sum())
    return OperatingPoint(
        threshold=float(threshold),
        sensitivity=proportion(tp, tp + fn, level=level),
        specificity=proportion(tn, tn + fp, level=level),
        ppv=proportion(tp, tp + fp, level=level),
        npv=proportion(tn, tn + fn, level=level),
        true_positive=tp,
        false_positive=fp,
        true_negative=tn,
        false_negative=fn,
    )


def threshold_at_sensitivity(labels: npt.ArrayLike, scores: npt.ArrayLike, sensitivity: float) -> float:
    """The highest score that, as a threshold, finds at least this share of the positives in this set.

    Choose it on one set and report it on another (`operating_point`): on its own set it is optimistic.
    """
    positive, column = two_classes(labels), numbers(scores, "scores", infinite=True)
    same_length(labels=positive, scores=column)
    if not 0.0 < sensitivity <= 1.0:
        raise StatsError(f"sensitivity: must lie above 0 and not above 1, got {sensitivity:g}")
    found = np.sort(column[positive])[::-1]
    needed = int(np.ceil(sensitivity * found.size - 1e-9))
    return float(found[max(needed, 1) - 1])
