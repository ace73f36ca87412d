"""Noise of magnitude images: Rician for one channel, noncentral chi for several joined by sum of squares."""

from __future__ import annotations

import numpy as np

from cardiolens.phantom.mr.kspace import KSpace
from cardiolens.phantom.mr.texture import Image


class NoiseBank:
    """Complex noise of one acquisition: a few band-limited frames, shifted at random for each image.

    Fresh noise for every frame would take as long as all the rest; shifted frames repeat no pattern that a clip
    could show.
    """

    def __init__(
        self, rng: np.random.Generator, sigma: float, low_pass: KSpace, *, channels: int = 1, frames: int = 8
    ) -> None:
        self._sigma = sigma
        if sigma <= 0:
            return
        rows, cols = low_pass.shape
        self._real = self._draw(rng, low_pass, frames)
        others = frames if channels == 1 else 3
        self._rest2 = np.zeros((others, rows, cols), dtype=np.float32)
        for _ in range(2 * channels - 1):
            self._rest2 += self._draw(rng, low_pass, others) ** 2

    def _draw(self, rng: np.random.Generator, low_pass: KSpace, count: int) -> Image:
        noise = low_pass(rng.standard_normal((count, *low_pass.shape), dtype=np.float32))
        noise *= np.float32(self._sigma / max(float(noise.std()), 1e-12))
        return noise

    def add(self, image: Image, rng: np.random.Generator, gain: Image | None = None) -> Image:
        """Magnitude image of one frame (row, col); `gain`, of the same shape, multiplies the noise."""
        if self._sigma <= 0:
            return np.abs(image)
        frames, rows, cols = self._real.shape
        a, b = int(rng.integers(frames)), int(rng.integers(len(self._rest2)))
        r1, r2 = (int(v) for v in rng.integers(rows, size=2))
        c1, c2 = (int(v) for v in rng.integers(cols, size=2))
        out = np.roll(self._real[a], (r1, c1), (0, 1))
        if gain is not None:
            out *= gain
        out += image
        out *= out
        rest = np.roll(self._rest2[b], (r2, c2), (0, 1))
        if gain is not None:
            rest *= gain
            rest *= gain
        out += rest
        return np.asarray(np.sqrt(out, out=out))
