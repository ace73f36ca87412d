"""Terms of the conditions as they stand in a sentence, the longer one where two overlap."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cardiolens.text.definitions import Definition

TermKind = Literal["name", "graded", "against", "wider"]
_ABBREVIATION = re.compile(r"[A-Z][A-Z0-9/-]{1,6}")
_NEVER_HIDES = ("previous surgery", "prosthetic valve")  # "TOF repair" tells of the surgery and of the tetralogy


@dataclass(frozen=True)
class Term:
    """Words at `start:end` that stand for a condition.

    "name" and "graded" for the condition itself, the second only with a grade or a denial; "against" for its absence;
    "wider" for something whose denial denies it too.
    """

    condition: str
    kind: TermKind
    start: int
    end: int


class Terms:
    """All terms of a set of definitions, compiled once."""

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        self._patterns: list[tuple[str, TermKind, re.Pattern[str]]] = []
        for name, d in definitions.items():
            for kind, parts in (
                ("name", [*map(_pattern, d.names), *map(_insensitive, d.patterns)]),
                ("graded", [*map(_pattern, d.graded_names)]),
                ("against", [*map(_insensitive, d.against)]),
                ("wider", [*map(_pattern, d.excluded_with)]),
            ):
                if parts:
                    self._patterns.append((name, kind, re.compile("|".join(sorted(parts, key=len, reverse=True)))))  # type: ignore[arg-type]
        for name, d in definitions.items():
            if d.floor == "severe":  # patterns of a graded condition are names that need a grade
                self._patterns = [(n, "graded" if n == name and k == "name" else k, p) for n, k, p in self._patterns]

    def find(self, text: str) -> list[Term]:
        """Terms in order; one hidden in a longer one of another condition is left out."""
        found = [
            Term(name, kind, match.start(), match.end())
            for name, kind, pattern in self._patterns
            for match in pattern.finditer(text)
        ]
        kept = [term for term in found if not any(_hides(other, term) for other in found)]
        return sorted(kept, key=lambda term: (term.start, term.end))


def _hides(long: Term, short: Term) -> bool:
    """Whether the words of `short` are part of a longer term that means something else."""
    if long.condition == short.condition:
        return long.kind != short.kind and _within(short, long) and long.kind != "wider"
    if long.kind in ("against", "wider") or long.condition in _NEVER_HIDES:
        return False
    return _within(short, long) and short.kind != "against"


def _within(short: Term, long: Term) -> bool:
    return long.start <= short.start and short.end <= long.end and (long.end - long.start) > (short.end - short.start)


def _pattern(name: str) -> str:
    """A name as an expression: spaces or hyphens between words, a plural at the end; capitals kept if it is letters."""
    words = r"[\s-]+".join(re.escape(word) for word in name.split())
    if _ABBREVIATION.fullmatch(name):
        return rf"(?<![\w/-]){words}s?(?![\w])"
    return rf"(?i:(?<!\w){words}(?:s|es)?(?!\w))"


def _insensitive(expression: str) -> str:
    return rf"(?i:(?<!\w)(?:{expression})(?!\w))"
