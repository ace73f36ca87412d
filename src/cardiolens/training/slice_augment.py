"""Random crops and flips of slices; of SimCLR also brightness, contrast and blur."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.training.slice_recipe import SimCLRRecipe, SliceAugmentRecipe


def crop_and_flip(images: Tensor, settings: SliceAugmentRecipe, generator: torch.Generator) -> Tensor:
    """(sample, slice, row, col) -> the same shape: a random part of each sample at full size, perhaps mirrored.

    A crop that would be wider or higher than the image is as wide or high as it.
    """
    count, low, high = len(images), *settings.crop

    def unit() -> Tensor:
        return torch.rand(count, generator=generator, device=generator.device)

    area = low + (high - low) * unit()
    shape = torch.exp((2.0 * unit() - 1.0) * math.log(settings.ratio))
    wide, tall = (area * shape).sqrt().clamp(max=1.0), (area / shape).sqrt().clamp(max=1.0)
    right, down = (1.0 - wide) * (2.0 * unit() - 1.0), (1.0 - tall) * (2.0 * unit() - 1.0)
    mirrored = torch.where(unit() < settings.flip, -wide, wide)
    zero = torch.zeros_like(wide)
    rows = [torch.stack([mirrored, zero, right], 1), torch.stack([zero, tall, down], 1)]
    affine = torch.stack(rows, 1).to(images.device)
    grid = F.affine_grid(affine, [count, 1, *images.shape[2:]], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def look(images: Tensor, recipe: SimCLRRecipe, generator: torch.Generator) -> Tensor:
    """(sample, 1, row, col) in [0, 1] -> one random look at each."""
    count = len(images)

    def change() -> Tensor:
        drawn = 2.0 * torch.rand(count, generator=generator, device=generator.device) - 1.0
        return (1.0 + recipe.contrast * drawn).to(images.device).view(-1, 1, 1, 1)

    seen = crop_and_flip(images, recipe.augment, generator)
    mean = seen.mean((1, 2, 3), keepdim=True)
    seen = ((seen - mean) * change() + mean * change()).clamp(0.0, 1.0)
    blurred = torch.rand(count, generator=generator, device=generator.device) < recipe.blur
    kernel = seen.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
    soft = F.conv2d(F.pad(seen, (2, 2, 2, 2), mode="replicate"), (kernel[:, None] * kernel)[None, None])
    return torch.where(blurred.to(images.device).view(-1, 1, 1, 1), soft, seen)
