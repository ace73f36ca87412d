"""Diseases of the LV muscle."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from cardiolens.phantom.disease.draft import Draft, Rng, clip_normal, fail_pump, fibrillate, scale_lv, scale_rv
from cardiolens.phantom.heart.limits import LV_EDVI
from cardiolens.phantom.heart.parts import N_SEGMENTS, Mass

_ALL = tuple(range(1, N_SEGMENTS + 1))
_TERRITORIES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"LAD": (1, 2, 7, 8, 13, 14, 17), "RCA": (3, 4, 9, 10, 15), "LCX": (5, 6, 11, 12, 16)}
)


def dilated(draft: Draft, rng: Rng) -> None:
    """Non-ischemic cardiomyopathy: a large LV with walls of even thickness that all move little."""
    severity = float(rng.uniform(0.1, 1.0))
    draft.causes["non-ischemic cardiomyopathy"] = severity
    scale_lv(draft, 1.2 + 1.15 * severity, rounder=1.0 - 0.06 * severity)
    draft.scale("wall_mm", rng.uniform(0.92, 1.08))
    fail_pump(draft, float(np.clip(47.0 - 35.0 * severity + rng.normal(0, 3.0), 10.0, 49.0)), rng)
    if rng.random() < 0.4:
        draft.mark("scar", (2, 3, 8, 9), rng.uniform(0.15, 0.4))
        draft.tissue["scar_pattern"] = "mid-wall"
    draft.tissue["t1_shift_ms"] = rng.uniform(10.0, 80.0)
    if rng.random() < 0.2:
        fibrillate(draft, rng)


def ischemic(draft: Draft, rng: Rng, first: str | None = None) -> None:
    """One coronary territory (sometimes two) moves little or not at all, thin and scarred where old; the rest works
    harder or fails."""
    names = list(_TERRITORIES)
    drawn = int(rng.choice(3, p=[0.5, 0.3, 0.2]))
    where = names.index(first) if first else drawn
    hit = [names[where]]
    if rng.random() < 0.3:
        hit.append(names[(where + 1 + int(rng.integers(2))) % 3])
    motion = rng.uniform(-0.05, 0.5)
    old = motion < 0.15
    thin = rng.uniform(0.5, 0.75) if old else rng.uniform(0.75, 1.0)
    extent, lost = rng.uniform(0.6, 1.0), 0.0
    for name in hit:
        for segment in _TERRITORIES[name]:
            if segment <= 6 and rng.random() > extent:
                continue  # the base is spared
            draft.of["segment_motion"][segment - 1] = motion + rng.normal(0, 0.03)
            draft.of["segment_thickness"][segment - 1] *= thin
            draft.mark("scar", (segment,), (0.85 if old else 0.45) * rng.uniform(0.7, 1.15))
            lost += (1.0 - motion) / N_SEGMENTS
    draft.tissue["scar_pattern"] = "subendocardial"
    draft.causes["ischemic cardiomyopathy"] = float(np.clip(2.0 * lost, 0.05, 1.0))
    lvef = float(np.clip(63.0 - 75.0 * lost + rng.normal(0.0, 4.0), 12.0, 58.0))
    scale_lv(draft, 1.0 + 1.3 * lost * rng.uniform(0.6, 1.4), rounder=0.98)
    fail_pump(draft, lvef, rng)
    if old and "LAD" in hit and rng.random() < 0.45:
        apical_aneurysm(draft, rng)
    if rng.random() < 0.22 and draft.of["age"] >= 42.0:
        draft.operate("coronary bypass")


def apical_aneurysm(draft: Draft, rng: Rng) -> None:
    """The apex bulges, moves outward in systole, and may hold a thrombus."""
    draft.of["aneurysm_mm"], draft.of["aneurysm_segment"] = rng.uniform(4.0, 13.0), 17
    for segment in (13, 14, 15, 16, 17):
        draft.of["segment_motion"][segment - 1] = rng.uniform(-0.3, 0.0)
        draft.of["segment_thickness"][segment - 1] = rng.uniform(0.42, 0.6)
    if rng.random() < 0.4:
        draft.masses.append(Mass(kind="thrombus", site="LV apex", size_mm=rng.uniform(12.0, 34.0)))


def hypertrophic(draft: Draft, rng: Rng) -> None:
    """Hypertrophic cardiomyopathy: asymmetric septal, apical, mid-ventricular or all round."""
    draft.of["wall_mm"] = clip_normal(rng, 8.0, 0.9, 6.5, 10.0)
    thickest = rng.uniform(15.5, 27.0)
    draft.causes["hypertrophic cardiomyopathy"] = float(np.clip((thickest - 14.0) / 12.0, 0.0, 1.0))
    kind = str(rng.choice(["septal", "apical", "mid", "concentric"], p=[0.7, 0.12, 0.08, 0.1]))
    taper = {"septal": 1.0, "apical": 0.8, "mid": 0.88, "concentric": 1.0}[kind]  # the wall thins towards the apex
    peak = thickest / (taper * draft.of["wall_mm"])
    shares = {
        "septal": {2: 1.0, 3: 0.85, 8: 0.95, 9: 0.85, 1: 0.35, 7: 0.35, 14: 0.35, 4: 0.1, 10: 0.1},
        "apical": {13: 0.9, 14: 1.0, 15: 0.9, 16: 0.9, 17: 0.8, 8: 0.25, 9: 0.25},
        "mid": {7: 0.8, 8: 1.0, 9: 1.0, 10: 0.7, 11: 0.6, 12: 0.7, 2: 0.2, 3: 0.2},
        "concentric": {s: 0.75 + 0.25 * (s in (2, 3, 8, 9)) for s in range(1, 17)},
    }[kind]
    for segment, share in shares.items():
        draft.of["segment_thickness"][segment - 1] = 1.0 + share * (peak - 1.0)
    scale_lv(draft, rng.uniform(0.75, 0.98))
    fail_pump(draft, clip_normal(rng, 67.0, 6.0, 50.0, 77.0), rng)
    draft.scale("mapse_mm", rng.uniform(0.6, 0.9))
    draft.scale("la_max_ml", rng.uniform(1.1, 1.75))
    if rng.random() < 0.6:
        draft.mark("scar", [s for s, share in shares.items() if share > 0.6], rng.uniform(0.1, 0.45))
        draft.tissue["scar_pattern"] = "patchy"
    if kind == "septal" and rng.random() < 0.45:
        anterior_motion(draft, rng)
    if rng.random() < 0.04:
        draft.operate("myectomy")


def anterior_motion(draft: Draft, rng: Rng) -> None:
    """The mitral leaflet meets the septum in systole: outflow jet and a leak that goes backward."""
    strength = rng.uniform(0.4, 1.0)
    draft.worsen("sam", strength)
    draft.worsen("mitral_regurgitation", strength * rng.uniform(0.2, 0.9))
    draft.of["lvef_pct"] = float(np.clip(draft.of["lvef_pct"] + 5.0, 50.0, 78.0))


def hypertrophic_with_sam(draft: Draft, rng: Rng) -> None:
    """Systolic anterior motion: mostly with a thick septum, sometimes with the sigmoid septum of the old."""
    if rng.random() < 0.8:
        hypertrophic(draft, rng)
        if max(draft.of["segment_thickness"][1:3]) * draft.of["wall_mm"] < 14.0:
            for segment in (2, 3, 8, 9):
                draft.of["segment_thickness"][segment - 1] = rng.uniform(15.0, 20.0) / draft.of["wall_mm"]
    else:
        draft.of["segment_thickness"][1] = rng.uniform(13.5, 16.5) / draft.of["wall_mm"]
        scale_lv(draft, rng.uniform(0.75, 0.95))
    anterior_motion(draft, rng)


def concentric(draft: Draft, rng: Rng) -> None:
    """Left ventricular hypertrophy, as in high blood pressure."""
    draft.of["wall_mm"] = (12.0 if draft.of["sex"] == "F" else 13.0) + rng.gamma(1.4, 1.3)
    draft.thin_free_wall(rng)
    scale_lv(draft, rng.uniform(0.8, 1.1))
    fail_pump(draft, clip_normal(rng, 60.0, 8.0, 38.0, 75.0), rng)
    draft.scale("mapse_mm", rng.uniform(0.65, 0.9))
    draft.scale("la_max_ml", rng.uniform(1.05, 1.5))


def amyloid(draft: Draft, rng: Rng) -> None:
    """Thick stiff walls, thick atrial septum, large still atria, poor long-axis motion with the apex spared, fluid in
    pericardium and pleura."""
    severity = float(rng.uniform(0.1, 1.0))
    draft.causes["amyloidosis"] = severity
    of = draft.of
    of["wall_mm"] = 11.5 + 6.5 * severity + rng.normal(0.0, 0.8)
    draft.thin_free_wall(rng)
    of["rv_wall_mm"] += 1.0 + 3.0 * severity
    scale_lv(draft, rng.uniform(0.72, 0.95))
    fail_pump(draft, clip_normal(rng, 58.0 - 16.0 * severity, 6.0, 25.0, 68.0), rng)
    of["mapse_mm"] *= 0.8 - 0.35 * severity
    of["tapse_mm"] *= 0.9 - 0.3 * severity
    for segment, factor in zip(_ALL, [0.7] * 6 + [0.9] * 6 + [1.25] * 5, strict=True):
        of["segment_motion"][segment - 1] *= 1.0 - severity * (1.0 - factor)
    of["la_max_ml"] *= rng.uniform(1.2, 1.8)
    of["ra_max_ml"] *= rng.uniform(1.1, 1.6)
    of["atrial_kick"] = rng.uniform(0.1, 0.5)
    of["la_ef_pct"] *= 0.6
    draft.septa["atrial_mm"] = 5.0 + 4.0 * severity + rng.normal(0.0, 0.5)
    of["effusion_mm"] = max(0.0, rng.normal(2.0 + 7.0 * severity, 3.0))
    if rng.random() < 0.5 * severity + 0.2:
        of["pleural_effusion_mm"] = rng.uniform(8.0, 35.0)
    draft.mark("scar", _ALL, 0.3 + 0.5 * severity)
    draft.tissue |= {"scar_pattern": "diffuse", "t1_shift_ms": 90.0 + 140.0 * severity}
    if rng.random() < 0.3:
        fibrillate(draft, rng)


def non_compaction(draft: Draft, rng: Rng) -> None:
    """A spongy inner layer, at least 2.3 times the thin compact wall, most at apex and free wall."""
    severity = float(rng.uniform(0.0, 1.0))
    draft.causes["left ventricular non-compaction"] = severity
    draft.of["noncompacted_mm"] = 11.0 + 6.0 * severity
    for segment in (4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17):
        draft.of["segment_thickness"][segment - 1] *= rng.uniform(0.58, 0.78)
    scale_lv(draft, 1.15 + 0.6 * severity)
    fail_pump(draft, float(np.clip(56.0 - 28.0 * severity + rng.normal(0, 5.0), 18.0, 62.0)), rng)
    if draft.of["lvef_pct"] < 40.0:
        draft.causes["non-ischemic cardiomyopathy"] = float(np.clip((47.0 - draft.of["lvef_pct"]) / 35.0, 0.0, 1.0))
    if rng.random() < 0.08:
        draft.masses.append(Mass(kind="thrombus", site="LV apex", size_mm=rng.uniform(8.0, 20.0)))


def sarcoid(draft: Draft, rng: Rng) -> None:
    """Patchy scar; half of the hearts look normal on cine, the others have a thin basal septum or a weak wall."""
    severity = float(rng.uniform(0.0, 1.0))
    draft.causes["sarcoidosis"] = severity
    hit = [int(s) for s in rng.choice([2, 3, 5, 6, 8, 9, 11], size=3, replace=False)]
    draft.mark("scar", hit, rng.uniform(0.25, 0.8))
    draft.tissue["scar_pattern"] = str(rng.choice(["mid-wall", "subepicardial", "patchy"]))
    if severity > 0.5:
        for segment in (2, 3):
            draft.of["segment_thickness"][segment - 1] = rng.uniform(0.5, 0.75)
        for segment in hit:
            draft.of["segment_motion"][segment - 1] = rng.uniform(0.15, 0.7)
        scale_lv(draft, rng.uniform(1.0, 1.35))
        fail_pump(draft, clip_normal(rng, 58.0 - 22.0 * severity, 6.0, 18.0, 60.0), rng)


def myocarditis(draft: Draft, rng: Rng) -> None:
    """Edema and scar below the epicardium of the lateral wall; on cine mostly normal, or a little weak."""
    severity = float(rng.uniform(0.0, 1.0))
    draft.causes["myocarditis"] = severity
    hit = [int(s) for s in rng.choice([4, 5, 6, 10, 11, 12, 16], size=3, replace=False)]
    draft.mark("scar", hit, rng.uniform(0.15, 0.5))
    draft.mark("edema", hit, rng.uniform(0.4, 1.0))
    draft.tissue |= {"scar_pattern": "subepicardial", "t2_shift_ms": 2.0 + 6.0 * severity}
    draft.tissue["t1_shift_ms"] = 20.0 + 60.0 * severity
    for segment in hit:
        draft.of["segment_motion"][segment - 1] *= 1.0 - 0.35 * severity * rng.random()
    fail_pump(draft, clip_normal(rng, 58.0 - 10.0 * severity, 5.0, 35.0, 66.0), rng)
    if rng.random() < 0.3:
        draft.of["effusion_mm"] = rng.uniform(1.0, 7.0)


def athletic(draft: Draft, rng: Rng) -> None:
    """Left ventricular dilation with a good pump: training, a leaking aortic valve, or an early cardiomyopathy."""
    scale_lv(draft, 1.3)
    limit = 1.02 * LV_EDVI[draft.of["sex"]][1] * draft.bsa_m2
    scale_lv(draft, max(1.0, limit / draft.of["lv_edv_ml"]) * rng.uniform(1.0, 1.25))
    kind = str(rng.choice(["athlete", "regurgitation", "early"]))
    if kind == "athlete":
        draft.of["heart_rate"] = float(np.clip(draft.of["heart_rate"] - 14.0, 40.0, 80.0))
        scale_rv(draft, rng.uniform(1.15, 1.4))
    elif kind == "regurgitation":
        draft.worsen("aortic_regurgitation", rng.uniform(0.5, 1.0))
    else:
        fail_pump(draft, clip_normal(rng, 50.0, 3.0, 44.0, 55.0), rng)


def thrombus(draft: Draft, rng: Rng) -> None:
    """A clot: on a still apex after an infarct, in a failing LV, or in the appendage of a fibrillating atrium."""
    kind = str(rng.choice(["infarct", "dilated", "appendage"], p=[0.55, 0.25, 0.2]))
    if kind == "appendage":
        fibrillate(draft, rng)
        site = "LA appendage"
    elif kind == "dilated":
        dilated(draft, rng)
        site = "LV apex"
    else:
        ischemic(draft, rng, "LAD")
        if not draft.of.get("aneurysm_mm"):
            apical_aneurysm(draft, rng)
        site = "LV apex"
    if not any(m.kind == "thrombus" for m in draft.masses):
        largest = 20.0 if site == "LA appendage" else 34.0
        draft.masses.append(Mass(kind="thrombus", site=site, size_mm=rng.uniform(9.0, largest)))


SCENARIOS = MappingProxyType(
    {
        "amyloidosis": amyloid,
        "cardiac thrombus": thrombus,
        "hypertrophic cardiomyopathy": hypertrophic,
        "ischemic cardiomyopathy": ischemic,
        "left ventricular dilation": athletic,
        "left ventricular hypertrophy": concentric,
        "left ventricular non-compaction": non_compaction,
        "myocarditis": myocarditis,
        "non-ischemic cardiomyopathy": dilated,
        "sarcoidosis": sarcoid,
        "systolic anterior motion": hypertrophic_with_sam,
    }
)
