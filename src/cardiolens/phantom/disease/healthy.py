"""A healthy heart in a person of given sex, age, size and history.

Sizes follow the UK Biobank reference cohort at 1.5 T (Petersen et al., J Cardiovasc Magn Reson 2017;19:18, doi
10.1186/s12968-017-0327-9); the figures are in `population.HEALTHY`, what a covariate adds in `covariates.EFFECTS`.
"""

from __future__ import annotations

import math

import numpy as np

from cardiolens.phantom.disease.draft import Draft, Rng, clip_normal
from cardiolens.phantom.heart.parts import N_SEGMENTS
from cardiolens.phantom.persons.covariates import Person, effects_on
from cardiolens.phantom.persons.population import HEALTHY


def healthy(person: Person, rng: Rng) -> Draft:
    """Draw a heart for a person."""
    sex, bsa = person.sex, math.sqrt(person.height_cm * person.weight_kg / 3600.0)
    bmi = person.weight_kg / (person.height_cm / 100.0) ** 2
    shift = effects_on(person)
    size = float(np.clip(rng.normal(), -2.0, 2.0))  # hearts that are large are large in every chamber
    rest = math.sqrt(1.0 - 0.9**2) * float(np.clip(rng.normal(), -2.0, 2.0))

    def figure(name: str) -> tuple[float, float]:
        """Mean and deviation in a healthy person of this sex."""
        return HEALTHY[name].mean[sex], HEALTHY[name].sd[sex]

    def plain(name: str, low: float, high: float) -> float:
        return clip_normal(rng, *figure(name), low, high)

    def plus(name: str, low: float, high: float) -> float:
        """With what the person's covariates add."""
        mean, sd = figure(name)
        return clip_normal(rng, mean + shift.get(name, 0.0), sd, low, high)

    (mean, sd), (rv_mean, rv_sd) = figure("lv_edvi"), figure("rv_edvi")
    edv = bsa * max(45.0, mean + shift.get("lv_edvi", 0.0) + sd * size)
    rv_edv = bsa * max(45.0, rv_mean + shift.get("rv_edvi", 0.0) + rv_sd * (0.9 * size + rest))
    la_max = bsa * (plain("la_index", 22.0, 52.0) + shift.get("la_index", 0.0))

    of = {
        "sex": sex,
        "age": round(person.age, 1),
        "height_cm": round(person.height_cm, 1),
        "weight_kg": round(person.weight_kg, 1),
        "heart_rate": round(plus("heart_rate", 45.0, 105.0), 1),
        "lv_edv_ml": edv,
        "lvef_pct": plus("lvef_pct", 47.0, 76.0),
        "lv_length_mm": 94.0 * (edv / 160.0) ** (1 / 3) * clip_normal(rng, 1.0, 0.04, 0.9, 1.1),
        "wall_mm": plus("wall_mm", 4.2, 9.5),
        "segment_thickness": list(rng.normal(1.0, 0.04, N_SEGMENTS).clip(0.88, 1.12)),
        "segment_motion": list(rng.normal(1.0, 0.04, N_SEGMENTS).clip(0.88, 1.12)),
        "mapse_mm": plus("mapse_mm", 7.0, 18.0),
        "tapse_mm": plus("tapse_mm", 13.0, 28.0),
        "twist_deg": plain("twist_deg", 4.0, 18.0),
        "rv_edv_ml": rv_edv,
        "rvef_pct": plus("rvef_pct", 43.0, 72.0),
        "rv_wall_mm": plain("rv_wall_mm", 2.2, 4.2),
        "la_max_ml": la_max,
        "la_ef_pct": plus("la_ef_pct", 42.0, 72.0),
        "ra_max_ml": min(la_max * clip_normal(rng, 1.12, 0.15, 0.8, 1.5), 64.0 * bsa),
        "ra_ef_pct": plain("ra_ef_pct", 28.0, 62.0),
        "pericardium_mm": plain("pericardium_mm", 0.9, 2.2),
        "epicardial_fat_mm": clip_normal(rng, 4.0 + 0.25 * (bmi - 25.0), 1.3, 1.5, 10.0),
        "subcutaneous_fat_mm": clip_normal(rng, (20.0 if sex == "F" else 15.0) + 1.2 * (bmi - 25.0), 5.0, 5.0, 50.0),
        "rhythm": "sinus",
        "atrial_kick": 1.0,
        "effusion_mm": 0.0,
        "pleural_effusion_mm": 0.0,
        "axis_left_deg": clip_normal(rng, 43.0, 5.0, 30.0, 58.0),
        "axis_down_deg": clip_normal(rng, 23.0, 6.0, 8.0, 40.0),
        "roll_deg": clip_normal(rng, 0.0, 5.0, -12.0, 12.0),
        "body_seed": int(rng.integers(2**31)),
    }
    return Draft(of, _vessels(person, bsa, shift, rng), {"atrial_mm": plain("atrial_mm", 1.5, 4.5)})


def _vessels(person: Person, bsa: float, shift: dict[str, float], rng: Rng) -> dict[str, float]:
    """Wider in men, in large people and with age."""
    grown = 3.0 * (bsa - 1.8) + 0.07 * (person.age - 50.0) + (1.0 if person.sex == "M" else -1.0)
    root = clip_normal(rng, 32.0 + grown + shift.get("aortic_root_mm", 0.0), 2.4, 23.0, 39.5)
    ascending = clip_normal(rng, 29.5 + grown + 0.05 * (person.age - 50.0), 2.4, 21.0, 39.0)
    trunk = clip_normal(rng, 25.0 + 2.0 * (bsa - 1.8), 2.0, 18.0, 29.5)
    return {"aortic_root_mm": root, "ascending_aorta_mm": ascending, "pulmonary_trunk_mm": trunk}
