"""Who is scanned: the people of a site, the diseases they come with, and the figures of healthy hearts.

    POPULATIONS["biobank"].share("normal")      # 0.86
    HEALTHY["lvef_pct"].mean["F"]                # 61.0

Sizes, ages and the share of ethnic groups of the biobank follow the UK Biobank imaging study (Petersen et al., PLoS One
2017;12:e0185114; 90.86 % White: CineMA, Fu et al. 2025, section 2.8; other groups in the proportions of the whole UK
Biobank).  All other shares, and all prevalences of diseases, are this package's choice: the order of magnitude is a
clinical centre's, the figure is nobody's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart import RANGES
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL

ETHNIC_GROUPS: Mapping[str, int] = MappingProxyType(
    {"White": 1, "Mixed": 2, "Asian": 3, "Black": 4, "Chinese": 5, "Other": 6}
)
"""Ethnic groups with their top-level codes of UK Biobank's data field 21000."""

TRAITS: tuple[str, ...] = ("diabetes", "hypertension", "cancer", "smoker")
"""What a person may have or do besides heart disease."""

REFERENCE_AGE, REFERENCE_BMI = 60.0, 26.0  # years, kg/m2: where every covariate counts as zero

RISKS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "diabetes": {"age": 0.035, "bmi": 0.13, "male": 0.4, "Asian": 1.0, "Black": 0.7, "Mixed": 0.3},
        "hypertension": {"age": 0.06, "bmi": 0.10, "male": 0.2, "Black": 0.6, "Asian": 0.2},
        "cancer": {"age": 0.05, "bmi": 0.0, "male": -0.1},
        "smoker": {"age": -0.03, "bmi": 0.0, "male": 0.3},
    }
)
"""Log odds of each trait: by year of age, by kg/m2, in men against women, and in a group against White.  The signs are
well known (more diabetes and hypertension with age and weight); the sizes are this package's choice."""


@dataclass(frozen=True)
class Figure:
    """A figure of healthy hearts at `REFERENCE_AGE` and `REFERENCE_BMI`.

    Attributes:
        mean, sd: by sex, "F" and "M".
        unit, source: where the figures are from, or that they are this package's choice.
    """

    mean: Mapping[str, float]
    sd: Mapping[str, float]
    unit: str
    source: str


def _figure(women: tuple[float, float], men: tuple[float, float], unit: str, source: str) -> Figure:
    return Figure({"F": women[0], "M": men[0]}, {"F": women[1], "M": men[1]}, unit, source)


_UKB = "Petersen et al., J Cardiovasc Magn Reson 2017;19:18"
_CHOICE = "package choice"

