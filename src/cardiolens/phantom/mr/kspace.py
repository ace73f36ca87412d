"""From a picture to what the scanner stores: lines never acquired, partial Fourier, zero filling, wrap."""

from __future__ import annotations

import math

import numpy as np
from scipy import fft
from scipy.ndimage import affine_transform

from cardiolens.phantom.mr.texture import Image


class KSpace:
    """Low-pass, and zero filling to a larger matrix, of images of one size.

    Args:
        rows, cols: of the images that go in.
        acquired: share of the lines that were acquired along the phase and the frequency encoding, with a gentle taper.
        phase_axis: 0 when phases are encoded down the rows, 1 when along the columns.
        partial_fourier: share of the lines along the phase encoding.  The image is taken as zero-filled and put in
            phase again, so that lines acquired on one side only count half: it blurs along this direction alone.
        zoom: (p, q): p pixels come out for q that go in; q divides both sizes.

    Attributes:
        shape: (row, col) of what comes out.  The first pixel stays where it was.
    """

    def __init__(
        self,
        rows: int,
        cols: int,
        acquired: tuple[float, float] = (1.0, 1.0),
        *,
        phase_axis: int = 0,
        partial_fourier: float = 1.0,
        zoom: tuple[int, int] = (1, 1),
    ) -> None:
        p, q = zoom
        self.shape = (rows * p // q, cols * p // q)
        self._in = (rows, cols)
        shares = acquired if phase_axis == 0 else acquired[::-1]
        by_row, by_col = _window(np.fft.fftfreq(rows), shares[0]), _window(np.fft.rfftfreq(cols), shares[1])
        if partial_fourier < 1:
            both = (2.0 * partial_fourier - 1.0) * acquired[0]
            if phase_axis == 0:
                by_row = by_row * (0.5 + 0.5 * _window(np.fft.fftfreq(rows), both))
            else:
                by_col = by_col * (0.5 + 0.5 * _window(np.fft.rfftfreq(cols), both))
        self._window = (by_row[:, None] * by_col[None]).astype(np.float32)
        self._plain = bool((self._window == 1).all()) and p == q

    def __call__(self, images: Image) -> Image:
        """Filter images (..., row, col)."""
        if self._plain:
            return np.asarray(images, dtype=np.float32)
        spectrum = fft.rfft2(images) * self._window
        if self.shape != self._in:
            spectrum = self._fill(spectrum)
        return np.asarray(fft.irfft2(spectrum, s=self.shape), dtype=np.float32)

    def _fill(self, spectrum: Image) -> Image:
        rows, cols = self.shape
        half, width = (self._in[0] + 1) // 2, spectrum.shape[-1]
        wide = np.zeros((*spectrum.shape[:-2], rows, cols // 2 + 1), dtype=spectrum.dtype)
        wide[..., :half, :width] = spectrum[..., :half, :]
        wide[..., rows - (self._in[0] - half) :, :width] = spectrum[..., half:, :]
        if self._in[1] % 2 == 0 and cols > self._in[1]:
            wide[..., width - 1] *= 0.5  # the highest frequency, alone before, now has its mirror image
        return np.asarray(wide * np.float32(rows * cols / (self._in[0] * self._in[1])))


def _window(frequency: Image, share: float) -> Image:
    if share >= 1:
        return np.ones_like(frequency)
    edge = np.clip((share - 2 * np.abs(frequency)) / 0.14 + 0.5, 0.0, 1.0)
    return np.asarray(edge * edge * (3.0 - 2.0 * edge))


def zoom_of(matrix: int, recon_matrix: int) -> tuple[int, int]:
    """(p, q) in lowest terms: p stored pixels for q acquired ones."""
    common = math.gcd(matrix, recon_matrix)
    return recon_matrix // common, matrix // common


def stretch(image: Image, zoom: tuple[int, int]) -> Image:
    """A smooth map (row, col) on the pixels that `zoom` makes of its own."""
    p, q = zoom
    if p == q:
        return image
    shape = tuple(size * p // q for size in image.shape)
    return np.asarray(affine_transform(image, np.full(2, q / p), output_shape=shape, order=1, mode="nearest"))


def fold(image: Image, size: int, first: int, axis: int) -> Image:
    """Field-of-view wrap: an image (row, col) that is wider than the field along `axis`, folded into `size` pixels.

    Pixel `first` of the wide image is pixel 0 of the field; what lies beyond either edge comes in at the other.
    """
    wide = np.moveaxis(image, axis, 0)
    out = np.zeros((size, *wide.shape[1:]), dtype=image.dtype)
    np.add.at(out, (np.arange(len(wide)) - first) % size, wide)
    return np.asarray(np.moveaxis(out, 0, axis))
