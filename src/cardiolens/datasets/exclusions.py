"""Lists of what to leave out, as data sets and their users keep them.

One entry a line, `#` for comments, a header is allowed::

    9000001              # everything of this case or participant (a list of withdrawn participants is just this)
    9000002,3            # its imaging visit of instance 3
    9000003,CINE_segmented_SAX_b4      # one series, by description; * and ? stand for anything
    *,CINE_segmented_LAX_3Ch           # that series of everyone
"""

from __future__ import annotations

import csv
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cardiolens.errors import ReportError

_HEADERS = {"eid", "case", "patient", "id", "study", "participant.eid", "f.eid"}


@dataclass(frozen=True)
class Exclusions:
    """What to leave out.

    Attributes:
        cases: whole cases or participants.
        instances: (participant, instance).
        series: participant, or "*" for all, to patterns of series descriptions.
    """

    cases: frozenset[str] = frozenset()
    instances: frozenset[tuple[str, str]] = frozenset()
    series: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def series_of(self, who: str) -> tuple[str, ...]:
        """Patterns that hold for this participant, sorted."""
        return tuple(sorted({*self.series.get(who, ()), *self.series.get("*", ())}))


def read_exclusions(path: Path | None, *, parts: bool = False) -> Exclusions:
    """Read a list; an empty one where no path is given.

    Args:
        parts: whether instances and series may be named too.

    Raises:
        ReportError: a line of another form, by number.
    """
    if path is None:
        return Exclusions()
    cases: set[str] = set()
    instances: set[tuple[str, str]] = set()
    series: dict[str, tuple[str, ...]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ReportError(f"{path}: not UTF-8 text; a list has one entry a line") from error
    for place, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in next(csv.reader([line.partition("#")[0]]), [])]
        while cells and not cells[-1]:
            cells.pop()
        if not cells or (not (cases or instances or series) and cells[0].lower() in _HEADERS):
            continue
        who, rest = cells[0], cells[1:]
        if not who or len(rest) > 1 or (rest and not parts) or (who == "*" and not rest):
            form = "a participant, and after a comma an instance or a series" if parts else "the name of a case"
            raise ReportError(f"{path}: line {place} is not {form}")
        if not rest:
            cases.add(who)
        elif rest[0].isdigit():
            instances.add((who, rest[0]))
        else:
            series[who] = (*series.get(who, ()), rest[0])
    return Exclusions(frozenset(cases), frozenset(instances), series)


def matches(description: str, patterns: tuple[str, ...]) -> bool:
    """Whether a series description fits one of the patterns."""
    return any(fnmatch.fnmatchcase(description, pattern) for pattern in patterns)