HEALTHY: Mapping[str, Figure] = MappingProxyType(
    {
        "lvef_pct": _figure((61.0, 5.0), (58.0, 5.0), "%", _UKB + ", abstract"),
        "lv_mass_index": _figure((42.0, 7.0), (53.0, 9.0), "g/m2", _UKB + ", abstract"),
        "lv_edvi": _figure((74.0, 12.0), (85.0, 15.0), "ml/m2", _UKB + ", tables"),
        "rv_edvi": _figure((77.0, 13.0), (93.0, 17.0), "ml/m2", _UKB + ", tables"),
        "rvef_pct": _figure((58.0, 6.0), (54.0, 6.0), "%", _UKB + ", tables"),
        "wall_mm": _figure(
            (5.5, 0.6),
            (6.5, 0.6),
            "mm",
            "near Kawel et al., Circ Cardiovasc Imaging 2012;5:500 (5.3 +- 0.9, 6.3 +- 1.1 mm at mid-cavity); set so "
            "that LV mass comes out right",
        ),
        "la_index": _figure((38.0, 7.0), (38.0, 7.0), "ml/m2", _CHOICE + "; no difference by sex: " + _UKB),
        "la_ef_pct": _figure((60.0, 6.0), (60.0, 6.0), "%", _CHOICE + "; no difference by sex: " + _UKB),
        "ra_ef_pct": _figure((45.0, 7.0), (45.0, 7.0), "%", _CHOICE),
        "mapse_mm": _figure((13.0, 1.8), (13.0, 1.8), "mm", _CHOICE),
        "tapse_mm": _figure((20.0, 3.0), (20.0, 3.0), "mm", _CHOICE),
        "twist_deg": _figure((10.0, 2.5), (10.0, 2.5), "degrees", _CHOICE),
        "heart_rate": _figure((66.0, 10.0), (66.0, 10.0), "beats/min", _CHOICE),
        "aortic_root_mm": _figure((31.7, 2.4), (33.7, 2.4), "mm", _CHOICE),
        "ascending_aorta_mm": _figure(
            (29.7, 2.4),
            (31.7, 2.4),
            "mm",
            _CHOICE
            + "; sex and age as in Turkbey et al., J Magn Reson Imaging 2014;39:360 (men +1.9 mm, +1 mm a decade)",
        ),
        "pulmonary_trunk_mm": _figure((25.0, 2.0), (25.0, 2.0), "mm", _CHOICE),
        "rv_wall_mm": _figure((3.0, 0.4), (3.0, 0.4), "mm", _CHOICE),
        "pericardium_mm": _figure((1.4, 0.3), (1.4, 0.3), "mm", _CHOICE),
        "atrial_mm": _figure((2.5, 0.6), (2.5, 0.6), "mm", _CHOICE),
        "epicardial_fat_mm": _figure((4.25, 1.3), (4.25, 1.3), "mm", _CHOICE + "; +0.25 mm per kg/m2"),
        "subcutaneous_fat_mm": _figure((21.2, 5.0), (16.2, 5.0), "mm", _CHOICE + "; +1.2 mm per kg/m2"),
    }
)
"""Healthy hearts, by field of `HeartParameters` or its parts; `lv_edvi`, `rv_edvi`, `la_index` and `lv_mass_index` are
per m2 of body surface.  Vessels are those of a body surface of 1.8 m2.

The abstract of Petersen et al. gives LVEF and LV mass.  The indexed volumes and the RVEF are in its tables; they
are near the middle of the female ranges that others cite from there (LV EDV 88 to 161 ml, RV EDV 85 to 166 ml, RVEF 47
to 68 %)."""


@dataclass(frozen=True, kw_only=True)
class Population:
    """Who comes to a site.

    Attributes:
        age_mean, age_sd, age_low, age_high: years; a normal distribution cut at both ends.
        female_share: 0 to 1.
        bmi_mean, bmi_sd: kg/m2; skewed to the right.
        ethnic_mix: weights of `ETHNIC_GROUPS`.
        diabetes, hypertension, cancer, smoker: share of White women of `REFERENCE_AGE` and `REFERENCE_BMI`; for all
            others `RISKS` shifts the odds.
        prevalence: weight of each condition (of `cardiolens.text.conditions`) as the *main* disease of a patient; most
            patients with, say, left atrial dilation have it as a consequence of another.

    Raises:
        PhantomError: shares outside 0 to 1, limits of age that no heart can have, an unknown condition or group.
    """

    name: str
    age_mean: float
    age_sd: float
    age_low: float
    age_high: float
    female_share: float
    bmi_mean: float
    bmi_sd: float
    ethnic_mix: Mapping[str, float]
    diabetes: float
    hypertension: float
    cancer: float
    smoker: float
    prevalence: Mapping[str, float]

    def __post_init__(self) -> None:
        what = f"phantom population {self.name!r}"
        for name in ("female_share", *TRAITS):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise PhantomError(f"{what}: {name} must lie in 0 to 1, got {getattr(self, name)}")
        low, high, _ = RANGES["age"]
        if not low <= self.age_low < self.age_high <= high or not self.age_low <= self.age_mean <= self.age_high:
            raise PhantomError(
                f"{what}: ages must run from age_low over age_mean to age_high within {low:g} to {high:g} years, "
                f"got {self.age_low:g}, {self.age_mean:g}, {self.age_high:g}"
            )
        if not (self.age_sd > 0 and self.bmi_sd > 0 and 18.0 <= self.bmi_mean <= 40.0):
            raise PhantomError(
                f"{what}: age_sd and bmi_sd must be above 0 and bmi_mean in 18 to 40 kg/m2, got {self.age_sd:g}, "
                f"{self.bmi_sd:g} and {self.bmi_mean:g}"
            )
        _check_weights(self.ethnic_mix, tuple(ETHNIC_GROUPS), f"{what}: ethnic_mix")
        _check_weights(self.prevalence, CONDITION_NAMES, f"{what}: prevalence")

    def share(self, condition: str) -> float:
        """Share (0 to 1) of patients whose main disease is this condition."""
        if condition not in CONDITION_NAMES:
            raise PhantomError(f"unknown condition {condition!r}; known are {', '.join(CONDITION_NAMES)}")
        return self.prevalence.get(condition, 0.0) / math.fsum(self.prevalence.values())

    def probability(self, trait: str, *, sex: str, age: float, bmi: float, ethnic_group: str) -> float:
        """Probability (0 to 1) that such a person has the trait, of `TRAITS`."""
        base = getattr(self, trait)
        if base in (0.0, 1.0):
            return float(base)
        risks = RISKS[trait]
        odds = (
            math.log(base / (1.0 - base)) + risks["age"] * (age - REFERENCE_AGE) + risks["bmi"] * (bmi - REFERENCE_BMI)
        )
        odds += risks["male"] * (sex == "M") + risks.get(ethnic_group, 0.0)
        return 1.0 / (1.0 + math.exp(-odds))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return asdict(self)


