"""Filters, partial Fourier, zero filling and wrap on pictures whose outcome is known."""

from __future__ import annotations

import numpy as np
import pytest

from cardiolens.phantom.mr.kspace import KSpace, fold, stretch, zoom_of


@pytest.fixture
def point() -> np.ndarray:
    image = np.zeros((64, 64), dtype=np.float32)
    image[32, 32] = 1.0
    return image


def width(profile: np.ndarray) -> float:
    """Full width at half maximum in pixels, from a finely interpolated profile."""
    fine = np.fft.irfft(np.fft.rfft(profile), 64 * 16) * 16
    return float((fine > fine.max() / 2).sum() / 16)


def test_nothing_missing_changes_nothing(point: np.ndarray) -> None:
    np.testing.assert_array_equal(KSpace(64, 64)(point), point)


def test_the_mean_is_kept_and_the_shape_too() -> None:
    image = np.random.default_rng(0).random((3, 48, 40)).astype(np.float32)
    out = KSpace(48, 40, (0.5, 0.7))(image)
    assert out.shape == image.shape and out.dtype == np.float32
    np.testing.assert_allclose(out.mean((1, 2)), image.mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_lines_not_acquired_blur_along_the_phase_encoding(point: np.ndarray, axis: int) -> None:
    out = KSpace(64, 64, (0.5, 1.0), phase_axis=axis)(point)
    along, across = (out[:, 32], out[32]) if axis == 0 else (out[32], out[:, 32])
    assert width(along) > 1.6 * width(across)


@pytest.mark.parametrize("axis", [0, 1])
def test_partial_fourier_blurs_in_one_direction_only(point: np.ndarray, axis: int) -> None:
    out = KSpace(64, 64, partial_fourier=0.6, phase_axis=axis)(point)
    along, across = (out[:, 32], out[32]) if axis == 0 else (out[32], out[:, 32])
    assert 0.5 < out[32, 32] < 0.75, "an edge loses sharpness"
    assert np.abs(across[np.arange(64) != 32]).max() < 1e-6
    assert np.abs(along[30:35]).sum() > 1.2 * out[32, 32] and width(along) > 1.08 * width(across)


def test_zero_filling_interpolates_exactly_and_leaves_the_first_pixel_in_place() -> None:
    p, q = zoom_of(24, 36)
    assert (p, q) == (3, 2)
    row, col = np.mgrid[:24, :24]
    smooth = (2 + np.cos(2 * np.pi * (row * 3 - col) / 24)).astype(np.float32)
    out = KSpace(24, 24, zoom=(p, q))(smooth)
    row, col = np.mgrid[:36, :36] * q / p
    np.testing.assert_allclose(out, 2 + np.cos(2 * np.pi * (row * 3 - col) / 24), atol=1e-5)


@pytest.mark.parametrize("size", [13, 14, 26])
def test_zero_filling_works_on_odd_sizes(size: int) -> None:
    ramp = np.cos(2 * np.pi * np.arange(13) / 13)[np.newaxis].repeat(13, 0).astype(np.float32)
    out = KSpace(13, 13, zoom=(size, 13))(ramp)
    assert out.shape == (size, size)
    np.testing.assert_allclose(out[0], np.cos(2 * np.pi * np.arange(size) / size), atol=1e-5)


def test_stretch_follows_the_same_grid() -> None:
    image = np.arange(12, dtype=np.float32)[:, None].repeat(12, 1)
    np.testing.assert_allclose(stretch(image, (2, 1))[:23, 0], np.arange(23) / 2, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_what_lies_beyond_the_field_comes_in_at_the_other_side(axis: int) -> None:
    wide = np.zeros((20, 20), dtype=np.float32)
    place = [5, 5]
    place[axis] = 2  # three pixels before the field, which begins at 5 and is 10 long
    wide[tuple(place)] = 7.0
    out = fold(wide, 10, 5, axis)
    expected = [5, 5]
    expected[axis] = 7
    assert out.shape[axis] == 10 and out[tuple(expected)] == 7.0 and out.sum() == 7.0
