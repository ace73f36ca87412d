"""How bright each tissue is on a balanced steady-state cine, how the coils shade it, and what the scanner adds.

Version one sets signal by tissue, relative to blood, near what the Sunnybrook cines show; the steady-state equation,
banding and flow are for a later version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import gaussian_filter

Image = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Signal of each tissue relative to blood at 1, and what the acquisition does to it.

    Attributes:
        ink: depth (0 to 1) of the dark line where fat meets water, both in one voxel and out of phase.
        shading: how much the front coil outweighs the rest; 0 is even.
        noise: standard deviation of the noise in each channel, in units of blood.
        acquired: share of the matrix that was acquired along rows and columns; the rest is zero-filled.
        scale: stored value of blood.
        round_field: whether the image is cut to a circle, as after gradient correction on some scanners.
    """

    blood: float = 1.0
    right_blood: float = 0.95
    myocardium: float = 0.42
    fat: float = 1.0
    epicardial_fat: float = 0.8
    skeletal: float = 0.22
    lung: float = 0.05
    liver: float = 0.42
    spleen: float = 0.55
    marrow: float = 0.42
    fluid: float = 1.25
    gut: float = 0.6
    ink: float = 0.65
    shading: float = 1.0
    noise: float = 0.017
    acquired: tuple[float, float] = (0.75, 0.9)
    scale: float = 280.0
    round_field: bool = False


def sample_contrast(rng: np.random.Generator) -> Contrast:
    """Draw the signal of one examination."""

    def about(value: float, share: float) -> float:
        return float(value * np.clip(rng.normal(1.0, share), 1.0 - 2.2 * share, 1.0 + 2.2 * share))

    return Contrast(
        right_blood=about(0.95, 0.05),
        myocardium=about(0.42, 0.14),
        fat=about(1.05, 0.15),
        epicardial_fat=about(0.85, 0.15),
        skeletal=about(0.22, 0.15),
        lung=about(0.05, 0.35),
        liver=about(0.46, 0.25),
        spleen=about(0.55, 0.25),
        marrow=about(0.40, 0.2),
        fluid=about(1.2, 0.1),
        gut=about(0.6, 0.4),
        ink=about(0.65, 0.15),
        shading=about(1.0, 0.35),
        noise=float(np.exp(rng.normal(np.log(0.017), 0.4))),
        acquired=(float(rng.uniform(0.55, 0.8)), float(rng.uniform(0.65, 0.9))),
        scale=float(np.exp(rng.normal(np.log(280.0), 0.4))),
        round_field=bool(rng.random() < 0.15),
    )


def coil_shading(points: Image, front_y: float, contrast: Contrast) -> Image:
    """Receive sensitivity at patient points (..., 3), mm: strongest under the front coil, about 1 at the heart."""
    front = np.sqrt((points[..., 0] - 25.0) ** 2 * 0.5 + (points[..., 1] - front_y) ** 2 + points[..., 2] ** 2 * 0.35)
    back = np.sqrt(points[..., 0] ** 2 * 0.4 + (points[..., 1] + front_y) ** 2 + points[..., 2] ** 2 * 0.35)
    sense = 0.45 + contrast.shading * (1.9 * np.exp(-front / 52.0) + 0.45 * np.exp(-back / 55.0))
    return np.asarray(sense / (0.45 + 0.5 * contrast.shading), dtype=np.float32)


class KSpace:
    """Low-pass of one image size: the edges of k-space that were never acquired are zero, with a gentle taper."""

    def __init__(self, rows: int, cols: int, acquired: tuple[float, float]) -> None:
        def window(frequency: Image, share: float) -> Image:
            edge = np.clip((share - 2 * np.abs(frequency)) / 0.14 + 0.5, 0.0, 1.0)
            return np.asarray(edge * edge * (3.0 - 2.0 * edge))

        by_row = window(np.fft.fftfreq(rows), acquired[0])
        by_col = window(np.fft.rfftfreq(cols), acquired[1])
        self._window = (by_row[:, None] * by_col[None]).astype(np.float32)
        self._shape = (rows, cols)

    def __call__(self, images: Image) -> Image:
        """Filter images (..., row, col)."""
        return np.asarray(fft.irfft2(fft.rfft2(images) * self._window, s=self._shape), dtype=np.float32)


class NoiseBank:
    """Complex noise of one acquisition: a few band-limited frames, shifted at random for each image.

    Fresh noise for every frame would take as long as all the rest; shifted frames repeat no pattern that a clip
    could show.
    """

    def __init__(
        self, rng: np.random.Generator, rows: int, cols: int, sigma: float, low_pass: KSpace, frames: int = 8
    ) -> None:
        noise = low_pass(rng.standard_normal((2 * frames, rows, cols), dtype=np.float32))
        noise *= np.float32(sigma / max(float(noise.std()), 1e-12))
        self._real, self._imaginary2 = noise[:frames], noise[frames:] ** 2
        self._rng = rng

    def add(self, image: Image) -> Image:
        """Magnitude (Rician) image of one frame (row, col)."""
        frames, rows, cols = self._real.shape
        a, b = (int(v) for v in self._rng.integers(frames, size=2))
        r1, r2 = (int(v) for v in self._rng.integers(rows, size=2))
        c1, c2 = (int(v) for v in self._rng.integers(cols, size=2))
        out = np.roll(self._real[a], (r1, c1), (0, 1))
        out += image
        out *= out
        out += np.roll(self._imaginary2[b], (r2, c2), (0, 1))
        return np.asarray(np.sqrt(out, out=out))


def texture_volume(rng: np.random.Generator, size: int = 48, blur: float = 1.2) -> Image:
    """Periodic random volume of unit deviation, for what no tissue lacks: small differences from place to place."""
    volume = gaussian_filter(rng.standard_normal((size, size, size), dtype=np.float32), blur, mode="wrap")
    return np.asarray(volume / volume.std(), dtype=np.float32)


def look_up(volume: Image, points: Image, cell_mm: float) -> Image:
    """Trilinear value of a periodic cubic volume at points (n, 3) mm, one voxel to `cell_mm`."""
    size = volume.shape[0]
    scaled = points / np.float32(cell_mm)
    low = np.floor(scaled)
    part = (scaled - low).astype(np.float32)
    index = low.astype(np.int32) % size
    after = (index + 1) % size
    flat = volume.ravel()
    out = np.zeros(len(points), dtype=np.float32)
    for corner in range(8):
        weight = np.ones(len(points), dtype=np.float32)
        place = np.zeros(len(points), dtype=np.int32)
        for axis in range(3):
            high = corner >> axis & 1
            weight *= part[:, axis] if high else 1.0 - part[:, axis]
            place = place * size + (after if high else index)[:, axis]
        out += weight * flat[place]
    return out
