"""The field is not even about the heart: where it is off by 1 / (2 TR), balanced steady-state images have dark bands.

The variation over the heart, 62 Hz at 1.5 T and 125 Hz at 3 T on average after shimming, is that of Kellman et al.
(J Cardiovasc Magn Reson 2013;15:63); where its peaks lie, and how it grows towards the edge of the body, are this
package's choice: by the border of the heart with lung and diaphragm at the inferolateral wall, and opposite in front.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.mr.steady_state import bssfp
from cardiolens.phantom.mr.texture import Image

_TISSUE_T1_MS, _TISSUE_T2_MS = 1100.0, 90.0  # between muscle and blood
_CYCLES = np.linspace(-0.5, 0.5, 129)
_LOBES = (  # heart coordinates as shares of the LV length, width in mm, height as a share of the variation
    ((0.40, 0.34, -0.42), 21.0, 0.8),
    ((0.25, -0.32, -0.65), 28.0, -0.3),
    ((-0.55, -0.1, -0.35), 30.0, 0.25),
)
_FAR = 1.0  # growth towards the edge of the body, in units of the variation over the heart


class OffResonance:
    """Field of one examination: the same in the patient for all planes.

    Args:
        hz: variation over the heart; 0 for an even field.
        length_mm: inner length of the LV.
        rng: how this shim differs from the mean; None for the mean.
    """

    def __init__(self, hz: float, length_mm: float, rng: np.random.Generator | None = None) -> None:
        draw = np.zeros((len(_LOBES), 4)) if rng is None else rng.normal(0.0, 1.0, (len(_LOBES), 4))
        self._hz = hz
        self._lobes = [
            ((np.array(place) * length_mm + 5.0 * z[:3]).astype(np.float32), width, height * (1.0 + 0.25 * z[3]))
            for (place, width, height), z in zip(_LOBES, draw, strict=True)
        ]
        over_heart = self._near(_heart_points(length_mm))
        self._scale = hz / float(np.ptp(over_heart))
        self._offset = 0.0 if rng is None else 0.25 * hz * float(rng.normal())
        self._turn = 0.0 if rng is None else float(rng.uniform(0.0, 2.0 * np.pi))
        self._middle = np.float32(0.45 * length_mm)

    def hz(self, heart: Image) -> Image:
        """Off-resonance (n,) in Hz at heart coordinates (n, 3), mm."""
        out = self._near(heart) * np.float32(self._scale) + np.float32(self._offset)
        x, y, z = heart[:, 0], heart[:, 1], heart[:, 2] + self._middle
        away2 = x * x + y * y + z * z
        far = np.clip(np.sqrt(away2) / np.float32(75.0) - 1.0, 0.0, 2.0)
        east, south = np.float32(np.cos(self._turn)), np.float32(np.sin(self._turn))
        lobes = (east * (x * x - y * y) + south * 2.0 * x * y) / np.maximum(away2, 1.0)
        out += np.float32(_FAR * self._hz) * far * far * lobes
        return np.asarray(out, dtype=np.float32)

    def _near(self, heart: Image) -> Image:
        """The lobes about the heart (n,), not yet in Hz."""
        out = np.zeros(len(heart), dtype=np.float32)
        for centre, width, height in self._lobes:
            away = heart - centre
            out += np.float32(height) * np.exp(np.einsum("ij,ij->i", away, away) * np.float32(-0.5 / width**2))
        return out

    def darkening(self, heart: Image, *, repetition_ms: float, flip_deg: float) -> Image | None:
        """Factor (n,) on the signal at heart coordinates (n, 3); None for an even field."""
        if self._hz <= 0:
            return None
        cycles = self.hz(heart) * np.float32(repetition_ms / 1000.0)
        cycles -= np.rint(cycles)
        return np.asarray(np.interp(cycles, _CYCLES, band_profile(repetition_ms, flip_deg)), dtype=np.float32)


def _heart_points(length_mm: float) -> Image:
    """Points (n, 3) through both ventricles, heart coordinates."""
    side = np.linspace(-1.0, 1.0, 9)
    x, y, z = (v.ravel() for v in np.meshgrid(side, side, side))
    inside = x * x + y * y + z * z <= 1.0
    size = np.array([0.55, 0.4, 0.5]) * length_mm
    middle = np.array([-0.15, 0.0, -0.5]) * length_mm
    return np.asarray(np.stack([x, y, z], axis=1)[inside] * size + middle, dtype=np.float32)


def band_profile(repetition_ms: float, flip_deg: float) -> npt.NDArray[np.float64]:
    """Signal over one pass band, in units of that on resonance, from -1/2 to 1/2 cycle a repetition."""
    hz = _CYCLES * 1000.0 / repetition_ms
    signal = bssfp(
        _TISSUE_T1_MS,
        _TISSUE_T2_MS,
        repetition_ms=repetition_ms,
        echo_ms=repetition_ms / 2.0,
        flip_deg=flip_deg,
        off_resonance_hz=hz,
    )
    return np.asarray(signal / signal[len(signal) // 2])
