"""How bright each tissue is on a cine, from the steady-state equation: `contrast_of`.

Three corrections stand between the closed form and a real image.  The slice profile is averaged over, not assumed
perfect: low flip angles at its edges lift muscle against blood (at 1.5 T, 45 degrees, from 0.32 to 0.41 of blood).
`MAGNETISATION_TRANSFER` then lowers solid tissues, which real bSSFP shows darker than the closed form says (Bieri and
Scheffler, Magn Reson Med 2006;56:1067); its figures are this package's choice, set so that the "default" site gives
muscle about 0.35 of blood inside the expert contours, as in two Sunnybrook studies (GE, 1.5 T; 0.30 and 0.39).  Blood
that flows in unsaturated is taken as offset by what is lost to dephasing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np

from cardiolens.phantom.heart.parts import Tissue, check_ranges
from cardiolens.phantom.mr.protocol import Protocol
from cardiolens.phantom.mr.relaxation import TISSUES
from cardiolens.phantom.mr.steady_state import slice_signal

PROTON_HZ_PER_T = 42.577e6
MAGNETISATION_TRANSFER: Mapping[str, float] = MappingProxyType(
    {"myocardium": 0.86, "skeletal": 0.66, "liver": 0.86, "spleen": 0.94, "marrow": 0.8, "tumor": 0.88, "thrombus": 0.9}
)
_SCATTER_T1, _SCATTER_T2, _SCATTER_REST = 0.05, 0.09, 0.06
_SPREAD_HZ_PER_T = (-30.0, -15.0, 0.0, 15.0, 30.0)  # of the field over body fat; a package choice


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Signal of each tissue relative to blood at 1, and what the acquisition does to it.

    Attributes:
        ink: depth (0 to 1) of the dark line where fat meets water, both in one voxel and out of phase.
        shading: how much the front coil outweighs the rest; 0 is even.
        noise: standard deviation of the noise in each channel, in units of blood.
        acquired: share of the matrix that was acquired along phase and frequency encoding; the rest is zero-filled.
        scale: stored value of blood.
        round_field: whether the image is cut to a circle, as after gradient correction on some scanners.
        void, calcium: what gives no signal; void_bloom: how far (mm) the void of metal reaches beyond the metal.

    Raises:
        PhantomError: a figure that is negative or not finite, naming the field.
    """

    blood: float = 1.0
    right_blood: float = 0.95
    myocardium: float = 0.36
    fat: float = 1.05
    epicardial_fat: float = 0.85
    skeletal: float = 0.23
    lung: float = 0.05
    liver: float = 0.47
    spleen: float = 0.56
    marrow: float = 0.43
    fluid: float = 1.18
    pleural_fluid: float = 1.12
    gut: float = 0.6
    thrombus: float = 0.40
    tumor: float = 0.45
    myxoma: float = 0.6
    cyst: float = 1.35
    pericardium: float = 0.14
    calcium: float = 0.0
    void: float = 0.0
    void_bloom: float = 6.0
    ink: float = 0.65
    shading: float = 1.0
    noise: float = 0.017
    acquired: tuple[float, float] = (0.7, 0.85)
    scale: float = 280.0
    round_field: bool = False

    def __post_init__(self) -> None:
        ranges = {f.name: (0.0, 1e6, "") for f in fields(self) if f.name not in ("acquired", "round_field")}
        check_ranges(self, ranges, "contrast")


