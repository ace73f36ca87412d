"""Planes of unequal phases brought to one count, linearly in time and always said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiolens.dicom.series import Plane

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Resampling:
    """Phase j of the result is `(1 - weight[j]) * frames[left[j]] + weight[j] * frames[right[j]]`."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    weight: tuple[float, ...]


@dataclass(frozen=True)
class TimedPlane:
    """A plane with the phases it gives: its own when `resampling` is None."""

    plane: Plane
    resampling: Resampling | None
    times_ms: tuple[float, ...] | None


def common_count(planes: Sequence[Plane]) -> int:
    """The phase count most planes were acquired with (holes counted); of equally frequent ones the larger.

    Planes with fewer than half the phases of the fullest one have no say: they are stray images, not cines.
    """
    expected = [plane.expected_phases() for plane in planes]
    counts = Counter(count for count in expected if count * 2 >= max(expected))
    return max(counts, key=lambda count: (counts[count], count))


def to_count(plane: Plane, count: int) -> TimedPlane | None:
    """A plane brought to `count` phases; None when it has fewer than half of them.

    A plane that lost images keeps its beat: the new times are its own even grid with the holes filled.  A plane that
    was acquired with another count has its cycle divided anew.  Times before the first and after the last image wrap
    to the other end of the beat.
    """
    n = plane.n_phases
    if n == count and plane.expected_phases() == count:
        return TimedPlane(plane, None, plane.times_ms)
    if n * 2 < count or n == 1:
        return None
    axis: FloatArray = np.array(plane.axis, dtype=np.float64)
    step = float(np.median(np.diff(axis)))
    expected = plane.expected_phases()
    lost = n < count and expected <= count and _has_lost_images(plane, count, step)
    beat = step * (count if lost else expected)
    start = float(axis[0]) if not lost else _grid_start(axis, step, count - expected, plane.axis_name)
    grid: FloatArray = start + np.arange(count, dtype=np.float64) * (beat / count)
    times = tuple(float(t) for t in grid) if plane.times_ms else None
    return TimedPlane(plane, _weights(axis, grid, beat), times)


def _has_lost_images(plane: Plane, count: int, step: float) -> bool:
    """Whether the plane was acquired with `count` phases and lost some, rather than acquired with fewer.

    CardiacNumberOfImages says so, or the R-R interval does (it is the step between images times their number), or
    holes in the time axis; with none of these at most two missing images count as lost.
    """
    numbers = plane.frames[0].file.numbers
    declared = numbers.get("CardiacNumberOfImages", 0)
    if declared in (count, plane.n_phases):
        return declared == count
    interval = numbers.get("NominalInterval", 0.0)
    if interval > 0 and plane.times_ms:
        return abs(step * count - interval) < abs(step * plane.n_phases - interval)
    return plane.expected_phases() > plane.n_phases or count - plane.n_phases <= 2


def _grid_start(axis: FloatArray, step: float, missing_at_ends: int, axis_name: str) -> float:
    """First time of the even grid: earlier than the first image when that one was lost (its delay is over a step)."""
    start = float(axis[0])
    origin = {"TriggerTime": 0.0, "temporal position": 1.0}.get(axis_name)
    if origin is None or missing_at_ends < 1:
        return start
    lost = 0
    while lost < missing_at_ends and start - step >= origin - 0.01 * step:
        start, lost = start - step, lost + 1
    return start


def _weights(axis: FloatArray, grid: FloatArray, beat: float) -> Resampling:
    """Linear weights of `grid` between the times of `axis`, which repeat after `beat`."""
    n = len(axis)
    around = np.concatenate([[axis[-1] - beat], axis, [axis[0] + beat]])
    index = np.concatenate([[n - 1], np.arange(n), [0]])
    if not (np.diff(around) > 0).all():  # the beat is shorter than the images span: no wrap
        around, index = axis, np.arange(n)
    place = np.clip(np.searchsorted(around, grid, side="right") - 1, 0, len(around) - 2)
    weight = np.clip((grid - around[place]) / (around[place + 1] - around[place]), 0.0, 1.0)
    weight[weight < 1e-6] = 0.0
    return Resampling(
        tuple(int(i) for i in index[place]),
        tuple(int(i) for i in index[place + 1]),
        tuple(float(w) for w in weight),
    )
