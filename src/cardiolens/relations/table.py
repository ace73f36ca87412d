"""A table of figures and covariates as it was read: columns as text, with its hash."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cardiolens.errors import ReadError, StatsError


@dataclass(frozen=True, eq=False)
class Source:
    """A table, its name without folders, and the sha256 of its file."""

    frame: pd.DataFrame
    name: str
    sha256: str


def read_source(path: Path) -> Source:
    """Read a CSV table with a header, separated by comma, semicolon or tab.

    Raises:
        ReadError: no such file, or no table in UTF-8.
        StatsError: a column named twice, or no rows.
    """
    if not path.is_file():
        raise ReadError(f"{path}: no such file; expected a CSV table with a header line")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadError(f"{path}: not a text table in UTF-8 ({error.reason} at byte {error.start})") from error
    first = text.split("\n", 1)[0].strip()
    separator = max(",;\t", key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=separator), [])]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise StatsError(f"{path}: the header names {', '.join(map(repr, twice))} more than once")
    try:
        frame = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, skipinitialspace=True, index_col=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise ReadError(f"{path}: not a readable table: {error}") from error
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    if frame.empty:
        raise StatsError(f"{path}: the table has no rows, only the columns {', '.join(map(repr, frame.columns))}")
    return Source(frame, path.name, hashlib.sha256(content).hexdigest())
