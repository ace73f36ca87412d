"""Augmentation on the grid: labels and points go where their pixels go."""

import pytest
import torch

from cardiolens.training.cine_recipe import GridAugmentRecipe
from cardiolens.training.grid_augment import GridAugment, gamma, move, move_points


def draws(seed=0, **settings):
    return GridAugment(GridAugmentRecipe(**settings), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(40, 40), (32, 48)])
def test_points_go_where_their_pixels_go(size):
    affines = draws(probability=1.0, rotate_deg=60.0, shift=0.1, zoom=0.2, shear=0.2).affines(6)
    points = torch.tensor([[[14.0, 19.0], [21.0, 25.0]]]).repeat(6, 1, 1)
    images = torch.zeros(6, 2, *size)
    first, second = torch.meshgrid(*(torch.arange(n) for n in size), indexing="ij")
    for place in range(2):
        at = points[0, place]
        images[:, place] = torch.exp(-((first - at[0]) ** 2 + (second - at[1]) ** 2) / 8.0)
    moved = move(images, affines)
    found = move_points(points, affines, size)
    weight = moved.sum((2, 3))
    mean = torch.stack([(moved * first).sum((2, 3)) / weight, (moved * second).sum((2, 3)) / weight], -1)
    inside = ((found > 8) & (found < torch.tensor(size) - 9)).all(-1)
    assert inside.sum() >= 6
    assert (found - mean)[inside].abs().max() < 0.3


def test_every_plane_of_a_stack_moves_alike_and_masks_stay_masks():
    labels = (
        torch.randint(0, 4, (3, 1, 20, 20, 1), generator=torch.Generator().manual_seed(1)).float().repeat(1, 1, 1, 1, 4)
    )
    moved = move(labels, draws(probability=1.0).affines(3), nearest=True)
    assert moved.shape == labels.shape
    assert set(moved.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}
    assert all(torch.equal(moved[..., 0], moved[..., plane]) for plane in range(4))
    assert not torch.equal(moved, labels)


def test_with_no_probability_nothing_changes_and_the_same_seed_draws_the_same():
    still = draws(probability=0.0)
    image = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(move(image, still.affines(2)), image, atol=1e-5, rtol=0)
    assert torch.equal(gamma(image, still.exponents(2)), image)
    assert torch.equal(still.blank(image), image)
    assert torch.equal(draws(3).affines(4), draws(3).affines(4))
    assert not torch.equal(draws(3).affines(8), draws(4).affines(8))


def test_gamma_stays_within_its_limits_and_is_one_a_sample():
    exponents = draws(probability=1.0, gamma=(0.5, 1.5)).exponents(200)
    assert 0.5 <= exponents.min() < 0.6
    assert 1.4 < exponents.max() <= 1.5
    image = torch.full((2, 1, 3, 3), 0.25)
    assert gamma(image, torch.tensor([0.5, 2.0]))[:, 0, 0, 0].tolist() == [0.5, 0.0625]


def test_a_blanked_box_has_its_size_and_leaves_the_original():
    image = torch.ones(50, 1, 12, 12, 6)
    found = draws(dropout=0.5, dropout_size=(4, 3, 2)).blank(image)
    gone = (found == 0).flatten(1).sum(1)
    assert set(gone.tolist()) == {0, 24}
    assert image.all()
