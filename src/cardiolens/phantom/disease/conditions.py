"""Which of the 35 conditions a heart has: by its measurements where one defines the condition, else by its cause.

So conditions occur together as they do in patients: amyloid thickens the wall and enlarges the atria, and the heart is
labelled with all three.
"""

from __future__ import annotations

from dataclasses import replace

from cardiolens.phantom.heart import HeartParameters, limits
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL

CAUSES = (
    "amyloidosis",
    "arrhythmogenic right ventricular cardiomyopathy",
    "hypertrophic cardiomyopathy",
    "ischemic cardiomyopathy",
    "left ventricular non-compaction",
    "myocarditis",
    "non-ischemic cardiomyopathy",
    "pericarditis",
    "pulmonary hypertension",
    "sarcoidosis",
    "tetralogy of Fallot",
)
"""Conditions that no single measurement defines."""

_SEVERE = limits.VALVE_STEPS[2]


def labelled(parameters: HeartParameters, causes: dict[str, float]) -> HeartParameters:
    """`parameters` with its conditions and their severities, in the order of `cardiolens.text.conditions`."""
    found = {**measured(parameters), **causes}
    if not found and is_unremarkable(parameters):
        found = {NORMAL: 0.0}
    names = tuple(name for name in CONDITION_NAMES if name in found)
    return replace(parameters, conditions=names, severities=tuple(round(_share(found[n]), 3) for n in names))


def measured(parameters: HeartParameters) -> dict[str, float]:
    """Conditions that the parameters themselves define, with a severity from 0, just over the limit, to 1."""
    p, v = parameters, parameters.valves
    bsa, wall = p.bsa_m2, p.wall_mm * max(p.segment_thickness[:16])
    aorta = max(p.vessels.aortic_root_mm, p.vessels.ascending_aorta_mm)
    over = {
        "aortic dilation": (aorta - limits.AORTA_MM[0]) / 15.0,
        "large pericardial effusion": (p.effusion_mm - limits.EFFUSION_MM[2]) / 14.0,
        "left atrial dilation": _excess(p.la_max_ml / bsa, limits.LA_INDEX),
        "left ventricular dilation": _excess(p.lv_edv_ml / bsa, limits.LV_EDVI[p.sex][1]),
        "left ventricular hypertrophy": (wall - limits.WALL_MM[p.sex][0]) / 12.0,
        "lipomatous atrial wall": (p.septa.atrial_mm - limits.ATRIAL_SEPTUM_MM) / 12.0 if p.septa.atrial_fat else -1.0,
        "pulmonary artery dilation": (p.vessels.pulmonary_trunk_mm - limits.PULMONARY_TRUNK_MM[0]) / 14.0,
        "pulmonary stenosis": v.pulmonary_stenosis - limits.VALVE_STEPS[0],
        "right atrial dilation": _excess(p.ra_max_ml / bsa, limits.RA_INDEX),
        "right ventricular dilation": _excess(p.rv_edv_ml / bsa, limits.RV_EDVI[p.sex]),
        "right ventricular hypertrophy": (p.rv_wall_mm - limits.RV_WALL_MM[0]) / 6.0,
        "severe aortic stenosis": (v.aortic_stenosis - _SEVERE) / (1.0 - _SEVERE),
        "severe mitral regurgitation": (v.mitral_regurgitation - _SEVERE) / (1.0 - _SEVERE),
        "systolic anterior motion": v.sam - limits.VALVE_STEPS[1],
    }
    there = {
        "atrial myxoma": _largest(p, "myxoma") / 70.0,
        "atrial septal defect": p.septa.asd_mm / 35.0,
        "bicuspid aortic valve": 0.5 if v.bicuspid else 0.0,
        "cardiac thrombus": _largest(p, "thrombus") / 40.0,
        "cardiac tumor": _largest(p, "tumor") / 80.0,
        "other cardiac mass": _largest(p, "cyst", "lipoma", "vegetation") / 60.0,
        "previous surgery": 0.5 if p.surgery.kinds else 0.0,
        "prosthetic valve": 0.5 if v.prosthesis else 0.0,
        "ventricular septal defect": p.septa.vsd_mm / 20.0,
    }
    return {n: s for n, s in over.items() if s >= 0} | {n: s for n, s in there.items() if s > 0}


def is_unremarkable(parameters: HeartParameters) -> bool:
    """Nothing that a report would have to mention, beyond the conditions themselves."""
    p, v = parameters, parameters.valves
    leaks = (v.mitral_regurgitation, v.tricuspid_regurgitation, v.aortic_regurgitation, v.aortic_stenosis, v.sam)
    return (
        p.lvef_pct >= 52.0
        and p.rvef_pct >= 45.0
        and max(leaks) < limits.VALVE_STEPS[0]
        and p.effusion_mm < limits.EFFUSION_MM[0]
        and p.pericardium_mm < limits.PERICARDIUM_MM[0]
        and p.pleural_effusion_mm < 1.0
        and p.lv_edv_ml / p.bsa_m2 >= limits.LV_EDVI[p.sex][0]
        and min(p.segment_motion) >= 0.75
        and p.rhythm == "sinus"
        and not p.masses
        and not any(p.tissue.scar)
        and not any(p.tissue.edema)
        and p.noncompacted_mm < 2.0
    )


def _largest(parameters: HeartParameters, *kinds: str) -> float:
    return max((mass.size_mm for mass in parameters.masses if mass.kind in kinds), default=0.0)


def _excess(value: float, limit: float) -> float:
    """Severity of a volume: 1 at 1.6 times the limit."""
    return (value / limit - 1.0) / 0.6


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)
