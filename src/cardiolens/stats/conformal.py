"""Prediction intervals with a guarantee: split conformal prediction, and a check that intervals hold what they say.

Source: Lei et al., Distribution-Free Predictive Inference for Regression, JASA 113:1094 (2018), algorithm 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiolens.errors import StatsError
from cardiolens.stats.inputs import fraction, numbers, same_length
from cardiolens.stats.proportions import Proportion, proportion


@dataclass(frozen=True)
class Coverage:
    """How often intervals held the truth.  `holds` is None where no nominal coverage was named."""

    observed: Proportion
    nominal: float | None
    mean_width: float
    holds: bool | None


def split_conformal(abs_residuals: npt.ArrayLike, coverage: float = 0.9) -> float:
    """Half-width q such that prediction -/+ q holds a new case with probability >= coverage.

    `abs_residuals` (n,) are |prediction - label| of cases that took no part in training.  q is the k-th smallest,
    k = ceil((n + 1) coverage); cases are assumed exchangeable.  StatsError if n is too small for k <= n.

    >>> split_conformal([3.0, 1.0, 2.0, 5.0, 4.0, 7.0, 6.0, 9.0, 8.0], 0.9)
    9.0
    """
    residuals = numbers(abs_residuals, "absolute residuals")
    if (residuals < 0).any():
        raise StatsError("absolute residuals: negative values found; pass |prediction - label|")
    fraction(coverage, "coverage")
    k = _rank(residuals.size, coverage)
    if k > residuals.size:
        needed = _rank(residuals.size, coverage)
        while _rank(needed, coverage) > needed:
            needed += 1
        raise StatsError(
            f"{residuals.size} held-out cases are too few for an interval of {coverage:.0%} coverage; "
            f"at least {needed} are needed"
        )
    return float(np.partition(residuals, k - 1)[k - 1])


def check_coverage(
    label: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, *, nominal: float | None = None, level: float = 0.95
) -> Coverage:
    """Share of labels within [low, high] with Wilson limits, and the mean width.

    With a `nominal` coverage, `holds` is False where the upper Wilson limit lies below it: the intervals are
    narrower than they claim by more than chance.  Raises StatsError for an interval with low above high.
    """
    truth, lower, upper = (numbers(c, n) for c, n in ((label, "labels"), (low, "low"), (high, "high")))
    same_length(labels=truth, low=lower, high=upper)
    crossed = int((lower > upper).sum())
    if crossed:
        raise StatsError(f"{crossed} of {truth.size} intervals have their low end above their high end")
    inside = int(((lower <= truth) & (truth <= upper)).sum())
    observed = proportion(inside, truth.size, level=level)
    holds = None if nominal is None else observed.high >= fraction(nominal, "nominal")
    return Coverage(observed, nominal, float((upper - lower).mean()), holds)


def _rank(n: int, coverage: float) -> int:
    return math.ceil((n + 1) * coverage - 1e-9)  # 10 * 0.7 must give 7, whatever its last bit
