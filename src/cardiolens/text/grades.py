"""How severe a finding is called: trace 0.5, mild 1, moderate 2, severe 3, and the steps between."""

from __future__ import annotations

import re

from cardiolens.text.definitions import Definition

_WORDS: tuple[tuple[str, float], ...] = (
    (r"mild(?:ly)?[- ](?:to|-)[- ]?moderate(?:ly)?|mild[-/]moderate(?:ly)?", 1.5),
    (r"small[- ]to[- ]moderate", 1.5),
    (r"moderate(?:ly)?[- ](?:to|-)[- ]?severe(?:ly)?|moderate[-/]severe(?:ly)?", 2.5),
    (r"moderate[- ]to[- ]large", 2.5),
    (r"trace(?:-?to-?mild)?|trivial|minimal(?:ly)?|physiologic(?:al)?|tiny|insignificant", 0.5),
    (r"mild(?:ly)?|small|slight(?:ly)?|minor|1\+|grade 1", 1.0),
    (r"moderate(?:ly)?|medium[- ]sized|2\+|grade 2", 2.0),
    (r"3\+|grade 3", 2.5),
    (
        r"severe(?:ly)?|critical|torrential|massive|marked(?:ly)?|large|huge|gross(?:ly)?|extensive"
        r"|4\+|grade 4|wide[- ]open|free",
        3.0,
    ),
)
_GRADE = re.compile(
    "|".join(rf"(?P<g{i}>(?<![\w+])(?:{words})(?![\w+]))" for i, (words, _) in enumerate(_WORDS)), re.IGNORECASE
)
_STOP = re.compile(r"[;:,]|\b(?:and|with|but|without|of the|due to|from)\b", re.IGNORECASE)
_AFTER = re.compile(
    r"^\s*(?:\([^)]*\)\s*)?(?:[,:(-]|is|are|was|appears?|remains?|graded|as|to be|judged"
    r"|considered|which|in severity|now|the|at least|also|\s)*$",
    re.IGNORECASE,
)
_REACH = 5  # words between a grade and the finding it grades
_CAPPED = re.compile(r"\b(?:no|not) (?:more|greater|worse) than\s*$", re.IGNORECASE)


def grade_of(text: str, start: int, end: int) -> float | None:
    """The grade said of the finding at `start:end`, before it or after it; None where none is said."""
    before = text[:start]
    stops = [m.end() for m in _STOP.finditer(before)]
    graded = [m for m in _GRADE.finditer(before) if not stops or m.start() >= stops[-1]]
    if graded and len(before[graded[-1].end() :].split()) <= _REACH:
        return _value(graded[-1])
    inside = _GRADE.search(text, start, end)
    if inside:
        return _value(inside)
    after = _GRADE.search(text, end)
    if after and _AFTER.match(text[end : after.start()]):
        return _value(after)
    return None


def is_capped(text: str, start: int) -> bool:
    """Whether "no more than" stands before the finding's grade: it is there, at that grade at most."""
    return any(_CAPPED.search(text[: m.start()]) for m in _GRADE.finditer(text, 0, start))


def against_floor(grade: float, definition: Definition) -> str:
    """ "present", "uncertain" (between moderate and severe) or "absent" for a finding of this grade."""
    if definition.floor != "severe" or grade >= 3.0:
        return "present"
    return "uncertain" if grade >= 2.5 else "absent"


def _value(match: re.Match[str]) -> float:
    return _WORDS[int(str(match.lastgroup)[1:])][1]
