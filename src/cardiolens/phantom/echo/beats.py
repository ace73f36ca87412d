"""Which moment of the beat each frame shows, and the ECG that goes with it.

Systole keeps its length when a beat comes early or late, diastole gives way: as in atrial fibrillation and after
ectopic beats (Weissler et al., Circulation 1968;37:149, tie systole to the rate, but far less than diastole).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy.motion import beat_times
from cardiolens.phantom.heart import HeartParameters

FloatArray = npt.NDArray[np.float64]

_SPREAD = {"sinus": 0.02, "atrial fibrillation": 0.17, "ectopy": 0.03}  # of the RR interval, as a share


@dataclass(frozen=True, eq=False)
class Rhythm:
    """Timing of one clip.

    Attributes:
        phases: (frame,) share of the beat that has passed, 0 at the R wave.
        beat: (frame,) number of the beat.
        ed, es: frames nearest end-diastole and the end-systole after it, of a beat that is wholly in the clip.
    """

    phases: FloatArray
    beat: npt.NDArray[np.intp]
    ed: int
    es: int


def rhythm(
    parameters: HeartParameters, rng: np.random.Generator, *, frames: int | None, fps: float, beats: int
) -> Rhythm:
    """Lay beats along a clip that starts anywhere in one of them.

    Args:
        frames: how many; None for `beats` whole beats.

    Raises:
        PhantomError: a clip too short to hold an end-diastole and the end-systole after it.
    """
    p = parameters
    spread = _SPREAD[p.rhythm]
    count = frames if frames is not None else round(beats * p.rr_ms / 1000.0 * fps)
    many = int(np.ceil(count / fps * 1000.0 / p.rr_ms)) * 2 + 4
    rr = p.rr_ms * np.clip(1.0 + spread * rng.standard_normal(many), 0.6, 1.7)
    if p.rhythm == "ectopy":
        early = 1 + 3 * np.arange(many // 3)
        rr[early], rr[early + 1] = 0.66 * p.rr_ms, 1.3 * p.rr_ms
    times = np.arange(count) * (1000.0 / fps)
    systole = beat_times(p).end_systole
    latest = times[-1] - min(systole * p.rr_ms, 0.6 * rr[1])  # of the first R wave, so that a systole follows
    if latest < 0.0:
        raise PhantomError(
            f"phantom echo: {count} frames at {fps:g} frames/s hold no whole systole at {p.heart_rate:g} beats/min; "
            "ask for more frames"
        )
    r_waves = np.concatenate([[0.0], np.cumsum(rr)]) - rr[0] + rng.uniform(0.0, 1.0) * min(rr[0], latest)
    beat = np.searchsorted(r_waves, times, side="right") - 1
    after, length = times - r_waves[beat], rr[beat]
    squeeze = np.minimum(systole * p.rr_ms, 0.6 * length)
    phases = np.where(
        after < squeeze, systole * after / squeeze, systole + (1.0 - systole) * (after - squeeze) / (length - squeeze)
    )
    ends = r_waves[:-1] + np.minimum(systole * p.rr_ms, 0.6 * rr)
    whole = np.flatnonzero((r_waves[:-1] >= 0.0) & (ends <= times[-1]))
    chosen = int(whole[len(whole) // 2])
    ed, es = (int(np.argmin(np.abs(times - t))) for t in (r_waves[chosen], ends[chosen]))
    return Rhythm(np.mod(phases, 1.0), beat, ed, es)


def ecg(phases: FloatArray, rhythm_name: str) -> FloatArray:
    """Height of a lead II trace (any shape), R wave about 1: P, QRS and T as bumps; no P in atrial fibrillation."""
    waves = [(0.0, 0.012, 1.0), (-0.025, 0.008, -0.12), (0.028, 0.01, -0.2), (0.3, 0.04, 0.25)]
    if rhythm_name != "atrial fibrillation":
        waves.append((-0.16, 0.022, 0.13))
    away = np.asarray(phases)
    out = np.zeros_like(away)
    for place, width, height in waves:
        gap = (away - place + 0.5) % 1.0 - 0.5
        out += height * np.exp(-((gap / width) ** 2))
    return out
