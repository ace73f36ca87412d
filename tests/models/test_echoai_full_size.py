"""EchoAI at full size: one step of pretraining and one of a head, with time and peak memory."""

import logging
import resource
import time

import pytest
import torch

from cardiolens.hub import load_model
from cardiolens.models.answers import Answers
from cardiolens.models.vivit import ViViT, ViViTConfig

log = logging.getLogger(__name__)


def stepped(model, loss_of):
    """Seconds of the processor of one AdamW step and whether every weight that trains moved."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    begun = time.process_time()
    loss = loss_of(model.train())
    loss.backward()
    optimiser.step()
    seconds = time.process_time() - begun
    assert bool(torch.isfinite(loss))
    still = [name for name, value in model.named_parameters() if torch.equal(value, before[name])]
    return seconds, still


@pytest.mark.slow
def test_full_size_takes_a_step_of_pretraining_and_of_a_head():
    torch.manual_seed(0)
    mae = load_model("echoai-base")
    assert sum(value.numel() for value in mae.parameters()) == pytest.approx(94.2e6, rel=0.01)
    clips = torch.rand(1, 3, 16, 224, 224)
    pretraining, still = stepped(mae, lambda model: model(clips, generator=torch.Generator().manual_seed(0)).loss)
    assert still == []
    model = ViViT(ViViTConfig(mae.config.encoder, Answers(("ef",), ("value",), (55.0,), (12.0,))))
    model.encoder.start_from(mae.encoder)
    del mae
    head, still = stepped(model, lambda model: model(clips).square().mean())
    assert still == []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    log.info("echoai-base, 1 clip: pretraining %.1f s, head %.1f s, peak %.1f GiB", pretraining, head, peak)
    assert peak < 16
