"""Diseases of the right heart, and those one is born with."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from cardiolens.phantom.disease.draft import Draft, Rng, clip_normal, fail_pump, fibrillate, load_rv, scale_lv, scale_rv
from cardiolens.phantom.heart.limits import PULMONARY_TRUNK_MM, RA_INDEX, RV_EDVI


def _reach_rv(draft: Draft, rng: Rng, least: float) -> None:
    """At least `least` times the upper limit of RV volume."""
    limit = least * RV_EDVI[draft.of["sex"]] * draft.bsa_m2
    scale_rv(draft, max(1.0, limit * rng.uniform(1.0, 1.12) / draft.of["rv_edv_ml"]))


def arrhythmogenic(draft: Draft, rng: Rng) -> None:
    """Arrhythmogenic right ventricular cardiomyopathy: a large weak RV whose thin wall bulges and turns to fat."""
    severity = float(rng.uniform(0.1, 1.0))
    draft.causes["arrhythmogenic right ventricular cardiomyopathy"] = severity
    of = draft.of
    scale_rv(draft, 1.15 + 0.7 * severity)
    of["rvef_pct"] = float(np.clip(44.0 - 22.0 * severity + rng.normal(0.0, 4.0), 14.0, 50.0))
    of["rv_bulges"] = 0.35 + 0.6 * severity
    of["rv_wall_mm"] = rng.uniform(1.8, 2.6)
    of["tapse_mm"] *= 0.85 - 0.3 * severity
    of["ra_max_ml"] *= 1.0 + 0.5 * severity * rng.random()
    draft.tissue["rv_fat"] = float(rng.uniform(0.2, 0.9))
    if rng.random() < 0.25:
        fail_pump(draft, clip_normal(rng, 50.0, 5.0, 35.0, 58.0), rng)


def pulmonary_hypertension(draft: Draft, rng: Rng) -> None:
    """Pressure in the lung: thick then wide RV, a septum that flattens in systole, a wide pulmonary trunk."""
    severity = float(rng.uniform(0.2, 1.0))
    draft.causes["pulmonary hypertension"] = severity
    load_rv(draft, rng, pressure=severity, volume=0.3 * severity)
    draft.vessels["pulmonary_trunk_mm"] += 3.0 + 9.0 * severity + rng.normal(0.0, 1.5)
    scale_lv(draft, 1.0 - 0.2 * severity)
    if rng.random() < 0.3:
        draft.of["effusion_mm"] = rng.uniform(1.0, 8.0)


def rv_dilation(draft: Draft, rng: Rng) -> None:
    """Right ventricular dilation of any other cause, most with a leaking tricuspid valve."""
    load_rv(draft, rng, volume=rng.uniform(0.4, 1.0))
    _reach_rv(draft, rng, 1.03)
    draft.of["rvef_pct"] = clip_normal(rng, 42.0, 8.0, 15.0, 56.0)
    draft.of["ra_max_ml"] *= rng.uniform(1.0, 1.6)


def rv_hypertrophy(draft: Draft, rng: Rng) -> None:
    """Right ventricular hypertrophy of any other cause."""
    load_rv(draft, rng, pressure=rng.uniform(0.3, 0.8))
    draft.of["rv_wall_mm"] = max(draft.of["rv_wall_mm"], rng.uniform(5.2, 8.5))


def ra_dilation(draft: Draft, rng: Rng) -> None:
    """Right atrial dilation, from fibrillation or a leaking tricuspid valve."""
    if rng.random() < 0.5:
        fibrillate(draft, rng)
    else:
        draft.worsen("tricuspid_regurgitation", rng.uniform(0.35, 1.0))
        scale_rv(draft, rng.uniform(1.05, 1.3))
    draft.at_least("ra_max_ml", RA_INDEX * draft.bsa_m2 * rng.uniform(1.03, 1.7))


def trunk_dilation(draft: Draft, rng: Rng) -> None:
    """Pulmonary artery dilation with nothing else."""
    draft.vessels["pulmonary_trunk_mm"] = PULMONARY_TRUNK_MM[0] + 0.5 + rng.gamma(1.5, 2.5)


def pulmonary_stenosis(draft: Draft, rng: Rng) -> None:
    """A narrow pulmonary valve: jet into a wide trunk, thick RV."""
    grade = rng.uniform(0.3, 1.0)
    draft.worsen("pulmonary_stenosis", grade)
    load_rv(draft, rng, pressure=0.15 + 0.6 * grade)
    draft.vessels["pulmonary_trunk_mm"] += rng.uniform(2.0, 12.0)


def atrial_defect(draft: Draft, rng: Rng) -> None:
    """Atrial septal defect: blood crosses to the right, which grows."""
    draft.septa["asd_mm"] = rng.uniform(8.0, 30.0)
    load_rv(draft, rng, volume=0.15 + 0.028 * draft.septa["asd_mm"])
    draft.vessels["pulmonary_trunk_mm"] += rng.uniform(1.0, 8.0)
    if rng.random() < 0.15:
        pulmonary_hypertension(draft, rng)
    if draft.of["age"] > 55.0 and rng.random() < 0.35:
        fibrillate(draft, rng)


def ventricular_defect(draft: Draft, rng: Rng) -> None:
    """Ventricular septal defect: small ones only jet, large ones load the left side."""
    width = float(np.clip(rng.gamma(3.0, 2.2), 3.0, 16.0))
    draft.septa |= {"vsd_mm": width, "vsd_site": str(rng.choice(["perimembranous", "muscular"], p=[0.65, 0.35]))}
    if width > 6.0:
        scale_lv(draft, 1.0 + 0.03 * width)
        draft.of["la_max_ml"] *= 1.0 + 0.03 * width
        draft.vessels["pulmonary_trunk_mm"] += rng.uniform(0.0, 5.0)
    if rng.random() < 0.12:
        pulmonary_hypertension(draft, rng)


def tetralogy(draft: Draft, rng: Rng) -> None:
    """Tetralogy of Fallot, mostly repaired: then the RV is wide behind a leaking pulmonary valve."""
    draft.causes["tetralogy of Fallot"] = float(rng.uniform(0.2, 1.0))
    draft.vessels["aortic_root_mm"] = rng.uniform(34.0, 47.0)
    draft.vessels["ascending_aorta_mm"] = draft.vessels["aortic_root_mm"] - rng.uniform(0.0, 5.0)
    if rng.random() < 0.85 or draft.of["age"] > 35.0:
        draft.operate("tetralogy repair")
        draft.vessels["override"] = rng.uniform(0.15, 0.4)
        load_rv(draft, rng, volume=rng.uniform(0.4, 1.0), pressure=rng.uniform(0.1, 0.4))
        draft.worsen("pulmonary_regurgitation", rng.uniform(0.3, 0.95))
        if rng.random() < 0.5:
            draft.worsen("pulmonary_stenosis", rng.uniform(0.1, 0.5))
        if rng.random() < 0.15:
            draft.septa |= {"vsd_mm": rng.uniform(3.0, 6.0), "vsd_site": "outlet"}
        return
    draft.vessels["override"] = rng.uniform(0.4, 0.6)
    draft.vessels["pulmonary_trunk_mm"] = rng.uniform(13.0, 19.0)
    draft.septa |= {"vsd_mm": rng.uniform(10.0, 17.0), "vsd_site": "outlet"}
    draft.worsen("pulmonary_stenosis", rng.uniform(0.6, 1.0))
    load_rv(draft, rng, pressure=rng.uniform(0.7, 1.0))


SCENARIOS = MappingProxyType(
    {
        "arrhythmogenic right ventricular cardiomyopathy": arrhythmogenic,
        "atrial septal defect": atrial_defect,
        "pulmonary artery dilation": trunk_dilation,
        "pulmonary hypertension": pulmonary_hypertension,
        "pulmonary stenosis": pulmonary_stenosis,
        "right atrial dilation": ra_dilation,
        "right ventricular dilation": rv_dilation,
        "right ventricular hypertrophy": rv_hypertrophy,
        "tetralogy of Fallot": tetralogy,
        "ventricular septal defect": ventricular_defect,
    }
)
