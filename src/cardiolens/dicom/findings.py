"""The table of series: each with its view or the reason it is not used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cardiolens.study import View


@dataclass(frozen=True)
class SeriesFinding:
    """One series (or one part of a mixed series).

    Attributes:
        key: label unique in the study, as in `Refusal.series`.
        view: what it was read as; None when it was not used.
        reason: why it was not used; None when it was.
        evidence: what the decision rests on, in words.
        confidence: in the view or the refusal, 0 to 1.
    """

    key: str
    number: int | None
    description: str
    n_files: int
    n_planes: int
    n_phases: int
    rows: int
    cols: int
    view: View | None = None
    reason: str | None = None
    evidence: tuple[str, ...] = ()
    confidence: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"series {self.key}" + (f' "{self.description}"' if self.description else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = asdict(self)
        return values | {
            "view": None if self.view is None else str(self.view),
            "evidence": list(self.evidence),
            "notes": list(self.notes),
        }

    def used_as(self, view: View, evidence: Sequence[str], confidence: float, notes: Sequence[str]) -> SeriesFinding:
        return replace(
            self, view=view, reason=None, evidence=tuple(evidence), confidence=confidence, notes=(*self.notes, *notes)
        )

    def refused(self, reason: str, evidence: Sequence[str] = (), confidence: float = 1.0) -> SeriesFinding:
        return replace(self, view=None, reason=reason, evidence=tuple(evidence), confidence=confidence)
