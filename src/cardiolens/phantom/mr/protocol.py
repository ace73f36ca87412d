"""How one examination is scanned: `Protocol`, frozen and checked.

Protocol()                                  # a plain 1.5 T examination
Protocol.neutral(matrix=128, partial_fourier=0.6)  # nothing but what is named: no noise, no shading, no artefact
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart.parts import check_choice, check_flags, check_ranges, check_tuple, check_whole

VENDORS = ("ge", "siemens", "philips")
GATINGS = ("retrospective", "prospective")
ENCODINGS = ("COL", "ROW")

RANGES: Mapping[str, tuple[float, float, str]] = MappingProxyType(
    {
        "field_strength_t": (0.5, 7.0, "T"),
        "repetition_ms": (1.5, 10.0, "ms"),
        "echo_ms": (0.5, 5.0, "ms"),
        "flip_deg": (1.0, 90.0, "degrees"),
        "bandwidth_hz": (100.0, 4000.0, "Hz"),
        "matrix": (32, 1024, ""),
        "field_mm": (100, 600, "mm"),
        "phase_field": (0.4, 1.0, ""),
        "partial_fourier": (0.55, 1.0, ""),
        "acceleration": (1.0, 8.0, ""),
        "channels": (1, 32, ""),
        "lines_per_segment": (1, 60, ""),
        "phases": (1, 100, ""),
        "sax_planes": (1, 40, ""),
        "slice_thickness_mm": (1, 20, "mm"),
        "slice_softness": (0.0, 1.0, ""),
        "noise": (0.0, 1.0, ""),
        "shading": (0.0, 4.0, ""),
        "evened": (0.0, 1.0, ""),
        "agent_mm": (0.0, 3.0, "mmol/l"),
        "off_resonance_hz": (0.0, 600.0, "Hz"),
        "flow_artefact": (0.0, 1.0, ""),
        "trigger_delay": (-0.3, 0.3, ""),
        "covered": (0.5, 1.0, ""),
        "arrhythmia": (0.0, 1.0, ""),
        "breath_hold_mm": (0.0, 20.0, "mm"),
        "breathing_mm": (0.0, 20.0, "mm"),
    }
)
_NEUTRAL: Mapping[str, Any] = MappingProxyType(
    {
        "acquired": (1.0, 1.0),
        "slice_softness": 0.0,
        "noise": 0.0,
        "shading": 0.0,
        "off_resonance_hz": 0.0,
        "breath_hold_mm": 0.0,
        "arrhythmia": 0.0,
    }
)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Scanner, sequence, geometry and mishaps.  What is not a scanner's own figure runs from 0, none, upwards.

    Attributes:
        vendor: whose manner, of `VENDORS`; it decides what the header calls a repetition time.
        field_strength_t, repetition_ms, echo_ms, flip_deg, bandwidth_hz: of the bSSFP sequence; bandwidth per pixel.
        matrix: pixels along the full field as acquired; recon_matrix: as stored, after zero filling, None for the same.
        field_mm: extent of the full field; phase_field: share of it that is kept along the phase encoding.
        phase_encoding: "COL", down a column, or "ROW", along a row (DICOM's InPlanePhaseEncodingDirection).
        wrap: what lies beyond the field along the phase encoding folds in; False with oversampling.
        acquired: share of the matrix that was acquired along the phase and the frequency encoding.
        partial_fourier: share of the phase-encoding lines that were acquired; 1 is all.
        acceleration: parallel imaging, which raises the noise, most in the middle.
        channels: coil channels joined by sum of squares; 1 for an adaptive combination, whose noise is Rician.
        lines_per_segment: lines of k-space of a frame that come from one heart beat.
        interleaved: lines of one beat are spread over k-space (ghosts when beats differ), not in blocks (blur).
        phases: frames a beat; sax_planes: planes of the stack, apex first.
        slice_thickness_mm, slice_gap_mm: gap between short-axis planes, None for what covers the heart (0 to 4).
        slice_softness: share of the thickness over which each edge of the slice profile falls off.
        noise: deviation in units of native blood signal, before acceleration; shading: how much the front coil
            outweighs the rest; evened: share of the shading that the scanner takes out again.
        round_field: the image is cut to a circle, as after gradient correction on some scanners.
        agent_mm: gadolinium in the blood; some 0.35 ten minutes after 0.15 mmol/kg.
        off_resonance_hz: how far the field varies over the heart; dark bands come where it passes 1 / (2 TR).
        flow_artefact: streaks of pulsating blood along the phase encoding.
        gating: "prospective" covers only the first `covered` share of the beat and says so in the trigger times.
        trigger_delay: share of a beat by which the R wave is found too late (or early), unknown to the scanner.
        arrhythmia: how much of an irregular rhythm gets into the data; 0 if all odd beats are rejected.
        breath_hold_mm: deviation of the patient's place from one breath-hold to the next, head to foot.
        breathing_mm: how far the patient moves while a plane is scanned, from one beat to the next.

    Raises:
        PhantomError: a setting that no scanner has, naming field, value and limits.
    """

    vendor: str = "ge"
    field_strength_t: float = 1.5
    repetition_ms: float = 3.36
    echo_ms: float = 1.53
    flip_deg: float = 45.0
    bandwidth_hz: float = 980.0
    matrix: int = 256
    recon_matrix: int | None = None
    field_mm: float = 350.0
    phase_field: float = 1.0
    phase_encoding: str = "COL"
    wrap: bool = False
    acquired: tuple[float, float] = (0.7, 0.85)
    partial_fourier: float = 1.0
    acceleration: float = 1.0
    channels: int = 1
    lines_per_segment: int = 12
    interleaved: bool = True
    phases: int = 25
    sax_planes: int = 12
    slice_thickness_mm: float = 8.0
    slice_gap_mm: float | None = None
    slice_softness: float = 0.4
    noise: float = 0.017
    shading: float = 1.0
    evened: float = 0.0
    round_field: bool = False
    agent_mm: float = 0.0
    off_resonance_hz: float = 60.0
    flow_artefact: float = 0.0
    gating: str = "retrospective"
    covered: float = 1.0
    trigger_delay: float = 0.0
    arrhythmia: float = 1.0
    breath_hold_mm: float = 1.5
    breathing_mm: float = 0.0

    def __post_init__(self) -> None:
        what = "protocol"
        check_ranges(self, RANGES, what)
        for name in ("matrix", "channels", "lines_per_segment", "phases", "sax_planes"):
            if not isinstance(getattr(self, name), int):
                raise PhantomError(f"{what}: {name} must be a whole number, got {getattr(self, name)}")
        check_flags(self, ("wrap", "interleaved", "round_field"), what)
        check_tuple(self, "acquired", what)
        check_choice(self, "vendor", VENDORS, what)
        check_choice(self, "phase_encoding", ENCODINGS, what)
        check_choice(self, "gating", GATINGS, what)
        if self.recon_matrix is not None:
            check_whole(f"{what}: recon_matrix", self.recon_matrix, self.matrix, 1024)
        if self.slice_gap_mm is not None:
            check_ranges(self, {"slice_gap_mm": (0.0, 30.0, "mm")}, what)
        if len(self.acquired) != 2 or not all(0.2 <= share <= 1 for share in self.acquired):
            raise PhantomError(f"{what}: acquired must be two shares in 0.2 to 1, got {self.acquired}")
        if self.echo_ms >= self.repetition_ms:
            raise PhantomError(
                f"{what}: echo_ms {self.echo_ms:g} must be less than repetition_ms {self.repetition_ms:g}"
            )
        if self.covered < 1 and self.gating == "retrospective":
            raise PhantomError(f"{what}: covered {self.covered:g} needs gating 'prospective'; retrospective covers all")

    @classmethod
    def neutral(cls, **changes: Any) -> Protocol:
        """A protocol that adds nothing to the heart's signal, but for what `changes` names."""
        return cls(**{**_NEUTRAL, **changes})

    def with_(self, **changes: Any) -> Protocol:
        """A copy in which every change that is not None is made."""
        kept = {name: value for name, value in changes.items() if value is not None}
        if "matrix" in kept:
            kept.setdefault("recon_matrix", None)
        return replace(self, **kept)

    @property
    def stored_matrix(self) -> int:
        return self.recon_matrix or self.matrix

    @property
    def header_repetition_ms(self) -> float:
        """What the header calls RepetitionTime: some vendors mean the time of one segment."""
        return self.repetition_ms * (self.lines_per_segment if self.vendor == "siemens" else 1)
