"""Domain randomisation on batches: shapes, contrasts, artefacts and fields of view that no scanner of the phantom has.

The network must not learn how the phantom looks.  So after the phantom's own anatomy and physics, every batch is bent,
its tissues get other brightness one by one, and the image is blurred, shaded, and made noisy.  `trabeculae` has grown
muscle into its cavities before.  Masks are bent with the image and never otherwise changed.  All strengths are this
package's choice.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def smooth_field(batch: int, channels: int, cells: int, side: int, generator: torch.Generator) -> Tensor:
    """(batch, channels, side, side) random fields of deviation about 1, with `cells` cells along a side."""
    coarse = torch.randn(batch, channels, cells + 3, cells + 3, generator=generator)
    fine = F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)
    return fine / fine.std((2, 3), keepdim=True).clamp(min=0.3)


def bent_grid(windows: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Sampling grids (batch, side, side, 2) in pixels (col, row) of the source images.

    Args:
        windows: (batch, 3) middle row, middle col and side in pixels; turned (most by up to 45
            degrees), stretched and bent about it; never mirrored, as no image is.
    """
    batch = len(windows)
    u = (torch.arange(side) + 0.5) / side - 0.5
    base = torch.stack(torch.meshgrid(u, u, indexing="ij")[::-1], dim=-1).expand(batch, -1, -1, -1)
    anyhow = _rand(batch, generator) < 0.2
    angle = torch.where(anyhow, _uniform(batch, -math.pi, math.pi, generator), _uniform(batch, -0.8, 0.8, generator))
    stretch = _uniform(batch, -0.14, 0.14, generator).exp()
    shear = _uniform(batch, -0.12, 0.12, generator)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    form = torch.zeros(batch, 2, 2)
    form[:, 0, 0], form[:, 0, 1], form[:, 1, 1] = stretch, shear, 1 / stretch
    base = base @ (turn @ form).transpose(1, 2)[:, None]
    for cells, size in ((3, 0.022), (6, 0.009)):
        strength = size * _uniform(batch, 0.0, 1.0, generator) * (_rand(batch, generator) < 0.75)
        base = base + smooth_field(batch, 2, cells, side, generator).permute(0, 2, 3, 1) * strength.view(-1, 1, 1, 1)
    middle = torch.stack([windows[:, 1], windows[:, 0]], -1).view(-1, 1, 1, 2)
    return middle + base * windows[:, 2].view(-1, 1, 1, 1)


