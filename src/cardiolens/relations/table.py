"""A table of figures and covariates as it was read: columns as text, with its hash."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cardiolens.evaluation.table import read_text_table


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
    frame, digest = read_text_table(path)
    return Source(frame, path.name, digest)
