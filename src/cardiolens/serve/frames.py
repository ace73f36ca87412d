"""Pixels for the pages: a plane's frames as bytes, and small loops as one picture."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cardiolens.errors import InputError
from cardiolens.store import StudyStore
from cardiolens.study import Cine

if TYPE_CHECKING:
    from cardiolens.serve.small import Sprite

Bytes = npt.NDArray[np.uint8]
_MOST_KEPT = 256


@dataclass(frozen=True)
class Scale:
    """How grey values became bytes: `low` is 0 and `high` 255; `window` is the range that shows the heart well."""

    low: float
    high: float
    window: tuple[float, float]


class Frames:
    """Frames of a store, all planes of a cine scaled alike."""

    def __init__(self, store: StudyStore) -> None:
        self.store = store
        self._scales: OrderedDict[tuple[str, str], Scale] = OrderedDict()
        self._lock = threading.Lock()

    def plane(self, key: str, content: str, view: str, plane: int) -> tuple[Bytes, Scale]:
        """(time, row, col) of a plane as bytes; `InputError` for pixels that are no numbers."""
        scale = self.scale(key, content, view)
        frames = _finite(self.store.frames(key, view, plane))
        gain = 255.0 / max(scale.high - scale.low, 1e-6)
        return np.rint((frames - scale.low) * gain).clip(0, 255).astype(np.uint8), scale

    def scale(self, key: str, content: str, view: str) -> Scale:
        """That of a cine; 0.05 % at either end is cut."""
        with self._lock:
            found = self._scales.get((content, view))
        if found is None:
            found = scale_of(self.store.read(key).cine(view))
            with self._lock:
                self._scales[content, view] = found
                while len(self._scales) > _MOST_KEPT:
                    self._scales.popitem(last=False)
        return found

    def loop(self, key: str, view: str, plane: int, side: int) -> Sprite:
        """A small loop of a plane as one picture."""
        from cardiolens.serve.small import sprite

        cine = self.store.read(key).cine(view)
        if not 0 <= plane < cine.n_slices:
            raise InputError(f"{view} has planes 1 to {cine.n_slices}, not {plane + 1}")
        return sprite(self.store.frames(key, view, plane), cine.spacing_mm, side)


def scale_of(cine: Cine) -> Scale:
    """From every second pixel of a cine."""
    seen = _finite(cine.frames[:, :, ::2, ::2])
    low, first, last, high = (float(v) for v in np.percentile(seen, (0.05, 1.0, 99.9, 99.95)))
    return Scale(low, high, (first, last))


def _finite(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    return np.nan_to_num(np.asarray(values, dtype=np.float32), posinf=0.0, neginf=0.0)
