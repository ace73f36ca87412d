"""From a store to training batches.

Every random draw is a function of (seed, epoch, study), never of a global generator, so that a run resumed at any epoch
sees what an unbroken one would have seen.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cardiolens.clips import PlaneSampling, choose_planes
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.text.sentences import sample_sentences
from cardiolens.transforms import ClipTransform

Draw = tuple[int, int]  # (epoch, index of a study)


def generator_for(seed: int, *parts: object) -> np.random.Generator:
    """A generator that depends on the seed and the named parts alone."""
    return np.random.default_rng([seed, zlib.crc32(repr(parts).encode())])


class EpochSampler(Sampler[Draw]):
    """Draws (epoch, index); the order is shuffled by seed and epoch, or kept."""

    def __init__(self, count: int, seed: int, *, shuffle: bool = True) -> None:
        self.count, self.seed, self.shuffle, self.epoch = count, seed, shuffle, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Draw]:
        order = np.arange(self.count)
        if self.shuffle:
            order = generator_for(self.seed, "order", self.epoch).permutation(self.count)
        return iter([(self.epoch, int(index)) for index in order])


class ClipSource:
    """Clips of a store's studies; keeps them in memory as float16 when told to."""

    def __init__(self, store: StudyStore, transform: ClipTransform, *, cache: bool) -> None:
        self.store, self.transform = store, transform
        self._kept: dict[tuple[str, View, int], Tensor] | None = {} if cache else None
        self._shapes: dict[str, Mapping[View, tuple[int, ...]]] = {}

    def shapes(self, key: str) -> Mapping[View, tuple[int, ...]]:
        """View to (slice, time, row, col)."""
        if key not in self._shapes:
            self._shapes[key] = {cine.view: cine.shape for cine in self.store.read(key).cines}
        return self._shapes[key]

    def clip(self, key: str, view: View, plane: int) -> Tensor:
        """(channel, time, row, col), float32 in [0, 1]."""
        where = (key, view, plane)
        if self._kept is None:
            return self.transform(self.store.frames(key, view, plane))
        if where not in self._kept:
            self._kept[where] = self.transform(self.store.frames(key, view, plane)).half()
        return self._kept[where].float()

    def planes(self, key: str, sampling: PlaneSampling, generator: np.random.Generator) -> list[tuple[View, int]]:
        """The planes of all views of a study that a draw uses."""
        return [
            (view, plane)
            for view, shape in self.shapes(key).items()
            for plane in choose_planes(shape[0], sampling, generator)
        ]


@dataclass
class ContrastBatch:
    """Clips and token ids of matched reports.

    Attributes:
        clips: (clip, channel, time, row, col).
        owner: (clip,) the row of `tokens` that each clip belongs to.
        tokens: (study, token) ids; mask: (study, token) True where real.
        epoch: the epoch that it was drawn for.
    """

    clips: Tensor
    owner: Tensor
    tokens: Tensor
    mask: Tensor
    epoch: int


class ReportPairs(Dataset[tuple[list[Tensor], str, int]]):
    """Studies with reports: clips of one draw and five random sentences of the report."""

    def __init__(
        self,
        source: ClipSource,
        keys: Sequence[str],
        *,
        seed: int,
        sentences: int,
        clips_per_study: str,
        plane_sampling: PlaneSampling,
    ) -> None:
        self.source, self.keys, self.seed, self.sentences = source, list(keys), seed, sentences
        self.clips_per_study, self.plane_sampling = clips_per_study, plane_sampling
        self.reports = [source.store.report(key) or "" for key in self.keys]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, draw: Draw) -> tuple[list[Tensor], str, int]:
        epoch, index = draw
        key, generator = self.keys[index], generator_for(self.seed, epoch, self.keys[index])
        planes = self.source.planes(key, self.plane_sampling, generator)
        if self.clips_per_study != "all":
            views = sorted({view for view, _ in planes})
            if self.clips_per_study == "1":
                views = [views[generator.integers(len(views))]]
            choices = [[p for p in planes if p[0] == view] for view in views]
            planes = [some[generator.integers(len(some))] for some in choices]
        text = " ".join(sample_sentences(self.reports[index], self.sentences, generator))
        return [self.source.clip(key, view, plane) for view, plane in planes], text, epoch


Tokenise = Callable[[Sequence[str]], tuple[Tensor, Tensor]]


def contrast_loader(pairs: ReportPairs, tokenise: Tokenise, *, batch: int, seed: int, train: bool) -> DataLoader[Draw]:
    """Batches of `ContrastBatch`; the last short one is dropped in training, since it would have fewer negatives."""

    def collate(items: list[tuple[list[Tensor], str, int]]) -> ContrastBatch:
        clips = [clip for item in items for clip in item[0]]
        owner = torch.tensor([i for i, item in enumerate(items) for _ in item[0]])
        tokens, mask = tokenise([item[1] for item in items])
        return ContrastBatch(torch.stack(clips), owner, tokens, mask, items[0][2])

    sampler = EpochSampler(len(pairs), seed, shuffle=train)
    return DataLoader(pairs, batch, sampler=sampler, collate_fn=collate, drop_last=train and len(pairs) >= batch)  # type: ignore[arg-type]


@dataclass
class BagBatch:
    """Padded bags of clips, or of their cached features, with targets.

    Attributes:
        items: clips (item, channel, time, row, col) or features (item, width), all studies behind one another.
        sizes: items of each study.
        targets: (study,) in the label's unit.
        epoch: the epoch that it was drawn for.
    """

    items: Tensor
    sizes: list[int]
    targets: Tensor
    epoch: int


def pad_bags(items: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """(item, width) and sizes to (study, longest, width) with zeros behind, and the mask of what is real."""
    bags = torch.nn.utils.rnn.pad_sequence(list(torch.split(items, list(sizes))), batch_first=True)
    mask = torch.arange(bags.shape[1], device=items.device)[None] < torch.tensor(sizes, device=items.device)[:, None]
    return bags, mask


class StudyBags(Dataset[tuple[Tensor, float, int]]):
    """Studies as bags with one number to learn.

    `features` (key to (view, plane) to a vector) replaces the clips where the encoder is frozen and nothing augmented.
    """

    def __init__(
        self,
        source: ClipSource,
        keys: Sequence[str],
        targets: Mapping[str, float],
        *,
        seed: int,
        plane_sampling: PlaneSampling,
        features: Mapping[str, Mapping[tuple[View, int], Tensor]] | None = None,
    ) -> None:
        self.source, self.keys, self.targets = source, list(keys), targets
        self.seed, self.plane_sampling, self.features = seed, plane_sampling, features

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, float, int]:
        epoch, index = draw
        key = self.keys[index]
        planes = self.source.planes(key, self.plane_sampling, generator_for(self.seed, epoch, key))
        if self.features is None:
            items = torch.stack([self.source.clip(key, view, plane) for view, plane in planes])
        else:
            items = torch.stack([self.features[key][where] for where in planes])
        return items, float(self.targets[key]), epoch


def _collate_bags(items: list[tuple[Tensor, float, int]]) -> BagBatch:
    return BagBatch(
        torch.cat([item[0] for item in items]),
        [len(item[0]) for item in items],
        torch.tensor([item[1] for item in items]),
        items[0][2],
    )


def bag_loader(bags: StudyBags, *, batch: int, seed: int, train: bool) -> DataLoader[Draw]:
    """Batches of `BagBatch`."""
    sampler = EpochSampler(len(bags), seed, shuffle=train)
    return DataLoader(bags, batch, sampler=sampler, collate_fn=_collate_bags)  # type: ignore[arg-type]
