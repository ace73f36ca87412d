"""Several processes that train one model: each takes its share of the studies, all see each other's negatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import Sampler

from cardiolens.errors import TrainingError
from cardiolens.training.data import Draw, EpochSampler


def place() -> tuple[int, int]:
    """(rank, number of processes) of the process group; (0, 1) where there is none."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


class DealtBatches(Sampler[list[Draw]]):
    """Batches of draws, dealt between the processes.

    All processes go through the same global batches of (batch * processes) draws, and each takes its own consecutive
    share, so that the shares behind one another are the batch that a single process would have had.  Where a global
    batch is not whole, the shares differ by one draw at most.

    Args:
        sampler: the draws of an epoch, in the same order in every process.
        batch: draws a step and process.
        drop_last: leave a last global batch out that is not whole, unless it is the only one.
    """

    def __init__(self, sampler: EpochSampler, batch: int, *, drop_last: bool) -> None:
        self.sampler, self.batch_size, self.drop_last = sampler, batch, drop_last

    def __len__(self) -> int:
        return len(self._bounds())

    def __iter__(self) -> Iterator[list[Draw]]:
        rank, world = place()
        draws = list(self.sampler)
        for start, stop in self._bounds():
            share = np.array_split(np.arange(start, stop), world)[rank]
            yield [draws[index] for index in share]

    def _bounds(self) -> list[tuple[int, int]]:
        """First and one past the last draw of each global batch."""
        world, count = place()[1], len(self.sampler)
        if count < world:
            raise TrainingError(f"{count} studies cannot be dealt to {world} processes; set `devices` lower")
        whole = self.batch_size * world
        starts = list(range(0, count, whole))
        rest = count - starts[-1]
        if len(starts) > 1 and rest < whole and (self.drop_last or rest < world):
            starts.pop()  # too few for every process: they join the batch before, or are left to another epoch
        stops = [*starts[1:], starts[-1] + whole if self.drop_last and count >= whole else count]
        return list(zip(starts, stops, strict=True))


class _Gather(torch.autograd.Function):
    """Rows of all processes behind one another; backward gives each process the gradient of its own rows, times the
    number of processes, since `DistributedDataParallel` divides by it."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], rank: int) -> Tensor:
        ctx.start, ctx.stop, ctx.world = sum(counts[:rank]), sum(counts[: rank + 1]), len(counts)
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        pieces = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(pieces, padded)
        return torch.cat([piece[:count] for piece, count in zip(pieces, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.world * gradients[0][ctx.start : ctx.stop], None, None


def gather_rows(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """Rows of all processes behind one another, in the order of the ranks, with gradient.

    The gradient is right for a loss that every process computes alike from what was gathered, in a model whose
    gradients are then averaged over the processes (`DistributedDataParallel`).

    Args:
        rows: (row, ...) of this process; the processes may have different numbers of them.
        counts: rows of each process.
    """
    rank, world = place()
    if world == 1:
        return rows
    return cast(Tensor, _Gather.apply(rows, list(counts), rank))  # type: ignore[no-untyped-call]


def gather_pairs(video: Tensor, text: Tensor, owner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Clips, reports and who owns which, of all processes.

    Args:
        video: (clip, width) and text: (study, width) of this process.
        owner: (clip,) row of this process's `text` that each clip belongs to.

    Returns:
        The same three of the whole batch; owners count through the reports of all processes.
    """
    rank, world = place()
    if world == 1:
        return video, text, owner
    mine = torch.tensor([len(video), len(text)], device=video.device)
    every = [torch.empty_like(mine) for _ in range(world)]
    dist.all_gather(every, mine)
    clips, studies = ([int(counts[i]) for counts in every] for i in (0, 1))
    shifted = owner + sum(studies[:rank])
    return gather_rows(video, clips), gather_rows(text, studies), gather_rows(shifted, clips)
