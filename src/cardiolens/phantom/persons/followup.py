"""What happens after the scan: death and heart failure by proportional hazards with known coefficients.

    after = follow_up(person, parameters, rng=rng)
    after.survived(5)        # True, False, or None when the follow-up ended before

The hazard of each event is h(t) = h0(t) exp(sum of coefficient x covariate), h0 that of a Weibull distribution, the
coefficients those of `HAZARDS`.  Both events are drawn independently given the covariates, so that a Cox model with
these covariates is the true one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.persons.covariates import Person
from cardiolens.phantom.truth import Truth

SHORTEST_YEARS, LONGEST_YEARS = 2.0, 9.0
"""The study ends between these, whenever a person came in; nobody is lost before."""
WEIBULL_SHAPE = 1.2
BASELINE_5_YEARS: Mapping[str, float] = MappingProxyType({"death": 0.02, "heart failure": 0.015})
"""Probability of each event within five years in the reference person: a woman of 60 years and BMI 26 with none of the
traits, LVEF 60 % and GLS 13 %.  Package choice."""
REFERENCE_LVEF, REFERENCE_GLS = 60.0, 13.0


@dataclass(frozen=True)
class Hazard:
    """One known coefficient: the log hazard ratio of `event` for each unit of `covariate`.

    Attributes:
        covariate: key of `Person.covariates`, `lvef_pct` in points from 60, or `gls_pct` in points of shortening from
            13 (positive: more shortening).
    """

    event: str
    covariate: str
    log_hazard_ratio: float
    source: str


_CHOICE = "package choice"
_CINEMA = "CineMA (Fu et al. 2025), table 15 (UK Biobank, five years)"

HAZARDS: tuple[Hazard, ...] = (
    Hazard("death", "lvef_pct", -0.03, _CINEMA),
    Hazard(
        "death",
        "gls_pct",
        -0.05,
        "sign: Raisi-Estabragh et al., Eur Heart J Cardiovasc Imaging 2022;23:1191; size: package choice",
    ),
    Hazard("death", "age", 0.08, _CHOICE),
    Hazard("death", "male", 0.35, _CHOICE),
    Hazard("death", "diabetes", 0.5, _CHOICE),
    Hazard("death", "hypertension", 0.15, _CHOICE),
    Hazard("death", "cancer", 0.8, _CHOICE),
    Hazard("death", "smoker", 0.6, _CHOICE),
    Hazard("heart failure", "lvef_pct", -0.05, _CHOICE),
    Hazard("heart failure", "gls_pct", -0.06, _CHOICE),
    Hazard("heart failure", "age", 0.05, _CHOICE),
    Hazard("heart failure", "male", 0.2, _CHOICE),
    Hazard("heart failure", "bmi", 0.03, _CHOICE),
    Hazard("heart failure", "diabetes", 0.6, _CHOICE),
    Hazard("heart failure", "hypertension", 0.5, _CHOICE),
)
"""Every coefficient; what is not named has none."""


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """What is known of a person after the scan.

    Attributes:
        study_years: from the scan to the end of the study, known for the dead too.
        years: from the scan to death or to the end of the study.
        death: whether the person died at `years`.
        heart_failure: whether heart failure was diagnosed in that time.
        heart_failure_years: from the scan to that diagnosis, else `years`.

    Raises:
        PhantomError: times below 0 or in another order than heart failure, death, end of the study.
    """

    study_years: float
    years: float
    death: bool
    heart_failure: bool
    heart_failure_years: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.heart_failure_years <= self.years <= self.study_years < math.inf:
            raise PhantomError(
                "phantom follow-up: 0 <= heart_failure_years <= years <= study_years must hold, got "
                f"{self.heart_failure_years}, {self.years} and {self.study_years}"
            )
        if not self.death and self.years != self.study_years:
            raise PhantomError(
                f"phantom follow-up: without death, years must equal study_years, got {self.years}, {self.study_years}"
            )
        if not self.heart_failure and self.heart_failure_years != self.years:
            raise PhantomError(
                "phantom follow-up: without heart failure, heart_failure_years must equal years, got "
                f"{self.heart_failure_years} and {self.years}"
            )

    def survived(self, years: float) -> bool | None:
        """Alive so many years after the scan; None when the study ended before, for the dead as for the living, so that
        the share of True among the rest is unbiased."""
        if self.study_years < years:
            return None
        return self.years >= years

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return asdict(self)


def hazard_covariates(person: Person, parameters: HeartParameters, truth: Truth | None = None) -> dict[str, float]:
    """What `HAZARDS` speaks of, each 0 in the reference person.

    Args:
        truth: of the heart, for its GLS; without it GLS is taken as 100 x MAPSE / LV length, which is close to it.
    """
    gls = 100.0 * parameters.mapse_mm / parameters.lv_length_mm if truth is None else truth.gls_pct
    return {**person.covariates, "lvef_pct": parameters.lvef_pct - REFERENCE_LVEF, "gls_pct": gls - REFERENCE_GLS}


def log_hazard(event: str, covariates: Mapping[str, float]) -> float:
    """Log of the hazard of the event, "death" or "heart failure", against the reference person's."""
    if event not in BASELINE_5_YEARS:
        raise PhantomError(f"unknown event {event!r}; known are {', '.join(BASELINE_5_YEARS)}")
    return math.fsum(h.log_hazard_ratio * covariates[h.covariate] for h in HAZARDS if h.event == event)


def follow_up(
    person: Person, parameters: HeartParameters, truth: Truth | None = None, *, rng: np.random.Generator
) -> FollowUp:
    """Draw what happens to a person with this heart; three random numbers are drawn.

    Args:
        truth: see `hazard_covariates`.
    """
    covariates = hazard_covariates(person, parameters, truth)
    end = round(float(rng.uniform(SHORTEST_YEARS, LONGEST_YEARS)), 3)
    death, failure = (_time(event, covariates, rng) for event in ("death", "heart failure"))
    years = min(end, max(0.001, round(death, 3)))
    heart_failure = failure < years
    return FollowUp(
        study_years=end,
        years=years,
        death=years < end,
        heart_failure=heart_failure,
        heart_failure_years=round(failure, 3) if heart_failure else years,
    )


def _time(event: str, covariates: Mapping[str, float], rng: np.random.Generator) -> float:
    """Years to the event: the inverse of the Weibull survival function."""
    scale = 5.0 / (-math.log1p(-BASELINE_5_YEARS[event])) ** (1.0 / WEIBULL_SHAPE)
    hazard = math.exp(log_hazard(event, covariates))
    return float(scale * (rng.exponential() / hazard) ** (1.0 / WEIBULL_SHAPE))
