"""Heart beats against k-space: which moment of the heart each frame, and each of its lines, really shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from cardiolens.phantom.mr.protocol import Protocol
from cardiolens.phantom.mr.texture import Image

_VARIATION = {"atrial fibrillation": 0.22, "ectopy": 0.03}  # deviation of RR, as a share
_ECTOPIC, _EARLY, _PAUSE = 0.25, 0.62, 1.35  # share of early beats; their RR and that of the pause after them


def frame_times(protocol: Protocol) -> npt.NDArray[np.float64]:
    """Trigger times (phases,) as shares of a beat, as the scanner knows them."""
    return np.asarray(np.arange(protocol.phases) / protocol.phases * protocol.covered)


def heart_phases(protocol: Protocol) -> npt.NDArray[np.float64]:
    """What the heart does in those frames (phases,), as shares of a beat: late by `trigger_delay`."""
    return np.asarray((frame_times(protocol) + protocol.trigger_delay) % 1.0)


@dataclass(frozen=True, eq=False)
class Acquisition:
    """How the phase-encoding lines of one plane were gathered.

    Attributes:
        frame: (beat, time) index, with fraction, of the frame that each beat really showed.
        beat: (line,) beat in which each line of k-space, in FFT order, was acquired.
        jitter: (line,) relative strength of the pulsation in each line; 0 for none.
        moved_mm: (beat, 3) where the patient lay in each beat, LPS, about 0.
    """

    frame: npt.NDArray[np.float64]
    beat: npt.NDArray[np.intp]
    jitter: npt.NDArray[np.float64]
    moved_mm: npt.NDArray[np.float64]

    @property
    def still(self) -> bool:
        """Whether the patient lay still."""
        return not self.moved_mm.any()


def acquisition_of(protocol: Protocol, rhythm: str, lines: int, rng: np.random.Generator) -> Acquisition | None:
    """Draw the beats behind one plane; None when every line shows the same moment."""
    irregular = protocol.arrhythmia > 0 and rhythm in _VARIATION
    if not irregular and protocol.flow_artefact <= 0 and protocol.breathing_mm <= 0:
        return None
    acquired = max(int(lines * protocol.acquired[0] * protocol.partial_fourier / protocol.acceleration), 1)
    beats = 1
    if irregular or protocol.breathing_mm > 0:
        beats = max(int(np.ceil(acquired / protocol.lines_per_segment)), 2)
    place = (np.arange(lines) + lines // 2) % lines  # of each line, lowest frequency first
    beat = place % beats if protocol.interleaved else place * beats // lines
    if irregular:
        rr = 1.0 + protocol.arrhythmia * (_intervals(rhythm, beats, rng) - 1.0)
        frame = _shown(protocol, rr)
    else:
        frame = np.arange(protocol.phases, dtype=np.float64)[None].repeat(beats, 0)
    jitter = protocol.flow_artefact * rng.normal(0.0, 1.0, lines)
    return Acquisition(frame, beat, jitter, _breathing(protocol, beats, rng))


def _breathing(protocol: Protocol, beats: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Place of the patient (beat, 3) in mm: a slow drift and some unrest, mostly head to foot."""
    if protocol.breathing_mm <= 0:
        return np.zeros((beats, 3))
    drift = rng.choice([-1.0, 1.0]) * np.linspace(-1.0, 1.0, beats) + 0.5 * rng.normal(0.0, 1.0, beats)
    along = (drift - drift.mean()) * protocol.breathing_mm
    return np.asarray(along[:, None] * np.array([0.1, 0.35, 1.0]))


def smear(images: Image, how: Acquisition, shift: npt.NDArray[np.float64], axis: int) -> Image:
    """Images (..., row, col) of a patient who lay elsewhere in every beat.

    `shift` (beat, 2): rows and columns by which the picture was moved while the beat's lines, along image axis `axis`
    at full length, were acquired.
    """
    rows, cols = images.shape[-2:]
    moved = shift[how.beat]  # (line, 2)
    down, right = np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(cols)[None]
    by_row, by_col = (moved[:, i][:, None] if axis == 0 else moved[:, i][None] for i in (0, 1))
    turn = np.exp(-2j * np.pi * (down * by_row + right * by_col)).astype(np.complex64)
    return np.asarray(fft.ifft2(fft.fft2(images) * turn).real, dtype=np.float32)


def _intervals(rhythm: str, beats: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """RR of each beat (beat,) as a share of the mean."""
    rr = np.exp(rng.normal(0.0, _VARIATION[rhythm], beats))
    if rhythm == "ectopy":
        early = rng.random(beats) < _ECTOPIC
        early[int(rng.integers(beats))] = True
        rr[early] *= _EARLY
        rr[np.roll(early, 1) & ~early] *= _PAUSE
    return np.asarray(np.clip(rr / rr.mean(), 0.45, 2.2))


def _shown(protocol: Protocol, rr: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Frame of a mean beat (beat, time) that each frame of beats of length `rr` (beat,) shows.

    The heart contracts by the clock: retrospective gating stretches every beat to the same number of frames, so that
    systole comes early in long ones; prospective gating keeps the clock, but a short beat is over before its frames.
    """
    n = protocol.phases
    frame = np.arange(n, dtype=np.float64)[None]
    if protocol.gating == "retrospective":
        return np.asarray(np.minimum(frame * rr[:, None], n - 1))
    length = rr[:, None] * n / protocol.covered
    return np.asarray(np.minimum(frame % length, n - 1))


def gather(frames: Image, how: Acquisition, axis: int) -> Image:
    """What the scanner reconstructs from frames (time, row, col) that hold every moment at full length of `axis`.

    Line by line along the phase encoding (image axis 0 or 1) the k-space is taken from the frame its beat showed;
    `jitter` multiplies a line's pulsation, its difference from the mean frame.
    """
    space = fft.fft(frames, axis=axis + 1)
    shape = [1, 1, 1]
    shape[axis + 1] = -1
    out = np.empty_like(space)
    n = len(frames)
    for beat, at in enumerate(how.frame):
        lines = np.flatnonzero(how.beat == beat)
        low = np.floor(at).astype(int)
        part = (at - low).astype(np.float32)[:, None, None]
        mine = np.take(space, lines, axis=axis + 1)
        mixed = (1 - part) * mine[low] + part * mine[np.minimum(low + 1, n - 1)]
        if axis == 0:
            out[:, lines, :] = mixed
        else:
            out[:, :, lines] = mixed
    if how.jitter.any():
        strength = np.asarray(how.jitter, dtype=np.float32).reshape(shape)
        out += strength * (out - out.mean(0, keepdims=True))
    return np.asarray(fft.ifft(out, axis=axis + 1).real, dtype=np.float32)
