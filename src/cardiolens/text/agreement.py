"""How far two sets of labels agree, and each with a hand-labelled sheet."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardiolens.errors import ReportError
from cardiolens.text.conditions import CONDITION_NAMES
from cardiolens.text.labels import State
from cardiolens.text.tables import provenance, read_states, states_file, table_of

Table = Mapping[str, Mapping[str, State]]


@dataclass(frozen=True)
class Agreement:
    """Two tables on one condition, over the studies that both have.

    Attributes:
        n: studies compared.
        a, b, both: present in the first, in the second, in both.
        kappa: Cohen's, of present against not present; NaN where neither ever says present.
        kappa_states: the same over the four states.
        precision, recall: of present in the first, the second taken as truth; NaN without a case.
        same: share of studies with the same state.
    """

    condition: str
    n: int
    a: int
    b: int
    both: int
    kappa: float
    kappa_states: float
    precision: float
    recall: float
    same: float


def compare(a: Table, b: Table) -> list[Agreement]:
    """Agreement for each condition that both tables have, over the studies of both.

    Raises:
        ReportError: no study or no condition in common.
    """
    studies = [study for study in a if study in b]
    if not studies:
        raise ReportError("the two tables have no study in common; are they of the same reports?")
    found = []
    for name in CONDITION_NAMES:
        pairs = [(a[s][name], b[s][name]) for s in studies if name in a[s] and name in b[s]]
        if pairs:
            found.append(_agreement(name, pairs))
    if not found:
        raise ReportError("the two tables have no condition in common")
    return found


def _agreement(name: str, pairs: Sequence[tuple[State, State]]) -> Agreement:
    binary = [(x == "present", y == "present") for x, y in pairs]
    first, second, both = (sum(p[0] for p in binary), sum(p[1] for p in binary), sum(all(p) for p in binary))
    return Agreement(
        condition=name,
        n=len(pairs),
        a=first,
        b=second,
        both=both,
        kappa=cohen_kappa(binary),
        kappa_states=cohen_kappa(pairs),
        precision=both / first if first else math.nan,
        recall=both / second if second else math.nan,
        same=sum(x == y for x, y in pairs) / len(pairs),
    )


def cohen_kappa(pairs: Sequence[tuple[Any, Any]]) -> float:
    """Cohen's kappa of two raters (Educ Psychol Meas 1960;20:37); NaN where both only ever give one and the same value.

    >>> cohen_kappa([(1, 1), (0, 0), (1, 0), (0, 0)])
    0.5
    """
    n = len(pairs)
    if n == 0:
        return math.nan
    first, second = Counter(x for x, _ in pairs), Counter(y for _, y in pairs)
    chance = sum(first[value] * second[value] for value in first) / n**2
    observed = sum(x == y for x, y in pairs) / n
    return math.nan if chance == 1.0 else (observed - chance) / (1.0 - chance)


_COLUMNS = ("condition", "n", "a", "b", "both", "kappa", "kappa_states", "precision", "recall", "same")


def rows_of(found: Sequence[Agreement]) -> list[dict[str, str]]:
    """Rows of a table, figures to three places, empty where there is none."""
    return [{c: _figure(getattr(agreement, c)) for c in _COLUMNS} for agreement in found]


def _figure(value: str | int | float) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def markdown(comparisons: Mapping[str, Sequence[Agreement]], record: Mapping[str, Any]) -> str:
    """A page of several comparisons, each under its title."""
    lines = ["# Agreement of labels", ""]
    lines += [
        "Kappa: Cohen's, of present against not present (of the four states in the next column).  Precision and recall:"
        " of present in A, with B as the truth.  An empty cell has no case to be computed from.",
        "",
    ]
    for title, found in comparisons.items():
        lines += [
            f"## {title}",
            "",
            "| condition | studies | A | B | both | kappa | four states | precision | recall | same |",
        ]
        lines.append("|---|" + "--:|" * 9)
        lines += [f"| {' | '.join(row[c] for c in _COLUMNS)} |" for row in rows_of(found)]
        pooled = _agreement_of_all(found)
        lines += ["", pooled, ""]
    lines += [f"cardiolens {record['cardiolens']}, {record['made']}."]
    lines += [f"- {name}: SHA-256 `{entry}`" for name, entry in record["config"]["inputs"].items()]
    return "\n".join(lines) + "\n"


def _agreement_of_all(found: Sequence[Agreement]) -> str:
    a, b, both = sum(x.a for x in found), sum(x.b for x in found), sum(x.both for x in found)
    kappas = [x.kappa for x in found if not math.isnan(x.kappa)]
    told = [f"All conditions together: {both} present in both, {a} in A, {b} in B"]
    if a and b:
        told.append(f"precision {both / a:.3f}, recall {both / b:.3f}")
    if kappas:
        told.append(f"mean kappa {sum(kappas) / len(kappas):.3f} over {len(kappas)} conditions")
    return "; ".join(told) + "."


def compare_files(a: Path, b: Path, sheet: Path | None = None) -> tuple[dict[str, list[Agreement]], dict[str, Any]]:
    """Compare two tables, and each with the sheet where one is given; with the record of what was compared."""
    paths = {"first": a, "second": b, **({"by hand": sheet} if sheet else {})}
    tables = {role: read_states(path)[1] for role, path in paths.items()}
    pairs = [("first", "second"), *([("first", "by hand"), ("second", "by hand")] if sheet else [])]
    found = {f"A: {paths[x].name} ({x}), B: {paths[y].name} ({y})": compare(tables[x], tables[y]) for x, y in pairs}
    used = {role: states_file(path) for role, path in paths.items()}
    inputs = {f"{path.name} ({role})": hashlib.sha256(path.read_bytes()).hexdigest() for role, path in used.items()}
    only = {f"only in the {x}": len(set(tables[x]) - set(tables[y])) for x, y in (pairs[0], pairs[0][::-1])}
    return found, provenance({"compared": only, "inputs": inputs})


def write_comparison(
    out: Path, found: Mapping[str, Sequence[Agreement]], record: Mapping[str, Any]
) -> tuple[Path, Path]:
    """Write OUT.md and OUT.csv."""
    from cardiolens.store.atomic import write_whole

    page, table = out.with_suffix(".md"), out.with_suffix(".csv")
    rows = [{"comparison": title, **row} for title, part in found.items() for row in rows_of(part)]
    write_whole(page, markdown(found, record).encode("utf-8"))
    stamp = {"cardiolens": record["cardiolens"], "inputs_sha256": " ".join(record["config"]["inputs"].values())}
    write_whole(table, table_of(["comparison", *_COLUMNS, *stamp], [{**row, **stamp} for row in rows]))
    return page, table
