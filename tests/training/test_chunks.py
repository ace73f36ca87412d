"""A batch that passes the towers chunk by chunk (gradient caching) is the batch that passes at once."""

import sys
from pathlib import Path

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from cardiolens.training import contrastive
from cardiolens.training.contrastive import by_chunks

sys.path.insert(0, str(Path(__file__).parent))
from tiny_towers import module, recipe, whole_batch


def stepped(settings, dropout=0.0):
    """Loss and every gradient of one training step, augmentation included."""
    built = module(settings, dropout)
    torch.manual_seed(5)
    loss = built.training_step(whole_batch(built), 0)
    loss.backward()
    return {"loss": loss.detach()} | {name: p.grad for name, p in built.named_parameters() if p.grad is not None}


def close(found, wanted):
    rounding = 1e-13 * max(float(value.abs().max()) for value in wanted.values())
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert (found[name] - value).abs().max() <= 1e-9 * value.abs().max() + rounding, name


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 100])
def test_a_step_in_chunks_has_the_loss_and_gradients_of_the_plain_step(chunk):
    settings = {"augment": 5.0, "centre": True, "flood": 0.5}
    close(stepped(recipe(chunk, **settings)), stepped(recipe(**settings)))


def test_dropout_is_the_same_when_a_chunk_passes_again(monkeypatch):
    cached = stepped(recipe(2), dropout=0.4)
    monkeypatch.setattr(contrastive, "checkpoint", lambda tower, *chunk, use_reentrant: tower(*chunk))
    close(cached, stepped(recipe(2), dropout=0.4))
    assert abs(stepped(recipe(), dropout=0.4)["loss"] - cached["loss"]) > 1e-6  # dropout does take part


def test_a_chunk_leaves_hardly_anything_behind():
    def kept(chunk):
        built = module(recipe(chunk))
        batch, held = whole_batch(built), []
        with saved_tensors_hooks(lambda tensor: held.append(tensor.numel()) or tensor, lambda tensor: tensor):
            built.contrast(batch, batch.clips)
        return sum(held)

    assert kept(2) < 0.2 * kept(None)


def test_without_gradients_chunks_are_only_concatenated():
    rows, calls = torch.rand(7, 3), []

    def tower(part):
        calls.append(len(part))
        return part * 2

    with torch.no_grad():
        assert torch.equal(by_chunks(tower, 3, rows), rows * 2)
    assert calls == [3, 3, 1]
