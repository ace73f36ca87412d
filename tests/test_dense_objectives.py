"""Losses of masks, landmarks and values: against MONAI's where it has them, else against their definition."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.objectives import (
    cross_entropy,
    dice_and_cross_entropy,
    dice_and_heat,
    heat_maps,
    mse,
    soft_argmax,
    soft_dice,
    wing,
)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [(7, 9), (5, 6, 4)])
def test_dice_and_cross_entropy_are_monais(size):
    losses = pytest.importorskip("monai.losses")
    logits = drawn(3, 4, *size)
    labels = torch.randint(0, 4, (3, *size), generator=torch.Generator().manual_seed(1))
    labels[0] = 0  # a sample without any structure
    theirs = losses.DiceLoss(include_background=False, softmax=True, to_onehot_y=True)(logits, labels[:, None])
    expected = theirs + F.cross_entropy(logits, labels)
    torch.testing.assert_close(dice_and_cross_entropy(logits, labels), expected)


def test_dice_of_heat_maps_is_monais_and_unknown_landmarks_do_not_count():
    losses = pytest.importorskip("monai.losses")
    target = heat_maps(torch.rand(2, 3, 2, dtype=torch.float64) * 10, (12, 11))
    logits = drawn(2, 3, 12, 11)
    torch.testing.assert_close(soft_dice(logits.sigmoid(), target).mean(), losses.DiceLoss()(logits.sigmoid(), target))
    expected = losses.DiceLoss()(logits.sigmoid(), target) + F.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(dice_and_heat(logits, target), expected)
    lacking = target.clone()
    lacking[:, 1] = 0
    assert dice_and_heat(logits, lacking) == dice_and_heat(logits[:, [0, 2]], target[:, [0, 2]])
    assert dice_and_heat(logits, target * 0) == 0


def test_a_heat_map_is_one_at_its_point_and_falls_as_a_gaussian():
    maps = heat_maps(torch.tensor([[[4.0, 6.0], [math.nan, 2.0]]]), (10, 12))
    assert maps.shape == (1, 2, 10, 12)
    assert maps[0, 0, 4, 6] == 1
    assert maps[0, 0, 7, 6] == pytest.approx(math.exp(-0.5))
    assert maps[0, 0, 4, 9] == pytest.approx(math.exp(-0.5))
    assert not maps[0, 1].any()


@settings(max_examples=20, deadline=None)
@given(st.floats(12, 28), st.floats(12, 28))
def test_the_weighted_place_of_a_heat_map_is_its_point(first, second):
    maps = heat_maps(torch.tensor([[[first, second]]], dtype=torch.float64), (41, 41))
    torch.testing.assert_close(
        soft_argmax(maps)[0, 0], torch.tensor([first, second], dtype=torch.float64), atol=0.01, rtol=0
    )


def test_wing_is_logarithmic_near_and_linear_far_and_the_two_meet():
    zero = torch.zeros(1, 2, dtype=torch.float64)
    assert wing(zero + 1.0, zero) == pytest.approx(10 * math.log(1.5))
    assert wing(zero + 25.0, zero) - wing(zero + 15.0, zero) == pytest.approx(10.0)
    assert wing(zero + 10 - 1e-9, zero) == pytest.approx(float(wing(zero + 10 + 1e-9, zero)), abs=1e-6)
    half = torch.tensor([[3.0, math.nan]], dtype=torch.float64)
    assert wing(zero, half) == wing(zero[:, :1], half[:, :1])


def test_smoothing_takes_its_share_from_the_right_class_and_unknown_classes_do_not_count():
    logits, target = drawn(5, 3), torch.tensor([0, 2, -1, 1, 1])
    kept = [0, 1, 3, 4]
    shares = F.one_hot(target[kept], 3).double() * 0.9 + 0.1 / 3
    expected = -(shares * logits[kept].log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(cross_entropy(logits, target, smoothing=0.1), expected)


def test_mean_squared_error_is_that_of_what_is_known():
    target = torch.tensor([[1.0, math.nan], [3.0, 5.0]])
    assert mse(torch.zeros(2, 2), target) == pytest.approx((1 + 9 + 25) / 3)
    assert mse(torch.zeros(1, 1), torch.full((1, 1), math.nan)) == 0
