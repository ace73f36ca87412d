"""`Annotation`: what was drawn by hand, or is known, on one view of a study.  Frozen, validated, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cardiolens.errors import GeometryError, InputError
from cardiolens.segmentation import STRUCTURES
from cardiolens.study import FloatArray

LANDMARKS = ("mitral_1", "mitral_2", "apex")
"""Hinge points of the mitral valve, the one further left in the image first, and apex of the LV cavity."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """Masks and landmarks of some phases of one view, and which phases are ED and ES.

    Attributes:
        phases: phases of the cine that are drawn, ascending.
        labels: (slice, phase, row, col) uint8, values of `STRUCTURES` and 0, on the grid of the cine; None for none.
        structures: names that were looked for.
        ed, es: phases of the cine; None where not known.
        landmarks: name to (slice, phase, 2), row and column in pixels; NaN where not seen.
        source: who drew: "phantom", a data set, the file of a correction.
    """

    phases: tuple[int, ...]
    labels: npt.NDArray[np.uint8] | None = None
    structures: tuple[str, ...] = ()
    ed: int | None = None
    es: int | None = None
    landmarks: Mapping[str, FloatArray] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        phases = tuple(int(phase) for phase in self.phases)
        object.__setattr__(self, "phases", phases)
        if not phases or list(phases) != sorted(set(phases)) or phases[0] < 0:
            raise InputError(f"annotated phases are {phases}; ascending numbers from 0 are needed, at least one")
        if self.labels is None and not self.landmarks:
            raise InputError("an annotation needs masks or landmarks")
        if self.labels is not None:
            self._check_labels(np.asarray(self.labels))
        points = {}
        for name, values in self.landmarks.items():
            array = np.array(values, dtype=np.float64)
            if name not in LANDMARKS or array.ndim != 3 or array.shape[1:] != (len(phases), 2):
                raise InputError(
                    f"landmark {name!r} of shape {array.shape}: names are {', '.join(LANDMARKS)}, and an array is "
                    f"(slice, {len(phases)} phases, 2)"
                )
            array.setflags(write=False)
            points[name] = array
        object.__setattr__(self, "landmarks", MappingProxyType(points))

    def _check_labels(self, labels: npt.NDArray[np.generic]) -> None:
        if labels.ndim != 4 or labels.shape[1] != len(self.phases):
            raise GeometryError(
                f"masks have shape {labels.shape}; (slice, phase, row, col) with {len(self.phases)} phases is needed"
            )
        unknown = [name for name in self.structures if name not in STRUCTURES]
        if unknown:
            raise InputError(f"unknown structures {', '.join(unknown)}; the known ones are {', '.join(STRUCTURES)}")
        strange = set(np.unique(labels).tolist()) - {0, *(STRUCTURES[name] for name in self.structures)}
        if strange:
            raise InputError(f"masks hold {sorted(strange)}; the structures named are {', '.join(self.structures)}")
        kept = np.array(labels, dtype=np.uint8)
        kept.setflags(write=False)
        object.__setattr__(self, "labels", kept)

    def at(self, phase: int) -> npt.NDArray[np.uint8]:
        """Masks (slice, row, col) of a phase of the cine; `InputError` where it is not drawn."""
        if self.labels is None or phase not in self.phases:
            raise InputError(
                f"phase {phase} has no masks; drawn are {self.phases if self.labels is not None else 'none'}"
            )
        drawn: npt.NDArray[np.uint8] = self.labels[:, self.phases.index(phase)]
        return drawn

    def points(self, phase: int, names: tuple[str, ...] = LANDMARKS) -> FloatArray:
        """(slice, landmark, 2), row and column, of a phase; NaN where a landmark was not drawn."""
        if phase not in self.phases:
            raise InputError(f"phase {phase} has no landmarks; drawn are {self.phases}")
        if not self.landmarks:
            raise InputError("this annotation holds no landmarks")
        at, some = self.phases.index(phase), next(iter(self.landmarks.values()))
        lacking = np.full((len(some), 2), np.nan)
        return np.stack([self.landmarks[n][:, at] if n in self.landmarks else lacking for n in names], axis=1)
