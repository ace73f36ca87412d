"""What a heart cannot look like is taken out of the labels: second hearts, holes, islands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiolens.measures import muscle_round
from cardiolens.segmentation import STRUCTURES

_LV, _MUSCLE = STRUCTURES["LV cavity"], STRUCTURES["LV myocardium"]
_HALF = 0.5
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


def tidy(
    labels: npt.NDArray[np.uint8], structures: Sequence[str], *, rings: bool = False
) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    """Keep one left ventricle and one piece of every other structure a phase, and fill the holes of its cavity.

    Args:
        labels: (slice, time, row, col).
        rings: short-axis planes, in which a cavity counts where muscle goes at least half of the way round it; the
            others, at the base, are atrium or outflow tract (the usual rule; Schulz-Menger et al., J Cardiovasc Magn
            Reson 2020;22:19).

    Returns:
        The mended labels, and a note where more than 2 % of what was labelled has gone.
    """
    out = np.zeros_like(labels)
    names = [name for name in structures if STRUCTURES[name] not in (_LV, _MUSCLE)]
    for t in range(labels.shape[1]):
        phase = labels[:, t]
        for name in names:
            out[:, t][_largest(phase == STRUCTURES[name])] = STRUCTURES[name]
        cavity = _one_cavity(phase == _LV)
        muscle = _touching(phase == _MUSCLE, cavity)
        if rings and muscle.any():
            for k in np.flatnonzero(cavity.any((1, 2))):
                if muscle_round(cavity[k], muscle[k]) < _HALF:
                    cavity[k] = muscle[k] = False
        out[:, t][muscle] = _MUSCLE
        out[:, t][cavity] = _LV
    before, dropped = int((labels > 0).sum()), int(((labels > 0) & (out == 0)).sum())
    if dropped > 0.02 * max(before, 1):
        share = f"{100 * dropped / before:.0f} %"
        return out, (f"{share} of the labelled pixels were dropped: apart from the heart, or at an open base",)
    return out, ()


def _one_cavity(cavity: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Of the pieces in every plane those that go on from plane to plane: the chain that is largest and roundest.

    Holes are filled.  A piece that lies over nothing of the plane before is none of the ventricle's.
    """
    planes = [_pieces(plane) for plane in cavity]
    best, out = 0.0, np.zeros_like(cavity)
    for start, pieces in enumerate(planes):
        for worth, piece in pieces:
            chain = {start: piece}
            total = worth
            for way in (range(start + 1, len(planes)), range(start - 1, -1, -1)):
                last = piece
                for k in way:
                    over = [(int((other & last).sum()), other_worth, other) for other_worth, other in planes[k]]
                    shared, more, last = max(over, key=lambda each: each[0], default=(0, 0.0, last))
                    if shared == 0:
                        break
                    chain[k] = last
                    total += more
            if total > best:
                best, out = total, np.zeros_like(cavity)
                for k, mask in chain.items():
                    out[k] = mask
    return out


def _pieces(plane: npt.NDArray[np.bool_]) -> list[tuple[float, npt.NDArray[np.bool_]]]:
    """Connected pieces of a plane, filled, each with its worth: area times roundness."""
    found, n = ndimage.label(plane)
    out = []
    for number in range(1, n + 1):
        piece = ndimage.binary_fill_holes(found == number)
        area = float(piece.sum())
        edge = float((piece & ~ndimage.binary_erosion(piece)).sum())
        out.append((area * min(1.0, 4 * np.pi * area / max(edge, 1.0) ** 2), piece))
    return out


def _touching(muscle: npt.NDArray[np.bool_], cavity: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pieces of muscle that touch the cavity of their plane; beyond its ends, those that lie over the cavity there."""
    out = np.zeros_like(muscle)
    for k in range(len(muscle)):
        pieces, _ = ndimage.label(muscle[k] | cavity[k])
        beside = cavity[k] if cavity[k].any() else cavity[max(k - 1, 0) : k + 2].any(0)
        keep = np.unique(pieces[beside & (pieces > 0)])
        out[k] = np.isin(pieces, keep) & muscle[k]
    return out & ~cavity


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest connected piece of (slice, row, col)."""
    pieces, n = ndimage.label(mask, structure=_THROUGH)
    if n < 2:
        return mask
    return np.asarray(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))
