"""Noise of magnitude images: Rician floor, noncentral chi of several channels, gain maps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gamma

from cardiolens.phantom.mr import KSpace, NoiseBank, coil_shading, noise_gain


def added(level: float, channels: int, gain: np.ndarray | None = None) -> np.ndarray:
    rng = np.random.default_rng(1)
    bank = NoiseBank(rng, 2.0, KSpace(64, 64), channels=channels)
    return np.stack([bank.add(np.full((64, 64), level, np.float32), rng, gain) for _ in range(12)])


@pytest.mark.parametrize("channels", [1, 4, 8])
def test_the_floor_in_air_is_that_of_the_chi_distribution(channels: int) -> None:
    """Mean sigma sqrt(2) Gamma(n + 1/2) / Gamma(n); for one channel sigma sqrt(pi / 2)."""
    floor = 2.0 * np.sqrt(2) * gamma(channels + 0.5) / gamma(channels)
    assert added(0.0, channels).mean() == pytest.approx(floor, rel=0.03)


def test_where_signal_is_high_the_noise_is_gaussian() -> None:
    out = added(100.0, 1)
    assert out.std() == pytest.approx(2.0, rel=0.05) and out.mean() == pytest.approx(100.02, abs=0.1)


def test_a_gain_map_multiplies_the_noise_alone() -> None:
    gain = np.ones((64, 64), np.float32)
    gain[:, 32:] = 3.0
    out = added(100.0, 1, gain)
    assert out[..., 32:].std() == pytest.approx(3 * out[..., :32].std(), rel=0.08)


def test_without_noise_the_magnitude_comes_back() -> None:
    bank = NoiseBank(np.random.default_rng(0), 0.0, KSpace(8, 8))
    image = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    np.testing.assert_array_equal(bank.add(image, np.random.default_rng(0)), np.abs(image))


def test_noise_has_no_power_where_no_line_was_acquired() -> None:
    rng = np.random.default_rng(1)
    bank = NoiseBank(rng, 2.0, KSpace(64, 64, (0.5, 1.0)))
    power = np.abs(np.fft.fft2(bank.add(np.full((64, 64), 100.0, np.float32), rng) - 100.0)) ** 2
    assert power[26:38].mean() < 0.02 * power[1:12].mean()


def test_shading_falls_from_the_front_and_none_is_flat() -> None:
    points = np.array([[0.0, -100.0, 0.0], [0.0, 0.0, 0.0], [0.0, 60.0, 0.0]], dtype=np.float32)
    shade = coil_shading(points, -110.0, 1.0)
    assert shade[0] > 1.5 * shade[1] > 1.5 * shade[2] * 0.9
    np.testing.assert_array_equal(coil_shading(points, -110.0, 0.0), 1.0)
    assert noise_gain(points, shade, 1.0, 0.0) is None
    deep = noise_gain(points, np.ones(3, np.float32), 3.0, 0.0)
    assert deep is not None and deep[1] > deep[0] > np.sqrt(3) * 0.99
    evened = noise_gain(points, shade, 1.0, 0.8)
    assert evened is not None and evened[2] > evened[0], "evening a dark place lifts its noise"
