"""What a phantom heart is made of: `HeartParameters`, checked.  `disease.sample_parameters` draws them.

Body surface area after Mosteller (N Engl J Med 1987;317:1098).  Segments are the 17 of the American Heart Association
(Cerqueira et al., Circulation 2002;105:539).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart.parts import (
    N_SEGMENTS,
    RHYTHMS,
    Mass,
    Septa,
    Surgery,
    Tissue,
    Valves,
    Vessels,
    check_choice,
    check_ranges,
    check_segments,
    check_tuple,
    is_number,
    part_from_dict,
)
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL

WALLS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "anterior": (1, 7, 13),
        "anteroseptal": (2, 8, 14),
        "inferoseptal": (3, 9, 14),
        "inferior": (4, 10, 15),
        "inferolateral": (5, 11, 16),
        "anterolateral": (6, 12, 16),
    }
)
"""AHA segment numbers (1 to 17) of each wall; 14 and 16 are the septal and lateral apex, 17 the apical cap."""

RANGES: Mapping[str, tuple[float, float, str]] = MappingProxyType(
    {
        "age": (16.0, 100.0, "years"),
        "height_cm": (120.0, 220.0, "cm"),
        "weight_kg": (30.0, 200.0, "kg"),
        "heart_rate": (30.0, 160.0, "beats/min"),
        "lv_edv_ml": (40.0, 600.0, "ml"),
        "lvef_pct": (5.0, 80.0, "%"),
        "lv_length_mm": (55.0, 150.0, "mm"),
        "wall_mm": (3.0, 30.0, "mm"),
        "mapse_mm": (0.0, 25.0, "mm"),
        "twist_deg": (0.0, 25.0, "degrees"),
        "rv_edv_ml": (40.0, 600.0, "ml"),
        "rvef_pct": (5.0, 80.0, "%"),
        "tapse_mm": (0.0, 35.0, "mm"),
        "la_max_ml": (15.0, 350.0, "ml"),
        "la_ef_pct": (5.0, 80.0, "%"),
        "ra_max_ml": (15.0, 350.0, "ml"),
        "ra_ef_pct": (5.0, 80.0, "%"),
        "effusion_mm": (0.0, 40.0, "mm"),
        "pericardium_mm": (0.8, 14.0, "mm"),
        "pleural_effusion_mm": (0.0, 60.0, "mm"),
        "rv_wall_mm": (1.5, 16.0, "mm"),
        "rv_bulges": (0.0, 1.0, ""),
        "noncompacted_mm": (0.0, 25.0, "mm"),
        "aneurysm_mm": (0.0, 25.0, "mm"),
        "atrial_kick": (0.0, 1.5, ""),
        "epicardial_fat_mm": (0.0, 20.0, "mm"),
        "subcutaneous_fat_mm": (3.0, 60.0, "mm"),
        "axis_left_deg": (15.0, 75.0, "degrees"),
        "axis_down_deg": (0.0, 60.0, "degrees"),
        "roll_deg": (-45.0, 45.0, "degrees"),
    }
)


_WHAT = "phantom heart"
_PARTS: Mapping[str, type] = MappingProxyType(
    {"valves": Valves, "vessels": Vessels, "septa": Septa, "tissue": Tissue, "surgery": Surgery}
)


@dataclass(frozen=True, kw_only=True)
class HeartParameters:
    """One heart in one body, at rest.  Everything the anatomy needs, and nothing of the scanner.

    Attributes:
        sex, age, height_cm, weight_kg, heart_rate: "F" or "M"; years; cm; kg; beats per minute.
        lv_edv_ml, lvef_pct: LV cavity at end-diastole, papillary muscles counted as blood; ejection fraction.
        lv_length_mm: inner LV length at end-diastole, mitral plane to endocardial apex.
        wall_mm: wall thickness at end-diastole of a segment whose thickness factor is 1, at mid-ventricle.
        segment_thickness, segment_motion: factor per AHA segment on thickness and on inward motion (1 normal, 0
            akinetic).
        mapse_mm, tapse_mm: travel of the mitral and the tricuspid plane towards the apex.
        twist_deg: apex against base at end-systole, seen from the apex anticlockwise.
        rv_edv_ml, rvef_pct; la_max_ml, la_ef_pct; ra_max_ml, ra_ef_pct: the other chambers.
        noncompacted_mm: depth of a spongy inner layer of the LV, in which blood lies; counted as cavity.
        aneurysm_mm: how far the wall at AHA segment `aneurysm_segment` bulges out.
        rv_wall_mm: thickness of the RV free wall; rv_bulges: its outpouchings that move the wrong way, 0 to 1.
        atrial_kick: share of the normal atrial contraction; 0 in atrial fibrillation.
        rhythm: of `parts.RHYTHMS`.
        effusion_mm: pericardial fluid, at its deepest; pericardium_mm: thickness of the pericardium;
            pleural_effusion_mm: fluid beside the lungs; epicardial_fat_mm; subcutaneous_fat_mm.
        valves, vessels, septa, tissue, masses, surgery: see `parts`.
        axis_left_deg, axis_down_deg: where the apex points: degrees to the left of straight ahead, and below
            horizontal.
        roll_deg: turn of the heart about its long axis.
        body_seed: small individual differences of shape, thorax, vessels and papillary muscles.
        conditions: names out of `cardiolens.text.conditions`, none twice, and in severities how severe each is, 0 just
            so to 1 extreme, in the same order.  "normal" stands alone; a heart with none at all has something that is
            no condition, such as a mild leak.

    Raises:
        PhantomError: a value that no heart can have, naming the field, the value and the limits.
    """

    sex: str = "M"
    age: float = 55.0
    height_cm: float = 175.0
    weight_kg: float = 78.0
    heart_rate: float = 65.0
    lv_edv_ml: float = 160.0
    lvef_pct: float = 60.0
    lv_length_mm: float = 94.0
    wall_mm: float = 7.0
    segment_thickness: tuple[float, ...] = (1.0,) * N_SEGMENTS
    segment_motion: tuple[float, ...] = (1.0,) * N_SEGMENTS
    mapse_mm: float = 13.0
    tapse_mm: float = 20.0
    twist_deg: float = 10.0
    rv_edv_ml: float = 170.0
    rvef_pct: float = 56.0
    la_max_ml: float = 75.0
    la_ef_pct: float = 58.0
    ra_max_ml: float = 85.0
    ra_ef_pct: float = 45.0
    noncompacted_mm: float = 0.0
    aneurysm_mm: float = 0.0
    aneurysm_segment: int = 17
    rv_wall_mm: float = 3.0
    rv_bulges: float = 0.0
    atrial_kick: float = 1.0
    rhythm: str = "sinus"
    effusion_mm: float = 0.0
    pericardium_mm: float = 1.4
    pleural_effusion_mm: float = 0.0
    epicardial_fat_mm: float = 4.0
    subcutaneous_fat_mm: float = 18.0
    axis_left_deg: float = 43.0
    axis_down_deg: float = 22.0
    roll_deg: float = 0.0
    body_seed: int = 0
    valves: Valves = field(default_factory=Valves)
    vessels: Vessels = field(default_factory=Vessels)
    septa: Septa = field(default_factory=Septa)
    tissue: Tissue = field(default_factory=Tissue)
    masses: tuple[Mass, ...] = ()
    surgery: Surgery = field(default_factory=Surgery)
    conditions: tuple[str, ...] = ()
    severities: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.sex not in ("F", "M"):
            raise PhantomError(f'{_WHAT}: sex must be "F" or "M", got {self.sex!r}')
        check_ranges(self, RANGES, _WHAT)
        check_segments(self, "segment_thickness", 0.25, 5.0, _WHAT)
        check_segments(self, "segment_motion", -0.6, 1.5, _WHAT)
        check_choice(self, "rhythm", RHYTHMS, _WHAT)
        if type(self.aneurysm_segment) is not int or not 1 <= self.aneurysm_segment <= N_SEGMENTS:
            raise PhantomError(f"{_WHAT}: aneurysm_segment must be 1 to {N_SEGMENTS}, got {self.aneurysm_segment!r}")
        if type(self.body_seed) is not int or self.body_seed < 0:
            raise PhantomError(f"{_WHAT}: body_seed must be a whole number from 0, got {self.body_seed!r}")
        self._check_parts()
        self._check_conditions()
        if self.mapse_mm > 0.35 * self.lv_length_mm:
            raise PhantomError(
                f"{_WHAT}: mapse_mm {self.mapse_mm:g} is more than 0.35 of lv_length_mm {self.lv_length_mm:g}"
            )

    def _check_parts(self) -> None:
        for name, kind in _PARTS.items():
            if not isinstance(getattr(self, name), kind):
                raise PhantomError(
                    f"{_WHAT}: {name} must be {kind.__name__}(...), got {getattr(self, name)!r}; a stored record is "
                    "read by HeartParameters.from_dict"
                )
        check_tuple(self, "masses", _WHAT)
        if not all(isinstance(mass, Mass) for mass in self.masses):
            raise PhantomError(f"{_WHAT}: masses must each be Mass(...), got {self.masses!r}")

    def _check_conditions(self) -> None:
        check_tuple(self, "conditions", _WHAT)
        check_tuple(self, "severities", _WHAT)
        unknown = [name for name in self.conditions if name not in CONDITION_NAMES]
        if unknown:
            raise PhantomError(f"{_WHAT}: unknown condition {unknown}; known are {', '.join(CONDITION_NAMES)}")
        if len(set(self.conditions)) < len(self.conditions):
            raise PhantomError(f"{_WHAT}: conditions names one twice, {self.conditions}")
        if NORMAL in self.conditions and len(self.conditions) > 1:
            raise PhantomError(f"{_WHAT}: conditions says {NORMAL!r} beside others, {self.conditions}")
        graded = all(is_number(s) and 0 <= s <= 1 for s in self.severities)
        if len(self.severities) != len(self.conditions) or not graded:
            raise PhantomError(f"{_WHAT}: severities must be one number in 0 to 1 a condition, got {self.severities}")

    @property
    def bsa_m2(self) -> float:
        """Body surface area in m2 (Mosteller)."""
        return math.sqrt(self.height_cm * self.weight_kg / 3600.0)

    @property
    def lv_esv_ml(self) -> float:
        return self.lv_edv_ml * (1.0 - self.lvef_pct / 100.0)

    @property
    def rv_esv_ml(self) -> float:
        return self.rv_edv_ml * (1.0 - self.rvef_pct / 100.0)

    @property
    def severity(self) -> dict[str, float]:
        """Condition to severity, 0 to 1."""
        return dict(zip(self.conditions, self.severities, strict=True))

    @property
    def rr_ms(self) -> float:
        """Length of one beat in ms."""
        return 60000.0 / self.heart_rate

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a record; `from_dict` takes them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HeartParameters:
        """The heart of `to_dict`, also when JSON has made lists of its tuples: "parameters" in a study's record.

        Raises:
            PhantomError: a name that is unknown or missing, here or in a part, or a value that no heart can have.
        """
        plain = {n: _part(n, v) for n, v in values.items()} if isinstance(values, Mapping) else values
        return part_from_dict(cls, plain, _WHAT)


def _part(name: str, value: Any) -> Any:
    """The part that a field of this name holds, from plain values; any other value as it is."""
    if name in _PARTS:
        return part_from_dict(_PARTS[name], value, f"{_WHAT}: {name}")
    if name == "masses" and isinstance(value, (list, tuple)):
        return tuple(part_from_dict(Mass, mass, f"{_WHAT}: masses") for mass in value)
    return value
