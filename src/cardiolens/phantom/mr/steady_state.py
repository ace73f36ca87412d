"""Signal of balanced steady-state free precession (bSSFP): the closed form, and its mean over a slice profile.

The closed form, off resonance included, is the one given by Freeman and Hill (J Magn Reson 1971;4:366); the pulses
alternate in sign, so that the pass band is centred on resonance and dark bands lie at odd multiples of 1 / (2 TR).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ACROSS = 24  # samples over the edge of a slice profile


def bssfp(
    t1_ms: float,
    t2_ms: float,
    *,
    repetition_ms: float,
    echo_ms: float,
    flip_deg: npt.ArrayLike,
    off_resonance_hz: npt.ArrayLike = 0.0,
) -> npt.NDArray[np.float64]:
    """Steady-state transverse magnetisation at the echo, in units of that at equilibrium.

    `flip_deg` and `off_resonance_hz` may be arrays; they broadcast.
    """
    e1, e2 = np.exp(-repetition_ms / t1_ms), np.exp(-repetition_ms / t2_ms)
    flip = np.deg2rad(np.asarray(flip_deg, dtype=np.float64))
    turn = np.pi + 2.0 * np.pi * np.asarray(off_resonance_hz, dtype=np.float64) * repetition_ms / 1000.0
    across = e2 * (e1 - 1.0) * (1.0 + np.cos(flip)) * np.cos(turn)
    along = 1.0 - e1 * np.cos(flip) - (e1 - np.cos(flip)) * e2 * e2
    signal = (1.0 - e1) * np.sin(flip) * np.sqrt(1.0 + e2 * e2 - 2.0 * e2 * np.cos(turn)) / (across + along)
    return np.asarray(signal * np.exp(-echo_ms / t2_ms))


def profile_flips(flip_deg: float, softness: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Flip angles (n,) in degrees over half a slice and their weights (n,), which sum to 1.

    The profile is a trapezoid: flat in the middle, falling to nothing over `softness` times the nominal thickness at
    each edge; at half height it is as wide as the nominal thickness.  Softness 0 is a perfect slice.
    """
    if softness <= 0:
        return np.array([flip_deg]), np.array([1.0])
    edge = (np.arange(_ACROSS) + 0.5) / _ACROSS
    flips = np.concatenate([[flip_deg], flip_deg * (1.0 - edge)])
    weights = np.concatenate([[max(0.5 - softness / 2.0, 0.0)], np.full(_ACROSS, softness / _ACROSS)])
    return flips, weights / 0.5


def slice_signal(
    t1_ms: float,
    t2_ms: float,
    *,
    repetition_ms: float,
    echo_ms: float,
    flip_deg: float,
    softness: float = 0.0,
    off_resonance_hz: float = 0.0,
) -> float:
    """`bssfp` summed over the slice profile, per nominal thickness."""
    flips, weights = profile_flips(flip_deg, softness)
    signal = bssfp(
        t1_ms, t2_ms, repetition_ms=repetition_ms, echo_ms=echo_ms, flip_deg=flips, off_resonance_hz=off_resonance_hz
    )
    return float(weights @ signal)


def slice_offsets(count: int, thickness_mm: float, softness: float) -> npt.NDArray[np.float64]:
    """Where (count,) through the thickness (mm from the middle) samples of equal weight lie.

    They are the middles of equal shares of the profile, so that their plain mean is the mean over the profile.
    """
    middle = (np.arange(count) + 0.5) / count
    if softness <= 0:
        return np.asarray((middle - 0.5) * thickness_mm)
    far = 0.5 + 0.5 * softness
    at = np.linspace(-far, far, 401)
    height = np.clip((far - np.abs(at)) / softness, 0.0, 1.0)
    total = np.concatenate([[0.0], np.cumsum(0.5 * (height[1:] + height[:-1]))])
    return np.asarray(np.interp(middle, total / total[-1], at) * thickness_mm)
