"""What trials share: rows in a CSV that grow step by step, and the phantom patients that they are run on."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def rows_of(results: Path) -> list[dict[str, str]]:
    """The rows so far; none where there is no file."""
    if not results.exists():
        return []
    with results.open(newline="") as file:
        return list(csv.DictReader(file))


def append(results: Path, fields: Sequence[str], rows: Sequence[Row], *, of: str | None = None) -> None:
    """Add rows, the header first where there is none.

    Rows of another cohort are refused: one table holds one trial.  With `of`, a column that names the set, each set
    has a cohort of its own.
    """
    before = rows_of(results)
    same = [row for row in before if of is None or row[of] == rows[0][of]] if rows else []
    if same and same[0]["data_hash"] != rows[0]["data_hash"]:
        sys.exit(f"{results} holds rows of another cohort ({same[0]['data_hash']}); name another --results")
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields, restval="", lineterminator="\n")
        if not before:
            writer.writeheader()
        writer.writerows(rows)


def render_patients(cohort: Path, patients: int, **protocol: int) -> None:
    """Make a store of phantom patients of two sites, or what is missing of it; one of another trial is taken as it is.

    Args:
        protocol: `matrix`, `phases`, `sax_planes` of `make_cohort`.
    """
    if (cohort / "labels.csv").exists():
        return
    from cardiolens.phantom.cohort import make_cohort

    make_cohort(
        cohort, patients, 101, format="store", site=("referral", "default"), enrich=0.85, progress=told, **protocol
    )


def told(done: int, total: int) -> None:
    """Say how many are rendered, now and then."""
    if done % 20 == 0 or done == total:
        print(f"rendered {done} of {total}", flush=True)
