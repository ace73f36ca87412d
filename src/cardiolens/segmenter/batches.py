"""Batches for the segmenter: drawn from samples of the phantom, bent and disturbed, the same for the same step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor
from torch.utils.data import Dataset

from cardiolens.errors import TrainingError
from cardiolens.segmentation import STRUCTURES
from cardiolens.segmenter.base import whole_at_the_base
from cardiolens.segmenter.channels import CHANNELS, normalised
from cardiolens.segmenter.crop import SIDE, Window, smoothed
from cardiolens.segmenter.randomise import bent_grid, disturbed
from cardiolens.segmenter.samples import Labels, read_sample
from cardiolens.segmenter.trabeculae import grow
from cardiolens.study import View

_ALONE, _NO_BEAT = 0.12, 0.15  # chance that a neighbour is absent, that the beat is


@dataclass(frozen=True)
class Job:
    """What one network learns.

    Attributes:
        stage: "locate", the heart in the whole field, or "contour", its structures in a window around it.
        views: from which views.
        structures: which are classes 1, 2, ...; the rest is background.
    """

    stage: str
    views: tuple[View, ...]
    structures: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Item:
    """One view of one heart: (slice, time, row, col) frames and labels, and where the heart is."""

    frames: Labels
    labels: Labels
    window: Window
    chances: npt.NDArray[np.float64]  # (slice * time,) of each frame


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Batch number i: images (batch, channel, SIDE, SIDE), and shares of each class (batch, class, SIDE, SIDE)."""

    def __init__(self, files: Sequence[Path], job: Job, *, steps: int, batch: int = 16, seed: int = 0) -> None:
        """Read the samples into memory.

        Raises:
            TrainingError: none of the files holds a view of the job.
        """
        self.job, self.steps, self.batch, self.seed = job, steps, batch, seed
        self.items = [item for file in files for item in _items(read_sample_parts(file, job), job)]
        if not self.items:
            raise TrainingError(f"no sample in {len(files)} files holds one of {', '.join(job.views)}")

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        rng = np.random.default_rng([self.seed, step])
        chosen = [self.items[int(i)] for i in rng.integers(len(self.items), size=self.batch)]
        grids = bent_grid(
            torch.tensor([self._window(item, rng) for item in chosen], dtype=torch.float32), SIDE, generator
        )
        drawn = [self._drawn(item, grid, rng) for item, grid in zip(chosen, grids, strict=True)]
        images, labels = torch.stack([d[0] for d in drawn]), torch.stack([d[1] for d in drawn])
        present = torch.stack([d[2] for d in drawn])
        images = disturbed(images, labels, generator)
        images[~present] = torch.nan
        return normalised(images), labels

    def _window(self, item: _Item, rng: np.random.Generator) -> tuple[float, ...]:
        """Middle and side: about the heart for contours, anything from most of the field to more than it to locate."""
        if self.job.stage == "contour":
            side = item.window.side * float(np.exp(rng.normal(0.0, 0.11)))
            row, col = rng.normal((item.window.row, item.window.col), 0.045 * side)
            return row, col, side
        whole = Window.whole(*item.frames.shape[2:])
        side = whole.side * float(rng.uniform(0.6, 1.15))
        slack = 0.5 * abs(whole.side - side)
        return (*rng.uniform((whole.row - slack, whole.col - slack), (whole.row + slack, whole.col + slack)), side)

    def _drawn(self, item: _Item, grid: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        n, phases = item.frames.shape[:2]
        k, t = divmod(int(rng.choice(n * phases, p=item.chances)), phases)
        seen = np.union1d(rng.permutation(phases)[: int(rng.integers(2, phases + 1))], [t])
        beside = (k - 1, k + 1) if rng.random() < 0.5 else (k + 1, k - 1)
        at = [(k, int(phase)) for phase in seen] + [(plane, t) for plane in beside if 0 <= plane < n]
        frames = np.stack([item.frames[place] for place in at]).astype(np.float32)
        grow(frames, np.stack([item.labels[place] for place in at]), rng)
        beat, others = frames[: len(seen)], iter(frames[len(seen) :])
        low, high, frame = beat.min(0), beat.max(0), beat[int(np.searchsorted(seen, t))]
        before, after = (_moved(next(others), rng) if 0 <= plane < n else None for plane in beside)
        planes = [frame, before, after, (low + high) / 2, high - low]
        present = torch.tensor([p is not None for p in planes])
        present[1:3] &= torch.from_numpy(rng.random(2) > _ALONE)
        present[3:] &= bool(rng.random() > _NO_BEAT)
        image = torch.from_numpy(np.stack([frame * 0 if p is None else p for p in planes]) / np.float32(255.0))
        classes = self._classes(item.labels[k, t])
        step = float((grid[0, 1] - grid[0, 0]).norm())
        rows, cols = frame.shape
        where = (2 * grid + 1) / torch.tensor([cols, rows]) - 1
        both = torch.cat([smoothed(image[None], step), smoothed(classes[None], step)], dim=1)
        both = F.grid_sample(both, where[None], align_corners=False)[0]
        labels = both[len(CHANNELS) :]
        return both[: len(CHANNELS)], torch.cat([1 - labels.sum(0, keepdim=True), labels]), present

    def _classes(self, labels: Labels) -> Tensor:
        names = self.job.structures
        return torch.from_numpy(np.stack([labels == STRUCTURES[name] for name in names]).astype(np.float32))


def read_sample_parts(file: Path, job: Job) -> Mapping[View, tuple[Labels, Labels]]:
    """Frames and labels of a job's views in one file, coarse for "locate"."""
    found = read_sample(file)
    return {
        view: (found[view].near, found[view].near_labels)
        if job.stage == "contour"
        else (found[view].whole, found[view].whole_labels)
        for view in job.views
        if view in found
    }


def _items(parts: Mapping[View, tuple[Labels, Labels]], job: Job) -> list[_Item]:
    wanted = [STRUCTURES[name] for name in job.structures]
    out = []
    for view, (frames, labels) in parts.items():
        cut = np.zeros(labels.shape[:2], dtype=bool)
        if view is View.SAX:
            labels, cut = whole_at_the_base(labels)  # noqa: PLW2901
        window = Window.around(np.isin(labels, wanted))
        if window is not None:
            out.append(_Item(frames, labels, window, _chances(labels, cut)))
    return out


def _chances(labels: Labels, cut: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Planes through the left ventricle most, those beside it nearly as often, the others now and then.

    Frames that the valve cuts (slice, time) come three times as often as others: they are few, and hard.
    """
    muscle = (labels == STRUCTURES["LV myocardium"]).sum((2, 3))
    beside = ndimage.binary_dilation((muscle > 0).any(1))
    chances = np.where(muscle > 0, 1.0, np.where(beside, 0.8, 0.25)[:, None])
    chances[cut] = 3.0
    return np.asarray((chances / chances.sum()).ravel())


def _moved(frame: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Seen in another breath-hold."""
    shift = np.clip(np.round(rng.normal(0.0, 1.2, 2)), -4, 4).astype(int)
    return np.asarray(np.roll(frame, shift, axis=(0, 1)))
