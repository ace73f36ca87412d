"""ROC analysis: AUROC with DeLong limits, paired comparison, ROC and precision-recall curves.

A curve is never turned round: an area below 0.5 is reported as such.  Two predictors are compared as paired, by
identifier where the rows of two tables need not line up.

Sources: DeLong, DeLong & Clarke-Pearson, Biometrics 44:837 (1988), for the variance; Sun & Xu, IEEE Signal Processing
Letters 21:1389 (2014), for its computation from midranks in O(n log n).
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from cardiolens.errors import StatsError
from cardiolens.stats import weighted
from cardiolens.stats.inputs import BoolArray, FloatArray, fraction, numbers, same_length, two_classes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Auroc:
    """Area under the ROC curve with DeLong limits, clipped to [0, 1].

    `se`, `low` and `high` are NaN where a class has one case only: the area is defined then, its variance is not.
    """

    auc: float
    low: float
    high: float
    se: float
    n_positive: int
    n_negative: int
    level: float


@dataclass(frozen=True)
class AurocComparison:
    """Paired comparison of two predictors on the same cases; `difference` is a minus b, limits clipped to [-1, 1]."""

    p_value: float
    difference: float
    low: float
    high: float
    se: float
    z: float
    a: Auroc
    b: Auroc
    n: int
    dropped_a: int
    dropped_b: int
    level: float


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Points (n,) from (0, 0) to (1, 1); a case is called positive where score >= threshold (first one infinite)."""

    false_positive_rate: FloatArray
    sensitivity: FloatArray
    threshold: FloatArray


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Points (n,) by falling threshold, and the average precision (the step-wise area, without interpolation)."""

    recall: FloatArray
    precision: FloatArray
    threshold: FloatArray
    average_precision: float
    prevalence: float


def auroc(labels: npt.ArrayLike, scores: npt.ArrayLike, *, level: float = 0.95) -> Auroc:
    """Area under the ROC curve; higher scores speak for the positive class, ties count one half.

    Raises StatsError for one class only, labels other than 0/1, NaN, or unequal lengths.  Perfect separation has a
    DeLong variance of zero, so its limits coincide with the area.

    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).auc
    0.75
    """
    positive, column = _checked(labels, scores)
    return _auroc_of(*_components(positive, column), level=level)


def compare_auroc(
    labels: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    keys_a: Sequence[Hashable] | npt.NDArray[np.generic] | None = None,
    keys_b: Sequence[Hashable] | npt.NDArray[np.generic] | None = None,
    labels_b: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> AurocComparison:
    """Two-sided DeLong test of two predictors on the same cases.

    Without keys, `labels`, `a` and `b` belong together row by row.  With `keys_a` and `keys_b`, `labels` and `a`
    follow `keys_a`, `b` (and `labels_b`, checked to agree) follows `keys_b`; the comparison is on the keys in common
    and `.dropped_a`, `.dropped_b` say how many were left out.  Predictors that rank all cases alike have p = 1.

    Raises StatsError as `auroc` does, for duplicate keys, for no key in common, and for a class with one case.
    """
    first = numbers(a, "scores a", infinite=True)
    second = numbers(b, "scores b", infinite=True)
    truth = numbers(labels, "labels")
    same_length(labels=truth, a=first)
    dropped_a = dropped_b = 0
    if (keys_a is None) != (keys_b is None):
        raise StatsError("pairing by key needs both keys_a and keys_b")
    rows_a, rows_b = np.arange(first.size), np.arange(second.size)
    if keys_a is not None and keys_b is not None:
        rows_a, rows_b = match_keys(keys_a, keys_b)
        if len(keys_a) != first.size or len(keys_b) != second.size:
            raise StatsError(
                f"keys and scores differ in length: a {len(keys_a)} and {first.size}, b {len(keys_b)} and {second.size}"
            )
        dropped_a, dropped_b = first.size - rows_a.size, second.size - rows_b.size
    if labels_b is not None:
        _same_truth(truth[rows_a], numbers(labels_b, "labels b")[rows_b])
    truth, first, second = truth[rows_a], first[rows_a], second[rows_b]
    same_length(labels=truth, a=first, b=second)
    positive = two_classes(truth)
    return _compare(positive, first, second, level, dropped_a, dropped_b)


def match_keys(
    keys_a: Sequence[Hashable] | npt.NDArray[np.generic], keys_b: Sequence[Hashable] | npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Row numbers in a and in b of the keys that both hold, in the order of a.  StatsError on duplicates or none."""
    places: list[dict[Hashable, int]] = []
    for name, keys in (("keys_a", keys_a), ("keys_b", keys_b)):
        where: dict[Hashable, int] = {}
        for row, key in enumerate(keys):
            if key in where:
                raise StatsError(f"{name}: {key!r} occurs more than once (rows {where[key]} and {row})")
            where[key] = row
        places.append(where)
    common = [(row, places[1][key]) for key, row in places[0].items() if key in places[1]]
    if not common:
        raise StatsError("no key in common between the two sets of predictions")
    rows = np.asarray(common, dtype=np.intp)
    return rows[:, 0], rows[:, 1]


