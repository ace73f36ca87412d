"""Hearts that belong into a group of a data set: drawn until they meet what the group is defined by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cardiolens.errors import PhantomError

if TYPE_CHECKING:
    from cardiolens.phantom.heart import HeartParameters
    from cardiolens.phantom.persons.covariates import Person

_TRIES = 400
Test = Callable[["HeartParameters"], bool]


@dataclass(frozen=True)
class Group:
    """A group of patients.

    Attributes:
        name: as the data set writes it.
        condition: of `cardiolens.text.conditions`, that every heart of the group has.
        accepts: what else defines the group.
    """

    name: str
    condition: str | None
    accepts: Test = lambda heart: True


def draw_heart(
    rng: np.random.Generator, group: Group, *, population: str = "default", person: Person | None = None
) -> HeartParameters:
    """Draw a heart of the group.

    Raises:
        PhantomError: none met the group's definition.
    """
    from cardiolens.phantom.disease import sample_parameters

    for _ in range(_TRIES):
        heart = sample_parameters(rng, condition=group.condition, population=population, person=person)
        if group.accepts(heart):
            return heart
    raise PhantomError(
        f"no heart with {group.condition!r} met the definition of group {group.name!r} in {_TRIES} draws; "
        "try another seed"
    )


def acute_infarct(heart: HeartParameters, rng: np.random.Generator) -> HeartParameters:
    """The same heart days after its infarct: scar deep enough to be seen, oedema around it, a wall not yet thinned.

    In half of the patients the infarct is nearly transmural, so that its core may not be reperfused.
    """
    tissue = heart.tissue
    if not any(tissue.scar) or tissue.scar_pattern != "subendocardial":
        raise PhantomError("acute_infarct needs a heart with subendocardial scar; draw it as ischaemic")
    deep = rng.uniform(0.82, 1.0) if rng.random() < 0.5 else rng.uniform(0.4, 0.7)
    worst = max(tissue.scar)
    scar = tuple(float(min(1.0, deep * share / worst)) for share in tissue.scar)
    edema = tuple(float(min(1.0, share + 0.35)) if share > 0.1 else 0.0 for share in scar)
    full = tuple(max(t, 1.0) if s > 0.1 else t for t, s in zip(heart.segment_thickness, scar, strict=True))
    return replace(heart, tissue=replace(tissue, scar=scar, edema=edema), segment_thickness=full, aneurysm_mm=0.0)


def thickest_mm(heart: HeartParameters) -> float:
    """Wall thickness at end-diastole of the thickest of the 16 segments, without the taper of the anatomy."""
    return heart.wall_mm * max(heart.segment_thickness[:16])
