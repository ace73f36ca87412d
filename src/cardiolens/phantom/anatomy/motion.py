"""How far through its beat the heart is: emptying curves of the chambers over the phase of the RR interval.

Electromechanical systole after Weissler et al. (Circulation 1968;37:149): QS2 = 546 - 2.1 HR ms in men, 549 - 2.0 HR
in women.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from cardiolens.phantom.heart import HeartParameters

FloatArray = npt.NDArray[np.float64]

_CONTRACTION_MS = 45.0  # isovolumic contraction
_RELAXATION_MS = 60.0  # isovolumic relaxation
_RAPID_FILLING_MS = 190.0
_ATRIAL_KICK_MS = 110.0


@dataclass(frozen=True)
class BeatTimes:
    """Landmarks of one beat as fractions of the RR interval, in order: `ejection` starts, `end_systole` (smallest LV),
    `opening` of the mitral valve, `filled` (end of rapid filling), `kick` (atrial contraction starts)."""

    ejection: float
    end_systole: float
    opening: float
    filled: float
    kick: float


def beat_times(parameters: HeartParameters) -> BeatTimes:
    """Timing of one beat at the heart rate of `parameters`; a fast heart loses its rest before the atrial kick."""
    rate, rr = parameters.heart_rate, parameters.rr_ms
    systole = (549.0 - 2.0 * rate if parameters.sex == "F" else 546.0 - 2.1 * rate) * 0.92
    end_systole = min(systole / rr, 0.55)
    opening = end_systole + _RELAXATION_MS / rr
    kick = max(1.0 - _ATRIAL_KICK_MS / rr, opening + 0.15)
    filled = min(opening + _RAPID_FILLING_MS / rr, opening + 0.7 * (kick - opening))
    return BeatTimes(min(_CONTRACTION_MS / rr, 0.25 * end_systole), end_systole, opening, filled, kick)


def emptying(parameters: HeartParameters, phase: Any) -> FloatArray:
    """Share of the stroke volume that has left the ventricles, 0 at end-diastole and 1 at end-systole.

    Args:
        phase: fraction of the RR interval after the R wave, any shape; taken modulo 1.

    Returns:
        float64 of the same shape.
    """
    t = beat_times(parameters)
    kick = _kick_share(parameters)
    times = [
        0.0,
        t.ejection,
        t.ejection + 0.5 * (t.end_systole - t.ejection),
        t.end_systole - 0.02,
        t.end_systole,
        t.opening,
        t.opening + 0.55 * (t.filled - t.opening),
        t.filled,
        t.kick,
        1.0,
    ]
    values = [0.0, 0.01, 0.66, 0.994, 1.0, 0.992, 0.25 + 0.75 * kick, kick + 0.08, kick, 0.0]
    curve = PchipInterpolator(times, values)
    return np.asarray(curve(np.mod(np.asarray(phase, dtype=np.float64), 1.0)))


def _kick_share(parameters: HeartParameters) -> float:
    """Share of the stroke volume that the atrial contraction brings; older hearts lean on the atrium."""
    return (0.18 + 0.12 * min(max((parameters.age - 30.0) / 50.0, 0.0), 1.0)) * parameters.atrial_kick


def atrial_filling(parameters: HeartParameters, phase: Any) -> FloatArray:
    """How full the atria are, 0 smallest to 1 largest: a reservoir in systole, a conduit in early diastole, a pump
    before the next R wave.  Same shape as `phase`."""
    t = beat_times(parameters)
    left = min(1.4 * _kick_share(parameters) + 0.12, 0.6) if parameters.atrial_kick > 0.05 else 0.03
    times = [0.0, t.ejection, 0.6 * t.end_systole, t.end_systole, t.opening, t.filled, t.kick, 1.0]
    values = [0.0, 0.05, 0.72, 1.0, 1.0, left, left + 0.04, 0.0]
    curve = PchipInterpolator(times, values)
    return np.asarray(np.clip(curve(np.mod(np.asarray(phase, dtype=np.float64), 1.0)), 0.0, 1.0))


def septal_bounce(parameters: HeartParameters, phase: Any) -> FloatArray:
    """Jerk of the septum towards the LV in early filling, 0 to 1, same shape as `phase`."""
    t = beat_times(parameters)
    x = np.mod(np.asarray(phase, dtype=np.float64), 1.0) - (t.opening + 0.35 * (t.filled - t.opening))
    return np.asarray(np.exp(-((x / 0.035) ** 2)))


def ejection(parameters: HeartParameters, phase: Any) -> FloatArray:
    """How wide the aortic and pulmonary valves stand open, 0 shut to 1, same shape as `phase`."""
    t = beat_times(parameters)
    x = np.mod(np.asarray(phase, dtype=np.float64), 1.0)
    rise = np.clip((x - t.ejection) / 0.03, 0.0, 1.0)
    return np.asarray(rise * np.clip((t.end_systole - x) / 0.04, 0.0, 1.0))


def valve_opening(parameters: HeartParameters, phase: Any) -> FloatArray:
    """How wide the mitral and tricuspid valves stand open, 0 shut to 1, same shape as `phase`."""
    t = beat_times(parameters)
    mid = 0.5 * (t.filled + t.kick)
    times = [0.0, t.end_systole, t.opening, t.opening + 0.06, t.filled, mid, t.kick + 0.5 * (1.0 - t.kick), 1.0]
    curve = PchipInterpolator(times, [0.0, 0.0, 0.1, 1.0, 0.6, 0.45, 0.85, 0.0])
    return np.asarray(np.clip(curve(np.mod(np.asarray(phase, dtype=np.float64), 1.0)), 0.0, 1.0))
