"""What a report says of the 35 conditions, and who says so: the labellers' one interface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from cardiolens.errors import InputError
from cardiolens.text.conditions import CONDITION_NAMES
from cardiolens.text.sections import SectionKind

State = Literal["present", "absent", "uncertain", "not mentioned"]
STATES: tuple[State, ...] = get_args(State)
Scope = Literal["present", "absent", "uncertain", "history", "family", "question"]


@dataclass(frozen=True)
class Mention:
    """One condition in one sentence.

    Attributes:
        condition: out of `CONDITION_NAMES`.
        scope: what the sentence says of it, before the report as a whole is weighed.
        sentence: as it stands in the report.
        section: where it stands.
        words: those that were taken for the condition.
    """

    condition: str
    scope: Scope
    sentence: str
    section: SectionKind = "findings"
    words: str = ""


@dataclass(frozen=True)
class Labels:
    """The states of all 35 conditions in one report, with the sentences that they rest on.

    Attributes:
        states: condition to state, in the order of the paper.
        mentions: every mention, history, family and questions included.
        conflicts: conditions that one sentence asserts and another denies.
    """

    states: Mapping[str, State]
    mentions: tuple[Mention, ...] = ()
    conflicts: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        missing = [name for name in CONDITION_NAMES if name not in self.states]
        odd = [name for name, state in self.states.items() if name not in CONDITION_NAMES or state not in STATES]
        if missing or odd:
            raise InputError(f"labels need one of {', '.join(STATES)} for each of the 35; wrong: {missing + odd}")

    def __getitem__(self, condition: str) -> State:
        return self.states[condition]

    def of(self, state: State) -> tuple[str, ...]:
        """Conditions in this state."""
        return tuple(name for name, found in self.states.items() if found == state)

    def evidence(self, condition: str) -> tuple[Mention, ...]:
        """Mentions of one condition."""
        return tuple(mention for mention in self.mentions if mention.condition == condition)


class Labeller(Protocol):
    """Anything that labels a report."""

    def label(self, report: str) -> Labels:
        """States of the 35 conditions."""
        ...  # pragma: no cover


def ordered(states: Mapping[str, State]) -> dict[str, State]:
    """All 35 in the paper's order; those left out are not mentioned."""
    return {name: states.get(name, "not mentioned") for name in CONDITION_NAMES}


def as_number(state: State, *, uncertain: State = "uncertain", unmentioned: State = "absent") -> float | None:
    """1 present, 0 absent, None for a label that is left empty.

    Args:
        uncertain: how an uncertain one is read; "uncertain" leaves it empty.
        unmentioned: how one that is not mentioned is read; "not mentioned" leaves it empty.
    """
    read = {"uncertain": uncertain, "not mentioned": unmentioned}.get(state, state)
    return {"present": 1.0, "absent": 0.0}.get(read)


def conditions_of(mentions: Iterable[Mention], *scopes: Scope) -> frozenset[str]:
    """Conditions mentioned in one of these scopes."""
    return frozenset(mention.condition for mention in mentions if mention.scope in scopes)
