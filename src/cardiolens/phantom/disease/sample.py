"""`sample_parameters`: draw a person, a healthy heart for that person, a disease, and what else patients have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.disease import around, left, right
from cardiolens.phantom.disease.conditions import labelled
from cardiolens.phantom.disease.draft import Draft, Rng, fibrillate
from cardiolens.phantom.disease.healthy import healthy
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.persons.covariates import Person, draw_person
from cardiolens.phantom.persons.population import POPULATIONS, Population
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL

Scenario = Callable[[Draft, Rng], None]
SCENARIOS: Mapping[str, Scenario] = MappingProxyType({**left.SCENARIOS, **right.SCENARIOS, **around.SCENARIOS})
"""Condition to what makes a healthy heart have it; every condition but "normal"."""

_TRIES = 60
_AGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "amyloidosis": (48.0, 120.0),
        "arrhythmogenic right ventricular cardiomyopathy": (0.0, 65.0),
        "cardiac thrombus": (38.0, 120.0),
        "ischemic cardiomyopathy": (38.0, 120.0),
        "lipomatous atrial wall": (48.0, 120.0),
        "myocarditis": (0.0, 65.0),
        "severe aortic stenosis": (45.0, 120.0),
        "tetralogy of Fallot": (0.0, 55.0),
    }
)
"""Years between which each condition is drawn; any age where none is named.  Package choice."""


def sample_parameters(
    rng: Rng,
    *,
    condition: str | None = None,
    population: Population | str = "default",
    person: Person | None = None,
) -> HeartParameters:
    """Draw one heart with its labels.

    Args:
        rng: source of every random number; the same state gives the same heart.
        condition: one that the heart has for certain, "normal" included, with whatever comes along with it; None draws
            the main disease by the population's prevalence, and minor findings beside it.
        population: who is drawn, by name or in full.
        person: whose heart; None draws a person of the population.

    Raises:
        PhantomError: unknown condition or population.
    """
    check_condition(condition)
    who = find_population(population)
    for _ in range(_TRIES):
        parameters = _draw(rng, condition, who, person)
        if (condition is None or condition in parameters.conditions) and _can_beat(parameters):
            return parameters
    raise PhantomError(f"condition {condition!r} was not reached in {_TRIES} draws for this person; name another")


def _can_beat(parameters: HeartParameters) -> bool:
    """Whether walls that move as these do can eject the stroke volume; asked where some hardly move."""
    if min(parameters.segment_motion) >= 0.3:
        return True
    try:
        anatomy_of(parameters).lv_material(np.ones(1))
    except PhantomError:
        return False
    return True


def check_condition(condition: str | None) -> None:
    """Raise `PhantomError` for a condition that is not one of the 35."""
    if condition is not None and condition not in CONDITION_NAMES:
        raise PhantomError(f"unknown condition {condition!r}; known are {', '.join(CONDITION_NAMES)}")


def find_population(population: Population | str) -> Population:
    """A population by name; `PhantomError` lists the known ones."""
    if isinstance(population, Population):
        return population
    if population not in POPULATIONS:
        raise PhantomError(f"unknown population {population!r}; known are {', '.join(POPULATIONS)}")
    return POPULATIONS[population]


def plausible(condition: str, age: float) -> bool:
    """Whether the condition is found at this age (years) at all; some are of the old, some of the young."""
    low, high = _AGES.get(condition, (0.0, 120.0))
    return low <= age <= high


def _draw(rng: Rng, condition: str | None, population: Population, person: Person | None) -> HeartParameters:
    main = condition or _main(rng, population, person)
    draft = healthy(person or _someone(rng, population, main), rng)
    if main != NORMAL:
        SCENARIOS[main](draft, rng)
    if condition is None:
        _minor_findings(draft, rng, diseased=main != NORMAL)
    draft.balance_flow(rng)
    return labelled(draft.finish(), draft.causes)


def _someone(rng: Rng, population: Population, condition: str) -> Person:
    """A person of an age at which the condition is found, or the last of many."""
    person = draw_person(rng, population)
    for _ in range(_TRIES):
        if plausible(condition, person.age):
            break
        person = draw_person(rng, population)
    return person


def _main(rng: Rng, population: Population, person: Person | None) -> str:
    names = [n for n in population.prevalence if person is None or plausible(n, person.age)]
    share = np.array([population.prevalence[name] for name in names])
    return names[int(rng.choice(len(names), p=share / share.sum()))]


def _minor_findings(draft: Draft, rng: Rng, *, diseased: bool) -> None:
    """What patients have beside their main disease."""
    often = 1.0 if diseased else 0.4
    old = float(np.clip((draft.of["age"] - 45.0) / 40.0, 0.0, 1.0))
    leaks = (("mitral_regurgitation", 0.15), ("tricuspid_regurgitation", 0.15), ("aortic_regurgitation", 0.06))
    for valve, chance in leaks:
        if rng.random() < often * chance:
            draft.worsen(valve, rng.uniform(0.1, 0.4))
    if rng.random() < often * 0.06 and draft.of["effusion_mm"] < 1.0:
        draft.of["effusion_mm"] = rng.uniform(1.0, 6.0)
    if rng.random() < often * 0.12 * old and draft.of["rhythm"] == "sinus":
        fibrillate(draft, rng)
    elif rng.random() < often * 0.05 and draft.of["rhythm"] == "sinus":
        draft.of["rhythm"] = "ectopy"
    if rng.random() < often * 0.04 * old:
        draft.operate("coronary bypass")
    if rng.random() < often * 0.04:
        draft.of["pleural_effusion_mm"] = rng.uniform(4.0, 25.0)
    if rng.random() < often * 0.03 * old:
        around.lipomatous(draft, rng)