def roc_curve(labels: npt.ArrayLike, scores: npt.ArrayLike) -> RocCurve:
    """Every point of the empirical ROC curve; errors as in `auroc`."""
    positive, column = _checked(labels, scores)
    threshold, hits, alarms = weighted.cumulative_counts(positive, column, np.ones(column.size))
    return RocCurve(
        np.concatenate([[0.0], alarms / alarms[-1]]),
        np.concatenate([[0.0], hits / hits[-1]]),
        np.concatenate([[np.inf], threshold]),
    )


def precision_recall(labels: npt.ArrayLike, scores: npt.ArrayLike) -> PrecisionRecall:
    """Every point of the precision-recall curve; errors as in `auroc`.  Davis & Goadrich 2006 on why no trapezoid."""
    positive, column = _checked(labels, scores)
    ones = np.ones(column.size)
    threshold, hits, alarms = weighted.cumulative_counts(positive, column, ones)
    average = float(weighted.average_precision(positive, column, ones))
    return PrecisionRecall(hits / hits[-1], hits / (hits + alarms), threshold, average, float(positive.mean()))


def _checked(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[BoolArray, FloatArray]:
    column = numbers(scores, "scores", infinite=True)
    same_length(labels=np.asarray(labels), scores=column)
    return two_classes(labels), column


def _components(positive: BoolArray, scores: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """The area and its structural components: per positive (m,) and per negative case (n,)."""
    of_positive, of_negative = scores[positive], scores[~positive]
    m, n = of_positive.size, of_negative.size
    ranks = rankdata(np.concatenate([of_positive, of_negative]))
    per_positive = (ranks[:m] - rankdata(of_positive)) / n
    per_negative = 1.0 - (ranks[m:] - rankdata(of_negative)) / m
    area = (float(ranks[:m].sum()) - m * (m + 1) / 2) / (m * n)
    return area, per_positive, per_negative


def _variance(per_positive: FloatArray, per_negative: FloatArray) -> float:
    if min(per_positive.size, per_negative.size) < 2:
        return float("nan")
    return float(per_positive.var(ddof=1) / per_positive.size + per_negative.var(ddof=1) / per_negative.size)


def _auroc_of(area: float, per_positive: FloatArray, per_negative: FloatArray, *, level: float) -> Auroc:
    z = float(norm.ppf(0.5 + fraction(level, "level") / 2))
    se = float(np.sqrt(_variance(per_positive, per_negative)))
    low, high = (float(np.clip(area + sign * z * se, 0.0, 1.0)) for sign in (-1, 1))
    return Auroc(area, low, high, se, per_positive.size, per_negative.size, level)


def _compare(
    positive: BoolArray, first: FloatArray, second: FloatArray, level: float, dropped_a: int, dropped_b: int
) -> AurocComparison:
    if min(int(positive.sum()), int((~positive).sum())) < 2:
        raise StatsError("a paired comparison needs at least two positive and two negative cases")
    parts_a, parts_b = _components(positive, first), _components(positive, second)
    # The variance of the difference is taken from the differences of the components: exactly zero where both
    # predictors rank alike, which var(a) + var(b) - 2 cov(a, b) is only up to rounding.
    se = float(np.sqrt(_variance(parts_a[1] - parts_b[1], parts_a[2] - parts_b[2])))
    difference = parts_a[0] - parts_b[0]
    if se > 0:
        z = difference / se
    elif difference == 0:
        z = 0.0
    else:
        _log.warning("the difference in AUROC has no variance in this sample; its p-value of 0 is not to be trusted")
        z = float(np.copysign(np.inf, difference))
    reach = float(norm.ppf(0.5 + fraction(level, "level") / 2)) * se
    return AurocComparison(
        p_value=float(2 * norm.sf(abs(z))),
        difference=difference,
        low=max(-1.0, difference - reach),
        high=min(1.0, difference + reach),
        se=se,
        z=z,
        a=_auroc_of(*parts_a, level=level),
        b=_auroc_of(*parts_b, level=level),
        n=positive.size,
        dropped_a=dropped_a,
        dropped_b=dropped_b,
        level=level,
    )


def _same_truth(labels_a: FloatArray, labels_b: FloatArray) -> None:
    same_length(labels=labels_a, labels_b=labels_b)
    differing = int((labels_a != labels_b).sum())
    if differing:
        raise StatsError(f"the two sets disagree on the label of {differing} of {labels_a.size} common cases")
