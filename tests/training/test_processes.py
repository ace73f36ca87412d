"""Two processes with half a batch each must be one process with the whole: loss, gradients, batches, weights."""

import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.parallel import DistributedDataParallel

from cardiolens.errors import TrainingError
from cardiolens.objectives import flood
from cardiolens.training import processes
from cardiolens.training.data import EpochSampler
from cardiolens.training.processes import DealtBatches, gather_rows

sys.path.insert(0, str(Path(__file__).parent))
from forked import run_in_processes
from tiny_towers import module, recipe, whole_batch


def part(batch, first, last):
    """The studies [first, last) of a batch."""
    mine = (batch.owner >= first) & (batch.owner < last)
    kept = replace(batch, clips=batch.clips[mine], owner=batch.owner[mine] - first)
    return replace(kept, tokens=batch.tokens[first:last], mask=batch.mask[first:last])


class Step(torch.nn.Module):
    """The loss of a training step, without augmentation, as a module that DDP can wrap."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, batch):
        return flood(self.inner.contrast(batch, batch.clips), self.inner.settings.objective.flood)


def outcome(step, batch):
    """Loss, every gradient, and the running means of the centres."""
    loss = step(batch)
    loss.backward()
    inner = step.module.inner if isinstance(step, DistributedDataParallel) else step.inner
    found = {name: p.grad for name, p in inner.named_parameters() if p.grad is not None}
    return {"loss": loss.detach()} | found | dict(inner.named_buffers())


def in_one(settings):
    built = module(settings)
    return outcome(Step(built), whole_batch(built))


def in_a_share(settings, bounds):
    built = module(settings)
    first, last = bounds[processes.place()[0]]
    return outcome(DistributedDataParallel(Step(built)), part(whole_batch(built), first, last))


@pytest.mark.parametrize(
    ("objective", "chunk"),
    [
        ({"flood": 0.0}, None),
        ({"flood": 0.5, "centre": True, "video_weight": 0.3}, None),
        ({"flood": 50.0, "centre": True, "temperature": 0.2}, None),
        ({"flood": 0.0, "centre": True}, 2),
    ],
    ids=["plain", "centred", "flooded", "chunked"],
)
def test_two_processes_have_the_loss_and_every_gradient_of_one_with_the_whole_batch(tmp_path, objective, chunk):
    asked = recipe(**objective)
    shared = recipe(chunk, **objective)
    alone = in_one(asked)
    rounding = 1e-13 * max(float(value.abs().max()) for value in alone.values())
    assert sum(bool(value.abs().max() > 1e6 * rounding) for value in alone.values()) > 40
    for shares in ([(0, 2), (2, 4)], [(0, 1), (1, 4)]):  # two studies each; one and three
        for found in run_in_processes(2, tmp_path / str(shares[0][1]), in_a_share, shared, shares):
            assert found.keys() == alone.keys()
            for name, value in alone.items():
                allowed = 1e-6 * value.abs().max() + rounding  # some have no gradient: a key's bias, centred-off ones
                assert (found[name] - value).abs().max() <= allowed, name


def test_without_the_others_negatives_the_loss_would_be_another():
    built = module(recipe(flood=0.0))
    batch = whole_batch(built)
    halves = [Step(built)(part(batch, *bounds)) for bounds in ((0, 2), (2, 4))]
    assert abs(torch.stack(halves).mean() - Step(built)(batch)) > 0.1


def gathered():
    rank, _ = processes.place()
    rows = torch.full((rank, 2), float(rank), requires_grad=True)  # rank 0 has none
    everything = gather_rows(rows, [0, 1, 2])
    (everything * torch.arange(3.0)[:, None]).sum().backward()
    return {"rows": everything.detach(), "grad": rows.grad}


def test_rows_come_in_the_order_of_the_ranks_however_many_each_has(tmp_path):
    for rank, found in enumerate(run_in_processes(3, tmp_path / "run", gathered)):
        assert found["rows"].tolist() == [[1, 1], [2, 2], [2, 2]]
        assert found["grad"].tolist() == [[], [[0, 0]], [[3, 3], [6, 6]]][rank]  # times three, which DDP divides by


def test_alone_nothing_is_gathered():
    rows = torch.rand(3, 2)
    assert gather_rows(rows, [3]) is rows


# Dealing -------------------------------------------------------------------------------------------------------------


def dealt(count, batch, world, *, drop_last, epoch=0):
    """Shares by rank, each a list of batches of indices."""
    shares = []
    for rank in range(world):
        sampler = EpochSampler(count, seed=3)
        sampler.set_epoch(epoch)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(processes, "place", lambda rank=rank: (rank, world))
            batches = DealtBatches(sampler, batch, drop_last=drop_last)
            shares.append([[index for _, index in draws] for draws in batches])
            assert len(batches) == len(shares[-1])
    return shares


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_shares_behind_one_another_are_the_batches_of_one_process(count, batch, world, drop_last):
    if count < world:
        with pytest.raises(TrainingError, match="devices"):
            dealt(count, batch, world, drop_last=drop_last)
        return
    shares = dealt(count, batch, world, drop_last=drop_last)
    alone = dealt(count, batch * world, 1, drop_last=drop_last)[0]
    joined = [list(chain(*parts)) for parts in zip(*shares, strict=True)]
    assert len({len(share) for share in shares}) == 1
    assert min(len(draws) for share in shares for draws in share) >= 1
    if len(joined) == len(alone):
        assert joined == alone
    else:  # a last batch too small for all processes joins the one before it
        assert len(alone[-1]) < world
        assert [*chain(*joined)] == [*chain(*alone)]
    seen = list(chain(*joined))
    assert len(seen) == len(set(seen))
    if drop_last and count >= batch * world:
        assert {len(draws) for share in shares for draws in share} == {batch}
    else:
        assert sorted(seen) == list(range(count))


def test_every_epoch_deals_anew():
    assert dealt(20, 4, 2, drop_last=True) != dealt(20, 4, 2, drop_last=True, epoch=1)