def _check_weights(weights: Mapping[str, float], known: tuple[str, ...], what: str) -> None:
    unknown = sorted(set(weights) - set(known))
    if unknown:
        raise PhantomError(f"{what}: unknown {unknown}; known are {', '.join(known)}")
    if not all(0.0 <= w < math.inf for w in weights.values()) or not math.fsum(weights.values()) > 0.0:
        raise PhantomError(f"{what}: weights must be finite, none below 0 and one above, got {dict(weights)}")


def weighted(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """One name, as often as its weight says; one number is drawn."""
    edges = np.cumsum(list(weights.values()))
    index = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
    return list(weights)[min(index, len(weights) - 1)]


_BIOBANK_MIX = {"White": 0.909, "Mixed": 0.011, "Asian": 0.032, "Black": 0.028, "Chinese": 0.006, "Other": 0.014}
_CITY_MIX = {"White": 0.62, "Mixed": 0.04, "Asian": 0.10, "Black": 0.14, "Chinese": 0.03, "Other": 0.07}

_BIOBANK = {
    NORMAL: 86.0,
    "left ventricular hypertrophy": 3.5,
    "ischemic cardiomyopathy": 2.0,
    "aortic dilation": 2.0,
    "left atrial dilation": 1.5,
    "non-ischemic cardiomyopathy": 1.2,
    "bicuspid aortic valve": 0.8,
    "right ventricular dilation": 0.6,
    "left ventricular dilation": 0.6,
    "lipomatous atrial wall": 0.4,
    "hypertrophic cardiomyopathy": 0.3,
    "severe mitral regurgitation": 0.25,
    "severe aortic stenosis": 0.2,
    "atrial septal defect": 0.2,
    "left ventricular non-compaction": 0.15,
    "previous surgery": 0.15,
    "pulmonary hypertension": 0.1,
    "amyloidosis": 0.05,
}
_REFERRAL = {
    NORMAL: 18.0,
    "non-ischemic cardiomyopathy": 15.5,
    "ischemic cardiomyopathy": 14.5,
    "hypertrophic cardiomyopathy": 7.5,
    "left ventricular hypertrophy": 5.0,
    "aortic dilation": 4.5,
    "myocarditis": 3.5,
    "bicuspid aortic valve": 3.0,
    "pulmonary hypertension": 3.0,
    "right ventricular dilation": 2.5,
    "sarcoidosis": 2.0,
    "tetralogy of Fallot": 2.0,
    "atrial septal defect": 2.0,
    "previous surgery": 2.0,
    "severe mitral regurgitation": 2.0,
    "severe aortic stenosis": 1.8,
    "left ventricular dilation": 1.8,
    "left atrial dilation": 1.5,
    "prosthetic valve": 1.5,
    "pericarditis": 1.2,
    "ventricular septal defect": 1.0,
    "other cardiac mass": 0.8,
    "cardiac thrombus": 0.8,
    "amyloidosis": 0.8,
    "cardiac tumor": 0.7,
    "left ventricular non-compaction": 0.7,
    "large pericardial effusion": 0.6,
    "pulmonary stenosis": 0.6,
    "arrhythmogenic right ventricular cardiomyopathy": 0.6,
    "right atrial dilation": 0.5,
    "pulmonary artery dilation": 0.5,
    "lipomatous atrial wall": 0.4,
    "right ventricular hypertrophy": 0.3,
    "systolic anterior motion": 0.3,
    "atrial myxoma": 0.3,
}
"""Amyloid below 1 %, as Shad et al. report of their cohort; right ventricular dilation, which 36 % of it have, is here
mostly a consequence of other diseases."""
_DEFAULT = {name: 26.0 if name == NORMAL else max(weight, 1.0) for name, weight in _REFERRAL.items()}
_POST_CONTRAST = {
    **dict.fromkeys(CONDITION_NAMES, 0.5),
    NORMAL: 14.0,
    "non-ischemic cardiomyopathy": 12.0,
    "ischemic cardiomyopathy": 10.0,
    "hypertrophic cardiomyopathy": 8.0,
    "sarcoidosis": 8.0,
    "myocarditis": 8.0,
    "amyloidosis": 6.0,
    "cardiac tumor": 4.0,
    "other cardiac mass": 3.0,
    "cardiac thrombus": 3.0,
    "arrhythmogenic right ventricular cardiomyopathy": 2.0,
    "pericarditis": 2.5,
    "aortic dilation": 3.0,
    "pulmonary hypertension": 2.0,
    "tetralogy of Fallot": 2.0,
}
_CHALLENGE = {
    NORMAL: 1.0,
    "non-ischemic cardiomyopathy": 1.0,
    "hypertrophic cardiomyopathy": 1.0,
    "ischemic cardiomyopathy": 1.0,
    "right ventricular dilation": 1.0,
}
"""The five groups of ACDC, equally large (Bernard et al., IEEE Trans Med Imaging 2018;37:2514)."""


def _clinic(name: str, prevalence: Mapping[str, float], **changes: Any) -> Population:
    """A hospital's patients: adults of all ages, more of them men, with many risk factors."""
    usual: dict[str, Any] = {
        "age_mean": 56.0,
        "age_sd": 16.0,
        "age_low": 18.0,
        "age_high": 92.0,
        "female_share": 0.42,
        "bmi_mean": 27.5,
        "bmi_sd": 5.2,
        "ethnic_mix": _CITY_MIX,
        "diabetes": 0.08,
        "hypertension": 0.36,
        "cancer": 0.10,
        "smoker": 0.12,
    }
    return Population(name=name, prevalence=dict(prevalence), **{**usual, **changes})


POPULATIONS: Mapping[str, Population] = MappingProxyType(
    {
        "default": _clinic("default", _DEFAULT),
        "biobank": _clinic(
            "biobank",
            _BIOBANK,
            age_mean=63.0,
            age_sd=7.5,
            age_low=45.0,
            age_high=80.0,
            female_share=0.52,
            bmi_mean=26.6,
            bmi_sd=4.3,
            ethnic_mix=_BIOBANK_MIX,
            diabetes=0.035,
            hypertension=0.25,
            cancer=0.09,
            smoker=0.05,
        ),
        "referral": _clinic("referral", _REFERRAL),
        "challenge": _clinic("challenge", _CHALLENGE, age_mean=54.0, female_share=0.4),
        "post-contrast": _clinic("post-contrast", _POST_CONTRAST, age_mean=58.0, cancer=0.22),
        "balanced": _clinic("balanced", dict.fromkeys(CONDITION_NAMES, 1.0)),
    }
)
"""Presets.  `default`: a clinic with 22 % normal hearts, every condition the main disease of nearly 1 % or more;
`biobank`: mostly healthy, 45 to 80 years; `referral`: a clinic, rare diseases as rare as they are; `challenge`: five
groups; `post-contrast`: a tertiary centre for tumours and inflammation; `balanced`: every condition equally often, for
probes."""
