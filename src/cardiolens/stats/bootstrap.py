"""Percentile bootstrap that draws patients, not rows: the studies of one patient are in or out together.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 (percentile limits) and 8 (drawing
the independent units).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import StatsError
from cardiolens.stats import weighted
from cardiolens.stats.inputs import FloatArray, fraction, same_length

_CHUNK = 4_000_000  # weights held at a time: 32 MB


@dataclass(frozen=True, eq=False)
class Bootstrapped:
    """A figure with percentile limits; `n_undefined` resamples gave none (one class only) and are left out."""

    value: float
    low: float
    high: float
    level: float
    n_resamples: int
    n_clusters: int
    n_undefined: int
    distribution: FloatArray = field(repr=False)


def bootstrap(
    metric: str | Callable[..., Any],
    *columns: npt.ArrayLike,
    patients: Sequence[Hashable] | npt.NDArray[Any] | None = None,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    vectorized: bool = False,
) -> Bootstrapped:
    """Limits of any metric by resampling patients with replacement.

    `metric` is a name of `cardiolens.stats.weighted.BY_NAME` ("mae", "auroc", ...), or `f(*columns) -> float`, called
    once a resample, or with `vectorized=True` `f(*columns, weights) -> (resamples,)` with weights (resamples, n): how
    often each row was drawn.  Columns are (n,); `patients` (n,) names whose row it is (None: every row its own).

    Raises StatsError for unequal lengths, fewer than two patients, or a metric undefined in half of the resamples.
    """
    arrays = [np.asarray(column) for column in columns]
    n = same_length(**{f"column {number}": array for number, array in enumerate(arrays, start=1)})
    fraction(level, "level")
    if n_resamples < 1:
        raise StatsError(f"n_resamples: must be at least 1, got {n_resamples}")
    cluster, n_clusters = resample_clusters(patients, n)
    if n_clusters < 2:
        raise StatsError(f"a bootstrap needs at least two patients, got {n_clusters}")
    if isinstance(metric, str):
        if metric not in weighted.BY_NAME:
            raise StatsError(f"unknown metric {metric!r}; known: {', '.join(weighted.BY_NAME)}")
        metric, vectorized = weighted.BY_NAME[metric], True
    value = float(metric(*arrays, np.ones(n)) if vectorized else metric(*arrays))
    drawn = _replicates(metric, arrays, cluster, n_clusters, n_resamples, seed, vectorized)
    defined = drawn[~np.isnan(drawn)]
    if defined.size < n_resamples / 2:
        raise StatsError(f"the metric is undefined in {n_resamples - defined.size} of {n_resamples} resamples")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Bootstrapped(
        value, float(low), float(high), level, n_resamples, n_clusters, n_resamples - defined.size, drawn
    )


def resample_weights(
    cluster: npt.NDArray[np.intp], n_clusters: int, n_resamples: int, rng: np.random.Generator
) -> FloatArray:
    """Weights (n_resamples, n): how often each row is drawn when clusters (n,) of row numbers are drawn."""
    drawn = rng.integers(0, n_clusters, size=(n_resamples, n_clusters))
    drawn += np.arange(n_resamples)[:, None] * n_clusters
    counts = np.bincount(drawn.ravel(), minlength=n_resamples * n_clusters).reshape(n_resamples, n_clusters)
    return counts.astype(np.float64)[:, cluster]


def resample_clusters(
    patients: Sequence[Hashable] | npt.NDArray[Any] | None, n: int
) -> tuple[npt.NDArray[np.intp], int]:
    """Each row's cluster number (n,) and how many clusters there are; None: every row its own."""
    if patients is None:
        return np.arange(n), n
    if len(patients) != n:
        raise StatsError(f"unequal lengths: patients {len(patients)}, rows {n}")
    numbers: dict[Hashable, int] = {}
    cluster = np.asarray([numbers.setdefault(patient, len(numbers)) for patient in patients], dtype=np.intp)
    return cluster, len(numbers)


def _replicates(
    metric: Callable[..., Any],
    arrays: list[npt.NDArray[Any]],
    cluster: npt.NDArray[np.intp],
    n_clusters: int,
    n_resamples: int,
    seed: int,
    vectorized: bool,
) -> FloatArray:
    rng = np.random.default_rng(seed)
    out = np.empty(n_resamples)
    step = max(1, _CHUNK // max(cluster.size, n_clusters))
    for start in range(0, n_resamples, step):
        stop = min(start + step, n_resamples)
        weights = resample_weights(cluster, n_clusters, stop - start, rng)
        if vectorized:
            out[start:stop] = metric(*arrays, weights)
            continue
        for row, counts in enumerate(weights.astype(np.intp), start=start):
            rows = np.repeat(np.arange(cluster.size), counts)
            out[row] = metric(*(array[rows] for array in arrays))
    return out
