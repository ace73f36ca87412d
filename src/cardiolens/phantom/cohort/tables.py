"""The tables of a cohort: reports, truth, and labels for training, all built from the studies' own records."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cardiolens.phantom.cohort.study import StudyOrder, read_record
from cardiolens.phantom.heart import CONDITIONS
from cardiolens.store.atomic import write_whole

_LABELS = {
    "lvef": "lvef_pct",
    "edv": "edv_ml",
    "esv": "esv_ml",
    "lv_mass": "lv_mass_g",
    "rvef": "rvef_pct",
    "rv_edv": "rv_edv_ml",
    "rv_esv": "rv_esv_ml",
    "la_volume": "la_volume_ml",
    "wall_thickness": "wall_thickness_mm",
    "mapse": "mapse_mm",
    "heart_rate": "heart_rate",
    "sex": "sex",
    "age": "age",
    "bsa": "bsa_m2",
}


def write_tables(folder: Path, orders: Iterable[StudyOrder]) -> str:
    """Write `reports.csv` and `truth.csv`, and for a store its `labels.csv`; give the hash over all studies."""
    orders = list(orders)
    records = [read_record(order) for order in orders]
    _write_csv(
        folder / "reports.csv",
        [{"accession": r["study"], "patient": r["patient"], "report": r["report"]} for r in records],
    )
    _write_csv(
        folder / "truth.csv", [{"study": r["study"], "key": r["key"], **flat_truth(r["truth"])} for r in records]
    )
    if orders[0].format == "store":
        _write_labels(folder, records)
    digest = hashlib.sha256()
    for record in records:
        digest.update(f"{record['study']} {record['sha256']}\n".encode())
    return digest.hexdigest()


def flat_truth(truth: Mapping[str, Any]) -> dict[str, Any]:
    """A truth as one row: conditions joined by ";", one column a wall and a segment."""
    row: dict[str, Any] = {}
    for name, value in truth.items():
        if name == "conditions":
            row[name] = ";".join(value)
        elif isinstance(value, Mapping):
            row.update({f"{name}_{part}": v for part, v in value.items()})
        elif isinstance(value, (list, tuple)):
            row.update({f"{name}_{number}": v for number, v in enumerate(value, start=1)})
        else:
            row[name] = value
    return row


def _write_labels(folder: Path, records: list[dict[str, Any]]) -> None:
    """Labels by key: figures, and each condition as 0 or 1 in a column of its own."""
    import pandas as pd

    from cardiolens.store import StudyStore

    names = [name for name in CONDITIONS if name != "normal"]
    rows = []
    for record in records:
        truth = record["truth"]
        row = {label: truth[name] for label, name in _LABELS.items()}
        row["conditions"] = ";".join(truth["conditions"])
        row.update({name.replace(" ", "_"): int(name in truth["conditions"]) for name in names})
        rows.append(row)
    keys = pd.Index([record["key"] for record in records], name="key")
    StudyStore(folder, mode="a").write_labels(pd.DataFrame(rows, index=keys))


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())
