"""Whether predicted probabilities mean what they say: Brier score, expected calibration error, reliability curve.

Sources: Brier, Monthly Weather Review 78:1 (1950); Guo et al., On Calibration of Modern Neural Networks, ICML 2017,
eq. 3, for the expected calibration error over bins of equal width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cardiolens.errors import StatsError
from cardiolens.stats import weighted
from cardiolens.stats.inputs import FloatArray, binary, numbers, same_length
from cardiolens.stats.proportions import Proportion, proportion


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin [low, high): mean predicted probability, and the observed share of positives with Wilson limits."""

    low: float
    high: float
    predicted: float
    observed: Proportion


@dataclass(frozen=True)
class Calibration:
    """`ece` in [0, 1]; `in_the_large` is mean prediction minus prevalence; `bins` leaves out the empty ones."""

    brier: float
    ece: float
    in_the_large: float
    bins: tuple[ReliabilityBin, ...]
    n: int


def calibration(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    n_bins: int = 10,
    strategy: Literal["uniform", "quantile"] = "uniform",
    level: float = 0.95,
) -> Calibration:
    """Calibration of probabilities (n,) in [0, 1] against labels 0/1, over bins of equal width or of equal size.

    Raises StatsError where scores are no probabilities (logits, percent).
    """
    positive, p = binary(labels), numbers(probabilities, "probabilities")
    same_length(labels=positive, probabilities=p)
    if p.min() < 0 or p.max() > 1:
        raise StatsError(f"probabilities: must lie in [0, 1], found {p.min():.4g} to {p.max():.4g}")
    edges = _edges(p, n_bins, strategy)
    place = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, edges.size - 2)
    bins = []
    for number in np.unique(place):
        inside = place == number
        observed = proportion(int(positive[inside].sum()), int(inside.sum()), level=level)
        bins.append(ReliabilityBin(float(edges[number]), float(edges[number + 1]), float(p[inside].mean()), observed))
    ece = sum(b.observed.n * abs(b.predicted - b.observed.value) for b in bins) / p.size
    brier = float(weighted.brier(positive, p, np.ones(p.size)))
    return Calibration(brier, float(ece), float(p.mean() - positive.mean()), tuple(bins), p.size)


def _edges(p: FloatArray, n_bins: int, strategy: str) -> FloatArray:
    if n_bins < 1:
        raise StatsError(f"n_bins: must be at least 1, got {n_bins}")
    if strategy == "uniform":
        return np.linspace(0.0, 1.0, n_bins + 1)
    if strategy == "quantile":
        edges: FloatArray = np.unique(np.quantile(p, np.linspace(0.0, 1.0, n_bins + 1)))
        return edges if edges.size > 1 else np.array([edges[0], np.nextafter(edges[0], 2.0)])
    raise StatsError(f"unknown strategy {strategy!r}; known: uniform, quantile")
