"""CSV tables of data sets: read as text, checked by column, missing told from zero."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from cardiolens.errors import ReportError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", ".", "-"})
_SHOWN = 10


def read_header(path: Path) -> list[str]:
    """Column names, without space around them.

    Raises:
        ReportError: not readable text, empty, or a column twice.
    """
    _, header = _start(path)
    return header


def read_rows(
    path: Path, need: Collection[str], *, keep: Callable[[str], bool] = lambda column: True
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column to text) of every row; comma, semicolon or tab.

    Args:
        need: columns that must be there, spelt exactly so.
        keep: which of the other columns are wanted.

    Raises:
        ReportError: not such a table, or a row with more or fewer fields than the header.
    """
    separator, header = _start(path)
    missing = [name for name in need if name not in header]
    if missing:
        raise ReportError(f"{path}: needs the column {', '.join(missing)}; has {', '.join(header[:30]) or 'none'}")
    wanted = [(place, name) for place, name in enumerate(header) if name in need or keep(name)]
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=separator)
            next(reader)
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if len(row) != len(header):
                    raise ReportError(
                        f"{path}: line {reader.line_num} has {len(row)} fields, the header has {len(header)}; "
                        "a text with a separator in it needs quotes"
                    )
                yield reader.line_num, {name: row[place].strip() for place, name in wanted}
    except (csv.Error, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: not a CSV table in UTF-8 ({error})") from error


def number(text: str) -> float | None:
    """The value; NaN where the cell says that it is missing; None where it holds something else."""
    if text.strip().lower() in MISSING:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def require_once(path: Path, column: str, lines: dict[str, list[int]]) -> None:
    """Raise `ReportError` naming every value that more than one line holds.  Values are named by line, not in full."""
    twice = {value: places for value, places in lines.items() if len(places) > 1}
    if twice:
        shown = "; ".join("lines " + ", ".join(map(str, places)) for places in list(twice.values())[:_SHOWN])
        raise ReportError(f"{path}: {len(twice)} values of {column} are there more than once ({shown}); keep one")


def _start(path: Path) -> tuple[str, list[str]]:
    """Separator and header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            separator = max(",;\t", key=first.count)
            stream.seek(0)
            header = [name.strip() for name in next(csv.reader(stream, delimiter=separator), [])]
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: not a CSV table in UTF-8 ({error})") from error
    if not any(header):
        raise ReportError(f"{path}: empty; a header and rows are needed")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise ReportError(f"{path}: the column {', '.join(twice)} stands there twice; keep one")
    return separator, header
