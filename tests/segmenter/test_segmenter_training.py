"""Training of the segmenter's networks."""

import pytest
import torch
from segmenter_samples import SHORT, write_samples

from cardiolens.models.plane_unet import PlaneUNet, PlaneUNetConfig
from cardiolens.segmenter.batches import Job
from cardiolens.segmenter.training import overlap_loss, train
from cardiolens.study import View

JOB = Job("contour", (View.SAX,), SHORT)


def test_the_loss_is_least_where_the_network_is_right():
    shares = torch.zeros(2, 4, 8, 8)
    shares[:, 0, :4] = 1
    shares[:, 1, 4:] = 1
    right, wrong = 20 * shares, 20 * shares.roll(1, 1)
    assert float(overlap_loss(right, shares)) < 0.01 + float(overlap_loss(wrong, shares)) / 10
    assert float(overlap_loss(torch.zeros_like(shares), shares)) > float(overlap_loss(right, shares))


def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    files = write_samples(tmp_path / "samples")
    how = {"widths": (8, 8), "batch": 2, "workers": 0, "bf16": False, "stretch": 2, "seed": 3}
    whole = train(JOB, files, tmp_path / "whole", steps=6, **how)

    class StopError(Exception):
        pass

    def stop_at_four(self, *args, **more):
        loss = step(self, *args, **more)
        if self.global_step == 4:
            raise StopError
        return loss

    from cardiolens.segmenter.training import Learner

    step = Learner.training_step
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StopError):
        patch.setattr(Learner, "training_step", stop_at_four)
        train(JOB, files, tmp_path / "cut", steps=6, **how)
    again = train(JOB, files, tmp_path / "cut", steps=6, **how)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_training_starts_from_the_weights_that_it_is_given(tmp_path):
    files = write_samples(tmp_path / "samples")
    start = PlaneUNet(PlaneUNetConfig(classes=4, widths=(8, 8)))
    net = train(
        JOB, files, tmp_path / "run", widths=(8, 8), steps=1, batch=2, lr=1e-9, workers=0, bf16=False, start=start
    )
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(net.parameters(), start.parameters(), strict=True))
