"""Where beats begin in a loop without an ECG: from the pixels' own rhythm.

The images' main pattern of change (first principal component of the small, smoothed, band-passed loop) rises and falls
once a beat.  Its lag of best likeness gives the length of a beat; its peaks, turned so that they are the moments when
the middle of the sector is darkest, are near end-diastole, when the cavities are largest.

The band, 40 to 180 beats a minute, and the choice of the pattern are ours; `docs/how-to/echo.md` has how far the
found beats lie from the true ones on phantoms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from cardiolens.errors import InputError
from cardiolens.volume import Volume

FloatArray = npt.NDArray[np.float64]

SHORTEST_MS, LONGEST_MS = 333.0, 1500.0  # of a beat: 180 and 40 a minute
_LIKE = 0.3  # least likeness of the pattern to itself one beat later
_OVERLAP_MS = 300.0  # of the loop with itself one beat later, from which likeness means something
_CELLS = 28  # edge of the grid on which the pattern is looked for
_HARMONICS = 4.0  # of the heart rate that are kept
_APART = 0.6  # of a beat's length, that two beats are at least apart
_TALL = 0.4  # of the usual peak's height, what a peak must have; filters leave low ones at the ends of a loop
_CENTRE = (0.15, 0.7, 0.3, 0.75)  # rows and columns of the sector's box where the ventricles lie, as shares
_IRREGULAR = 0.15  # spread of the beats' lengths over their mean that is told


@dataclass(frozen=True, eq=False)
class Beats:
    """Beats of a loop.

    Attributes:
        starts: (beat,) image at which each begins, near end-diastole, ascending; () where none was found.
        length_ms: of the usual beat; None where none was found.
        likeness: of the pattern to itself one beat later, -1 to 1.
        pattern: (image,) the pattern that was read.
        notes: what is doubtful.
    """

    starts: tuple[int, ...]
    length_ms: float | None
    likeness: float
    pattern: FloatArray
    notes: tuple[str, ...] = ()

    @property
    def heart_rate(self) -> float | None:
        """Beats a minute."""
        return None if self.length_ms is None else 60_000.0 / self.length_ms

    def spans(self, count: int) -> list[tuple[int, int]]:
        """(first image, image after the last) of each beat that is whole in a loop of `count` images."""
        return [(a, b) for a, b in zip(self.starts, [*self.starts[1:], count], strict=True) if self._whole(a, b)]

    def _whole(self, start: int, stop: int) -> bool:
        return start != self.starts[-1] or stop - start >= self._images

    @property
    def _images(self) -> float:
        """Images of a usual beat."""
        return float(np.median(np.diff(self.starts))) if len(self.starts) > 1 else np.inf


def find_beats(loop: Volume) -> Beats:
    """Find the beats of a cleaned loop with even times.

    Raises:
        InputError: no times, or images in colour.
    """
    if loop.times_ms is None or loop.in_colour or loop.along != "time":
        raise InputError(f"{loop.source}: beats are found in a grey loop with known times")
    count = len(loop)
    step = float(np.median(np.diff(loop.times_ms))) if count > 1 else np.inf
    if count * step < 1.2 * SHORTEST_MS or step > SHORTEST_MS / 4:
        return Beats((), None, 0.0, np.zeros(count), ("too short, or too few images a second, to see a beat",))
    small = _small(loop.images)
    pattern = _main_pattern(_passed(small, step))
    lag, likeness = _best_lag(pattern, step)
    if lag is None:
        return Beats((), None, likeness, pattern, ("no rhythm found in the pixels",))
    pattern = _main_pattern(_passed(small, step, top_hz=_HARMONICS * 1000.0 / (lag * step)))
    pattern = pattern * _towards_diastole(pattern, loop.images)
    peaks, _ = signal.find_peaks(pattern, distance=max(1, round(_APART * lag)), prominence=0.5 * float(pattern.std()))
    if len(peaks):
        peaks = peaks[pattern[peaks] >= _TALL * np.median(pattern[peaks])]
    starts = tuple(int(peak) for peak in peaks)
    notes = []
    lengths = np.diff(starts)
    if len(lengths) > 1 and float(lengths.std() / lengths.mean()) > _IRREGULAR:
        notes.append(f"beats of unequal length ({lengths.min() * step:.0f} to {lengths.max() * step:.0f} ms)")
    length = float(np.median(lengths) * step) if len(lengths) else lag * step
    return Beats(starts, length, likeness, pattern, tuple(notes))


def _small(images: npt.NDArray[np.uint8]) -> FloatArray:
    """(image, cell): a coarse, smoothed loop."""
    edge = max(1, images.shape[1] // _CELLS)
    smooth = ndimage.uniform_filter(images.astype(np.float32), (0, edge, edge))[:, edge // 2 :: edge, edge // 2 :: edge]
    return np.asarray(smooth.reshape(len(images), -1), dtype=np.float64)


def _passed(small: FloatArray, step: float, top_hz: float = 8.0) -> FloatArray:
    """Without what is slower than a beat (breathing, drift of the probe) and faster than its harmonics (noise)."""
    nyquist = 500.0 / step
    low, high = 0.8 * 1000.0 / LONGEST_MS, min(top_hz, 0.95 * nyquist)
    filters = signal.butter(2, [low / nyquist, high / nyquist], btype="band", output="sos")
    pad = min(len(small) - 1, round(LONGEST_MS / step))
    return np.asarray(signal.sosfiltfilt(filters, small - small.mean(0), axis=0, padlen=pad))


def _main_pattern(moving: FloatArray) -> FloatArray:
    """(image,) first principal component, of unit spread."""
    values, vectors = np.linalg.eigh(moving @ moving.T)
    first = vectors[:, -1] * np.sqrt(max(values[-1], 0.0))
    spread = float(first.std())
    return np.asarray(first / spread if spread > 0 else first)


def _best_lag(pattern: FloatArray, step: float) -> tuple[int | None, float]:
    """Images after which the pattern is most like itself, and how like; None where it never is.

    Of lags nearly as good as the best the shortest is taken: two beats are as like as one.
    """
    low = max(2, int(np.ceil(SHORTEST_MS / step)))
    high = min(int(LONGEST_MS / step), len(pattern) - max(3, round(_OVERLAP_MS / step)))
    if high < low:
        return None, 0.0
    lags = np.arange(low, high + 1)
    like = np.array([np.corrcoef(pattern[:-lag], pattern[lag:])[0, 1] for lag in lags])
    like = np.nan_to_num(like)
    inner, _ = signal.find_peaks(np.concatenate([[-1.0], like, [-1.0]]))
    peaks = inner - 1
    if not len(peaks) or like[peaks].max() < _LIKE:
        return None, float(like.max(initial=0.0))
    good = peaks[like[peaks] >= 0.85 * like[peaks].max()]
    return int(lags[good[0]]), float(like[good[0]])


def _towards_diastole(pattern: FloatArray, images: npt.NDArray[np.uint8]) -> float:
    """1 or -1, by which peaks of the pattern are when the middle of the sector, where the ventricles lie, is dark."""
    seen = images.max(axis=0) > 0
    rows, cols = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    height, width = rows[-1] - rows[0], cols[-1] - cols[0]
    top, bottom = (rows[0] + round(share * height) for share in _CENTRE[:2])
    left, right = (cols[0] + round(share * width) for share in _CENTRE[2:])
    bright = images[:, top : bottom + 1, left : right + 1].mean(axis=(1, 2))
    return -1.0 if float(np.corrcoef(pattern, bright)[0, 1]) > 0 else 1.0
