"""From a store to batches of whole frames on a model's grid, with masks, landmarks or values.

Every random draw is a function of (seed, epoch, study), as in `data`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cardiolens.annotation import Annotation
from cardiolens.centre import Centre, heart_centre
from cardiolens.errors import GeometryError, TrainingError
from cardiolens.grid import GridSpec, Placement, place
from cardiolens.store import StudyStore
from cardiolens.study import Cine, View
from cardiolens.training.data import Draw, EpochSampler, generator_for
from cardiolens.training.processes import DealtBatches

logger = logging.getLogger(__name__)

_GREYS = 255.0


class GridSource:
    """Frames, masks and landmarks of a store's studies on a grid; frames are kept in memory in 256 greys, as the
    authors' preprocessing keeps them on disk.

    Args:
        pixels: take a pixel for a voxel of the grid where a cine has no spacing.
        cache: keep what was prepared.
    """

    def __init__(self, store: StudyStore, spec: GridSpec, *, pixels: bool = False, cache: bool = True) -> None:
        self.store, self.spec, self.pixels, self.cache = store, spec, pixels, cache
        self._places: dict[str, dict[View, tuple[Cine, Placement]]] = {}
        self._frames: dict[tuple[str, View, int], npt.NDArray[np.uint8]] = {}
        self._drawn: dict[str, dict[View, Annotation]] = {}
        self._labels: dict[tuple[str, View, int], npt.NDArray[np.uint8]] = {}

    def views(self, key: str) -> dict[View, tuple[Cine, Placement]]:
        """The views of a study that the grid has, where each lies; `GeometryError` for a cine without spacing."""
        if key not in self._places:
            study = self.store.read(key)
            centre: Centre = heart_centre(study)
            self._places[key] = {
                cine.view: (cine, place(cine, self.spec, centre, pixels=self.pixels))
                for cine in study.cines
                if cine.view in self.spec.views
            }
        return self._places[key]

    def placement(self, key: str, view: View) -> Placement:
        """Where the grid lies in a cine."""
        return self.views(key)[view][1]

    def frame(self, key: str, view: View, phase: int) -> Tensor:
        """One phase, (1, x, y[, z]), float32 in [0, 1]."""
        where = (key, view, phase)
        found = self._frames.get(where)
        if found is None:
            cine, placement = self.views(key)[view]
            planes = [self.store.frames(key, view, plane, [phase])[0] for plane in range(cine.n_slices)]
            found = np.rint(placement.image(np.stack(planes)) * _GREYS).astype(np.uint8)
            if self.cache:
                self._frames[where] = found
        return torch.from_numpy(found).float()[None] / _GREYS

    def annotations(self, key: str) -> dict[View, Annotation]:
        """What is drawn on a study."""
        if key not in self._drawn:
            self._drawn[key] = self.store.annotations(key)
        return self._drawn[key]

    def labels(self, key: str, view: View, phase: int) -> Tensor:
        """Masks of a phase, (x, y[, z]), numbers of `STRUCTURES`."""
        where = (key, view, phase)
        found = self._labels.get(where)
        if found is None:
            found = self.placement(key, view).labels(self.annotations(key)[view].at(phase))
            if self.cache:
                self._labels[where] = found
        return torch.from_numpy(found).long()

    def points(self, key: str, view: View, phase: int, names: tuple[str, ...]) -> Tensor:
        """Landmarks of a phase in the plane that is used, (landmark, 2), x and y on the grid; NaN where not drawn."""
        placement = self.placement(key, view)
        points = self.annotations(key)[view].points(phase, names)[placement.plane]
        return torch.from_numpy(placement.points(points)).float()


@dataclass
class CineBatch:
    """Frames of some views and what is to be learned of them.

    Attributes:
        images: view to (sample, channel, x, y[, z]).
        targets: view to masks (sample, x, y[, z]) or points (sample, landmark, 2); under "value" (sample, label).
        epoch: the epoch that it was drawn for.
        studies: keys in the store.
    """

    images: dict[str, Tensor]
    targets: dict[str, Tensor]
    epoch: int
    studies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One item of a batch before batches are made."""

    images: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]
    epoch: int
    study: str


class RandomFrames(Dataset[Sample]):
    """Studies for pretraining: one random phase a draw, the same share of the cycle in every view."""

    def __init__(self, source: GridSource, keys: Sequence[str], views: Sequence[View], *, seed: int) -> None:
        self.source, self.keys, self.wanted, self.seed = source, list(keys), tuple(views), seed

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, draw: Draw) -> Sample:
        epoch, index = draw
        key = self.keys[index]
        share = generator_for(self.seed, epoch, key).random()
        images = {}
        for view in self.wanted:
            cine, _ = self.source.views(key)[view]
            images[view.value] = self.source.frame(key, view, int(share * cine.n_phases))
        return Sample(images, {}, epoch, key)


class Samples(Dataset[Sample]):
    """A fixed list of samples, each made when it is drawn."""

    def __init__(
        self, names: Sequence[tuple[str, int]], make: Callable[[str, int], tuple[dict[str, Tensor], dict[str, Tensor]]]
    ) -> None:
        self.names, self.make = list(names), make

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, draw: Draw) -> Sample:
        epoch, index = draw
        key, phase = self.names[index]
        return Sample(*self.make(key, phase), epoch, key)


def collate(items: list[Sample]) -> CineBatch:
    """Samples as a batch."""
    images = {view: torch.stack([item.images[view] for item in items]) for view in items[0].images}
    targets = {name: torch.stack([item.targets[name] for item in items]) for name in items[0].targets}
    return CineBatch(images, targets, items[0].epoch, tuple(item.study for item in items))


def cine_loader(
    data: Dataset[Sample], *, batch: int, seed: int, train: bool, drop_last: bool = False, workers: int = 0
) -> DataLoader[Draw]:
    """Batches of `CineBatch`, dealt between the processes."""
    sampler = EpochSampler(len(data), seed, shuffle=train)  # type: ignore[arg-type] # torch's Dataset has no length
    batches = DealtBatches(sampler, batch, drop_last=drop_last)
    return DataLoader(
        data,  # type: ignore[arg-type] # torch calls a draw and an item by one type
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def usable(source: GridSource, keys: Sequence[str], part: str, why_not: Callable[[str], str | None]) -> tuple[str, ...]:
    """The keys that can be used; the others are counted in a warning, by reason.

    Args:
        part: of the split, for the message.
        why_not: the reason why a study cannot be used, or None.

    Raises:
        TrainingError: none can.
    """
    reasons: dict[str, list[str]] = {}
    kept = []
    for key in keys:
        try:
            reason = why_not(key)
        except GeometryError as error:
            reason = "no pixel spacing (set `pixels: true` to take a pixel for a voxel)"
            logger.debug("%s: %s", key, error)
        if reason is None:
            kept.append(key)
        else:
            reasons.setdefault(reason, []).append(key)
    for reason, named in reasons.items():
        logger.warning("%d studies of part '%s' are left out: %s (first %s)", len(named), part, reason, named[0])
    if not kept:
        told = "; ".join(f"{len(named)}: {reason}" for reason, named in reasons.items()) or "the part is empty"
        raise TrainingError(f"no study of part '{part}' can be used ({told})")
    return tuple(kept)


def lacking_views(source: GridSource, key: str, views: Sequence[View]) -> str | None:
    """The reason why a study has not all views, or None."""
    lacking = [str(view) for view in views if view not in source.views(key)]
    return f"no {', '.join(lacking)}" if lacking else None
