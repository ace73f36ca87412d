"""How well two segmentations agree: Dice and the 95th percentile of the Hausdorff distance.

Dice, Ecology 26:297 (1945).  HD95 follows MONAI's `HausdorffDistanceMetric(percentile=95)`: surface voxels of either
mask, distance of each to the other's surface in mm, the 95th percentile in each direction, the larger of both.

Empty masks: both empty is agreement, Dice 1 and HD95 0; one of them empty is Dice 0, and no distance (NaN), since any
number would be an invention: such cases are counted in `n_undefined`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, distance_transform_edt

from cardiolens.errors import StatsError

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Overlap:
    """Agreement of one structure over many cases.

    Attributes:
        mean_dice, pooled_dice: mean over cases; of all voxels of all cases taken together.
        mean_hd95_mm: over the cases where it is defined; NaN where none is.
        dice, hd95_mm: by case.
        n_undefined: cases with no distance, because one mask alone was empty; n_empty: both were.
    """

    structure: str
    mean_dice: float
    pooled_dice: float
    mean_hd95_mm: float
    dice: tuple[float, ...]
    hd95_mm: tuple[float, ...]
    n_undefined: int
    n_empty: int


def dice(prediction: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Dice of two masks of any one shape, 0 to 1; 1 where both are empty.

    >>> round(dice([1, 1, 0], [1, 0, 0]), 4)
    0.6667
    """
    a, b = _pair(prediction, truth)
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else 2.0 * int((a & b).sum()) / total


def hd95_mm(
    prediction: npt.ArrayLike, truth: npt.ArrayLike, spacing_mm: Sequence[float], *, percentile: float = 95.0
) -> float:
    """Hausdorff distance at a percentile, in mm; 0 where both masks are empty, NaN where one is.

    Args:
        prediction, truth: masks of one shape, 2D or 3D.
        spacing_mm: between voxel centres, one number an axis.

    Raises:
        StatsError: unequal shapes, spacing that does not fit or is not positive.
    """
    a, b = _pair(prediction, truth)
    if len(spacing_mm) != a.ndim or not all(np.isfinite(s) and s > 0 for s in spacing_mm):
        raise StatsError(f"spacing_mm: need {a.ndim} positive numbers, got {tuple(spacing_mm)}")
    if not a.any() and not b.any():
        return 0.0
    if not a.any() or not b.any():
        return float("nan")
    a, b = _cropped(a, b)
    first, second = _surface(a), _surface(b)
    there = distance_transform_edt(~second, sampling=spacing_mm)[first]
    back = distance_transform_edt(~first, sampling=spacing_mm)[second]
    return float(max(np.percentile(there, percentile), np.percentile(back, percentile)))


def overlap_of(
    predictions: Sequence[npt.NDArray[Any]],
    truths: Sequence[npt.NDArray[Any]],
    spacings_mm: Sequence[Sequence[float] | None],
    structures: Mapping[str, int],
) -> dict[str, Overlap]:
    """Dice and HD95 by structure over cases of label maps.

    Args:
        predictions, truths: label maps, each pair of one shape (2D or 3D); cases may differ in shape.
        spacings_mm: one a case; None where it is unknown: such a case has a Dice and no distance.
        structures: name to label, as `cardiolens.segmentation.STRUCTURES`.

    Raises:
        StatsError: unequal numbers of cases or shapes, no case at all.
    """
    if not len(predictions) == len(truths) == len(spacings_mm) or not predictions:
        raise StatsError(
            f"overlap: {len(predictions)} predictions, {len(truths)} truths, {len(spacings_mm)} spacings; "
            "give as many of each, and one case at least"
        )
    return {name: _structure(name, value, predictions, truths, spacings_mm) for name, value in structures.items()}


def _structure(
    name: str,
    value: int,
    predictions: Sequence[npt.NDArray[Any]],
    truths: Sequence[npt.NDArray[Any]],
    spacings_mm: Sequence[Sequence[float] | None],
) -> Overlap:
    scores, distances, both, sizes, empty = [], [], 0, 0, 0
    for predicted, true, spacing in zip(predictions, truths, spacings_mm, strict=True):
        a, b = _pair(np.asarray(predicted) == value, np.asarray(true) == value)
        scores.append(dice(a, b))
        distances.append(float("nan") if spacing is None else hd95_mm(a, b, spacing))
        both += int((a & b).sum())
        sizes += int(a.sum()) + int(b.sum())
        empty += not a.any() and not b.any()
    far = np.array(distances, dtype=np.float64)
    known = far[~np.isnan(far)]
    return Overlap(
        name,
        float(np.mean(scores)),
        1.0 if sizes == 0 else 2.0 * both / sizes,
        float(known.mean()) if known.size else float("nan"),
        tuple(scores),
        tuple(far.tolist()),
        int(np.isnan(far).sum()),
        empty,
    )


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[BoolArray, BoolArray]:
    a, b = np.asarray(first).astype(bool), np.asarray(second).astype(bool)
    if a.shape != b.shape:
        raise StatsError(f"masks of unequal shape: {a.shape} and {b.shape}")
    return a, b


def _cropped(a: BoolArray, b: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Both in the smallest box that holds them: distances are the same and sooner known."""
    at = np.argwhere(a | b)
    box = tuple(slice(int(low), int(high) + 1) for low, high in zip(at.min(0), at.max(0), strict=True))
    return a[box], b[box]


def _surface(mask: BoolArray) -> BoolArray:
    return np.asarray(mask & ~binary_erosion(mask))
