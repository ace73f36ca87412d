"""Reports in, labels out: tables and the record of how they were made."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cardiolens._version import __version__
from cardiolens.errors import ReportError
from cardiolens.store.atomic import write_whole
from cardiolens.text.conditions import CONDITIONS
from cardiolens.text.labels import STATES, Labels, State, as_number

_IDENTIFIERS = ("key", "accession", "study", "patient", "id")
_NUMBERS: Mapping[str, State] = {"1": "present", "1.0": "present", "0": "absent", "0.0": "absent", "": "not mentioned"}


@dataclass(frozen=True)
class Reports:
    """Reports by study.

    Attributes:
        source: file or store.
        column: name of the identifier.
        texts: study to report, in the order of the source.
        skipped: studies without a report, by study and reason.
        sha256: over studies and texts.
    """

    source: str
    column: str
    texts: Mapping[str, str]
    skipped: tuple[tuple[str, str], ...]
    sha256: str


def read_reports(source: Path) -> Reports:
    """The reports of a store, or of a CSV with `report` and one of the columns key, accession, study, patient, id.

    Raises:
        ReportError: neither, a study twice, or no report at all.
    """
    if source.is_dir():
        return _of_store(source)
    column, rows = read_csv(source)
    header = set(rows[0]) if rows else set()
    if "report" not in header:
        raise ReportError(f"{source}: no column `report`; it has {', '.join(sorted(header)) or 'no rows'}")
    texts: dict[str, str] = {}
    skipped: list[tuple[str, str]] = []
    for number, row in enumerate(rows, start=2):
        study, text = row[column].strip(), row["report"].strip()
        if not study:
            raise ReportError(f"{source}, row {number}: no {column}")
        if study in texts or any(study == name for name, _ in skipped):
            raise ReportError(f"{source}, row {number}: {column} {study} is there twice; give each report one row")
        if text:
            texts[study] = text
        else:
            skipped.append((study, "no report"))
    return _checked(str(source.name), column, texts, skipped)


def _of_store(source: Path) -> Reports:
    from cardiolens.store import StudyStore

    store = StudyStore(source)
    texts: dict[str, str] = {}
    skipped: list[tuple[str, str]] = []
    for key in store.keys():  # noqa: SIM118 - a store is no dict
        report = (store.report(key) or "").strip()
        if report:
            texts[key] = report
        else:
            skipped.append((key, "no report"))
    store.close()
    return _checked(source.name, "key", texts, skipped)


def _checked(source: str, column: str, texts: dict[str, str], skipped: list[tuple[str, str]]) -> Reports:
    if not texts:
        raise ReportError(f"{source}: no report in it ({len(skipped)} studies without one)")
    digest = hashlib.sha256(json.dumps(texts, ensure_ascii=True).encode()).hexdigest()
    return Reports(source, column, texts, tuple(skipped), digest)


def read_csv(path: Path) -> tuple[str, list[dict[str, str]]]:
    """The identifying column and the rows of a CSV (comma, semicolon or tab), columns in lower case.

    Raises:
        ReportError: not UTF-8, no such column, a row of another width.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReportError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if "\0" in text:
        raise ReportError(f"{path}: holds NUL characters; save the table as plain UTF-8 text")
    first = text.partition("\n")[0]
    csv.field_size_limit(64 * 1024 * 1024)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        rows = []
        for number, row in enumerate(reader, start=2):
            if not row:
                continue
            if len(row) != len(header):
                raise ReportError(f"{path}, row {number}: {len(row)} fields where the header has {len(header)}")
            rows.append(dict(zip(header, row, strict=True)))
    except csv.Error as error:
        raise ReportError(f"{path}: not a CSV table ({error})") from error
    column = next((name for name in _IDENTIFIERS if name in header), None)
    if column is None or len(set(header)) != len(header):
        raise ReportError(f"{path}: needs one of the columns {', '.join(_IDENTIFIERS)}, each name once; has {header}")
    return column, rows


def label_files(out: Path) -> dict[str, Path]:
    """The files of one run: numbers for training, states, evidence, record."""
    stem = out.with_suffix("")
    return {
        "labels": out,
        "states": stem.with_name(f"{stem.name}.states.csv"),
        "evidence": stem.with_name(f"{stem.name}.evidence.jsonl"),
        "record": stem.with_name(f"{stem.name}.run.json"),
    }