def disturbed(images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Other contrasts and artefacts.

    Args:
        images: (batch, channel, row, col), frame and neighbours in channels 0 to 2, the rest over the beat; in [0, 1].
        labels: (batch, class, row, col) shares of each class in a pixel, background first, for channel 0.

    Returns:
        Images of the same shape, not negative.
    """
    side = images.shape[-1]
    batch = len(images)
    images = _tissues(images, labels, generator)
    images = images.clamp(min=0) ** (_normal(batch, 0.28, generator).exp().view(-1, 1, 1, 1))
    images = images * (smooth_field(batch, 1, 2, side, generator) * _some(batch, 0.0, 0.45, 0.7, generator)).exp()
    images = _blur(images, generator)
    images = _ghost(images, generator)
    noise = torch.randn(images.shape, generator=generator) * _some(batch, 0.0, 0.07, 0.6, generator)
    images[:, :3] = (images[:, :3] + noise[:, :3]).abs()
    images[:, 3:] = (images[:, 3:] + 0.6 * noise[:, 3:]).clamp(min=0)
    return _round_field(images, generator)


def _tissues(images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Each structure brighter or darker by itself, and the background's scale of greys bent."""
    batch, classes, side = len(images), labels.shape[1], images.shape[-1]
    factor = _normal((batch, classes), 0.16, generator).exp()
    factor = torch.where(_rand(batch, generator)[:, None] < 0.7, factor, torch.ones_like(factor))
    factor[:, 0] = 1.0
    gain = (_soft(labels) * factor[:, :, None, None]).sum(1, keepdim=True)
    gain = gain * (1 + 0.07 * smooth_field(batch, 1, 14, side, generator) * _some(batch, 0.0, 1.0, 0.5, generator))
    images = images * gain
    knots = torch.rand(batch, 6, generator=generator)
    tops = images.amax((1, 2, 3), keepdim=True).clamp(min=1e-3)
    level = (images / tops).clamp(0, 1) * 5
    low = level.floor().clamp(max=4).long()
    curve = knots.gather(1, low.flatten(1)), knots.gather(1, (low + 1).flatten(1))
    bent = (curve[0] + (curve[1] - curve[0]) * (level - low).flatten(1)).view_as(images) * tops
    share = _some(batch, 0.0, 0.7, 0.35, generator) * (images > 0.02 * tops)
    outside = _soft(labels[:, :1])
    share = share * outside
    share[:, 3:] = 0.0  # the beat is not bent: it holds differences
    return images * (1 - share) + bent * share


def _soft(labels: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(labels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def _blur(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blur of another size in each direction, one image at a time chosen."""
    out = []
    for image in images:
        if float(torch.rand(1, generator=generator)) < 0.55:
            sigma = torch.rand(2, generator=generator) * 1.3 + 0.2
            out.append(_gauss(image[None], float(sigma[0]), float(sigma[1]))[0])
        else:
            out.append(image)
    return torch.stack(out)


def _gauss(images: Tensor, down: float, across: float) -> Tensor:
    channels = images.shape[1]
    for sigma, axis in ((down, 2), (across, 3)):
        at = torch.arange(-4, 5)
        taps = torch.exp(-0.5 * (at / sigma) ** 2)
        taps = taps / taps.sum()
        kernel = taps.view(1, 1, -1, 1) if axis == 2 else taps.view(1, 1, 1, -1)
        pad = (0, 0, 4, 4) if axis == 2 else (4, 4, 0, 0)
        images = F.conv2d(
            F.pad(images, pad, mode="replicate"), kernel.expand(channels, 1, *kernel.shape[2:]), groups=channels
        )
    return images


def _ghost(images: Tensor, generator: torch.Generator) -> Tensor:
    """A faint copy shifted along one axis, as of a heart that beats or a chest that breathes."""
    batch, side = len(images), images.shape[-1]
    axis = 2 + int(torch.randint(2, (1,), generator=generator))
    shift = int(torch.randint(side // 6, side // 2, (1,), generator=generator))
    return images + images.roll(shift, axis) * _some(batch, 0.0, 0.14, 0.3, generator)


def _round_field(images: Tensor, generator: torch.Generator) -> Tensor:
    """Nothing beyond a circle, on some."""
    batch, side = len(images), images.shape[-1]
    u = torch.linspace(-1, 1, side)
    away = (u[None, :, None] - _uniform(batch, -0.3, 0.3, generator).view(-1, 1, 1)) ** 2
    away = away + (u[None, None, :] - _uniform(batch, -0.3, 0.3, generator).view(-1, 1, 1)) ** 2
    radius = _uniform(batch, 0.95, 1.3, generator).view(-1, 1, 1)
    keep = (away < radius**2) | (_rand(batch, generator) > 0.2).view(-1, 1, 1)
    return images * keep[:, None]


def _rand(batch: int, generator: torch.Generator) -> Tensor:
    return torch.rand(batch, generator=generator)


def _uniform(batch: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(batch, generator=generator)


def _normal(shape: int | tuple[int, ...], deviation: float, generator: torch.Generator) -> Tensor:
    return deviation * torch.randn(shape, generator=generator)


def _some(batch: int, low: float, high: float, chance: float, generator: torch.Generator) -> Tensor:
    """(batch, 1, 1, 1): uniform in [low, high] for `chance` of them, 0 for the rest."""
    value = _uniform(batch, low, high, generator) * (_rand(batch, generator) < chance)
    return value.view(-1, 1, 1, 1)
