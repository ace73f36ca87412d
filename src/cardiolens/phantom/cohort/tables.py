"""The tables of a cohort: reports, truth, and labels for training, all built from the studies' own records."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cardiolens.phantom.cohort.order import StudyOrder
from cardiolens.phantom.cohort.study import record_of
from cardiolens.store.atomic import write_whole
from cardiolens.text.conditions import CONDITIONS

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
    "height": "height_cm",
    "weight": "weight_kg",
    "bsa": "bsa_m2",
}
_SCAN = (
    "vendor",
    "field_strength_t",
    "matrix",
    "phases",
    "slice_thickness_mm",
    "agent_mm",
    "trigger_delay",
    "wrap",
    "breathing_mm",
)


def write_tables(folder: Path, orders: Iterable[StudyOrder]) -> str:
    """Write `reports.csv` and `truth.csv`, and for a store its `labels.csv`; give the hash over all studies."""
    orders = list(orders)
    records = [record_of(order) for order in orders]
    _write_csv(
        folder / "reports.csv",
        [{"accession": r["study"], "patient": r["patient"], "report": r["report"]} for r in records],
    )
    _write_csv(
        folder / "truth.csv",
        [
            {"study": r["study"], "key": r["key"], **_place(r), **flat_truth(r["truth"]), **r["covariates"]}
            for r in records
        ],
    )
    if orders[0].config.format == "store":
        _write_labels(folder, records)
    digest = hashlib.sha256()
    for record in records:
        digest.update(f"{record['study']} {record['sha256']}\n".encode())
    return digest.hexdigest()


def _place(record: Mapping[str, Any]) -> dict[str, Any]:
    """Which patient, session, site and scanner; columns of the scan begin "scan_"."""
    protocol = record["protocol"]
    who = {name: record[name] for name in ("patient", "session", "site")}
    who["rhythm"] = record["parameters"]["rhythm"]
    return {**who, **{f"scan_{name}": protocol[name] for name in _SCAN}}


def flat_truth(truth: Mapping[str, Any]) -> dict[str, Any]:
    """A truth as one row: conditions joined by ";", one column a wall, a segment, and the severity of each of the 35
    conditions (0 for none)."""
    row: dict[str, Any] = {}
    for name, value in truth.items():
        if name == "conditions":
            row[name] = ";".join(value)
        elif name == "severity":
            row.update({f"severity_{c.column}": value.get(c.name, 0.0) for c in CONDITIONS})
        elif isinstance(value, Mapping):
            row.update({f"{name}_{part}": v for part, v in value.items()})
        elif isinstance(value, (list, tuple)):
            row.update({f"{name}_{number}": v for number, v in enumerate(value, start=1)})
        else:
            row[name] = value
    return row


def _write_labels(folder: Path, records: list[dict[str, Any]]) -> None:
    """Labels by key: figures, covariates, site, and each of the 35 conditions as 0 or 1 in a column of its own."""
    import pandas as pd

    from cardiolens.store import StudyStore

    rows = []
    for record in records:
        truth = record["truth"]
        row = {label: truth[name] for label, name in _LABELS.items()}
        row.update({name: _number(value) for name, value in record["covariates"].items()})
        row.update(patient=record["patient"], session=record["session"], site=record["site"])
        row.update(vendor=record["protocol"]["vendor"], bmi=_bmi(truth))
        row["conditions"] = ";".join(truth["conditions"])
        row.update({c.column: int(c.name in truth["conditions"]) for c in CONDITIONS})
        rows.append(row)
    keys = pd.Index([record["key"] for record in records], name="key")
    StudyStore(folder, mode="a").write_labels(pd.DataFrame(rows, index=keys))


def _bmi(truth: Mapping[str, Any]) -> float:
    """Body mass index, kg/m2."""
    return round(float(truth["weight_kg"]) / (float(truth["height_cm"]) / 100.0) ** 2, 2)


def _number(value: Any) -> Any:
    """True and False as 1 and 0, which is what tables of labels hold."""
    return int(value) if isinstance(value, bool) else value


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())
