"""What a system sees of a study: clips, whole frames, or the short-axis stack; drawn anew to train, fixed to measure.

Every draw is a function of (seed, epoch, study).  Images are moved alike for all systems: turned by up to 20 degrees,
shifted by up to 8 % of the field, scaled by up to 15 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cardiolens.bench.targets import Targets
from cardiolens.centre import around_heart
from cardiolens.datasets.sax_stacks import FIELD_MM
from cardiolens.errors import GeometryError
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.training.cine_data import GridSource
from cardiolens.training.data import ClipSource, Draw, EpochSampler, generator_for
from cardiolens.transforms import ClipTransform

_TURN, _SHIFT, _ZOOM = math.radians(20.0), 0.16, 0.15  # a shift in halves of the field


class Reader(Protocol):
    """Prepares studies for one system."""

    def why_not(self, key: str) -> str | None:
        """Why a study cannot be read, or None."""

    def sample(self, key: str, drawn: np.random.Generator | None) -> dict[str, Tensor]:
        """What the system sees; without a generator all of it, as it is."""


@dataclass
class Batch:
    """Some studies.

    Attributes:
        inputs: by name: clips (clip, channel, time, row, col) of all studies behind one another, frames of a view
            (study, moment, x, y[, z]), or "stack" (study, slice, channel, row, col).
        sizes: clips of each study.
        targets: (study, target), NaN where not known.
    """

    inputs: dict[str, Tensor]
    sizes: list[int]
    targets: Tensor
    epoch: int
    studies: tuple[str, ...]


class ClipReader:
    """Planes over time: one of each view when drawn, else all that `choose_planes` keeps."""

    def __init__(self, store: StudyStore, transform: ClipTransform, folder: Path | None) -> None:
        self.source = ClipSource(store, transform, cache=True, folder=folder)

    def why_not(self, key: str) -> str | None:
        return None if self.source.shapes(key) else "no cine"

    def sample(self, key: str, drawn: np.random.Generator | None) -> dict[str, Tensor]:
        planes = self.source.planes(key, "all", np.random.default_rng(0))
        if drawn is not None:
            of_view: dict[View, list[tuple[View, int]]] = {}
            for view, plane in planes:
                of_view.setdefault(view, []).append((view, plane))
            planes = [some[int(drawn.integers(len(some)))] for some in of_view.values()]
        clips = torch.stack([self.source.clip(key, view, plane) for view, plane in planes])
        return {"clips": clips if drawn is None else moved(clips, drawn)}


class FrameReader:
    """Whole views at ED and ES, told by motion (`ends_by_motion`), on a model's grid."""

    def __init__(self, source: GridSource, views: Sequence[View]) -> None:
        self.source, self.wanted = source, tuple(views)
        self._ends: dict[str, float] = {}

    def why_not(self, key: str) -> str | None:
        try:
            lacking = [str(view) for view in self.wanted if view not in self.source.views(key)]
        except GeometryError as error:
            return str(error)
        return f"no {', '.join(lacking)}" if lacking else None

    def sample(self, key: str, drawn: np.random.Generator | None) -> dict[str, Tensor]:
        share, images = self._share(key), {}
        for view in self.wanted:
            phases = self.source.views(key)[view][0].n_phases
            both = [self.source.frame(key, view, phase) for phase in (0, min(round(share * phases), phases - 1))]
            images[view.value] = torch.cat(both)
        if drawn is None:
            return images
        return {
            name: moved(image.movedim(3, 1), drawn).movedim(1, 3) if image.ndim == 4 else moved(image, drawn)
            for name, image in images.items()
        }

    def _share(self, key: str) -> float:
        """Of the cycle, at which the first of the wanted views is at ES."""
        if key not in self._ends:
            cine = self.source.store.read(key).cine(self.wanted[0])  # let go of; the source would keep its pixels
            self._ends[key] = ends_by_motion(cine.frames)[1] / cine.n_phases
        return self._ends[key]


