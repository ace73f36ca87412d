"""A figure in each subgroup (sex, age, scanner), against the rest, and whether the groups differ at all.

All limits come from one bootstrap that draws patients, so that differences are taken between groups of one and the same
resample.  The test over all groups is Wald's, with the covariance of those resamples: metric equal in every group.
Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993); Wald, Trans. Am. Math. Soc. 54:426 (1943).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from cardiolens.errors import StatsError
from cardiolens.stats import weighted
from cardiolens.stats.bootstrap import resample_clusters, resample_weights
from cardiolens.stats.inputs import FloatArray, fraction, same_length

_NAN = float("nan")
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Subgroup:
    """One group.  `difference` is this group minus the rest, NaN with its limits where either has no figure.

    `refused` says why there is no figure (too few cases, one class only); the group is counted all the same.
    """

    name: str
    n: int
    n_patients: int
    value: float
    low: float
    high: float
    rest: float
    difference: float
    difference_low: float
    difference_high: float
    refused: str = ""


@dataclass(frozen=True)
class SubgroupTable:
    """Groups in falling size.  `interaction_p`: chance of such differences were the metric equal in every group; NaN
    where fewer than two groups have a figure, and `interaction_note` then says so.  `n_unknown` rows have no group."""

    metric: str
    groups: tuple[Subgroup, ...]
    interaction_p: float
    interaction_note: str
    n_unknown: int
    level: float

    def __getitem__(self, name: str) -> Subgroup:
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(f"{name!r}; the groups are {', '.join(group.name for group in self.groups)}")


def subgroup_table(
    metric: str,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    groups: Sequence[Any] | npt.NDArray[Any],
    patients: Sequence[Hashable] | npt.NDArray[Any] | None = None,
    minimum: int = 10,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> SubgroupTable:
    """A metric by group.

    Args:
        metric: name in `cardiolens.stats.weighted.BY_NAME`.
        first, second: its columns (n,): predictions and labels ("mae", "bias"), or labels 0/1 and scores ("auroc").
        groups: (n,) names; None, NaN and "" are unknown.
        patients: (n,) whose row it is; None takes every row as its own.
        minimum: patients below which a group gets no figure.

    Raises:
        StatsError: unknown metric, unequal lengths, NaN.
    """
    if metric not in weighted.BY_NAME:
        raise StatsError(f"unknown metric {metric!r}; known: {', '.join(weighted.BY_NAME)}")
    columns = [np.asarray(column, dtype=np.float64) for column in (first, second)]
    n = same_length(first=columns[0], second=columns[1], groups=np.asarray(groups, dtype=object))
    if any(np.isnan(column).any() for column in columns):
        raise StatsError("a column holds NaN; leave such rows out")
    if metric in ("auroc", "average_precision", "brier"):
        columns[0] = columns[0] == 1
    fraction(level, "level")
    names = ["" if _unknown(group) else str(group) for group in groups]
    cluster, n_clusters = resample_clusters(patients, n)
    sheet = _Sheet(metric, columns, np.array(names, dtype=object), cluster, n_clusters)
    found = {name: sheet.members(name) for name in sorted(set(names) - {""})}
    found = dict(sorted(found.items(), key=lambda item: -int(item[1].sum())))
    refused = {name: sheet.refusal(mask, minimum) for name, mask in found.items()}
    usable = [name for name in found if not refused[name]]
    drawn = sheet.draws([found[name] for name in usable], n_resamples, seed)
    rows = []
    for name, mask in found.items():
        place = usable.index(name) if name in usable else None
        rows.append(sheet.row(name, mask, refused[name], None if place is None else drawn[place], level, minimum))
    p, note = _interaction([row.value for row in rows if not row.refused], [pair[0] for pair in drawn])
    return SubgroupTable(metric, tuple(rows), p, note, names.count(""), level)


@dataclass(frozen=True, eq=False)
class _Sheet:
    metric: str
    columns: list[npt.NDArray[Any]]
    names: npt.NDArray[Any]
    cluster: npt.NDArray[np.intp]
    n_clusters: int

    def members(self, name: str) -> npt.NDArray[np.bool_]:
        mask: npt.NDArray[np.bool_] = self.names == name
        return mask

    def patients(self, mask: npt.NDArray[np.bool_]) -> int:
        return int(np.unique(self.cluster[mask]).size)

    def point(self, mask: npt.NDArray[np.bool_]) -> float:
        return float(self.figure(mask, np.ones((1, self.names.size)))[0])

    def figure(self, mask: npt.NDArray[np.bool_], weights: FloatArray) -> FloatArray:
        """(resamples,) of the metric among the rows of the mask; NaN where undefined."""
        if not mask.any():
            return np.full(len(weights), _NAN)
        with np.errstate(divide="ignore", invalid="ignore"):
            return weighted.BY_NAME[self.metric](*(column[mask] for column in self.columns), weights[:, mask])

    def refusal(self, mask: npt.NDArray[np.bool_], minimum: int) -> str:
        count = self.patients(mask)
        if count < minimum:
            return f"{count} patients, fewer than {minimum}"
        if np.isnan(self.point(mask)):
            return "undefined here: one class only, or all values equal"
        return ""

    def draws(self, masks: list[npt.NDArray[np.bool_]], n_resamples: int, seed: int) -> list[tuple[FloatArray, ...]]:
        """For each group the metric in it and in the rest, (resamples,) each."""
        rng = np.random.default_rng(seed)
        known = self.names != ""
        parts: list[list[tuple[FloatArray, FloatArray]]] = [[] for _ in masks]
        step = max(1, _CHUNK // max(self.names.size, 1))
        for start in range(0, n_resamples, step):
            weights = resample_weights(self.cluster, self.n_clusters, min(step, n_resamples - start), rng)
            for place, mask in enumerate(masks):
                parts[place].append((self.figure(mask, weights), self.figure(known & ~mask, weights)))
        return [tuple(np.concatenate(column) for column in zip(*part, strict=True)) for part in parts]

    def row(
        self,
        name: str,
        mask: npt.NDArray[np.bool_],
        refused: str,
        drawn: tuple[FloatArray, ...] | None,
        level: float,
        minimum: int,
    ) -> Subgroup:
        n, n_patients = int(mask.sum()), self.patients(mask)
        if drawn is None:
            return Subgroup(name, n, n_patients, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, refused)
        value, others = self.point(mask), (self.names != "") & ~mask
        rest = self.point(others) if self.patients(others) >= minimum else _NAN
        low, high = _limits(drawn[0], level)
        if np.isnan(rest):
            return Subgroup(name, n, n_patients, value, low, high, _NAN, _NAN, _NAN, _NAN)
        of_difference = _limits(drawn[0] - drawn[1], level)
        return Subgroup(name, n, n_patients, value, low, high, rest, value - rest, *of_difference)


def _unknown(group: Any) -> bool:
    return group is None or group == "" or (isinstance(group, float) and np.isnan(group))


def _limits(drawn: FloatArray, level: float) -> tuple[float, float]:
    """Percentile limits; none where half of the resamples are undefined."""
    defined = drawn[~np.isnan(drawn)]
    if defined.size < drawn.size / 2:
        return _NAN, _NAN
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _interaction(values: list[float], drawn: list[FloatArray]) -> tuple[float, str]:
    if len(values) < 2:
        return _NAN, "fewer than two groups have a figure"
    table = np.array(drawn)
    table = table[:, ~np.isnan(table).any(axis=0)]
    if table.shape[1] < 100:
        return _NAN, "too few resamples have a figure in every group"
    contrast = np.eye(len(values))[1:] - np.eye(len(values))[0]
    gap, spread = contrast @ np.array(values), contrast @ np.cov(table) @ contrast.T
    if np.linalg.matrix_rank(spread) < len(gap):
        return _NAN, "the figures do not vary over the resamples (such as an AUROC of 1)"
    return float(chi2.sf(float(gap @ np.linalg.solve(spread, gap)), len(gap))), ""
