"""Volume curves of a stack of planes: areas times slabs, summed (disc summation, "Simpson's method" of CMR).

Each plane stands for the slab half-way to its neighbours, at the planes' true positions; the outermost planes of the
stack reach as far outwards as half the usual step.  A missing plane's slab so goes to both its neighbours.  The sum
counts whole slabs: a plane through the tip of the ventricle counts as if the tip went on half a step, one just beyond
it counts nothing, which evens out over where the planes happen to lie.  Schulz-Menger et al., J Cardiovasc Magn Reson
2020;22:19.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from cardiolens.errors import GeometryError
from cardiolens.segmentation import Segmentation
from cardiolens.study import Cine, FloatArray

_COUNTED: WeakKeyDictionary[Segmentation, dict[str, npt.NDArray[np.int64]]] = WeakKeyDictionary()


def counts_of(segmentation: Segmentation, structure: str) -> npt.NDArray[np.int64]:
    """`segmentation.counts(structure)`, counted once: a stack has tens of millions of voxels."""
    counted = _COUNTED.setdefault(segmentation, {})
    if structure not in counted:
        counted[structure] = segmentation.counts(structure)
    return counted[structure]


@dataclass(frozen=True, eq=False)
class VolumeCurve:
    """Volume of a structure over the phases.

    Attributes:
        values: (time,); NaN at phases that nobody drew.
        unit: "ml", or "voxels" where lengths are unknown: then only ratios mean anything.
        bridged: (slice, phase) of planes inside the structure that were empty and took the area between their
            neighbours'.
    """

    values: FloatArray
    unit: str
    bridged: tuple[tuple[int, int], ...] = ()

    @property
    def drawn(self) -> npt.NDArray[np.bool_]:
        """(time,) where there is a volume."""
        return ~np.isnan(self.values)


def slabs_mm(cine: Cine) -> FloatArray:
    """Thickness (slice,) of heart that each plane stands for.

    Raises:
        GeometryError: unknown positions, or a single plane.
    """
    at = cine.slice_positions_mm
    if at is None or cine.n_slices < 2:
        raise GeometryError(f"{cine.source}: a volume needs a stack of planes with known positions")
    steps = np.diff(at)
    usual = float(np.median(steps))
    return np.asarray((np.r_[usual, steps] + np.r_[steps, usual]) / 2.0)


def volume_curve(segmentation: Segmentation, structure: str, *, within: str | None = None) -> VolumeCurve:
    """Volume of a structure at every phase, in ml where the cine knows lengths, else in voxels of equal planes.

    Args:
        structure: of `segmentation.structures`.
        within: a second structure that shows where the heart is: an empty plane between others is taken for a gap only
            where this is absent too (the cavity of a plane that closes in systole is truly empty).
    """
    cine = segmentation.cine
    counts, bridged = _bridged(segmentation, structure, within)
    try:
        row, col = cine.require_spacing_mm("a volume")
        weights, unit = slabs_mm(cine) * row * col / 1000.0, "ml"
    except GeometryError:
        at = cine.slice_positions_mm
        weights = slabs_mm(cine) / np.median(np.diff(at)) if at is not None and len(at) > 1 else np.ones(cine.n_slices)
        unit = "voxels"
    values = np.asarray(weights @ counts, dtype=np.float64)
    values[~drawn_phases(segmentation, structure, within)] = np.nan
    return VolumeCurve(values, unit, bridged)


def drawn_phases(segmentation: Segmentation, structure: str, within: str | None = None) -> npt.NDArray[np.bool_]:
    """(time,) phases in which somebody drew the structure (or, where it may vanish, `within`)."""
    found = counts_of(segmentation, structure).sum(0) > 0
    if within is not None and within in segmentation.structures:
        found = found | (counts_of(segmentation, within).sum(0) > 0)
    return np.asarray(found)


def _bridged(
    segmentation: Segmentation, structure: str, within: str | None
) -> tuple[FloatArray, tuple[tuple[int, int], ...]]:
    """Counts (slice, time) with gaps filled from the planes on both sides, linearly by position."""
    counts = counts_of(segmentation, structure).astype(np.float64)
    there = counts > 0
    if within is not None and within in segmentation.structures:
        there = there | (counts_of(segmentation, within) > 0)
    at = segmentation.cine.slice_positions_mm
    at = np.arange(len(counts), dtype=np.float64) if at is None else at
    bridged = []
    for phase in range(counts.shape[1]):
        held = np.flatnonzero(there[:, phase])
        if len(held) < 2:
            continue
        inside = np.arange(held[0], held[-1] + 1)
        empty = inside[~there[inside, phase]]
        counts[empty, phase] = np.interp(at[empty], at[held], counts[held, phase])
        bridged += [(int(k), phase) for k in empty]
    return counts, tuple(bridged)
