"""Domain randomisation."""

import numpy as np
import torch
from segmenter_samples import ring

from cardiolens.segmenter.randomise import bent_grid, disturbed, smooth_field


def batch(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.from_numpy(np.eye(4, dtype=np.float32)[ring()]).permute(2, 0, 1)
    frame = torch.from_numpy(np.choose(ring(), [0.15, 0.9, 0.35, 0.85]).astype(np.float32))
    images = torch.stack([frame, frame, frame, frame, frame * 0.1])
    return images.expand(n, -1, -1, -1).clone(), labels.expand(n, -1, -1, -1).clone()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_masks_are_left_alone_and_images_stay_finite_and_not_negative():
    images, labels = batch()
    before = labels.clone()
    for seed in range(5):
        out = disturbed(images.clone(), labels, generator(seed))
        assert out.shape == images.shape and torch.isfinite(out).all() and float(out.min()) >= 0
    assert torch.equal(labels, before)


def test_the_same_seed_gives_the_same_batch_and_another_another():
    images, labels = batch()
    one, same, other = (disturbed(images.clone(), labels, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.allclose(one, other)


def test_a_grid_is_about_the_middle_of_its_window_and_of_its_size():
    windows = torch.tensor([[30.0, 20.0, 40.0]]).expand(64, -1)
    grid = bent_grid(windows, 32, generator())
    middle = grid.mean((1, 2))
    assert torch.allclose(middle.mean(0), torch.tensor([20.0, 30.0]), atol=0.6)
    step = (grid[:, 16, 17] - grid[:, 16, 16]).norm(dim=-1)
    assert 0.8 < float(step.mean()) / (40 / 32) < 1.2


def test_fields_are_smooth():
    field = smooth_field(4, 1, 3, 64, generator())
    assert float((field[..., 1:] - field[..., :-1]).abs().max()) < 0.6
    assert 0.8 < float(field.std()) < 1.2
