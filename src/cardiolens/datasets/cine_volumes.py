"""The planes of a store's cines over time, as a set of volumes: what a video model learns from of CMR.

>>> planes = CineVolumes("cohort", views=["4CH"])             # doctest: +SKIP
>>> planes.keys()[0]                                          # doctest: +SKIP
'sunnybrook_k3v…/q7a…:4CH:0'
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from cardiolens.clips import choose_planes
from cardiolens.errors import InputError, ReadError, StoreError
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.datasets.splits import Split

_SEP = ":"


def item_of(key: str) -> str:
    """The study of a plane's key; any other key as it is.

    >>> item_of("site_p1/a1:SAX:3")
    'site_p1/a1'
    """
    return key.partition(_SEP)[0]


class CineVolumes:
    """Every plane of a store's cines as a loop; a `VolumeSet` with the labels of its study.

    Keys are `patient/accession:view:plane`.  A stack of more than five planes loses its first and last, as clips do.

    Attributes:
        name: "cines".
        path: of the store.
    """

    name = "cines"

    def __init__(
        self,
        path: str | Path,
        *,
        views: Sequence[View | str] | None = None,
        planes: Literal["all", "middle"] = "all",
    ) -> None:
        """Look at what the store holds; no pixel is read.

        Args:
            views: which; None for all.
            planes: "all", or the "middle" one of each view.

        Raises:
            InputError: an unknown view or choice of planes.
            ReadError: no plane of these views.
        """
        self.path = Path(path)
        if planes not in ("all", "middle"):
            raise InputError(f"planes are 'all' or 'middle', not {planes!r}")
        try:
            self.views = tuple(View) if views is None else tuple(View(view) for view in views)
        except ValueError as error:
            raise InputError(f"{error}; there are {', '.join(View)}") from error
        self._planes = planes
        self._store = StudyStore(self.path)

    @cached_property
    def _keys(self) -> dict[str, tuple[str, View, int]]:
        found = {}
        for key in sorted(self._store.keys()):
            for cine in self._store.read(key).cines:
                if cine.view not in self.views:
                    continue
                chosen = choose_planes(cine.n_slices)
                for plane in chosen if self._planes == "all" else [chosen[len(chosen) // 2]]:
                    found[f"{key}{_SEP}{cine.view.value}{_SEP}{plane}"] = (key, cine.view, plane)
        if not found:
            raise ReadError(f"{self.path}: no study has a cine of {', '.join(self.views)}")
        return found

    def keys(self) -> tuple[str, ...]:
        """By study, view and plane."""
        return tuple(self._keys)

    def load(self, key: str) -> Volume:
        """One plane over time.

        Raises:
            ReadError: no such plane, or one that cannot be read.
        """
        if key not in self._keys:
            raise ReadError(f"{self.path}: no plane {key}")
        study, view, plane = self._keys[key]
        try:
            cine = next(cine for cine in self._store.read(study).cines if cine.view is view)
            frames = self._store.frames(study, view, plane)
        except StoreError as error:
            raise ReadError(f"{self.path}: {key} cannot be read ({error})") from error
        times = None if cine.trigger_times_ms is None else cine.trigger_times_ms[plane]
        ascending = times is not None and bool(np.isfinite(times).all() and (np.diff(times) > 0).all())
        return Volume(
            frames,
            "time",
            source=key,
            times_ms=times if ascending else None,
            spacing_mm=cine.spacing_mm,
            attributes=cine.attributes,
            notes=cine.notes,
        )

    def labels(self) -> pd.DataFrame:
        """The columns of numbers in the store's labels.csv, for each plane those of its study."""
        import pandas as pd

        table = self._store.labels()
        numbers = table.apply(pd.to_numeric, errors="coerce").dropna(axis="columns", how="all")
        of_planes: pd.DataFrame = numbers.reindex([study for study, *_ in self._keys.values()])
        of_planes.index = pd.Index(self.keys(), name="key")
        return of_planes

    def split(self) -> Split | None:
        """A store has none of its own."""
        return None

    def hash(self) -> str:
        """Of the store."""
        return self._store.hash()
