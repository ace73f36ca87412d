"""The figures that a phantom heart truly has, integrated from its anatomy, not read off its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cardiolens.phantom.heart import HeartParameters


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is so.  Volumes in ml, LV mass in g (muscle at 1.05 g/ml, without papillary muscles), lengths in mm.

    Attributes:
        la_volume_ml: at its largest.
        wall_thickness_mm: the thickest of the 16 segments at end-diastole.
        lv_edd_mm: inner diameter of the basal LV at end-diastole, septum to lateral wall.
        conditions: empty for a healthy heart.
        regional: "normal", "hypokinetic" or "akinetic" for each of the walls in `heart.WALLS` and "apex".
        segment_thickness_mm: end-diastolic thickness of AHA segments 1 to 16.
    """

    edv_ml: float
    esv_ml: float
    lvef_pct: float
    lv_mass_g: float
    rv_edv_ml: float
    rv_esv_ml: float
    rvef_pct: float
    la_volume_ml: float
    ra_volume_ml: float
    wall_thickness_mm: float
    lv_edd_mm: float
    mapse_mm: float
    tapse_mm: float
    effusion_mm: float
    heart_rate: float
    sex: str
    age: float
    height_cm: float
    weight_kg: float
    bsa_m2: float
    conditions: tuple[str, ...] = ()
    regional: Mapping[str, str] = field(default_factory=dict)
    segment_thickness_mm: tuple[float, ...] = ()


def truth_of(parameters: HeartParameters) -> Truth:
    """Integrate the anatomy of `parameters`."""
    raise NotImplementedError