class StackReader:
    """The short axis as a fixed count of slices, evenly drawn from those there, in a square about the heart.

    A network of three colours sees ED, half way and ES as colours of every slice; one of grey images sees half of its
    slices at ED and then the same at ES.
    """

    def __init__(self, store: StudyStore, slices: int, size: int, channels: int) -> None:
        self.store, self.slices, self.size, self.channels = store, slices, size, channels
        self._kept: dict[str, npt.NDArray[np.uint8]] = {}

    def why_not(self, key: str) -> str | None:
        study = self.store.read(key)
        if View.SAX not in study.views:
            return "no SAX"
        return None if study.cine(View.SAX).spacing_mm is not None else "SAX without pixel spacing"

    def sample(self, key: str, drawn: np.random.Generator | None) -> dict[str, Tensor]:
        if key not in self._kept:
            self._kept[key] = self._prepared(key)
        stack = torch.from_numpy(self._kept[key]).float() / 255.0
        return {"stack": stack if drawn is None else moved(stack, drawn)}

    def _prepared(self, key: str) -> npt.NDArray[np.uint8]:
        study = self.store.read(key)
        cine = study.cine(View.SAX)
        _, es = ends_by_motion(cine.frames)
        grey = self.channels == 1
        planes = np.linspace(0, cine.n_slices - 1, self.slices // 2 if grey else self.slices).round().astype(int)
        moments = cine.frames[planes][:, [0, es] if grey else [0, es // 2, es]]
        frames = torch.from_numpy(around_heart(study, View.SAX, moments, FIELD_MM)[0].astype(np.float32))
        if grey:
            frames = frames.transpose(0, 1).flatten(0, 1)[:, None]
        cut = F.interpolate(frames, size=(self.size, self.size), mode="bilinear", antialias=True)
        low, high = (float(v) for v in np.percentile(cut.numpy(), (0.5, 99.5)))
        scaled = ((cut - low) / max(high - low, 1e-6)).clamp(0, 1)
        return np.asarray((scaled * 255).round().to(torch.uint8).numpy())


class Studies(Dataset[tuple[dict[str, Tensor], Tensor, int, str]]):
    """Studies as a system sees them, with their targets."""

    def __init__(self, reader: Reader, targets: Targets, keys: Sequence[str], *, seed: int | None) -> None:
        """Without a seed nothing is drawn."""
        self.reader, self.keys, self.seed, self.wanted = reader, list(keys), seed, targets.of(keys)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, draw: Draw) -> tuple[dict[str, Tensor], Tensor, int, str]:
        epoch, index = draw
        key = self.keys[index]
        drawn = None if self.seed is None else generator_for(self.seed, epoch, key)
        return self.reader.sample(key, drawn), self.wanted[index], epoch, key


def loader(studies: Studies, *, batch: int, seed: int) -> DataLoader[Draw]:
    """Batches of `Batch`; shuffled where the studies are drawn."""
    sampler = EpochSampler(len(studies), seed, shuffle=studies.seed is not None)
    return DataLoader(studies, batch, sampler=sampler, collate_fn=_collate)  # type: ignore[arg-type]


def _collate(items: list[tuple[dict[str, Tensor], Tensor, int, str]]) -> Batch:
    inputs: dict[str, Tensor] = {}
    for name in items[0][0]:
        parts = [item[0][name] for item in items]
        inputs[name] = torch.cat(parts) if name == "clips" else torch.stack(parts)
    sizes = [len(item[0]["clips"]) if "clips" in item[0] else 1 for item in items]
    return Batch(inputs, sizes, torch.stack([item[1] for item in items]), items[0][2], tuple(item[3] for item in items))


def ends_by_motion(frames: npt.NDArray[np.generic]) -> tuple[int, int]:
    """(ED, ES) of a cine (slice, time, row, col) without drawing it: triggering makes ED the first phase, and ES is the
    one that differs most from it in the middle of the field.  No measure of anything; it chooses what is shown."""
    slices, time, rows, cols = frames.shape
    middle = frames[slices // 4 : slices - slices // 4, :, rows // 4 : rows - rows // 4, cols // 4 : cols - cols // 4]
    seen = np.asarray(middle, dtype=np.float32)
    off = np.abs(seen - seen[:, :1]).mean((0, 2, 3))
    return 0, int(off.argmax()) if time > 1 else 0


def moved(images: Tensor, drawn: np.random.Generator) -> Tensor:
    """(..., row, col), all moved alike by one random affine; zeros from beyond the edge."""
    angle, zoom = drawn.uniform(-_TURN, _TURN), 1.0 + drawn.uniform(-_ZOOM, _ZOOM)
    shift = drawn.uniform(-_SHIFT, _SHIFT, 2)
    cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
    affine = torch.tensor([[[cos, -sin, shift[0]], [sin, cos, shift[1]]]], dtype=torch.float32)
    flat = images.reshape(1, -1, *images.shape[-2:])
    grid = F.affine_grid(affine, [1, 1, *images.shape[-2:]], align_corners=False)
    return F.grid_sample(flat, grid, align_corners=False).reshape(images.shape)
