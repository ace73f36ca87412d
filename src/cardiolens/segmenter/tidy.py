"""What a heart cannot look like is taken out of the labels: second hearts, holes, islands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiolens.segmentation import STRUCTURES

_LV, _MUSCLE = STRUCTURES["LV cavity"], STRUCTURES["LV myocardium"]
_THROUGH = np.zeros((3, 3, 3), dtype=bool)  # (slice, row, col): neighbours within a plane, and straight above
_THROUGH[1] = ndimage.generate_binary_structure(2, 1)
_THROUGH[:, 1, 1] = True


def main_piece(heart: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Of chances (n, row, col) of many frames, those on the largest piece of their sum; all zero where none is sure."""
    total = heart.sum(0)
    if float(heart.max(initial=0.0)) < 0.5:
        return np.zeros_like(heart)
    pieces, n = ndimage.label(total > 0.15 * total.max())
    mass = ndimage.sum_labels(total, pieces, np.arange(1, n + 1))
    near = ndimage.binary_dilation(pieces == 1 + int(np.argmax(mass)), iterations=2)
    return np.asarray(heart * near * (heart > 0.3), dtype=np.float32)


def tidy(labels: npt.NDArray[np.uint8], structures: Sequence[str]) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    """Keep one left ventricle and one piece of every other structure a phase, and fill the holes of the cavity.

    Args:
        labels: (slice, time, row, col).

    Returns:
        The mended labels, and a note where more than 2 % of what was labelled has gone.
    """
    out = np.zeros_like(labels)
    names = [name for name in structures if STRUCTURES[name] not in (_LV, _MUSCLE)]
    for t in range(labels.shape[1]):
        phase = labels[:, t]
        for name in names:
            out[:, t][_largest(phase == STRUCTURES[name])] = STRUCTURES[name]
        ventricle = _largest((phase == _LV) | (phase == _MUSCLE))
        out[:, t][ventricle] = phase[ventricle]
        for plane in out[:, t]:
            cavity = plane == _LV
            if cavity.any():
                plane[ndimage.binary_fill_holes(cavity) & ~cavity] = _LV
    before, dropped = int((labels > 0).sum()), int(((labels > 0) & (out == 0)).sum())
    if dropped > 0.02 * max(before, 1):
        return out, (
            f"{100 * dropped / before:.0f} % of the labelled pixels lay apart from the heart and were dropped",
        )
    return out, ()


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest connected piece of (slice, row, col)."""
    pieces, n = ndimage.label(mask, structure=_THROUGH)
    if n < 2:
        return mask
    return np.asarray(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))
