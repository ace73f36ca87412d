import math

import pytest
import torch
import torch.nn.functional as F

from cardiolens.objectives import flood, huber, info_nce


def vectors(count, seed):
    return torch.randn(count, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.75, 1.0])
def test_info_nce_is_the_weighted_sum_of_two_cross_entropies(weight):
    video, text = vectors(6, 0), vectors(6, 1)
    logits = F.normalize(video, dim=-1) @ F.normalize(text, dim=-1).T / 0.2
    target = torch.arange(6)
    expected = weight * F.cross_entropy(logits, target) + (1 - weight) * F.cross_entropy(logits.T, target)
    torch.testing.assert_close(info_nce(video, text, temperature=0.2, video_weight=weight), expected)


def test_clips_of_one_study_are_not_each_others_negatives():
    video, text = vectors(3, 0), vectors(3, 1)
    doubled = torch.cat([video, video])
    owner = torch.tensor([0, 1, 2, 0, 1, 2])
    # besides its own report, every clip meets the other studies' clips twice, so the loss is known in closed form
    logits = F.normalize(video, dim=-1) @ F.normalize(text, dim=-1).T / 0.1
    positive = logits.diag()
    others = logits.masked_fill(torch.eye(3, dtype=torch.bool), -torch.inf).logsumexp(0) + math.log(2)
    expected = (torch.logaddexp(positive, others) - positive).mean()
    torch.testing.assert_close(info_nce(doubled, text, owner, video_weight=0.0), expected)


def test_matched_pairs_cost_less_than_shuffled_ones():
    video = vectors(8, 0)
    assert info_nce(video, video) < info_nce(video, video.roll(1, 0))


def test_chance_level_is_the_log_of_the_batch():
    same = torch.ones(8, 16)
    assert float(info_nce(same, same)) == pytest.approx(math.log(8), rel=1e-5)


def test_flooding_turns_the_gradient_round_below_the_level():
    loss = torch.tensor(0.2, requires_grad=True)
    flooded = flood(loss, 0.5)
    flooded.backward()
    assert flooded.item() == pytest.approx(0.8)
    assert float(loss.grad) == -1
    assert float(flood(torch.tensor(0.7), 0.5)) == pytest.approx(0.7)


def test_huber_is_squared_within_delta_and_linear_beyond():
    zero = torch.zeros(1)
    assert float(huber(torch.tensor([3.0]), zero, delta=5)) == pytest.approx(4.5)
    assert float(huber(torch.tensor([11.0]), zero, delta=5)) == pytest.approx(5 * (11 - 2.5))
