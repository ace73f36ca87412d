"""Muscle grown into the ventricles: papillary muscles, trabeculae and the rim that they make when the heart is small.

The phantom's papillary muscles are few and thin.  People count this muscle as blood, and so do the masks; a network
that has seen little of it cuts it out.  It is the same muscle in every phase: what it takes of the plane stays nearly
constant, so that it is a rim at end-diastole and may fill most of a cavity at end-systole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiolens.segmentation import STRUCTURES

Frame = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
_MUSCLE = STRUCTURES["LV myocardium"]
_SIDES = ((STRUCTURES["LV cavity"], 0.85), (STRUCTURES["RV cavity"], 0.6))  # and how often muscle grows there
_LEAST = 12  # pixels of muscle by which to tell how dark it is


@dataclass(frozen=True)
class _Growth:
    """What grows in one ventricle, in shares of its largest radius: (n,) angles, heights and widths of pillars, the
    thickness of the rim, the height of fingers with their counts and phases, and how dark and how sharp all is."""

    angles: npt.NDArray[np.float64]
    heights: npt.NDArray[np.float64]
    widths: npt.NDArray[np.float64]
    rim: float
    fingers: float
    counts: npt.NDArray[np.int64]
    starts: npt.NDArray[np.float64]
    depth: float
    sharp: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Growth:
        n = int(rng.integers(0, 5))
        return cls(
            rng.uniform(0, 2 * np.pi, n),
            rng.uniform(0.08, 0.45, n),
            rng.uniform(0.1, 0.4, n),
            float(rng.uniform(0.0, 0.17)) * float(rng.random() < 0.8),
            float(rng.uniform(0.0, 0.14)) * float(rng.random() < 0.6),
            rng.integers(4, 17, 3),
            rng.uniform(0, 2 * np.pi, 3),
            float(rng.uniform(0.6, 1.0)),
            float(rng.uniform(0.6, 2.5)),
        )

    def reach(self, angle: Frame, radius: float, largest: float) -> Frame:
        """How far (pixels) muscle reaches inwards at each angle of a cavity of this radius."""
        small = largest / max(radius, 0.2 * largest)
        out = np.full_like(angle, self.rim * small)
        for middle, height, width in zip(self.angles, self.heights, self.widths, strict=True):
            off = np.abs((angle - middle + np.pi) % (2 * np.pi) - np.pi)
            out += height * np.exp(-0.5 * (off / (width * min(small, 2.0))) ** 2)
        for count, start in zip(self.counts, self.starts, strict=True):
            out += self.fingers * small / 3 * np.sin(count * angle + start)
        return np.asarray(out * largest, dtype=np.float32)


def grow(frames: Frame, labels: Labels, rng: np.random.Generator) -> None:
    """Darken, in place, what grows in the ventricles of one place of the heart.

    Args:
        frames: (n, row, col) phases and neighbours of one plane; labels: likewise, values of `STRUCTURES`.
    """
    for structure, chance in _SIDES:
        growth = _Growth.draw(rng)
        if rng.random() > chance:
            continue
        cavities = [labels[i] == structure for i in range(len(labels))]
        largest = float(np.sqrt(max(int(c.sum()) for c in cavities) / np.pi))
        if largest < 3.0:
            continue
        for frame, label, cavity in zip(frames, labels, cavities, strict=True):
            muscle = frame[label == _MUSCLE]
            if cavity.any() and len(muscle) >= _LEAST:
                _darken(frame, cavity, float(np.median(muscle)), growth, largest)


def _darken(frame: Frame, cavity: npt.NDArray[np.bool_], wall: float, growth: _Growth, largest: float) -> None:
    rows, cols = np.nonzero(cavity)
    box = slice(max(rows.min() - 1, 0), rows.max() + 2), slice(max(cols.min() - 1, 0), cols.max() + 2)
    inside = np.pad(cavity[box], 1)  # an edge all round, so that the image's border counts as wall
    away = ndimage.distance_transform_edt(inside)[1:-1, 1:-1].astype(np.float32) - 0.5
    y, x = np.ogrid[box[0].start : box[0].start + away.shape[0], box[1].start : box[1].start + away.shape[1]]
    angle = np.arctan2(y - rows.mean(), x - cols.mean()).astype(np.float32)
    reach = growth.reach(angle, float(np.sqrt(len(rows) / np.pi)), largest)
    dark = growth.depth * np.clip(0.5 + growth.sharp * (reach - away), 0.0, 1.0) * cavity[box]
    part = frame[box]
    part += dark * np.minimum(wall - part, 0.0)
