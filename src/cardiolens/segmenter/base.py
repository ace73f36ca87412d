"""The base of the ventricle as people draw it: `whole_at_the_base`.

A short-axis plane that the mitral plane crosses shows ventricle on one side and atrium on the other, and so the anatomy
labels it.  People see a horseshoe of muscle: where it goes round far enough they draw the whole ring's inside as left
ventricle, else nothing.  What that inside is, the next plane of the stack tells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiolens.segmentation import STRUCTURES

Labels = npt.NDArray[np.uint8]
_LV, _MUSCLE, _LA = (STRUCTURES[name] for name in ("LV cavity", "LV myocardium", "LA"))
_ENOUGH = 0.42
"""Share of the next plane's ventricle that must be seen; "half the circumference" is the usual rule for muscle."""


def whole_at_the_base(labels: Labels) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """Draw planes that the valve cuts as people do.

    Args:
        labels: (slice, time, row, col) of a short-axis stack.

    Returns:
        Labels in which such a plane holds all of its ventricle or none, and (slice, time) where that was done.
    """
    cut = _cut_by_the_valve(labels)
    out = labels.copy()
    size = np.isin(labels, (_LV, _MUSCLE)).sum((2, 3))
    for k, t in np.argwhere(cut):
        beside = [other for other in (k - 1, k + 1) if 0 <= other < len(labels) and not cut[other, t]]
        next_plane = max(beside, key=lambda other: size[other, t], default=None)
        frame = out[k, t]
        seen = np.isin(frame, (_LV, _MUSCLE))
        if next_plane is None or seen.sum() < _ENOUGH * max(int(size[next_plane, t]), 1):
            frame[seen] = 0
            continue
        inside = (_hull(seen) | (labels[next_plane, t] == _LV)) & np.isin(frame, (0, _LV, _LA))
        frame[inside] = _LV
    return out, cut


def _cut_by_the_valve(labels: Labels) -> npt.NDArray[np.bool_]:
    """(slice, time): the left ventricle shares the frame with a left atrium that touches it."""
    cavity, atrium = labels == _LV, labels == _LA
    cross = ndimage.generate_binary_structure(2, 1)[None, None]
    touching = (ndimage.binary_dilation(cavity, cross, iterations=2) & atrium).sum((2, 3))
    return np.asarray(touching > 0.15 * np.sqrt(cavity.sum((2, 3)) + 1.0))


def _hull(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """All pixels within the convex hull of a mask."""
    from scipy.spatial import ConvexHull, QhullError

    points = np.argwhere(mask)
    try:
        hull = ConvexHull(points)
    except QhullError:  # a line of pixels
        return mask
    low, high = points.min(0), points.max(0) + 1
    grid = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
    inside = np.all(grid @ hull.equations[:, :2].T + hull.equations[:, 2] <= 1e-9, axis=-1)
    out = np.zeros_like(mask)
    out[low[0] : high[0], low[1] : high[1]] = inside
    return out
