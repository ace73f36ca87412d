"""Two models on the same cases: the difference of any metric over the same bootstrap resamples."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import StatsError
from cardiolens.stats import weighted
from cardiolens.stats.bootstrap import bootstrap
from cardiolens.stats.inputs import FloatArray

_LABELS_FIRST = ("auroc", "average_precision")


@dataclass(frozen=True, eq=False)
class PairedBootstrap:
    """A metric of two models, their difference a - b with percentile limits, and two p-values.

    Attributes:
        p: twice the smaller share of resamples on one side of no difference, at least 1 / (resamples + 1).
        p_t: of a paired t-test over the resamples, as Avram et al. 2024 report it.  It shrinks with the number of
            resamples, however few the cases: it does not say how sure a difference is, and stands for comparison.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    level: float
    p: float
    p_t: float
    n_resamples: int
    distribution: FloatArray = field(repr=False)


def compare_bootstrap(
    metric: str,
    labels: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    patients: Sequence[Hashable] | npt.NDArray[Any] | None = None,
    n_resamples: int = 1000,
    level: float = 0.9,
    seed: int = 0,
) -> PairedBootstrap:
    """Compare the predictions (n,) of two models for the same cases; `patients` (n,) as in `bootstrap`.

    Raises:
        StatsError: an unknown metric, unequal lengths, or a metric undefined in half of the resamples.
    """
    if metric not in weighted.BY_NAME:
        raise StatsError(f"unknown metric {metric!r}; known: {', '.join(weighted.BY_NAME)}")
    of = weighted.BY_NAME[metric]

    def figure(said: Any, true: Any, weights: Any) -> Any:
        return of(true, said, weights) if metric in _LABELS_FIRST else of(said, true, weights)

    def difference(true: Any, first: Any, second: Any, weights: Any) -> Any:
        return figure(first, true, weights) - figure(second, true, weights)

    columns = [np.asarray(column, dtype=np.float64) for column in (labels, a, b)]
    found = bootstrap(
        difference, *columns, patients=patients, n_resamples=n_resamples, level=level, seed=seed, vectorized=True
    )
    drawn = found.distribution[~np.isnan(found.distribution)]
    ones = np.ones(columns[0].size)
    side = 2.0 * min(float((drawn <= 0).mean()), float((drawn >= 0).mean()))
    return PairedBootstrap(
        a=float(figure(columns[1], columns[0], ones)),
        b=float(figure(columns[2], columns[0], ones)),
        difference=found.value,
        low=found.low,
        high=found.high,
        level=level,
        p=min(1.0, max(side, 1.0 / (drawn.size + 1))),
        p_t=_t_test(drawn),
        n_resamples=n_resamples,
        distribution=found.distribution,
    )


def _t_test(drawn: FloatArray) -> float:
    """Two-sided, of a mean of 0; 1 where nothing differs."""
    from scipy.stats import ttest_1samp

    if float(np.ptp(drawn)) == 0.0:
        return 1.0 if float(drawn[0]) == 0.0 else 0.0
    return float(ttest_1samp(drawn, 0.0).pvalue)
