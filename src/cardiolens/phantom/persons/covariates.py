"""The person around the heart, and what age, size and history do to it: coefficients that are known.

    person = draw_person(rng, POPULATIONS["biobank"])
    shift = effects_on(person)       # {"lvef_pct": -1.33, "lv_edvi": 2.1, ...}, added before the random residual

`EFFECTS` is the truth that an association study on a cohort of phantoms should find again; `followup` has the same for
events.  Each row says where it is from.  Published associations are small against the spread between healthy hearts
(1.3 points of LVEF against 5), so small cohorts find them only roughly: that, too, is as in life.  RVEF has no row:
both ventricles pump the same blood, so it follows from the LV's stroke volume and the RV's size.

The group effects are planted so that fairness estimates have a truth.  Ethnic groups are social ones, as people report
them; nothing here says that a heart differs because of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart import RANGES
from cardiolens.phantom.heart.parts import check_choice, check_ranges
from cardiolens.phantom.persons.population import (
    ETHNIC_GROUPS,
    HEALTHY,
    REFERENCE_AGE,
    REFERENCE_BMI,
    TRAITS,
    Population,
    weighted,
)

_WHAT = "phantom person"
_PERSON_RANGES = {name: RANGES[name] for name in ("age", "height_cm", "weight_kg")}
_BMI_RANGE = (13.0, 70.0, "kg/m2")
_HEIGHT_CM = {"F": (163.0, 6.0), "M": (176.0, 7.0)}  # UK Biobank: Petersen et al., PLoS One 2017;12:e0185114
_SHORTER_CM = {"Asian": 3.0, "Chinese": 4.0}  # package choice
_LOST_CM_PER_YEAR = 0.06  # of age beyond the reference; package choice


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person.

    Attributes:
        sex, age, height_cm, weight_kg: "F" or "M"; years; cm; kg.
        ethnic_group: of `population.ETHNIC_GROUPS`.
        diabetes, hypertension, cancer, smoker: known at the time of the scan.

    Raises:
        PhantomError: an age or a size that no heart of the phantom can have, a BMI outside 13 to 70, an unknown group.
    """

    sex: str
    age: float
    height_cm: float
    weight_kg: float
    ethnic_group: str = "White"
    diabetes: bool = False
    hypertension: bool = False
    cancer: bool = False
    smoker: bool = False

    def __post_init__(self) -> None:
        check_choice(self, "sex", ("F", "M"), _WHAT)
        check_choice(self, "ethnic_group", tuple(ETHNIC_GROUPS), _WHAT)
        check_ranges(self, _PERSON_RANGES, _WHAT)
        check_ranges(self, {"bmi": _BMI_RANGE}, _WHAT)
        for name in TRAITS:
            if not isinstance(getattr(self, name), bool):
                raise PhantomError(f"{_WHAT}: {name} must be True or False, got {getattr(self, name)!r}")

    @property
    def bsa_m2(self) -> float:
        """Body surface area in m2 (Mosteller, N Engl J Med 1987;317:1098)."""
        return math.sqrt(self.height_cm * self.weight_kg / 3600.0)

    @property
    def bmi(self) -> float:
        """Body mass index in kg/m2."""
        return self.weight_kg / (self.height_cm / 100.0) ** 2

    @property
    def covariates(self) -> dict[str, float]:
        """What the tables of coefficients speak of, each 0 in the reference person: `age` in years from 60, `bmi` in
        kg/m2 from 26, the rest 0 or 1; `not_white` is every group but White."""
        return {
            "age": self.age - REFERENCE_AGE,
            "bmi": self.bmi - REFERENCE_BMI,
            "male": float(self.sex == "M"),
            **{name: float(getattr(self, name)) for name in TRAITS},
            "asian": float(self.ethnic_group == "Asian"),
            "black": float(self.ethnic_group == "Black"),
            "chinese": float(self.ethnic_group == "Chinese"),
            "not_white": float(self.ethnic_group != "White"),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return asdict(self)


def draw_person(rng: np.random.Generator, population: Population) -> Person:
    """Draw a person: height by sex and group, weight by height and a skewed BMI, traits by `population.RISKS`.

    The same number of random draws is made for everybody but for those beyond the limits, who are drawn again.
    """
    sex = "F" if rng.random() < population.female_share else "M"
    age = round(_within(rng, population.age_mean, population.age_sd, population.age_low, population.age_high), 1)
    group = weighted(rng, population.ethnic_mix)
    mean, sd = _HEIGHT_CM[sex]
    mean -= _SHORTER_CM.get(group, 0.0) + _LOST_CM_PER_YEAR * max(0.0, age - REFERENCE_AGE)
    height = round(_within(rng, mean, sd, mean - 3.5 * sd, mean + 3.5 * sd), 1)
    spread = math.sqrt(math.log(1.0 + (population.bmi_sd / population.bmi_mean) ** 2))
    middle = math.log(population.bmi_mean) - 0.5 * spread**2
    bmi = math.exp(_within(rng, middle, spread, math.log(16.0), math.log(50.0)))
    weight = round(bmi * (height / 100.0) ** 2, 1)
    traits = {
        trait: bool(rng.random() < population.probability(trait, sex=sex, age=age, bmi=bmi, ethnic_group=group))
        for trait in TRAITS
    }
    return Person(sex=sex, age=age, height_cm=height, weight_kg=weight, ethnic_group=group, **traits)


def _within(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """One number of a normal distribution cut at both ends: drawn again until it lies inside."""
    while True:
        value = float(rng.normal(mean, sd))
        if low <= value <= high:
            return value


@dataclass(frozen=True)
class Effect:
    """One known coefficient: `outcome` moves by `coefficient` for each unit of `covariate`.

    Attributes:
        outcome: key of `population.HEALTHY`, with its unit.
        covariate: key of `Person.covariates`.
        source: where sign and size are from.
    """

    outcome: str
    covariate: str
    coefficient: float
    source: str


_CINEMA = "CineMA (Fu et al. 2025), table {} (UK Biobank, adjusted for age, sex and BMI)"
_DIABETES, _PRESSURE, _CANCER = (_CINEMA.format(n) for n in ("12", "13", "14"))
_RISK_FACTORS = "Petersen et al., PLoS One 2017;12:e0185114"
_SIZES_OURS = "sign: {}; size: package choice"
_CHOICE = "package choice"
_UKB_AGE = _SIZES_OURS.format("Petersen et al., J Cardiovasc Magn Reson 2017;19:18")
_INDEXED = _RISK_FACTORS + " ({} per 4.3 kg/m2), less the growth of body surface"
_PARKE = _SIZES_OURS.format("Parke et al., J Cardiovasc Magn Reson 2024;26:100001")
_NATORI = _SIZES_OURS.format("LV mass in Natori et al., AJR 2006;186:S357")
_FAIRNESS = "planted for fairness; sign as in CineMA (Fu et al. 2025), figure 4c; size: package choice"
_AORTA = "Turkbey et al., J Magn Reson Imaging 2014;39:360"

EFFECTS: tuple[Effect, ...] = (
    Effect("lvef_pct", "diabetes", -1.33, _DIABETES),
    Effect("lvef_pct", "hypertension", 0.75, _PRESSURE),
    Effect("lvef_pct", "cancer", -0.34, _CANCER),
    Effect("lvef_pct", "smoker", -0.6, _CHOICE),
    Effect("lvef_pct", "not_white", 0.7, _FAIRNESS),
    Effect("mapse_mm", "age", -0.04, _SIZES_OURS.format("Wang et al., Eur Heart J Cardiovasc Imaging 2023;24:1384")),
    Effect("mapse_mm", "diabetes", -0.57, _DIABETES),
    Effect("mapse_mm", "hypertension", -0.14, _PRESSURE),
    Effect("mapse_mm", "cancer", -0.13, _CANCER),
    Effect("mapse_mm", "not_white", -0.3, _FAIRNESS),
    Effect("tapse_mm", "age", -0.03, _CHOICE),
    Effect("tapse_mm", "diabetes", -0.6, _CHOICE),
    Effect("lv_edvi", "age", -0.25, _UKB_AGE),
    Effect("lv_edvi", "bmi", -0.5, _INDEXED.format("LV EDV +4.8 %")),
    Effect("lv_edvi", "diabetes", -3.0, _SIZES_OURS.format(_RISK_FACTORS)),
    Effect("lv_edvi", "hypertension", 2.0, _SIZES_OURS.format(_RISK_FACTORS + ", systolic pressure")),
    Effect("rv_edvi", "age", -0.30, _UKB_AGE),
    Effect("rv_edvi", "bmi", -0.45, _INDEXED.format("RV EDV +5.3 %")),
    Effect("rv_edvi", "diabetes", -3.0, _SIZES_OURS.format(_RISK_FACTORS)),
    Effect("rv_edvi", "asian", -5.0, _PARKE),
    Effect("wall_mm", "hypertension", 0.6, _SIZES_OURS.format(_RISK_FACTORS + ", LV mass")),
    Effect(
        "wall_mm",
        "bmi",
        0.05,
        "near Kawel et al., Circ Cardiovasc Imaging 2012;5:500 (0.02 mm per kg, 2.8 kg per unit)",
    ),
    Effect("wall_mm", "diabetes", 0.2, _CHOICE),
    Effect("wall_mm", "asian", -0.3, _PARKE),
    Effect("wall_mm", "chinese", -0.4, _NATORI),
    Effect("wall_mm", "black", 0.4, _NATORI),
    Effect("la_index", "hypertension", 2.0, _CHOICE),
    Effect("la_index", "diabetes", -1.0, _SIZES_OURS.format(_RISK_FACTORS)),
    Effect("la_ef_pct", "age", -0.10, _SIZES_OURS.format("Maceira et al., J Cardiovasc Magn Reson 2016;18:64")),
    Effect("la_ef_pct", "hypertension", -1.5, _CHOICE),
    Effect("heart_rate", "diabetes", 4.0, _CHOICE),
    Effect("heart_rate", "smoker", 3.0, _CHOICE),
    Effect("aortic_root_mm", "hypertension", 0.9, _AORTA + ", there of the ascending aorta"),
)
"""Every coefficient, additive and without interactions.  A covariate that is not named for an outcome has none."""


def effects_on(person: Person, effects: Iterable[Effect] = EFFECTS) -> dict[str, float]:
    """What the person's covariates add to each outcome, against a healthy reference person of the same sex.

    Args:
        effects: other coefficients, `()` for none: to plant an effect of a size of one's own.
    """
    values, shift = person.covariates, {effect.outcome: 0.0 for effect in EFFECTS}
    for effect in effects:
        shift[effect.outcome] = shift.get(effect.outcome, 0.0) + effect.coefficient * values[effect.covariate]
    return shift


def disparity_ratio(persons: Iterable[Person], outcome: str, threshold: float) -> float:
    """The true disparity ratio of an outcome among healthy persons: P(outcome >= threshold) in the White over the same
    in all others (CineMA, Fu et al. 2025, section 4.14), from `HEALTHY`, `EFFECTS` and a normal residual.

    Raises:
        PhantomError: an unknown outcome, or one of both groups empty.
    """
    if outcome not in HEALTHY:
        raise PhantomError(f"disparity_ratio: unknown outcome {outcome!r}; known are {', '.join(HEALTHY)}")
    rates: dict[bool, list[float]] = {True: [], False: []}
    for person in persons:
        figure = HEALTHY[outcome]
        above = figure.mean[person.sex] + effects_on(person).get(outcome, 0.0) - threshold
        normal = 0.5 * (1.0 + math.erf(above / (figure.sd[person.sex] * math.sqrt(2.0))))
        rates[person.ethnic_group == "White"].append(normal)
    if not rates[True] or not rates[False] or math.fsum(rates[False]) == 0.0:
        raise PhantomError(
            f"disparity_ratio: needs persons of ethnic group White and of another, who may reach {threshold:g}"
        )
    return math.fsum(rates[True]) / len(rates[True]) * len(rates[False]) / math.fsum(rates[False])
