"""The limits of a domain reference: from distances of clips to a study's score and, in plain words, its reasons.

In numpy, so that a study is judged alike by every engine; `models.domain` fits the limits and gives the distances.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import CheckpointError
from cardiolens.models.look_names import PLAIN, STATISTICS, Statistic
from cardiolens.study import View

Values = npt.NDArray[np.float32]
MIN_STUDIES = 10
_TINY = np.float32(1e-6)
_VIEWS = tuple(View)


def row_of(view: View) -> int:
    """Row of a view in the tables; row 0 is of all views together."""
    return 1 + _VIEWS.index(view)


@dataclass(frozen=True, eq=False)
class DomainLimits:
    """Tables with a row for all views together, then one a view.

    Attributes:
        limits: (row, 2) usual distance of a clip: look, embedding.
        cutoff: (row, 2) limit of a study, of a single clip.
        low, high: (row, statistic) range of the image statistics of reference studies.
        counts: (1 + row,) studies of the fit, then those held out by row.
    """

    limits: Values
    cutoff: Values
    low: Values
    high: Values
    counts: Values

    @property
    def threshold(self) -> float:
        """Score above which a study is out of domain, 1; `CheckpointError` where nothing was fitted."""
        if not np.isfinite(self.cutoff).all():
            raise CheckpointError("this domain reference was never fitted; load trained weights or call fit")
        return 1.0

    def unsure_of(self, views: Iterable[View]) -> list[View]:
        """Those of the views that fewer than ten held-out studies had, so that they are held to all views' limits."""
        return [view for view in dict.fromkeys(views) if self.counts[1 + row_of(view)] < MIN_STUDIES]

    def scaled(self, distances: Values, views: Sequence[View]) -> Values:
        """(clip, 2): the distances over what is usual in the view of each clip."""
        if len(views) != len(distances):
            raise ValueError(f"one view a clip, got {len(views)} views for {len(distances)} clips")
        found: Values = distances / self.limits[[row_of(view) for view in views]]
        return found

    def score(self, distances: Values, views: Sequence[View]) -> Values:
        """Score of each clip by itself, (clip,): above 1 for few single clips of in-domain studies."""
        found: Values = self.scaled(distances, views).max(1) / self.cutoff[[row_of(view) for view in views], 1]
        return found

    def study_score(self, distances: Values, views: Sequence[View]) -> float:
        """Score of a study from the distances (clip, 2) of all its clips; compare with `threshold`."""
        return float(self._study(distances, views).max())

    def _study(self, distances: Values, views: Sequence[View]) -> Values:
        """(2,): the study's look and embedding in units of the limit.

        The limit is that of the only view; of several, the greater of that for whole studies and that of the view
        with the most clips, which decides the median.
        """
        found = Counter(views)
        rows = [row_of(view) for view, count in found.items() if count == max(found.values())]
        limit = self.cutoff[rows if len(found) == 1 else [0, *rows], 0].max()
        share: Values = _median(self.scaled(distances, views)) / limit
        return share

    def reasons(self, look: Values, distances: Values, views: Sequence[View], most: int = 6) -> list[str]:
        """In plain words, the measured properties of a study outside the range of the reference studies.

        The farthest outside first; empty when the study is in domain.

        Args:
            look: (clip, statistic), see `STATISTICS`.
            distances: (clip, 2).
        """
        by_look, by_embedding = self._study(distances, views).tolist()
        if max(by_look, by_embedding) <= self.threshold:
            return []
        row = row_of(views[0]) if len(set(views)) == 1 else 0
        low, high = self.low[row], self.high[row]
        middle = _median(look.astype(np.float32, copy=False))
        beyond = np.maximum(low - middle, middle - high) / np.maximum(high - low, _TINY)
        plain = beyond[: len(PLAIN)]
        plain[plain > 0] += max(beyond.max(), np.float32(0))  # what anyone can see goes first
        lines = [
            _outside(STATISTICS[i], float(middle[i]), float(low[i]), float(high[i]))
            for i in np.argsort(-beyond, kind="stable")[: most - (by_look > self.threshold)].tolist()
            if beyond[i] > 0
        ]
        if by_look > self.threshold:
            lines.append(f"grey levels, noise, texture and motion taken together: {by_look:.1f} times the limit")
        if by_embedding > self.threshold:
            lines.append(
                f"the network's own description of the images is {by_embedding:.1f} times as far off as its limit"
            )
        return lines


def _median(values: npt.NDArray[Any]) -> Values:
    """Of each column, the lower one of an even number; NaN where there is a NaN."""
    middle: Values = np.sort(values, axis=0)[(len(values) - 1) // 2]
    return np.where(np.isnan(values).any(0), np.float32(np.nan), middle)


def _outside(statistic: Statistic, value: float, low: float, high: float) -> str:
    side = "below" if value < low else "above"
    if statistic.log:
        value, low, high = math.exp(value), math.exp(low), math.exp(high)
    return f"{statistic.words}: {value:.2g}, {side} the {low:.2g} to {high:.2g} of reference studies"