def write_labels(
    out: Path,
    reports: Reports,
    labels: Mapping[str, Labels],
    record: Mapping[str, Any],
    *,
    uncertain: State = "uncertain",
    unmentioned: State = "absent",
) -> dict[str, Path]:
    """Write the four files of `label_files`, each whole.

    Args:
        uncertain: how an uncertain label is written as a number; "uncertain" leaves it empty.
        unmentioned: the same for one that is not mentioned; "not mentioned" leaves it empty.
    """
    files = label_files(out)
    config = {**record, "uncertain_read_as": uncertain, "not_mentioned_read_as": unmentioned}
    whole = provenance(config, reports)
    numbers, words, evidence = [], [], [json.dumps(whole, ensure_ascii=False)]
    for study, found in labels.items():
        row = {reports.column: study}
        numbers.append({**row, **numbers_of(found, uncertain, unmentioned)})
        words.append({**row, **{c.column: found[c.name] for c in CONDITIONS}})
        told = {reports.column: study, "conflicts": found.conflicts, "mentions": [asdict(m) for m in found.mentions]}
        evidence.append(json.dumps(told, ensure_ascii=False))
    header = [reports.column, *(c.column for c in CONDITIONS)]
    write_whole(files["labels"], table_of(header, numbers))
    write_whole(files["states"], table_of(header, words))
    write_whole(files["evidence"], ("\n".join(evidence) + "\n").encode("utf-8"))
    hashes = {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in ("labels", "states", "evidence")}
    write_whole(
        files["record"], (json.dumps({**whole, "sha256": hashes}, indent=1, ensure_ascii=False) + "\n").encode()
    )
    return files


def numbers_of(labels: Labels, uncertain: State = "uncertain", unmentioned: State = "absent") -> dict[str, str]:
    """Column to "1", "0" or ""."""
    found = {}
    for condition in CONDITIONS:
        value = as_number(labels[condition.name], uncertain=uncertain, unmentioned=unmentioned)
        found[condition.column] = "" if value is None else str(int(value))
    return found


def provenance(config: Mapping[str, Any], reports: Reports | None = None) -> dict[str, Any]:
    """Version, time, configuration, and which input; goes with every result."""
    found: dict[str, Any] = {
        "cardiolens": __version__,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "config": dict(config),
    }
    if reports is not None:
        found["input"] = {
            "source": reports.source,
            "sha256": reports.sha256,
            "reports": len(reports.texts),
            "without_report": [study for study, _ in reports.skipped],
        }
    return found


def table_of(header: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """CSV text of rows."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, fieldnames=list(header), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")


def states_file(path: Path) -> Path:
    """The table of states that lies beside a table of numbers, else the table itself."""
    beside = label_files(path)["states"]
    return beside if beside.is_file() and not path.name.endswith(".states.csv") else path


def read_states(path: Path) -> tuple[str, dict[str, dict[str, State]]]:
    """A table of labels as states by study and condition: words, or 1, 0 and empty (not known, so not compared).

    The states that lie beside a table of numbers are taken instead of it.

    Raises:
        ReportError: not such a table, a study twice, or a value that is no state.
    """
    used = states_file(path)
    column, rows = read_csv(used)
    by_column = {c.column.lower(): c.name for c in CONDITIONS} | {c.name.lower(): c.name for c in CONDITIONS}
    states: dict[str, dict[str, State]] = {}
    for number, row in enumerate(rows, start=2):
        study = row[column].strip()
        if study in states:
            raise ReportError(f"{used}, row {number}: {column} {study} is there twice")
        states[study] = {
            by_column[name]: _state(used, number, name, value) for name, value in row.items() if name in by_column
        }
    if not states or not any(states.values()):
        raise ReportError(f"{used}: no column of a condition; `cardiolens label` writes them")
    return column, states


def _state(path: Path, number: int, column: str, value: str) -> State:
    value = value.strip().lower()
    if value in STATES:
        return value
    if value in _NUMBERS:
        return _NUMBERS[value]
    raise ReportError(f"{path}, row {number}, {column}: {value!r} is none of {', '.join(STATES)}, 1, 0 and empty")