def contrast_of(protocol: Protocol, rng: np.random.Generator | None = None, tissue: Tissue | None = None) -> Contrast:
    """Contrast of one patient under a protocol.

    Args:
        rng: draws how this patient and this day differ from the mean; None for the mean.
        tissue: the patient's muscle, whose T1 and T2 may be shifted.
    """
    chance = _Chance(rng)
    flip = min(protocol.flip_deg * _transmitted(protocol, chance), 90.0)
    signal = {name: _signal(name, protocol, flip, chance, tissue) for name in TISSUES}
    native = slice_signal(
        *TISSUES["blood"].at(protocol.field_strength_t),
        repetition_ms=protocol.repetition_ms,
        echo_ms=protocol.echo_ms,
        flip_deg=protocol.flip_deg,
        softness=protocol.slice_softness,
    )
    brighter = signal["blood"] / (native * TISSUES["blood"].protons)
    shares = {name: value / signal["blood"] for name, value in signal.items() if name != "blood"}
    return Contrast(
        **shares,
        epicardial_fat=shares["fat"] * chance.about(0.81, 0.1),
        lung=chance.about(0.05, 0.35),
        gut=chance.about(0.6, 0.4),
        void_bloom=_bloom_mm(protocol),
        ink=_ink(protocol) * chance.about(1.0, 0.12),
        shading=protocol.shading * chance.about(1.0, 0.3),
        noise=protocol.noise / brighter * float(np.exp(chance.normal(0.25))),
        acquired=protocol.acquired,
        scale=280.0 * float(np.exp(chance.normal(0.4))),
        round_field=protocol.round_field,
    )


class _Chance:
    """Scatter about a mean; none without a generator."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self._rng = rng

    def normal(self, deviation: float) -> float:
        if self._rng is None:
            return 0.0
        return float(np.clip(self._rng.normal(0.0, 1.0), -2.2, 2.2)) * deviation

    def about(self, value: float, share: float) -> float:
        return value * (1.0 + self.normal(share))


def _signal(name: str, protocol: Protocol, flip_deg: float, chance: _Chance, tissue: Tissue | None) -> float:
    kind = TISSUES[name]
    t1, t2 = kind.at(protocol.field_strength_t, protocol.agent_mm)
    if name == "myocardium" and tissue is not None:
        t1, t2 = max(t1 + tissue.t1_shift_ms, 100.0), max(t2 + tissue.t2_shift_ms, 10.0)
    t1, t2 = chance.about(t1, _SCATTER_T1), chance.about(t2, _SCATTER_T2)
    shift = kind.shift_ppm * 1e-6 * PROTON_HZ_PER_T * protocol.field_strength_t
    around = (0.0,) if shift == 0 else tuple(shift + protocol.field_strength_t * offset for offset in _SPREAD_HZ_PER_T)
    signals = [
        slice_signal(
            t1,
            t2,
            repetition_ms=protocol.repetition_ms,
            echo_ms=protocol.echo_ms,
            flip_deg=flip_deg,
            softness=protocol.slice_softness,
            off_resonance_hz=hz,
        )
        for hz in around
    ]
    value = float(np.mean(signals))
    rest = 0.02 if name == "blood" else _SCATTER_REST
    return value * kind.protons * MAGNETISATION_TRANSFER.get(name, 1.0) * chance.about(1.0, rest)


def _transmitted(protocol: Protocol, chance: _Chance) -> float:
    """Share of the flip angle that arrives at the heart: about all at 1.5 T, less and more varied at 3 T.

    Mean of 0.85 without patient-adapted shimming at 3 T (Krishnamurthy et al., J Cardiovasc Magn Reson 2013;15, who
    found 0.81 and, with shimming, 0.89).
    """
    high = min(max((protocol.field_strength_t - 1.5) / 1.5, 0.0), 1.0)
    return (1.0 - 0.15 * high) * (1.0 + chance.normal(0.03 + 0.05 * high))


def _ink(protocol: Protocol) -> float:
    """Fat and water oppose each other when fat lies in an odd pass band; then a line is dark where they meet."""
    cycles = abs(TISSUES["fat"].shift_ppm) * 1e-6 * PROTON_HZ_PER_T * protocol.field_strength_t
    band = round(cycles * protocol.repetition_ms / 1000.0)
    return 0.65 if band % 2 else 0.2


def _bloom_mm(protocol: Protocol) -> float:
    """Reach of a metal void beyond the metal: 6 mm at 1.5 T and a TR of 3 ms, growing with both (package's choice)."""
    return float(6.0 * (protocol.field_strength_t / 1.5) ** 0.7 * (protocol.repetition_ms / 3.0) ** 0.5)
