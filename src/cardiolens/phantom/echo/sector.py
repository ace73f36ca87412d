"""Beams and samples, and how they become a square picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from cardiolens.phantom.echo.probe import FloatArray, Probe

Field = npt.NDArray[np.complexfloating[Any, Any]]

_MARGIN = 3  # beams beyond each side, so that drift brings in tissue
_SUB = 3  # places a pixel, each way, that are averaged
_FACE_MM = 3.0  # curved face of the transducer


@dataclass(frozen=True, eq=False)
class Sector:
    """Polar grid of one probe for one size of image.

    Attributes:
        angles: (beam,) radians from the middle beam, to the viewer's right; ranges: (sample,) mm.
        across, down: (beam, sample) mm from the transducer.
    """

    probe: Probe
    size: int
    angles: FloatArray
    ranges: FloatArray
    across: FloatArray
    down: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.angles), len(self.ranges)


def sector_of(probe: Probe, size: int) -> Sector:
    """Polar grid about as fine as the pixels at mid-depth; a large image gets at most what a scanner resolves."""
    pixel = probe.mm_per_pixel(size)
    step = float(np.clip(0.55 * pixel, 0.35, 0.9))
    turn = float(np.clip(0.55 * pixel / (0.5 * probe.depth_mm), np.deg2rad(0.4), np.deg2rad(0.9)))
    half = int(np.ceil(probe.half_angle / turn)) + _MARGIN
    angles = np.asarray(np.arange(-half, half + 1) * turn, dtype=np.float64)
    ranges = np.asarray((np.arange(int(probe.depth_mm / step) + 4) + 0.5) * step, dtype=np.float64)
    across, down = np.sin(angles)[:, None] * ranges, np.cos(angles)[:, None] * ranges
    return Sector(probe, size, angles, ranges, across, down)


def scan_converter(sector: Sector) -> csr_matrix:
    """(pixel, beam * sample) weights that average each pixel over `_SUB`² places, interpolated; empty outside."""
    probe, size = sector.probe, sector.size
    fine = (np.arange(size * _SUB) + 0.5) / _SUB - 0.5
    col, row = np.meshgrid(fine, fine)
    across, down = probe.places(col, row, size)
    reach, angle = np.hypot(across, down), np.arctan2(across, down)
    seen = (reach >= _FACE_MM) & (reach <= probe.depth_mm) & (np.abs(angle) <= probe.half_angle)
    b, s = angle[seen], reach[seen]
    beam = (b - sector.angles[0]) / (sector.angles[1] - sector.angles[0])
    sample = (s - sector.ranges[0]) / (sector.ranges[1] - sector.ranges[0])
    b0 = np.clip(np.floor(beam).astype(np.int32), 0, len(sector.angles) - 2)
    s0 = np.clip(np.floor(sample).astype(np.int32), 0, len(sector.ranges) - 2)
    bf, sf = np.clip(beam - b0, 0.0, 1.0), np.clip(sample - s0, 0.0, 1.0)
    pixel = ((np.arange(size * _SUB) // _SUB)[:, None] * size + np.arange(size * _SUB) // _SUB)[seen]
    wide = len(sector.ranges)
    parts = [(b0 + i, s0 + j, (bf if i else 1 - bf) * (sf if j else 1 - sf)) for i in (0, 1) for j in (0, 1)]
    index = np.concatenate([x * wide + y for x, y, _ in parts])
    weight = np.concatenate([w for *_, w in parts]) / _SUB**2
    rows = np.tile(pixel, 4)
    shape = (size * size, len(sector.angles) * wide)
    return csr_matrix((weight.astype(np.float32), (rows, index)), shape=shape)


def visible(sector: Sector) -> npt.NDArray[np.bool_]:
    """(row, col) pixels whose centre the sector covers."""
    grid = np.arange(sector.size, dtype=np.float64)
    across, down = sector.probe.places(*np.meshgrid(grid, grid), sector.size)
    reach = np.hypot(across, down)
    near = np.abs(np.arctan2(across, down)) <= sector.probe.half_angle
    return np.asarray(near & (reach >= _FACE_MM) & (reach <= sector.probe.depth_mm))


def drifted(across: FloatArray, down: FloatArray, drift: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where tissue at these places (mm) is seen when breathing has pushed it `drift[1]` mm deeper and then turned it
    `drift[0]` radians about the transducer."""
    turn, deeper = np.cos(drift[0]), down + drift[1]
    slant = np.sin(drift[0])
    return turn * across + slant * deeper, turn * deeper - slant * across


def undrifted(field: Field, sector: Sector, drift: FloatArray) -> Field:
    """A (beam, sample) field seen after `drift`, interpolated; what comes in from beyond repeats the edge."""
    angle = sector.angles[:, None] - drift[0]
    across, down = np.sin(angle) * sector.ranges, np.cos(angle) * sector.ranges - drift[1]
    beam = (np.arctan2(across, down) - sector.angles[0]) / (sector.angles[1] - sector.angles[0])
    sample = (np.hypot(across, down) - sector.ranges[0]) / (sector.ranges[1] - sector.ranges[0])
    b0 = np.clip(beam, 0.0, len(sector.angles) - 1.001)
    s0 = np.clip(sample, 0.0, len(sector.ranges) - 1.001)
    low = b0.astype(np.int32) * len(sector.ranges) + s0.astype(np.int32)
    bf, sf = (np.mod(v, 1.0).astype(np.float32) for v in (b0, s0))
    flat, wide = field.ravel(), len(sector.ranges)
    near = flat[low] * (1 - sf) + flat[low + 1] * sf
    far = flat[low + wide] * (1 - sf) + flat[low + wide + 1] * sf
    return np.asarray(near * (1 - bf) + far * bf)
