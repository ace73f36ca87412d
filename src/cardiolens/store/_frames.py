"""Frames of one view out of an open study file, and what is said when they are not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from cardiolens.errors import StoreError
from cardiolens.study import View


def read_frames(dataset: h5py.Dataset, plane: int, wanted: list[int] | None) -> npt.NDArray[Any]:
    """(time, row, col).  Frame by frame: h5py's own selection by list is ten times slower on chunks."""
    if wanted is None:
        values: npt.NDArray[Any] = dataset[plane]
        return values
    frames = np.empty((len(wanted), *dataset.shape[2:]), dtype=dataset.dtype)
    place: dict[int, int] = {}
    for position, index in enumerate(wanted):
        if index in place:
            frames[position] = frames[place[index]]
        else:
            dataset.read_direct(frames, np.s_[plane, index], np.s_[position])
            place[index] = position
    return frames


def require_within(key: str, view: View | str, plane: int, wanted: list[int] | None, shape: tuple[int, ...]) -> None:
    """Raise `StoreError` for a plane or phase that is not there."""
    if not 0 <= plane < shape[0]:
        raise StoreError(f"{key} {view}: no plane {plane}; it has 0 to {shape[0] - 1}")
    if wanted is not None and (min(wanted, default=0) < 0 or max(wanted, default=0) >= shape[1]):
        raise StoreError(f"{key} {view}: phases {wanted} asked; it has 0 to {shape[1] - 1}")


def view_of(view: View | str) -> View:
    """A view by its name."""
    try:
        return View(view)
    except ValueError:
        raise StoreError(f"{view!r} is no view; views are {', '.join(map(str, View))}") from None


def no_view(key: str, view: View | str, found: Iterable[View]) -> StoreError:
    """The error for a view that is not there."""
    return StoreError(f"{key} has no {view}; it has {', '.join(map(str, found)) or 'no view'}")
