"""End-diastole and end-systole, found from the volume curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardiolens.study import FloatArray

_OFF = 0.3  # of the curve's range: how far a phase may lie from both its neighbours
_ENOUGH = 10  # phases from which on a single outlier can be told from end-systole


@dataclass(frozen=True)
class HeartPhases:
    """Phase numbers from 0.  `es` is None where one phase alone was drawn; `outliers` were not considered."""

    ed: int
    es: int | None
    outliers: tuple[int, ...] = ()


def find_phases(values: FloatArray) -> HeartPhases:
    """The phases of the largest and the smallest volume, wherever in the beat they lie.

    End-diastole is often the last phase of a cine, not the first.  A single phase far off both its neighbours is left
    out, where there are ten phases or more: fewer do not show whether a low phase is an error or end-systole.

    Args:
        values: (time,) volume in any unit, NaN at phases that were not drawn; the first phase follows the last.

    Raises:
        ValueError: no phase drawn at all.
    """
    drawn = np.flatnonzero(~np.isnan(values))
    if len(drawn) == 0:
        raise ValueError("no phase of the curve has a volume")
    if len(drawn) == 1:
        return HeartPhases(int(drawn[0]), None)
    kept = values[drawn]
    off = outlying(kept)
    left = np.where(off, np.nan, kept)
    ed, es = int(drawn[np.nanargmax(left)]), int(drawn[np.nanargmin(left)])
    return HeartPhases(ed, es, tuple(int(i) for i in drawn[off]))


def outlying(curve: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(time,) phases off both neighbours, on the same side, by more than 0.3 of the range that the others span.

    The cycle is closed.  Of two neighbours that are both off, the one that is further off is the error.
    """
    n = len(curve)
    out = np.zeros(n, dtype=np.bool_)
    if n < _ENOUGH:
        return out
    before, after = np.roll(curve, 1), np.roll(curve, -1)
    low = np.minimum(before, after) - curve
    high = curve - np.maximum(before, after)
    beyond = np.maximum(low, high)
    middle = np.median(np.stack([before, curve, after]), axis=0)
    limit = _OFF * float(np.ptp(middle))
    off = beyond > max(limit, 1e-9)
    for i in np.flatnonzero(off):
        out[i] = beyond[i] >= max(beyond[i - 1], beyond[(i + 1) % n])
    return out


def roughness(curve: FloatArray) -> float:
    """Way that the closed curve goes up and down, over twice its range: 1 for one fall and one rise, more for noise."""
    span = float(np.ptp(curve))
    if span == 0.0:
        return 1.0
    return float(np.abs(np.diff(np.r_[curve, curve[:1]])).sum() / (2.0 * span))
