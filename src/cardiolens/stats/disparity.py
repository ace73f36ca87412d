"""Whether a figure reaches a threshold as often in one group as in all others: the disparity ratio.

CineMA (Fu et al. 2025, section 4.14): at percentile q of a figure, the share above it in one group over the share above
it in the rest; 1 is parity.  Limits by bootstrap, drawing persons within each group anew, the threshold held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import StatsError
from cardiolens.stats.inputs import fraction, numbers


@dataclass(frozen=True)
class Disparity:
    """One threshold.  `share`, `share_rest`: above it in the group and in the rest; NaN ratio where the rest has none.

    `percentile` is None where the threshold was given itself.
    """

    percentile: float | None
    threshold: float
    share: float
    share_rest: float
    ratio: float
    low: float
    high: float
    n: int
    n_rest: int
    n_undefined: int


def disparity_ratios(
    values: npt.ArrayLike,
    groups: Sequence[Any] | npt.NDArray[Any],
    *,
    group: str,
    percentiles: Sequence[float] = (10, 25, 50, 75, 90),
    thresholds: Sequence[float] = (),
    n_resamples: int = 100,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Disparity, ...]:
    """Disparity ratio of `group` against all others at percentiles of all values, then at given thresholds.

    Args:
        values: (n,) figures.
        groups: (n,) names; None, NaN and "" are unknown and left out.

    Raises:
        StatsError: NaN among the values, a group that is not there or is alone, percentiles outside 0 to 100.
    """
    column = numbers(values, "values")
    names = np.array(["" if _unknown(g) else str(g) for g in groups], dtype=object)
    if len(names) != len(column):
        raise StatsError(f"unequal lengths: values {len(column)}, groups {len(names)}")
    fraction(level, "level")
    if any(not 0 < q < 100 for q in percentiles):
        raise StatsError(f"percentiles must lie between 0 and 100, got {list(percentiles)}")
    column, names = column[names != ""], names[names != ""]
    mine, rest = column[names == group], column[names != group]
    if not len(mine) or not len(rest):
        there = ", ".join(sorted(set(names.tolist()))) or "none"
        raise StatsError(f"disparity: needs rows of group {group!r} and of another; the groups are {there}")
    levels = [(q, float(np.percentile(column, q))) for q in percentiles] + [(None, float(t)) for t in thresholds]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(mine), (n_resamples, len(mine))), rng.integers(0, len(rest), (n_resamples, len(rest)))
    out = []
    for percentile, threshold in levels:
        above, above_rest = mine > threshold, rest > threshold
        share, share_rest = float(above.mean()), float(above_rest.mean())
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = above[drawn[0]].mean(1) / above_rest[drawn[1]].mean(1)
        known = ratios[np.isfinite(ratios)]
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.quantile(known, tails) if known.size >= n_resamples / 2 else (np.nan, np.nan)
        ratio = share / share_rest if share_rest > 0 else float("nan")
        out.append(
            Disparity(
                None if percentile is None else float(percentile), threshold, share, share_rest, ratio,
                float(low), float(high), len(mine), len(rest), n_resamples - known.size,
            )
        )  # fmt: skip
    return tuple(out)


def _unknown(group: Any) -> bool:
    return group is None or group == "" or (isinstance(group, float) and np.isnan(group))
