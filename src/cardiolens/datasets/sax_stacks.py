"""The short-axis stack of every study of a store at one phase, as volumes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cardiolens.centre import around_heart
from cardiolens.errors import ReadError, StoreError
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.datasets.splits import Split

FIELD_MM = 160.0
"""Edge of the square that holds both ventricles of an adult."""


class SaxStacks:
    """Stacks through depth, base to apex or the other way round as the store has them.

    Args:
        path: of a `StudyStore`.
        phase: "ED" or "ES" as annotated (without an annotation ED is phase 0, which triggering makes it; noted), or a
            number.
        field_mm: edge of the square about the heart that is kept (`centre.around_heart`), so that a pixel is as long
            in every study; None keeps whole images, whose scale a network cannot know.
    """

    name = "sax"

    def __init__(self, path: str | Path, *, phase: str | int = "ED", field_mm: float | None = FIELD_MM) -> None:
        if not (isinstance(phase, int) and phase >= 0) and phase not in ("ED", "ES"):
            raise ReadError(f"phase {phase!r}: 'ED', 'ES' or a number from 0")
        if field_mm is not None and (not isinstance(field_mm, int | float) or not 10 <= field_mm <= 1000):
            raise ReadError(f"field_mm is {field_mm!r}; millimetres from 10 to 1000, or null for whole images")
        self.path, self.phase, self.field_mm = Path(path), phase, field_mm
        self.store = StudyStore(path)

    @property
    def settings(self) -> dict[str, Any]:
        """How stacks are read, for the provenance of a model."""
        return {"kind": "sax", "phase": self.phase, "field_mm": self.field_mm}

    def keys(self) -> tuple[str, ...]:
        return tuple(self.store.keys())

    def load(self, key: str) -> Volume:
        """The stack; `ReadError` where the study has none, or not that phase."""
        try:
            study = self.store.read(key)
            cine = next((cine for cine in study.cines if cine.view is View.SAX), None)
            if cine is None:
                raise ReadError(f"{key}: no short-axis stack")
            phase, notes = self._phase(key, cine.n_phases)
            planes = [self.store.frames(key, View.SAX, plane, [phase])[0] for plane in range(cine.n_slices)]
            images = np.stack(planes)
            if self.field_mm is not None and cine.spacing_mm is None:
                raise ReadError(
                    f"{key}: the short-axis stack needs pixel spacing, by which {self.field_mm:g} mm about the heart "
                    "are cut; read it with geometry, or take whole images by `data: {kind: sax, field_mm: null}`"
                )
            if self.field_mm is not None:
                images, middle = around_heart(study, View.SAX, images, self.field_mm)
                notes = (*notes, middle)
        except StoreError as error:
            raise ReadError(str(error)) from error
        places = cine.slice_positions_mm
        step = float(np.diff(places).mean()) if places is not None and len(places) > 1 else None
        return Volume(images, "depth", source=f"{key}: SAX", spacing_mm=cine.spacing_mm, step_mm=step, notes=notes)

    def _phase(self, key: str, count: int) -> tuple[int, tuple[str, ...]]:
        if isinstance(self.phase, int):
            if self.phase >= count:
                raise ReadError(f"{key}: no phase {self.phase}; the stack has {count}")
            return self.phase, ()
        drawn = self.store.annotations(key).get(View.SAX)
        known = None if drawn is None else drawn.ed if self.phase == "ED" else drawn.es
        if known is not None:
            return known, ()
        if self.phase == "ES":
            raise ReadError(f"{key}: ES is not annotated; give a phase by number")
        return 0, ("ED is not annotated: phase 0 is taken",)

    def labels(self) -> pd.DataFrame:
        """The numbers of labels.csv."""
        found: pd.DataFrame = self.store.labels().select_dtypes("number").astype(float)
        return found

    def split(self) -> Split | None:
        return None

    def hash(self) -> str:
        return self.store.hash()
