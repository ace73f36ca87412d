"""`Flag`: what should make a reader doubt a figure, with a code that a program can look for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SEVERITIES = ("info", "warning", "error")
"""`info`: worth knowing; `warning`: look before you use a figure; `error`: do not use it."""

CODES: Mapping[str, str] = MappingProxyType(
    {
        "no_short_axis": "no short-axis stack: ventricular volumes from long-axis planes, or none",
        "no_geometry": "pixel spacing or plane positions absent: ratios only",
        "one_phase": "one phase drawn: no end-systole, no ejection fraction",
        "few_planes": "few planes through the left ventricle",
        "gap": "a plane is missing, or was left empty, inside the left ventricle",
        "apex_missing": "the stack ends before the apex",
        "base_missing": "the stack ends before the base",
        "base_leaves": "much of the volume at ED lies in basal planes that hold none at ES",
        "open_ring": "muscle goes only part of the way round a cavity at an end of the ventricle: it may be atrium",
        "edge": "the left ventricle touches the edge of the image",
        "planes_jump": "a plane whose cavity does not fit its neighbours'",
        "curve_noisy": "the volume curve goes up and down more than a heart does",
        "outlier_phases": "single phases far off the curve, not considered for ED and ES",
        "phases_implausible": "ED and ES lie too close or too far apart, or volume is larger at ES",
        "ef_implausible": "ejection fraction outside 10 to 80 %",
        "mass_disagrees": "muscle volume at ED and ES differ by more than 20 %",
        "stroke_volumes_differ": "stroke volumes of the ventricles differ by more than 30 %",
        "views_disagree": "short-axis and long-axis ejection fraction differ by more than 15 points",
        "low_confidence": "the model is unsure of its labels at ED or ES",
        "heart_rate_estimated": "heart rate from trigger times, not from the header",
        "outside_reference": "sex or age that the reference values do not cover",
    }
)
"""Every code and what it says."""


@dataclass(frozen=True)
class Flag:
    """One doubt.  `code` is a key of `CODES`, `severity` one of `SEVERITIES`, `words` say it of this study."""

    code: str
    severity: str
    words: str

    def __post_init__(self) -> None:
        if self.code not in CODES or self.severity not in SEVERITIES:
            raise ValueError(f"flag {self.code!r}, {self.severity!r}: codes are {', '.join(CODES)}; severities "
                             f"{', '.join(SEVERITIES)}")  # fmt: skip

    def __str__(self) -> str:
        return f"{self.severity}: {self.words}"
