"""What `associate` and `survive` share: lists and pairs on the command line, a table on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd


def listed(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def pair(text: str, flag: str) -> tuple[str, str]:
    """A column and a group, as ethnicity=White."""
    name, found, value = text.partition("=")
    if not found or not name.strip() or not value.strip():
        raise typer.BadParameter(f"{flag} takes COLUMN=GROUP, got {text!r}")
    return name.strip(), value.strip()


def pairs(texts: Sequence[str] | None, flag: str) -> dict[str, str]:
    """Several of them."""
    return dict(pair(text, flag) for text in texts or ())


def show(
    table: pd.DataFrame, dropped: Mapping[str, Mapping[str, int]], refused: Mapping[str, str], notes: Sequence[str]
) -> None:
    """The table, what was left out, and what could not be fitted."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    shown = Table(box=None, pad_edge=False)
    for name in table.columns:
        shown.add_column(
            str(name).replace("_", " "), overflow="fold", justify="left" if table[name].dtype == object else "right"
        )
    for row in table.itertuples(index=False):
        shown.add_row(*(_text(value) for value in row))
    console.print(shown)
    for name, reasons in dropped.items():
        if reasons:
            told = "; ".join(f"{why}: {n}" for why, n in reasons.items())
            console.print(f"rows left out, {name}: {told}", markup=False, soft_wrap=True)
    for name, why in refused.items():
        console.print(f"not fitted, {name}: {why}", markup=False, soft_wrap=True)
    for note in notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print("Research use, not a medical device.", markup=False)


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3g}"
    return str(value)
