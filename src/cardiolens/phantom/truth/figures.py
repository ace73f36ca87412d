"""The figures that a phantom heart truly has, integrated from its anatomy, not read off its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cardiolens.phantom.anatomy import Anatomy, anatomy_of
from cardiolens.phantom.anatomy.shapes import FloatArray
from cardiolens.phantom.heart import WALLS, HeartParameters

MUSCLE_G_PER_ML = 1.05


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is so.  Volumes in ml, LV mass in g (muscle at 1.05 g/ml, without papillary muscles), lengths in mm.

    Attributes:
        la_volume_ml, ra_volume_ml: at their largest; la_min_ml, ra_min_ml at their smallest.
        lv_length_mm: inner length at end-diastole; gls_pct: its shortening in systole, in percent, positive (CineMA's
            "global longitudinal shortening").
        wall_thickness_mm: the thickest of the 16 segments at end-diastole.
        lv_edd_mm: inner diameter of the basal LV at end-diastole, septum to lateral wall.
        conditions, severity: names out of `cardiolens.text.conditions` and how severe each is, 0 to 1.
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
    la_min_ml: float
    ra_volume_ml: float
    ra_min_ml: float
    lv_length_mm: float
    gls_pct: float
    wall_thickness_mm: float
    lv_edd_mm: float
    mapse_mm: float
    tapse_mm: float
    effusion_mm: float
    pericardium_mm: float
    rv_wall_mm: float
    aortic_root_mm: float
    ascending_aorta_mm: float
    pulmonary_trunk_mm: float
    atrial_septum_mm: float
    heart_rate: float
    sex: str
    age: float
    height_cm: float
    weight_kg: float
    bsa_m2: float
    conditions: tuple[str, ...] = ()
    severity: Mapping[str, float] = field(default_factory=dict)
    regional: Mapping[str, str] = field(default_factory=dict)
    segment_thickness_mm: tuple[float, ...] = ()


def truth_of(parameters: HeartParameters) -> Truth:
    """Integrate the anatomy of `parameters`.

    Raises:
        PhantomError: walls that cannot reach the LVEF asked for.
    """
    p, anatomy = parameters, anatomy_of(parameters)
    ends = np.array([0.0, 1.0])
    cavity, rv = anatomy.cavity_ml(ends), anatomy.rv_ml(ends)
    thickness, length = segment_thickness_mm(anatomy), anatomy.lv_length(ends)
    return Truth(
        edv_ml=float(cavity[0]),
        esv_ml=float(cavity[1]),
        lvef_pct=float(100.0 * (1.0 - cavity[1] / cavity[0])),
        lv_mass_g=float(MUSCLE_G_PER_ML * anatomy.muscle_ml(ends)[0]),
        rv_edv_ml=float(rv[0]),
        rv_esv_ml=float(rv[1]),
        rvef_pct=float(100.0 * (1.0 - rv[1] / rv[0])),
        la_volume_ml=p.la_max_ml,
        la_min_ml=p.la_max_ml * (1.0 - p.la_ef_pct / 100.0),
        ra_volume_ml=p.ra_max_ml,
        ra_min_ml=p.ra_max_ml * (1.0 - p.ra_ef_pct / 100.0),
        lv_length_mm=p.lv_length_mm,
        gls_pct=float(100.0 * (1.0 - length[1] / length[0])),
        wall_thickness_mm=max(thickness),
        lv_edd_mm=basal_diameter_mm(anatomy),
        mapse_mm=p.mapse_mm,
        tapse_mm=p.tapse_mm,
        effusion_mm=p.effusion_mm,
        pericardium_mm=p.pericardium_mm,
        rv_wall_mm=p.rv_wall_mm,
        aortic_root_mm=p.vessels.aortic_root_mm,
        ascending_aorta_mm=p.vessels.ascending_aorta_mm,
        pulmonary_trunk_mm=p.vessels.pulmonary_trunk_mm,
        atrial_septum_mm=p.septa.atrial_mm,
        heart_rate=p.heart_rate,
        sex=p.sex,
        age=p.age,
        height_cm=p.height_cm,
        weight_kg=p.weight_kg,
        bsa_m2=p.bsa_m2,
        conditions=p.conditions,
        severity=p.severity,
        regional=regional_motion(p),
        segment_thickness_mm=thickness,
    )


def segment_thickness_mm(anatomy: Anatomy) -> tuple[float, ...]:
    """Mean radial thickness (mm) of segments 1 to 16 at end-diastole, from the material surfaces."""
    endo, epi = (np.sqrt(np.maximum(a, 0.0)) for a in anatomy.lv_material(np.zeros(1)))
    return tuple(float(v) for v in wall_by_segment(anatomy, epi - endo)[:, 0])


def wall_by_segment(anatomy: Anatomy, field: FloatArray) -> FloatArray:
    """Mean of a material field (angle, s, phase) over each of the AHA segments 1 to 16: (16, phase)."""
    u = anatomy.material_s / anatomy.inner_share
    degrees = np.rad2deg(anatomy.angles)
    out = []
    for segment in range(16):
        low, high = ((0.08, 0.33), (0.4, 0.66), (0.72, 0.85))[min(segment // 6, 2)]
        width = 60.0 if segment < 12 else 90.0
        middle = 90.0 + width * (segment % 6 if segment < 12 else segment - 12)
        off = np.abs((degrees - middle + 180.0) % 360.0 - 180.0)
        out.append(field[off <= 0.35 * width][:, (u >= low) & (u <= high)].mean((0, 1)))
    return np.stack(out)


def basal_diameter_mm(anatomy: Anatomy) -> float:
    """Widest inner diameter (mm) of the basal third at end-diastole, septum to lateral wall."""
    endo, _ = anatomy.lv_material(np.zeros(1))
    radius = np.sqrt(np.maximum(endo[..., 0], 0.0))
    lateral, septal = radius[0], radius[len(anatomy.angles) // 2]
    basal = (anatomy.material_s >= 0.05) & (anatomy.material_s <= 0.35)
    return float((lateral + septal)[basal].max())


def regional_motion(parameters: HeartParameters) -> dict[str, str]:
    """Per wall the worst of its segments: below 0.2 of normal motion is akinetic, below 0.6 hypokinetic."""
    walls = {**WALLS, "apex": (13, 14, 15, 16, 17)}
    return {name: _grade(min(parameters.segment_motion[s - 1] for s in segments)) for name, segments in walls.items()}


def _grade(motion: float) -> str:
    return "akinetic" if motion < 0.2 else "hypokinetic" if motion < 0.6 else "normal"
