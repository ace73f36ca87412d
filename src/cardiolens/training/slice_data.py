"""From a set of volumes or images to batches of slices.

Every random draw is a function of (seed, epoch, item), as in `data`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cardiolens.errors import CardiolensError, TrainingError
from cardiolens.progress import track
from cardiolens.training.data import Draw, EpochSampler
from cardiolens.training.processes import DealtBatches

log = logging.getLogger(__name__)

_GREYS = 255.0
_NAMED = 5  # items named in a message


class SliceSource:
    """Prepared slices by key, in 256 greys; kept in memory, or prepared anew each time.

    Args:
        prepare: key -> (slice, row, col) in [0, 1].
    """

    def __init__(self, prepare: Callable[[str], Tensor], *, cache: bool) -> None:
        self.prepare, self.cache = prepare, cache
        self._kept: dict[str, Tensor] = {}

    def slices(self, key: str) -> Tensor:
        """(slice, row, col), float32 in [0, 1]; errors are the set's own and the transform's."""
        found = self._kept.get(key)
        if found is None:
            found = (self.prepare(key) * _GREYS).round().to(torch.uint8)
            if self.cache:
                self._kept[key] = found
        return found.float() / _GREYS

    def usable(self, keys: Sequence[str], part: str, targets: Mapping[str, Tensor]) -> tuple[str, ...]:
        """The keys that can be read and of which something is known; the others are counted in a warning.

        Raises:
            TrainingError: none can be used.
        """
        kept, lost = [], []
        unknown = [key for key in keys if key not in targets]
        for key in track([key for key in keys if key in targets], f"preparing {part}"):
            try:
                self.slices(key)
                kept.append(key)
            except CardiolensError as error:
                lost.append(str(error))
        if unknown:
            log.warning("%d of part '%s' are left out: no label (first %s)", len(unknown), part, unknown[0])
        if lost:
            more = f", and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
            log.warning("%d of part '%s' are left out: %s%s", len(lost), part, "; ".join(lost[:_NAMED]), more)
        if not kept:
            told = lost[0] if lost else f"{len(unknown)} without label" if unknown else "the part is empty"
            raise TrainingError(f"nothing of part '{part}' can be used ({told})")
        return tuple(kept)


@dataclass
class SliceBatch:
    """Attributes:
    images: (sample, slice, row, col) in [0, 1].
    targets: (sample, label), NaN where one is not known.
    epoch: that it was drawn for.
    studies: keys.
    """

    images: Tensor
    targets: Tensor
    epoch: int
    studies: tuple[str, ...] = ()


Item = tuple[Tensor, Tensor, int, str]


class SliceItems(Dataset[Item]):
    """Keys with their targets."""

    def __init__(self, source: SliceSource, keys: Sequence[str], targets: Mapping[str, Tensor]) -> None:
        self.source, self.keys, self.targets = source, list(keys), targets

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, draw: Draw) -> Item:
        epoch, index = draw
        key = self.keys[index]
        return self.source.slices(key), self.targets[key], epoch, key


def _collate(items: list[Item]) -> SliceBatch:
    images, targets, epochs, keys = zip(*items, strict=True)
    return SliceBatch(torch.stack(images), torch.stack(targets), epochs[0], keys)


def slice_loader(
    items: SliceItems, *, batch: int, seed: int, train: bool, drop_last: bool = False, workers: int = 0
) -> DataLoader[Draw]:
    """Batches of `SliceBatch`."""
    batches = DealtBatches(EpochSampler(len(items), seed, shuffle=train), batch, drop_last=drop_last)
    return DataLoader(
        items,  # type: ignore[arg-type] # torch calls a draw and an item by one type
        batch_sampler=batches,
        collate_fn=_collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
