"""Augmentation of batches on a model's grid: gamma, an affine in the plane, blanked boxes; labels and points follow."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.training.cine_recipe import GridAugmentRecipe


def gamma(images: Tensor, exponents: Tensor) -> Tensor:
    """(batch, ...) in [0, 1] to the power of one exponent a sample."""
    return images.clamp(0.0, 1.0) ** exponents.view(-1, *[1] * (images.ndim - 1))


class GridAugment:
    """The draws of one batch.

    Args:
        settings: strengths.
        generator: source of all randomness, on the device of the images.
    """

    def __init__(self, settings: GridAugmentRecipe, generator: torch.Generator) -> None:
        self.settings, self.generator = settings, generator

    def exponents(self, batch: int) -> Tensor:
        """(batch,) of gamma, 1 where a sample is left as it is."""
        low, high = self.settings.gamma
        drawn = low + (high - low) * self._unit(batch)
        return torch.where(self._chosen(batch), drawn, torch.ones_like(drawn))

    def affines(self, batch: int) -> Tensor:
        """(batch, 2, 3): where in the old image each place of the new lies, in halves of the field."""
        s = self.settings
        angle, zoom, shear, *shifts = (2.0 * self._unit(batch) - 1.0 for _ in range(5))
        angle, zoom, shear = angle * math.radians(s.rotate_deg), 1.0 + s.zoom * zoom, s.shear * shear
        cos, sin = angle.cos(), angle.sin()
        rows = [
            torch.stack([zoom * cos, zoom * (shear * cos - sin), 2.0 * s.shift * shifts[0]], 1),
            torch.stack([zoom * sin, zoom * (shear * sin + cos), 2.0 * s.shift * shifts[1]], 1),
        ]
        moved = torch.stack(rows, 1)
        still = torch.eye(2, 3, device=moved.device).expand_as(moved)
        return torch.where(self._chosen(batch)[:, None, None], moved, still)

    def blank(self, images: Tensor) -> Tensor:
        """(batch, channel, x, y[, z]) with a box of zeros in some samples."""
        if self.settings.dropout == 0:
            return images
        out = images.clone()
        chosen = self._unit(len(images)) < self.settings.dropout
        size = [min(wide, n) for wide, n in zip(self.settings.dropout_size, images.shape[2:], strict=False)]
        starts = [
            (self._unit(len(images)) * (n - wide + 1)).long() for wide, n in zip(size, images.shape[2:], strict=True)
        ]
        for sample in chosen.nonzero()[:, 0].tolist():
            corners = [int(start[sample]) for start in starts]
            box = tuple(slice(at, at + wide) for at, wide in zip(corners, size, strict=True))
            out[sample].movedim(0, -1)[box] = 0.0
        return out

    def _unit(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.generator.device)

    def _chosen(self, batch: int) -> Tensor:
        return self._unit(batch) < self.settings.probability


def move(values: Tensor, affines: Tensor, *, nearest: bool = False) -> Tensor:
    """Resample (batch, channel, x, y[, z]) by `GridAugment.affines`; zeros from beyond the edge."""
    deep = values.ndim == 5
    flat = values.movedim(4, 2).flatten(1, 2) if deep else values
    grid = F.affine_grid(_of_image(affines, flat.shape[2:]), [len(flat), 1, *flat.shape[2:]], align_corners=False)
    moved = F.grid_sample(flat.float(), grid, mode="nearest" if nearest else "bilinear", align_corners=False)
    if deep:
        moved = moved.reshape(len(values), values.shape[1], values.shape[4], *values.shape[2:4]).movedim(2, 4)
    return moved.to(values.dtype)


def move_points(points: Tensor, affines: Tensor, size: tuple[int, int]) -> Tensor:
    """(batch, landmark, 2), pixels of the first and second axis, to where `move` takes them."""
    extent = torch.tensor(size, dtype=points.dtype, device=points.device)
    at = ((2.0 * points + 1.0) / extent - 1.0).flip(-1)  # as grid_sample counts: second axis first
    matrix = _of_image(affines, size).to(points.dtype)
    back = torch.linalg.solve(matrix[:, :, :2], (at - matrix[:, None, :, 2]).transpose(1, 2)).transpose(1, 2)
    found: Tensor = ((back.flip(-1) + 1.0) * extent - 1.0) / 2.0
    return found


def _of_image(affines: Tensor, size: tuple[int, ...] | torch.Size) -> Tensor:
    """Affines of a square field as those of an image whose sides differ."""
    wide, high = float(size[1]), float(size[0])
    scaled = affines.clone()
    scaled[:, 0, 1] *= high / wide
    scaled[:, 1, 0] *= wide / high
    return scaled
