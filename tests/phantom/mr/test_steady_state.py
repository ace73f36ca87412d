"""The bSSFP equation against closed forms, limits and a simulation of the spins; slice profiles."""

from __future__ import annotations

import numpy as np
import pytest

from cardiolens.phantom.mr.steady_state import bssfp, profile_flips, slice_offsets, slice_signal


def simulated(t1: float, t2: float, tr: float, te: float, flip_deg: float, hz: float) -> float:
    """Magnitude at the echo after many alternating pulses, by rotating and relaxing one spin."""
    flip, e1, e2 = np.deg2rad(flip_deg), np.exp(-tr / t1), np.exp(-tr / t2)
    turn = 2 * np.pi * hz * tr / 1000
    m = np.array([0.0, 0.0, 1.0])
    for pulse in range(6000):
        a = flip if pulse % 2 else -flip
        m = np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]]) @ m
        after = m
        c, s = np.cos(turn), np.sin(turn)
        m = np.array([e2 * (c * m[0] + s * m[1]), e2 * (-s * m[0] + c * m[1]), 1 + (m[2] - 1) * e1])
    return float(np.hypot(after[0], after[1]) * np.exp(-te / t2))


def test_on_resonance_it_is_the_closed_form_worked_by_hand() -> None:
    """T1 1000, T2 50, TR 4, 60 degrees: E1 = 0.996008, E2 = 0.923116."""
    e1, e2 = 0.996008, 0.923116
    by_hand = np.sqrt(3) / 2 * (1 - e1) / (1 - (e1 - e2) * 0.5 - e1 * e2) * np.exp(-2.0 / 50)
    found = bssfp(1000.0, 50.0, repetition_ms=4.0, echo_ms=2.0, flip_deg=60.0)
    assert float(found) == pytest.approx(by_hand, rel=1e-4)
    assert float(found) == pytest.approx(0.0753, abs=1e-4)


def test_short_repetition_depends_on_the_ratio_of_the_times_alone() -> None:
    """sin a / (1 + cos a + (1 - cos a) T1/T2), the limit of TR much shorter than T2."""
    a = np.deg2rad(50)
    for ratio in (4.0, 20.0):
        limit = np.sin(a) / (1 + np.cos(a) + (1 - np.cos(a)) * ratio)
        found = bssfp(100.0 * ratio, 100.0, repetition_ms=0.01, echo_ms=0.0, flip_deg=50.0)
        assert float(found) == pytest.approx(limit, rel=1e-3)


@pytest.mark.parametrize("hz", [0.0, 60.0, -110.0, 150.0, 166.0, 223.0])
def test_off_resonance_agrees_with_a_simulated_spin(hz: float) -> None:
    found = bssfp(600.0, 60.0, repetition_ms=3.0, echo_ms=0.0, flip_deg=45.0, off_resonance_hz=hz)
    assert float(found) == pytest.approx(simulated(600.0, 60.0, 3.0, 0.0, 45.0, hz), rel=2e-3, abs=1e-5)


def test_a_dark_band_lies_at_half_a_cycle() -> None:
    hz = np.array([0.0, 1000 / 6.0])
    centre, band = bssfp(1000.0, 80.0, repetition_ms=3.0, echo_ms=1.5, flip_deg=45.0, off_resonance_hz=hz)
    assert band < 0.1 * centre


def test_a_perfect_slice_is_the_plain_equation_and_a_soft_one_lifts_muscle_against_blood() -> None:
    settings = {"repetition_ms": 3.36, "echo_ms": 1.53, "flip_deg": 45.0}
    plain = float(bssfp(1030.0, 40.0, **settings))
    assert slice_signal(1030.0, 40.0, **settings) == pytest.approx(plain)
    ratios = [
        slice_signal(1030.0, 40.0, softness=s, **settings) / slice_signal(1441.0, 290.0, softness=s, **settings)
        for s in (0.0, 0.3, 0.6)
    ]
    assert ratios[0] < ratios[1] < ratios[2]


def test_a_profile_weighs_as_much_as_the_nominal_slice() -> None:
    for softness in (0.0, 0.4, 1.0):
        flips, weights = profile_flips(50.0, softness)
        assert (weights * flips).sum() == pytest.approx(50.0, rel=1e-6)


def test_slice_samples_spread_evenly_in_a_box_and_beyond_it_when_soft() -> None:
    np.testing.assert_allclose(slice_offsets(3, 9.0, 0.0), [-3.0, 0.0, 3.0])
    soft = slice_offsets(9, 9.0, 0.8)
    np.testing.assert_allclose(soft, -soft[::-1], atol=1e-6)
    assert soft[-1] > slice_offsets(9, 9.0, 0.0)[-1]
