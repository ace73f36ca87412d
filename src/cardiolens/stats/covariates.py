"""Columns of a regression: which rows can be used, groups as indicator columns, and what cannot be estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cardiolens.errors import StatsError

_MOST_LEVELS = 12


@dataclass(frozen=True, eq=False)
class Design:
    """Rows and columns fit for a model.

    Attributes:
        frame: outcome columns and terms as float64, one row a subject.
        terms: model columns; a group named "sex" with levels F and M is one column "sex: M" against F, the first.
        exposure_terms: those that belong to the exposure.
        references: group to the level that the others are compared with.
        dropped: rows left out, by reason.
        n_rows: rows of the table.
    """

    frame: pd.DataFrame
    terms: tuple[str, ...]
    exposure_terms: tuple[str, ...]
    references: Mapping[str, str]
    dropped: Mapping[str, int]
    n_rows: int


def design(
    table: pd.DataFrame,
    *,
    outcomes: Sequence[str],
    exposure: str,
    adjust: Sequence[str] = (),
    binary: Sequence[str] = (),
    references: Mapping[str, str] | None = None,
) -> Design:
    """Turn a table into model columns.  Rows with a gap or with text among numbers are left out and counted.

    Args:
        table: columns as read, text allowed.
        outcomes: numeric columns that must be there; those in `binary` must be 0/1, true/false or yes/no.
        exposure, adjust: columns, numbers or groups.
        references: group to its reference level; by default the commonest level.

    Raises:
        StatsError: a column that is missing, named twice, constant, or of too many groups; no row left.
    """
    wanted = [*outcomes, exposure, *adjust]
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise StatsError(
            f"no column {', '.join(map(repr, missing))} in the table; it has {', '.join(map(repr, table.columns))}"
        )
    twice = sorted({name for name in wanted if wanted.count(name) > 1})
    if twice:
        raise StatsError(f"{', '.join(map(repr, twice))} named twice: as outcome, exposure or adjustment")
    values, dropped = _usable(table[wanted], outcomes, binary)
    levels: dict[str, str] = {}
    frame, terms = values[list(outcomes)].astype(np.float64), []
    for name in (exposure, *adjust):
        columns = _columns(values[name], name, (references or {}).get(name), levels)
        if name == exposure:
            mine = tuple(columns)
        for term, column in columns.items():
            frame[term] = column
            terms.append(term)
    return Design(frame, tuple(terms), mine, levels, dropped, len(table))


def require_full_rank(frame: pd.DataFrame, terms: Sequence[str]) -> None:
    """`StatsError` naming a column that the others give exactly, such as BMI beside height, weight and their ratio."""
    matrix = np.c_[np.ones(len(frame)), frame[list(terms)].to_numpy()]
    scale = np.linalg.norm(matrix - matrix.mean(0) * (np.arange(matrix.shape[1]) > 0), axis=0)
    centred = (matrix - matrix.mean(0) * (np.arange(matrix.shape[1]) > 0)) / np.where(scale > 0, scale, 1.0)
    for k in range(1, matrix.shape[1]):
        if np.linalg.matrix_rank(centred[:, : k + 1], tol=1e-8) <= k:
            raise StatsError(
                f"{terms[k - 1]!r} is given exactly by the columns before it ({', '.join(terms[: k - 1]) or 'none'}); "
                "leave one of them out"
            )


def _usable(
    chosen: pd.DataFrame, outcomes: Sequence[str], binary: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows without gaps, columns as numbers where they are numbers."""
    values = chosen.copy()
    dropped: dict[str, int] = {}
    keep = pd.Series(True, index=chosen.index)
    for name in chosen.columns:
        column = chosen[name].map(lambda v: np.nan if isinstance(v, str) and not v.strip() else v)
        gap = column.isna()
        if name in binary:
            values[name] = [np.nan if pd.isna(v) else _yes_no(v, str(name)) for v in column]
        else:
            numbers = pd.to_numeric(column, errors="coerce")
            text = numbers.isna() & ~gap
            is_group = name not in outcomes and text.sum() > 0.5 * max(int((~gap).sum()), 1)
            if not is_group:
                endless = np.isinf(numbers.fillna(0.0))
                _count(dropped, f"{name} is not a number", (text | endless) & keep)
                keep &= ~(text | endless)
            values[name] = column.astype(str).str.strip().where(~gap) if is_group else numbers
        _count(dropped, f"no {name}", gap & keep)
        keep &= ~gap
    left = values[keep]
    if left.empty:
        told = "; ".join(f"{reason}: {n}" for reason, n in dropped.items()) or "the table is empty"
        raise StatsError(f"no row of {len(chosen)} can be used ({told})")
    return left, dropped


def _count(dropped: dict[str, int], reason: str, rows: pd.Series) -> None:
    if n := int(rows.sum()):
        dropped[reason] = dropped.get(reason, 0) + n


def _yes_no(value: object, name: str) -> float:
    text = str(value).strip().lower()
    if text in ("1", "1.0", "true", "yes", "y"):
        return 1.0
    if text in ("0", "0.0", "false", "no", "n"):
        return 0.0
    raise StatsError(f"column {name!r}: must be 0 or 1 (or yes/no), found {str(value)!r}")


def _columns(column: pd.Series, name: str, reference: str | None, levels: dict[str, str]) -> dict[str, pd.Series]:
    """One numeric column as it is; a group as an indicator column for each level but the reference."""
    if column.dtype != object:
        if column.nunique() < 2:
            raise StatsError(
                f"column {name!r} has one value only ({column.iloc[0]:g}) in the usable rows; leave it out"
            )
        return {name: column.astype(np.float64)}
    found = column.value_counts()
    if len(found) < 2:
        raise StatsError(f"column {name!r} has one group only ({found.index[0]!r}) in the usable rows; leave it out")
    if len(found) > _MOST_LEVELS:
        raise StatsError(f"column {name!r} has {len(found)} groups; more than {_MOST_LEVELS} is no grouping")
    base = str(found.index[0]) if reference is None else reference
    if base not in found.index:
        raise StatsError(
            f"column {name!r}: no row of reference group {base!r}; the groups are {', '.join(found.index)}"
        )
    levels[name] = base
    return {f"{name}: {level}": (column == level).astype(np.float64) for level in sorted(found.index) if level != base}
