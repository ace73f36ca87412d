"""What every part of a validation hands over: words, figures and tables, which become files and one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.evaluation.figures import Drawn


@dataclass(frozen=True, eq=False)
class Table:
    """A table and the name of its file.

    Attributes:
        frame: one row an entry, plain columns, no index; written in full.
        shown: what the page shows of it, texts ready to read; None shows `frame`, an empty one only the file's name.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    shown: pd.DataFrame | None = None


@dataclass
class Section:
    """One heading of the page.

    Attributes:
        words: what is seen here, in a paragraph each.
        notes: what could not be done and why, what to beware of.
    """

    name: str
    title: str
    words: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: list[Drawn] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def save_sections(sections: Sequence[Section], out: Path) -> list[Path]:
    """Write every table as CSV, whole or not at all, and every figure as PNG and SVG."""
    from cardiolens.evaluation.figures import save
    from cardiolens.store.atomic import disk_errors, write_whole

    tables, figures = out / "tables", out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    written = []
    for section in sections:
        for table in section.tables:
            path = tables / f"{table.name}.csv"
            with disk_errors(path):
                write_whole(path, table.frame.to_csv(index=False).encode())
            written.append(path)
        for figure in section.figures:
            written += save(figure, figures)
    return written
