"""What each sentence of a report says of the 35 conditions: known when it is written, not read back from the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Status = Literal["asserted", "described", "hedged", "queried", "excluded", "history", "family"]
STATUSES: tuple[Status, ...] = get_args(Status)
Section = Literal["indication", "technique", "comparison", "findings", "impression"]


@dataclass(frozen=True)
class Claim:
    """One condition in one sentence.

    Attributes:
        condition: out of `cardiolens.text.conditions`.
        status: "asserted" it is there, by one of its names or by the measurement that defines it; "described" a sign
            of it is told, without a name; "hedged" named as possible; "queried" named as the question of the scan;
            "excluded" named as absent; "history" the patient once had it; "family" a relative has it.
    """

    condition: str
    status: Status


@dataclass(frozen=True)
class Sentence:
    """One sentence as it stands in the report, with its section and its claims."""

    section: Section
    text: str
    claims: tuple[Claim, ...] = ()

    def of(self, status: Status) -> tuple[str, ...]:
        """Conditions with this status."""
        return tuple(claim.condition for claim in self.claims if claim.status == status)

    @property
    def asserts(self) -> tuple[str, ...]:
        return self.of("asserted")

    @property
    def describes(self) -> tuple[str, ...]:
        return self.of("described")

    @property
    def hedges(self) -> tuple[str, ...]:
        return self.of("hedged")

    @property
    def queries(self) -> tuple[str, ...]:
        return self.of("queried")

    @property
    def excludes(self) -> tuple[str, ...]:
        return self.of("excluded")

    @property
    def history(self) -> tuple[str, ...]:
        return self.of("history")

    @property
    def family(self) -> tuple[str, ...]:
        return self.of("family")


@dataclass(frozen=True)
class Report:
    """A report as text, and its sentences in order; each one's text occurs in `text` as it is."""

    text: str
    sentences: tuple[Sentence, ...]

    def of(self, status: Status) -> frozenset[str]:
        """Conditions with this status anywhere in the report."""
        return frozenset(condition for sentence in self.sentences for condition in sentence.of(status))
