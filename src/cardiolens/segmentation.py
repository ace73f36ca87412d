"""`Segmentation`: which structure each voxel of a cine belongs to.  Frozen, validated, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cardiolens.errors import GeometryError
from cardiolens.study import Cine, View

STRUCTURES: Mapping[str, int] = MappingProxyType({"LV cavity": 1, "LV myocardium": 2, "RV cavity": 3, "LA": 4, "RA": 5})
"""Label of each structure; 0 is everything else.  Papillary muscle and trabeculae count as cavity."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The structures of one view over the heart cycle.

    Attributes:
        cine: what was segmented; its geometry is the geometry of the labels.
        labels: (slice, time, row, col) uint8, values of `STRUCTURES` and 0, on the grid of `cine.frames`.
        structures: names that were looked for; one that is not named here was not segmented, which is not the same as
            absent.
        confidence: (slice, time) mean probability of the labels given, 0 to 1; NaN where nothing was found; None for
            labels that no model made.
        source: who drew: the model's full name, "phantom", a data set, the file of a correction.
        notes: what was found and done (planes corrected, pixels outside the largest piece dropped, ...).
    """

    cine: Cine
    labels: npt.NDArray[np.uint8]
    structures: tuple[str, ...] = tuple(STRUCTURES)
    confidence: npt.NDArray[np.float64] | None = None
    source: str = ""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        if labels.shape != self.cine.shape:
            raise GeometryError(
                f"{self.cine.source}: labels have shape {labels.shape}, the cine (slice, time, row, col) "
                f"{self.cine.shape}; give them on the grid of the cine"
            )
        unknown = [name for name in self.structures if name not in STRUCTURES]
        if unknown:
            raise ValueError(f"unknown structures {', '.join(unknown)}; the known ones are {', '.join(STRUCTURES)}")
        allowed = {0, *(STRUCTURES[name] for name in self.structures)}
        strange = sorted(set(np.unique(labels).tolist()) - allowed)
        if strange:
            raise ValueError(
                f"{self.cine.source}: labels hold {strange}, and only "
                f"{', '.join(f'{STRUCTURES[n]} ({n})' for n in self.structures)} and 0 were to be expected"
            )
        kept = np.array(labels, dtype=np.uint8)
        kept.setflags(write=False)
        object.__setattr__(self, "labels", kept)
        if self.confidence is not None and self.confidence.shape != self.cine.shape[:2]:
            raise GeometryError(f"confidence must be (slice, time) {self.cine.shape[:2]}, got {self.confidence.shape}")

    @property
    def view(self) -> View:
        """The view of its cine."""
        return self.cine.view

    def mask(self, structure: str) -> npt.NDArray[np.bool_]:
        """(slice, time, row, col) where `structure` is; `ValueError` for one that was not looked for."""
        if structure not in self.structures:
            raise ValueError(f"{structure!r} was not segmented here; what was: {', '.join(self.structures)}")
        return np.asarray(self.labels == STRUCTURES[structure])

    def counts(self, structure: str) -> npt.NDArray[np.int64]:
        """Voxels of `structure` by (slice, time)."""
        return np.asarray(self.mask(structure).sum((2, 3)), dtype=np.int64)
