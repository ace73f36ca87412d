"""From a set of loops to batches of clips.  Every draw is a function of (seed, epoch, loop), as in `data`."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cardiolens.datasets.cine_volumes import CineVolumes, item_of
from cardiolens.datasets.splits import Split
from cardiolens.datasets.volumes import VolumeSet, open_volumes
from cardiolens.errors import InputError, ReadError, RecipeError, TrainingError
from cardiolens.loops import LoopTransform
from cardiolens.progress import track
from cardiolens.store import StudyStore
from cardiolens.training.data import Draw, EpochSampler, generator_for
from cardiolens.training.processes import DealtBatches
from cardiolens.training.run import RunFolder
from cardiolens.training.video_recipe import LoopRecipe

if TYPE_CHECKING:
    from cardiolens.models.card import Card

logger = logging.getLogger(__name__)


def open_loops(recipe: LoopRecipe, flag: Path | None) -> VolumeSet:
    """The set of the --store flag, else the recipe's.

    Raises:
        RecipeError: none named, or choices that the set does not know.
        ReadError: nothing known lies there.
    """
    chosen = flag if flag is not None else recipe.store
    if chosen is None:
        raise RecipeError(
            "no data: give --store or `store:` in the recipe: an EchoNet-Dynamic folder, a store of studies"
        )
    path = Path(chosen)
    if recipe.volumes in (None, "cines") and path.is_dir() and len(StudyStore(path)):
        return CineVolumes(path, views=recipe.views or None, planes=recipe.planes)
    if recipe.views or recipe.planes != "all":
        raise RecipeError(f"`views` and `planes` choose among the cines of a store; {path} is none")
    return open_volumes(path, kind=recipe.volumes)


def transform_for(recipe: LoopRecipe, card: Card) -> LoopTransform:
    """The model's transform with the recipe's clip length, stride and zoom."""
    transform = LoopTransform.from_dict(card.transform)
    stride = transform.stride if recipe.stride == "model" else None if recipe.stride == "even" else int(recipe.stride)
    return replace(
        transform,
        frames=recipe.frames or transform.frames,
        stride=stride,
        short_side=recipe.short_side or transform.short_side,
    )


def split_of(folder: RunFolder, recipe: LoopRecipe, volumes: VolumeSet) -> Split:
    """The run's split: of its file, the set's own, or newly dealt.  A split file of studies holds for their planes."""
    kept = folder.path / "split.json"
    if recipe.split.file is not None and not kept.exists():
        given, keys = Split.load(Path(recipe.split.file)), volumes.keys()
        studies = {item_of(key) for key in keys}
        named = {key for part in given.parts.values() for key in part}
        if named & studies and not named & set(keys):
            wanted = {part: set(found) for part, found in given.parts.items()}
            parts = {part: tuple(key for key in keys if item_of(key) in found) for part, found in wanted.items()}
            if named - studies:
                logger.warning("%d studies of %s have no such plane", len(named - studies), recipe.split.file)
            Split(parts, {"studies": given.hash}).save(kept)
    return folder.split(volumes, volumes.split() if recipe.official_split else None)


class LoopSource:
    """Prepared loops of a set; kept in memory in 256 greys where `cache` is on."""

    def __init__(self, volumes: VolumeSet, transform: LoopTransform, *, cache: bool = True) -> None:
        self.volumes, self.transform = volumes, transform
        self._kept: dict[str, Tensor] | None = {} if cache else None

    def loop(self, key: str) -> Tensor:
        """(time, row, col) uint8; `ReadError` or `InputError` for one that cannot be used."""
        if self._kept is None:
            return self.transform.prepare(self.volumes.load(key))
        if key not in self._kept:
            self._kept[key] = self.transform.prepare(self.volumes.load(key))
        return self._kept[key]

    def usable(
        self, keys: Sequence[str], part: str, folder: Path, known: Mapping[str, float] | None
    ) -> tuple[str, ...]:
        """The keys that can be learned from; `left_out_<part>.csv` in the folder names the others, each with a reason.

        Args:
            known: labels, NaN where there is none; None where none is needed.

        Raises:
            TrainingError: no key is left.
        """
        kept, reasons = [], {}
        for key in track(keys, f"read {part}"):
            if known is not None and math.isnan(known.get(key, math.nan)):
                reasons[key] = "no label"
                continue
            try:
                self.loop(key)
                kept.append(key)
            except (ReadError, InputError) as error:
                reasons[key] = str(error)
        if reasons:
            first = next(iter(reasons))
            file = folder / f"left_out_{part}.csv"
            with file.open("w", newline="") as table:
                csv.writer(table, lineterminator="\n").writerows([("key", "reason"), *reasons.items()])
            logger.warning(
                "%d loops of part '%s' are left out, see %s; first: %s", len(reasons), part, file, reasons[first]
            )
        if not kept:
            told = next(iter(reasons.values())) if reasons else "the part is empty"
            raise TrainingError(f"no loop of part '{part}' can be used (first reason: {told})")
        return tuple(kept)


@dataclass
class VideoBatch:
    """Clips (batch, channel, time, row, col), their labels (batch,), the epoch that it was drawn for, keys."""

    clips: Tensor
    targets: Tensor
    epoch: int
    studies: tuple[str, ...] = ()


Item = tuple[Tensor, float, int, str]


class LoopClips(Dataset[Item]):
    """One clip of a loop a draw: at random in training, in the middle else."""

    def __init__(
        self,
        source: LoopSource,
        keys: Sequence[str],
        targets: Mapping[str, float] | None = None,
        *,
        seed: int = 0,
        train: bool = True,
    ) -> None:
        self.source, self.keys, self.targets, self.seed, self.train = source, list(keys), targets or {}, seed, train

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, draw: Draw) -> Item:
        epoch, index = draw
        key = self.keys[index]
        loop, transform = self.source.loop(key), self.source.transform
        if self.train:
            start = transform.random_start(len(loop), generator_for(self.seed, epoch, key))
        else:
            start = transform.starts(len(loop), 1)[0]
        return transform.clip(loop, start), self.targets.get(key, math.nan), epoch, key


def _collate(items: list[Item]) -> VideoBatch:
    clips, targets, epochs, keys = zip(*items, strict=True)
    return VideoBatch(torch.stack(clips), torch.tensor(targets, dtype=torch.float32), epochs[0], keys)


def loop_loader(
    data: LoopClips, *, batch: int, seed: int, train: bool, drop_last: bool = False, workers: int = 0
) -> DataLoader[Any]:
    """Batches of `VideoBatch`, dealt between the processes."""
    sampler = EpochSampler(len(data), seed, shuffle=train)
    return DataLoader(
        data,
        batch_sampler=DealtBatches(sampler, batch, drop_last=drop_last),
        collate_fn=_collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
