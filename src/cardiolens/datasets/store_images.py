"""Frames of a store's cines as single images, of the class that their view is: a 2D set for pretraining on CMR."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from cardiolens.errors import ReadError, StoreError
from cardiolens.store import StudyStore
from cardiolens.study import View

if TYPE_CHECKING:
    from cardiolens.datasets.splits import Split


class StoreImages:
    """An `ImageSet`: the first frame of every plane and one in the middle of its cycle, by view.

    Keys are `patient/accession:view:plane:phase`.
    """

    name, several = "views", False

    def __init__(self, path: str | Path) -> None:
        """Read the shapes of every study; `ReadError` where there is none."""
        self.path = Path(path)
        self.store = StudyStore(path)
        self._frames: dict[str, tuple[str, View, int, int]] = {}
        for key in self.store.keys():  # noqa: SIM118 - no dict
            for cine in self.store.read(key).cines:
                for plane in range(cine.n_slices):
                    for phase in sorted({0, cine.n_phases // 2}):
                        where = (key, cine.view, plane, phase)
                        self._frames[f"{key}:{cine.view.value}:{plane}:{phase}"] = where
        if not self._frames:
            raise ReadError(f"{self.path}: no study in this store")
        self.classes = tuple(sorted({view.value for _, view, _, _ in self._frames.values()}))

    def keys(self) -> tuple[str, ...]:
        return tuple(sorted(self._frames))

    def load(self, key: str) -> npt.NDArray[Any]:
        study, view, plane, phase = self._frames[key]
        try:
            image: npt.NDArray[Any] = self.store.frames(study, view, plane, [phase])[0]
        except StoreError as error:
            raise ReadError(str(error)) from error
        return image

    def label(self, key: str) -> tuple[int, ...]:
        return (self.classes.index(self._frames[key][1].value),)

    def split(self) -> Split | None:
        return None

    def hash(self) -> str:
        return self.store.hash()
