"""Diseases of valves, aorta, left atrium and pericardium; masses; what surgeons left behind."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from cardiolens.phantom.disease.draft import Draft, Rng, clip_normal, fail_pump, fibrillate, scale_lv
from cardiolens.phantom.heart.limits import AORTA_MM, LA_INDEX
from cardiolens.phantom.heart.parts import Mass


def aortic_stenosis(draft: Draft, rng: Rng) -> None:
    """Severe aortic stenosis: thick valve, jet, thick LV; half of the younger patients have two cusps."""
    draft.worsen("aortic_stenosis", rng.uniform(0.68, 1.0))
    draft.valves["bicuspid"] = bool(rng.random() < (0.5 if draft.of["age"] < 65.0 else 0.2))
    draft.of["wall_mm"] = (10.5 if draft.of["sex"] == "F" else 11.5) + rng.gamma(1.6, 1.1)
    draft.thin_free_wall(rng)
    draft.vessels["ascending_aorta_mm"] += rng.uniform(0.0, 8.0)
    fail_pump(draft, clip_normal(rng, 58.0, 10.0, 25.0, 74.0), rng)
    draft.scale("la_max_ml", rng.uniform(1.0, 1.4))
    if rng.random() < 0.4:
        draft.worsen("aortic_regurgitation", rng.uniform(0.1, 0.5))


def bicuspid(draft: Draft, rng: Rng) -> None:
    """A bicuspid aortic valve that may leak, narrow, and come with a wide ascending aorta."""
    draft.valves["bicuspid"] = True
    draft.vessels["ascending_aorta_mm"] += rng.uniform(0.0, 14.0)
    if rng.random() < 0.5:
        draft.worsen("aortic_stenosis", rng.uniform(0.05, 0.62))
    if rng.random() < 0.5:
        leak_aorta(draft, rng, rng.uniform(0.1, 0.8))


def leak_aorta(draft: Draft, rng: Rng, grade: float) -> None:
    """Aortic regurgitation, which widens the LV."""
    draft.worsen("aortic_regurgitation", grade)
    scale_lv(draft, 1.0 + 0.5 * max(0.0, grade - 0.2) * rng.uniform(0.6, 1.2))


def aorta(draft: Draft, rng: Rng) -> None:
    """Aortic dilation at the root or above it."""
    wide = AORTA_MM[0] + 0.5 + rng.gamma(1.6, 2.8)
    at = str(rng.choice(["aortic_root_mm", "ascending_aorta_mm"]))
    draft.vessels[at] = min(wide, 62.0)
    if rng.random() < 0.4:
        leak_aorta(draft, rng, rng.uniform(0.1, 0.6))


def mitral_regurgitation(draft: Draft, rng: Rng) -> None:
    """Severe mitral regurgitation: jet into a large atrium, a large LV that seems to work well."""
    draft.worsen("mitral_regurgitation", rng.uniform(0.68, 1.0))
    scale_lv(draft, rng.uniform(1.35, 1.85))
    draft.scale("la_max_ml", rng.uniform(1.4, 2.4))
    draft.of["lvef_pct"] = clip_normal(rng, 60.0, 7.0, 35.0, 72.0)
    if rng.random() < 0.35:
        fibrillate(draft, rng)


def prosthesis(draft: Draft, rng: Rng) -> None:
    """A replaced aortic or mitral valve, its void, and the wires of the operation."""
    which = str(rng.choice(["aortic", "mitral"], p=[0.65, 0.35]))
    draft.valves |= {"prosthesis": which, "mechanical": bool(rng.random() < 0.5)}
    draft.operate("valve replacement")
    if which == "mitral":
        draft.scale("la_max_ml", rng.uniform(1.2, 1.9))
        if rng.random() < 0.5:
            fibrillate(draft, rng)
    else:
        draft.of["wall_mm"] *= rng.uniform(1.0, 1.6)
    fail_pump(draft, clip_normal(rng, 55.0, 9.0, 25.0, 70.0), rng)


def operated(draft: Draft, rng: Rng) -> None:
    """Previous surgery with nothing else to see but its wires."""
    bypass = 0.6 if draft.of["age"] >= 42.0 else 0.0
    kinds = ["coronary bypass", "aortic repair", "septal defect closure"]
    draft.operate(str(rng.choice(kinds, p=[bypass, 0.4 * (1.0 - bypass), 0.6 * (1.0 - bypass)])))
    fail_pump(draft, clip_normal(rng, 56.0, 8.0, 30.0, 70.0), rng)


def la_dilation(draft: Draft, rng: Rng) -> None:
    """Left atrial dilation, from fibrillation or a stiff LV."""
    if rng.random() < 0.6:
        fibrillate(draft, rng)
    else:
        draft.of["wall_mm"] *= rng.uniform(1.0, 1.3)
        draft.of["atrial_kick"] = rng.uniform(0.5, 1.2)
    draft.at_least("la_max_ml", LA_INDEX * draft.bsa_m2 * rng.uniform(1.03, 1.7))


def effusion(draft: Draft, rng: Rng) -> None:
    """A large pericardial effusion."""
    draft.of["effusion_mm"] = rng.uniform(20.5, 34.0)
    draft.of["heart_rate"] = float(np.clip(draft.of["heart_rate"] + rng.uniform(0.0, 20.0), 45.0, 120.0))


def pericarditis(draft: Draft, rng: Rng) -> None:
    """Pericarditis: thick pericardium, some fluid; where it constricts, the septum bounces and the atria grow."""
    severity = float(rng.uniform(0.0, 1.0))
    draft.causes["pericarditis"] = severity
    draft.of["pericardium_mm"] = 3.0 + 4.0 * severity
    if rng.random() < 0.7:
        draft.of["effusion_mm"] = rng.uniform(1.0, 15.0)
    if severity > 0.5 and rng.random() < 0.6:
        draft.septa["bounce_mm"] = rng.uniform(2.0, 6.0)
        draft.scale("la_max_ml", rng.uniform(1.1, 1.5))
        draft.scale("ra_max_ml", rng.uniform(1.1, 1.6))
        draft.of["pleural_effusion_mm"] = rng.uniform(0.0, 30.0)


def myxoma(draft: Draft, rng: Rng) -> None:
    """An atrial myxoma on a stalk from the atrial septum, which may swing through the mitral valve."""
    size = rng.uniform(14.0, 52.0)
    draft.masses.append(Mass(kind="myxoma", site="LA septum", size_mm=size, mobile=float(rng.uniform(0.2, 1.0))))
    room = 0.5 * (size / 12.0) ** 3 * 4.0
    draft.at_least("la_max_ml", min(90.0 + room, 220.0))


def tumor(draft: Draft, rng: Rng) -> None:
    """A solid mass in or on the heart."""
    site = str(rng.choice(["LV wall", "RV wall", "RA wall", "pericardium"], p=[0.25, 0.25, 0.3, 0.2]))
    size = rng.uniform(15.0, 60.0 if site == "pericardium" else 42.0)
    draft.masses.append(Mass(kind="tumor", site=site, size_mm=size))
    if site == "RA wall":
        draft.at_least("ra_max_ml", 80.0 + 1.4 * size)
    if rng.random() < 0.45:
        draft.of["effusion_mm"] = rng.uniform(2.0, 18.0)


def other_mass(draft: Draft, rng: Rng) -> None:
    """A pericardial cyst, a lipoma or a vegetation."""
    kind = str(rng.choice(["cyst", "lipoma", "vegetation"], p=[0.45, 0.3, 0.25]))
    site = {"cyst": "pericardium", "lipoma": "RA wall", "vegetation": str(rng.choice(["mitral valve", "aortic valve"]))}
    size = rng.uniform(8.0, 18.0) if kind == "vegetation" else rng.uniform(18.0, 55.0 if kind == "cyst" else 35.0)
    draft.masses.append(Mass(kind=kind, site=site[kind], size_mm=size, mobile=0.7 if kind == "vegetation" else 0.0))
    if kind == "vegetation":
        valve = "mitral_regurgitation" if site[kind] == "mitral valve" else "aortic_regurgitation"
        draft.worsen(valve, rng.uniform(0.2, 0.8))


def lipomatous(draft: Draft, rng: Rng) -> None:
    """Fat in the atrial septum, 20 mm or more, that leaves out the fossa: the old and the heavy."""
    draft.septa |= {"atrial_mm": min(20.5 + rng.gamma(1.6, 2.6), 36.0), "atrial_fat": True}
    draft.of["epicardial_fat_mm"] = max(draft.of["epicardial_fat_mm"], rng.uniform(5.0, 10.0))


SCENARIOS = MappingProxyType(
    {
        "aortic dilation": aorta,
        "atrial myxoma": myxoma,
        "bicuspid aortic valve": bicuspid,
        "cardiac tumor": tumor,
        "large pericardial effusion": effusion,
        "left atrial dilation": la_dilation,
        "lipomatous atrial wall": lipomatous,
        "other cardiac mass": other_mass,
        "pericarditis": pericarditis,
        "previous surgery": operated,
        "prosthetic valve": prosthesis,
        "severe aortic stenosis": aortic_stenosis,
        "severe mitral regurgitation": mitral_regurgitation,
    }
)
