"""Batches of the segmenter."""

import numpy as np
import pytest
import torch
from segmenter_samples import SHORT, ring, write_samples

from cardiolens.errors import TrainingError
from cardiolens.segmenter.batches import Batches, Job, _chances
from cardiolens.segmenter.crop import SIDE
from cardiolens.study import View


@pytest.mark.parametrize("stage", ["contour", "locate"])
def test_a_batch_is_images_without_holes_and_shares_that_sum_to_one(tmp_path, stage):
    batches = Batches(write_samples(tmp_path), Job(stage, (View.SAX,), SHORT), steps=3, batch=4)
    images, shares = batches[1]
    assert images.shape == (4, 5, SIDE, SIDE) and shares.shape == (4, 4, SIDE, SIDE)
    assert torch.isfinite(images).all() and torch.allclose(shares.sum(1), torch.ones(()), atol=1e-5)
    assert float(shares[:, 1].sum()) > 0


def test_a_step_is_the_same_whenever_it_is_asked_for_and_differs_from_the_next(tmp_path):
    files = write_samples(tmp_path)
    one, two = (Batches(files, Job("contour", (View.SAX,), SHORT), steps=9, batch=2, seed=4) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one[5], two[5], strict=True))
    assert not torch.equal(one[5][0], one[6][0])


def test_the_heart_lies_in_the_window_for_contours(tmp_path):
    batches = Batches(write_samples(tmp_path), Job("contour", (View.SAX,), SHORT), steps=8, batch=4)
    shares = torch.cat([batches[i][1] for i in range(8)])
    heart = shares[:, 1:].sum(1)
    edge = torch.cat([heart[:, 0], heart[:, -1], heart[:, :, 0], heart[:, :, -1]], dim=1)
    assert float((edge > 0.5).float().mean()) < 0.12
    assert 0.1 < float(heart.mean()) < 0.7


def test_samples_without_the_view_are_an_error(tmp_path):
    with pytest.raises(TrainingError, match="4CH"):
        Batches(write_samples(tmp_path), Job("contour", (View.CH4,), SHORT), steps=1)


def test_frames_that_the_valve_cuts_come_more_often_and_single_planes_work():
    labels = np.broadcast_to(ring(), (3, 2, 48, 48)).copy()
    cut = np.zeros((3, 2), dtype=bool)
    cut[2, 1] = True
    chances = _chances(labels, cut).reshape(3, 2)
    assert chances[2, 1] == pytest.approx(3 * chances[0, 0]) and chances.sum() == pytest.approx(1)
    assert _chances(labels[:1], cut[:1]).shape == (2,)
