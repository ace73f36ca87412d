"""`LabelledFrames`: images of one view with the masks that somebody drew on some of their phases.  Frozen, no I/O.

A `Study` carries cines: at most one a view, each over the heart cycle, and no masks.  It cannot carry late enhancement,
T2 or a second sequence of the same planes, nor say which phases and planes were drawn and which were only not looked
at.  Those come in this noun and never into a store; its `cine` is the grid and the pixels, with one phase for a still.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cardiolens.errors import GeometryError, ReadError
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.study import Cine

Labels = npt.NDArray[np.uint8]

PATHOLOGY: Mapping[str, int] = MappingProxyType({"scar": 11, "edema": 12, "no-reflow": 13})
"""What lies in the LV myocardium and is drawn instead of it; values far from those of `STRUCTURES`."""

_ALL = {**STRUCTURES, **PATHOLOGY}


@dataclass(frozen=True, eq=False)
class LabelledFrames:
    """Masks on some phases of one view.

    Attributes:
        cine: the images, (slice, time, row, col); a still has one phase.
        phases: indices in time that were drawn, from 0.
        names: of these phases: "ED", "ES", or "" where the data set gives none.
        labels: (slice, phase drawn, row, col) uint8, on the grid of `cine`; 0 is everything else.
        structures: names that were drawn; a name that is not here was not looked for.
        sequence: what the images are: "cine", "LGE", "T2", "bSSFP still".
        source: data set and case.
        drawn: (slice, phase drawn) whether somebody looked at this plane; None where all planes were.
        notes: what was found amiss.

    Where pathology was drawn, "LV myocardium" is the muscle without it; `segmentation` puts both together.
    """

    cine: Cine
    phases: tuple[int, ...]
    names: tuple[str, ...]
    labels: Labels
    structures: tuple[str, ...]
    sequence: str = "cine"
    source: str = ""
    drawn: npt.NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        slices, time, rows, cols = self.cine.shape
        if self.labels.shape != (slices, len(self.phases), rows, cols):
            raise GeometryError(
                f"{self.source}: masks have shape {self.labels.shape}, the images (slice, phase drawn, row, col) "
                f"{(slices, len(self.phases), rows, cols)}"
            )
        if len(self.names) != len(self.phases) or len(set(self.phases)) != len(self.phases):
            raise ReadError(f"{self.source}: phases {self.phases} with names {self.names}; each once, with one name")
        if not all(0 <= phase < time for phase in self.phases):
            raise ReadError(f"{self.source}: phases {self.phases} were drawn, the images have {time}")
        if self.drawn is not None and self.drawn.shape != self.labels.shape[:2]:
            raise GeometryError(f"{self.source}: drawn has shape {self.drawn.shape}, not {self.labels.shape[:2]}")
        unknown = [name for name in self.structures if name not in _ALL]
        if unknown:
            raise ValueError(f"unknown structures {', '.join(unknown)}; the known ones are {', '.join(_ALL)}")
        strange = set(np.unique(self.labels).tolist()) - {0, *(_ALL[name] for name in self.structures)}
        if strange:
            raise ReadError(f"{self.source}: masks hold {sorted(strange)}, which stands for none of {self.structures}")
        kept = np.array(self.labels, dtype=np.uint8)
        kept.setflags(write=False)
        object.__setattr__(self, "labels", kept)

    def mask(self, structure: str) -> npt.NDArray[np.bool_]:
        """(slice, phase drawn, row, col) where `structure` is; `ValueError` for one that was not looked for."""
        if structure not in self.structures:
            raise ValueError(f"{structure!r} was not drawn here; what was: {', '.join(self.structures)}")
        return np.asarray(self.labels == _ALL[structure])

    def place(self, name: str) -> int:
        """Where the phase of this name ("ED", "ES") is in `labels`; `ReadError` when it was not drawn."""
        if name not in self.names:
            raise ReadError(f"{self.source}: no {name} was drawn; drawn are {self.names}")
        return self.names.index(name)

    def frames(self) -> npt.NDArray[np.generic]:
        """(slice, phase drawn, row, col), the pixels under `labels`."""
        return np.asarray(self.cine.frames[:, list(self.phases)])

    def segmentation(self) -> Segmentation:
        """The same on a cine of the drawn phases alone, with pathology counted as the muscle that it lies in."""
        labels = self.labels.copy()
        for name in PATHOLOGY:
            labels[labels == PATHOLOGY[name]] = STRUCTURES["LV myocardium"]
        cine = self.cine
        times = None if cine.trigger_times_ms is None else cine.trigger_times_ms[:, list(self.phases)]
        short = Cine(
            cine.view,
            self.frames(),
            source=cine.source,
            spacing_mm=cine.spacing_mm,
            slice_positions_mm=cine.slice_positions_mm,
            trigger_times_ms=times,
            affine=cine.affine,
            attributes=cine.attributes,
            notes=cine.notes,
        )
        names = tuple(name for name in STRUCTURES if name in self.structures)
        return Segmentation(short, labels, names, source=self.source, notes=self.notes)


def volumes(frames: LabelledFrames) -> dict[str, float]:
    """Volumes (ml) by counting voxels and ejection fractions (%) of a short-axis stack drawn at "ED" and "ES".

    NaN where spacing, one of the ends or the chamber at end-diastole is absent.
    """
    cine = frames.cine
    out: dict[str, float] = {}
    stack = cine.spacing_mm is not None and cine.slice_positions_mm is not None and cine.n_slices > 1
    ml = cine.voxel_volume_ml() if stack else math.nan
    chambers = (("LV cavity", "edv", "esv", "lvef"), ("RV cavity", "rv_edv", "rv_esv", "rvef"))
    for name, edv, esv, ef in chambers:
        if name not in frames.structures:
            continue
        counts = frames.mask(name).sum((0, 2, 3))
        ed, es = (float(counts[frames.place(end)]) if end in frames.names else math.nan for end in ("ED", "ES"))
        none = ed == 0
        out |= {edv: math.nan if none else ed * ml, esv: math.nan if none else es * ml}
        out[ef] = math.nan if none else 100.0 * (ed - es) / ed
    return out


def relabel(values: npt.NDArray[np.generic], known: Mapping[int, str], what: str) -> Labels:
    """A data set's own label values as `STRUCTURES` and `PATHOLOGY` have them.

    Raises:
        ReadError: a value that is neither 0 nor in `known`.
    """
    found = np.unique(values)
    strange = [value for value in found.tolist() if value != 0 and value not in known]
    if strange:
        raise ReadError(
            f"{what}: holds other labels ({', '.join(map(str, strange[:8]))}) than 0 and "
            + ", ".join(f"{value} {name}" for value, name in known.items())
        )
    out = np.zeros(values.shape, np.uint8)
    for value, name in known.items():
        out[values == value] = _ALL[name]
    return out
