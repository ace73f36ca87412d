"""From a store to training batches.

Every random draw is a function of (seed, epoch, study), never of a global generator, so that a run resumed at any epoch
sees what an unbroken one would have seen.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cardiolens.clips import PlaneSampling, choose_planes
from cardiolens.store import StudyStore
from cardiolens.study import View
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
    """Clips of a store's studies; prepared ones are kept as float16 in memory and, given a folder, on disk.

    A file on disk lies under the hash of the transform and carries the content hash of its study.
    """

    def __init__(self, store: StudyStore, transform: ClipTransform, *, cache: bool, folder: Path | None = None) -> None:
        self.store, self.transform = store, transform
        self._kept: dict[tuple[str, View, int], Tensor] | None = {} if cache else None
        self._shapes: dict[str, Mapping[View, tuple[int, ...]]] = {}
        digest = hashlib.sha256(str(transform).encode()).hexdigest()[:16]
        self._folder = None if folder is None or not cache else folder / f"clips_{digest}"

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
            if self._folder is None:
                self._kept[where] = self.transform(self.store.frames(key, view, plane)).half()
            else:
                self._kept |= {(key, *place): clip for place, clip in self._from_disk(key, self._folder).items()}
        return self._kept[where].float()

    def _from_disk(self, key: str, folder: Path) -> dict[tuple[View, int], Tensor]:
        """All usable planes of a study, prepared now if no current file is there."""
        path = folder / (key.replace("/", "__") + ".safetensors")
        content = self.store.hash_of(key)
        if path.exists():
            with safe_open(path, framework="pt") as file:
                if file.metadata()["content"] == content:
                    names = [name.split(":") for name in file.keys()]  # noqa: SIM118 - no dict
                    return {(View(v), int(p)): file.get_tensor(f"{v}:{p}") for v, p in names}
        folder.mkdir(parents=True, exist_ok=True)
        planes = self.planes(key, "all", np.random.default_rng(0))
        clips = {(v, p): self.transform(self.store.frames(key, v, p)).half() for v, p in planes}
        part = path.with_suffix(f".{os.getpid()}.part")
        save_file({f"{v}:{p}": clip for (v, p), clip in clips.items()}, part, {"content": content})
        part.replace(path)
        return clips

    def planes(self, key: str, sampling: PlaneSampling, generator: np.random.Generator) -> list[tuple[View, int]]:
        """The planes of all views of a study that a draw uses."""
        return [
            (view, plane)
            for view, shape in self.shapes(key).items()
            for plane in choose_planes(shape[0], sampling, generator)
        ]


@dataclass
class BagBatch:
    """Padded bags of clips, or of their cached features, with targets.

    Attributes:
        items: clips (item, channel, time, row, col) or features (item, width), all studies behind one another.
        sizes: items of each study.
        targets: (study, label); NaN where a label is not known.
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


class StudyBags(Dataset[tuple[Tensor, tuple[float, ...], int]]):
    """Studies as bags with what is to be learned of each.

    `features` (key to (view, plane) to a vector) replaces the clips where the encoder is frozen and nothing augmented.
    """

    def __init__(
        self,
        source: ClipSource,
        keys: Sequence[str],
        targets: Mapping[str, tuple[float, ...]],
        *,
        seed: int,
        plane_sampling: PlaneSampling,
        features: Mapping[str, Mapping[tuple[View, int], Tensor]] | None = None,
    ) -> None:
        self.source, self.keys, self.targets = source, list(keys), targets
        self.seed, self.plane_sampling, self.features = seed, plane_sampling, features

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, tuple[float, ...], int]:
        epoch, index = draw
        key = self.keys[index]
        planes = self.source.planes(key, self.plane_sampling, generator_for(self.seed, epoch, key))
        if self.features is None:
            items = torch.stack([self.source.clip(key, view, plane) for view, plane in planes])
        else:
            items = torch.stack([self.features[key][where] for where in planes])
        return items, self.targets[key], epoch


def _collate_bags(items: list[tuple[Tensor, tuple[float, ...], int]]) -> BagBatch:
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
