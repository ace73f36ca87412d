"""Checks that every statistic makes of its input, so that NaN or a mix-up never becomes a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import StatsError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def numbers(values: npt.ArrayLike, name: str, *, infinite: bool = False) -> FloatArray:
    """One column of numbers as float64 (n,).

    Raises StatsError if it is empty, not one-dimensional, not numeric, or holds NaN (or infinity, unless allowed).
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise StatsError(f"{name}: expected one column of numbers, got shape {array.shape}")
    if array.size == 0:
        raise StatsError(f"{name}: empty")
    try:
        column = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise StatsError(f"{name}: not numeric ({error})") from error
    bad = np.isnan(column) if infinite else ~np.isfinite(column)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        kind = "NaN" if infinite else "NaN or infinite"
        raise StatsError(f"{name}: {int(bad.sum())} of {column.size} values are {kind} (first at position {first})")
    return column


def binary(labels: npt.ArrayLike, name: str = "labels") -> BoolArray:
    """Labels 0/1 (or False/True) as bool (n,).  Raises StatsError for anything else, naming the values found."""
    column = numbers(labels, name)
    found = np.unique(column)
    if not np.isin(found, (0.0, 1.0)).all():
        shown = ", ".join(f"{value:g}" for value in found[:5]) + (", ..." if found.size > 5 else "")
        raise StatsError(f"{name}: must be 0 or 1, found {shown}")
    positive: BoolArray = column == 1.0
    return positive


def two_classes(labels: npt.ArrayLike, name: str = "labels") -> BoolArray:
    """Like `binary`, and both classes are present."""
    positive = binary(labels, name)
    if positive.all() or not positive.any():
        only = "positive (1)" if positive.all() else "negative (0)"
        raise StatsError(f"{name}: all {positive.size} are {only}; both classes are needed")
    return positive


def same_length(**columns: npt.NDArray[Any]) -> int:
    """The common length of the named columns; StatsError with each length if they differ."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise StatsError("unequal lengths: " + ", ".join(f"{name} {length}" for name, length in lengths.items()))
    return next(iter(lengths.values()))


def fraction(value: float, name: str) -> float:
    """A number strictly between 0 and 1; StatsError otherwise."""
    if not 0.0 < value < 1.0:
        raise StatsError(f"{name}: must lie between 0 and 1, got {value:g}")
    return float(value)
