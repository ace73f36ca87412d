"""A table of labels matched to studies by accession, patient or folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cardiolens.datasets.layout import Label, Remark
from cardiolens.datasets.tables import number, read_header, read_rows, require_once
from cardiolens.errors import ReportError
from cardiolens.ingest import Identity, Unit

_KEYS = ("accession", "study", "patient")
_PRIVATE = {
    "mrn", "name", "patient_name", "patientname", "patient_id", "patientid", "dob", "birth_date", "birthdate",
    "date_of_birth", "report", "address", "phone", "email", "nhs_number", "ssn",
}  # fmt: skip


@dataclass(frozen=True)
class Matched:
    """Labels of the studies that have a row.

    Attributes:
        columns: the labels' names.
        labels: by study.
        remarks: rows for no study, studies without a row, columns left out.
    """

    columns: tuple[str, ...]
    labels: dict[Identity, dict[str, Label]]
    remarks: tuple[Remark, ...]


def names_of(unit: Unit, identity: Identity, root: Path) -> dict[str, str]:
    """How a table may call a study: by accession, patient, or the folder or file under `root` that holds it."""
    inside = Path(unit.paths[0]).absolute().relative_to(root.absolute()).parts
    name = inside[0] if len(inside) > 1 else Path(inside[0]).name.split(".")[0]
    return {"accession": identity.accession, "patient": identity.patient, "study": name}


def match_labels(path: Path, units: Sequence[Unit], root: Path) -> Matched:
    """Match a CSV to studies.  Columns besides the identifying one are labels, under their own names.

    The identifying column is the first there of `accession`, `study` (folder or file under `root`), `patient`.  A
    column of numbers becomes numbers, any other stays text; an empty cell is missing.  Other identifying columns, and
    those that look like identifiers (MRN, name, date of birth), are left out and named.

    Raises:
        ReportError: no such column, an identifier twice, or one that fits several studies.
    """
    header = read_header(path)
    lower = {name.lower(): name for name in header}
    key = next((name for name in _KEYS if name in lower), None)
    if key is None:
        raise ReportError(f"{path}: needs a column accession, study or patient; has {', '.join(header[:30])}")
    left_out = [name for name in header if name.lower() in {*_KEYS, *_PRIVATE} - {key}]
    columns = tuple(name for name in header if name and name != lower[key] and name not in left_out)
    if not columns:
        raise ReportError(f"{path}: no column of labels beside {lower[key]}")
    studies: dict[str, list[Identity]] = defaultdict(list)
    for unit in units:
        for identity in unit.identities:
            studies[names_of(unit, identity, root)[key]].append(identity)
    lines: dict[str, list[int]] = defaultdict(list)
    rows: dict[str, dict[str, str]] = {}
    for line, row in read_rows(path, (lower[key],), keep=columns.__contains__):
        lines[row[lower[key]]].append(line)
        rows[row[lower[key]]] = row
    require_once(path, lower[key], lines)
    several = [name for name in rows if len(studies.get(name, ())) > 1]
    if several:
        raise ReportError(
            f"{path}: {len(several)} rows fit more than one study by {key} (first in line {lines[several[0]][0]}); "
            "use the column accession"
        )
    remarks = [Remark(name, f"a column left out of the labels: {name}") for name in left_out]
    remarks += [Remark(name, f"a row of labels for no study (by {key})") for name in rows if name not in studies]
    remarks += [
        Remark(name, f"a study without a row of labels (by {key})")
        for name, found in studies.items()
        if name not in rows
        for _ in found
    ]
    numeric = {name for name in columns if all(number(row[name]) is not None for row in rows.values())}
    labels = {
        found[0]: {name: _value(rows[name_of][name], name in numeric) for name in columns}
        for name_of, found in studies.items()
        if name_of in rows
    }
    return Matched(columns, labels, tuple(remarks))


def _value(text: str, numeric: bool) -> Label:
    if numeric:
        return number(text)
    return None if number(text) != number(text) else text  # NaN: the cell says that it is missing
