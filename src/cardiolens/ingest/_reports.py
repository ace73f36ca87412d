"""The table of reports: read and checked against the studies before any work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cardiolens.errors import ReportError
from cardiolens.ingest._sources import Identity

_SHOWN = 20


def match_reports(
    path: Path, identities: Sequence[Identity], *, ignore_unknown: bool = False, unknown: list[str] | None = None
) -> dict[Identity, str]:
    """The report of each study that has one.

    Args:
        path: CSV with the columns `accession` (or `patient`, where each patient has one study) and `report`.  A study
            without an accession number goes by its StudyInstanceUID, one without that by its patient identifier.
        identities: of the studies found, as they are in DICOM.
        ignore_unknown: leave rows out that belong to no study, instead of refusing the table.
        unknown: gets the identifiers of those rows.

    Raises:
        ReportError: not such a table, or rows that are empty, double or belong to no study; all of them are named.
    """
    column, rows = _read(path)
    reports: dict[str, str] = {}
    faults: dict[str, list[str]] = defaultdict(list)
    studies: dict[str, list[Identity]] = defaultdict(list)
    for identity in identities:
        studies[identity.accession if column == "accession" else identity.patient].append(identity)
    for number, identifier, report in rows:
        if not identifier:
            faults[f"no {column} in line"].append(str(number))
        elif identifier in reports:
            faults[f"more than one row for {column}"].append(f"{identifier} (line {number})")
        elif identifier not in studies:
            if unknown is not None:
                unknown.append(identifier)
            if not ignore_unknown:
                faults[f"no study with {column}"].append(f"{identifier} (line {number})")
        elif len(studies.get(identifier, ())) > 1:
            faults[f"more than one study with {column}"].append(f"{identifier} (line {number})")
        reports.setdefault(identifier, report)
    if faults:
        told = "; ".join(f"{what} {_listed(which)}" for what, which in faults.items())
        raise ReportError(f"{path}: {told}. Nothing was ingested; mend the table and run again")
    return {found[0]: reports[name] for name, found in studies.items() if reports.get(name)}


def _listed(values: list[str]) -> str:
    more = len(values) - _SHOWN
    return ", ".join(values[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _read(path: Path) -> tuple[str, list[tuple[int, str, str]]]:
    """The identifying column, and (line, identifier, report) of each row; comma, semicolon or tab."""
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig") as stream:
            header = stream.readline()
        separator = max(",;\t", key=header.count)
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReportError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise ReportError(f"{path}: not a CSV table ({error})") from error
    table.columns = table.columns.str.strip().str.lower()
    column = next((name for name in ("accession", "patient") if name in table), None)
    if column is None or "report" not in table or not table.columns.is_unique:
        raise ReportError(
            f"{path}: needs the columns accession (or patient) and report, each once; has {', '.join(table.columns)}"
        )
    if any("\0" in report for report in table["report"]):
        raise ReportError(f"{path}: a report holds NUL characters; save the table as plain UTF-8 text")
    values = zip(table[column].str.strip(), table["report"].str.strip(), strict=True)
    return column, [(number, identifier, report) for number, (identifier, report) in enumerate(values, start=2)]
