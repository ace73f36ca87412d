"""Who is examined: a person of the site's population, their heart, and that heart on another day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.cohort.order import StudyOrder
from cardiolens.phantom.disease import CAUSES, find_population, labelled, plausible, sample_parameters
from cardiolens.phantom.heart import RANGES, HeartParameters
from cardiolens.phantom.persons.covariates import Person, draw_person
from cardiolens.phantom.persons.followup import FollowUp, follow_up
from cardiolens.phantom.truth import Truth, truth_of

_PERSONS = 40
_RATE_SD, _VOLUME_SD, _LVEF_SD = 0.04, 0.02, 1.2  # from one day to another: shares, and points of LVEF; package choice


@dataclass(frozen=True)
class Patient:
    """One patient on the day of one session.

    Attributes:
        parameters, truth: of that day; day: what differs from the first session, empty at the first.
        after: what follows, counted from the first session.
    """

    person: Person
    parameters: HeartParameters
    truth: Truth
    after: FollowUp
    day: dict[str, float]

    @property
    def covariates(self) -> dict[str, Any]:
        """Person and follow-up as columns; sex, age and size are in the truth."""
        person, after = self.person.to_dict(), self.after.to_dict()
        known = {name: value for name, value in person.items() if name not in ("sex", "age", "height_cm", "weight_kg")}
        return {**known, "follow_up_years": after.pop("years"), **after}

    @property
    def history(self) -> tuple[str, ...]:
        """Names of what the person is known to have."""
        return tuple(name for name, value in self.person.to_dict().items() if value is True)


def draw_patient(order: StudyOrder) -> Patient:
    """Draw the patient of an order; sessions of one patient differ by the day alone."""
    person, first = _person_with_heart(order)
    truth = truth_of(first)
    after = follow_up(person, first, truth, rng=order.rng("after"))
    if not order.session:
        return Patient(person, first, truth, after, {})
    parameters, day = another_day(first, order.rng("session", by_session=True))
    return Patient(person, parameters, truth_of(parameters), after, day)


def _person_with_heart(order: StudyOrder) -> tuple[Person, HeartParameters]:
    population, persons, hearts = find_population(order.site.population), order.rng("person"), order.rng("heart")
    condition = order.condition
    for left in reversed(range(_PERSONS)):
        person = draw_person(persons, population)
        if left and condition is not None and not plausible(condition, person.age):
            continue
        try:
            heart = sample_parameters(hearts, condition=condition, population=population, person=person)
        except PhantomError:
            if not left:
                raise
            continue  # this person cannot have the condition; the next may
        return person, heart
    raise AssertionError("unreachable")  # pragma: no cover


def another_day(parameters: HeartParameters, rng: np.random.Generator) -> tuple[HeartParameters, dict[str, float]]:
    """The same heart in a new session, and what is different: heart rate, filling and LVEF, each a little.

    The LV alone changes: the RV keeps its volumes, so the two ventricles no longer eject quite the same.
    """
    a, b, c = np.clip(rng.normal(0.0, 1.0, 3), -2.0, 2.0)
    rate = parameters.heart_rate * (1.0 + _RATE_SD * a)
    volume = parameters.lv_edv_ml * (1.0 + _VOLUME_SD * b)
    lvef = parameters.lvef_pct + _LVEF_SD * c
    new: dict[str, Any] = {
        name: float(np.clip(value, *RANGES[name][:2]))
        for name, value in (("heart_rate", rate), ("lv_edv_ml", volume), ("lvef_pct", lvef))
    }
    try:
        other = replace(parameters, **new)
        anatomy_of(other).lv_material(np.ones(1))
    except PhantomError:  # at the edge of what the wall can do: the same LVEF as before
        other = replace(parameters, heart_rate=new["heart_rate"])
    changed = {name: getattr(other, name) - getattr(parameters, name) for name in new}
    causes = {name: severity for name, severity in parameters.severity.items() if name in CAUSES}
    return labelled(other, causes), changed
