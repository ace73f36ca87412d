"""AugMix on batches of clips."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# How far one unit of AugMix severity (1 to 10) moves each operation at most.  The paper gives no strengths; ours.
_MAX_ROTATE_DEG = 30.0
_MAX_SHEAR = 0.3
_MAX_TRANSLATE = 0.3  # of half the field
_MAX_ZOOM = 0.3
_MAX_CONTRAST = 0.5
_MAX_BRIGHTNESS = 0.3
_MAX_LOG_GAMMA = 0.5


def augmix(
    clips: Tensor, generator: torch.Generator, *, severity: float = 3.0, width: int = 3, alpha: float = 1.0
) -> Tensor:
    """AugMix on a batch of clips, one draw a clip, the same for every frame of it.

    Each of `width` chains applies one to three of rotation, shear, translation, zoom, contrast, brightness and gamma; a
    chain's spatial steps are one affine resampling.  The chains are mixed by Dirichlet weights, then with the original
    by a Beta weight (Hendrycks et al. 2020, algorithm 1; the operations are those that Shad et al. name).

    Args:
        clips: (batch, channel, time, row, col), float in [0, 1].
        generator: source of all randomness, on the device of the clips.
        severity: 0 (nothing) to 10.
        width: number of chains.
        alpha: of the Dirichlet and Beta distributions.

    Returns:
        clips of the same shape, in [0, 1].
    """
    if severity <= 0 or width < 1:
        return clips
    batch = clips.shape[0]
    strength = severity / 10.0
    gamma = _sample_gamma(alpha, (batch, width + 2), generator, clips)
    weights = gamma[:, :width] / gamma[:, :width].sum(1, keepdim=True)
    keep = gamma[:, width] / gamma[:, width:].sum(1)
    mixed = torch.zeros_like(clips)
    for chain in range(width):
        mixed += weights[:, chain].view(-1, 1, 1, 1, 1) * _chain(clips, strength, generator)
    keep = keep.view(-1, 1, 1, 1, 1)
    return (keep * clips + (1 - keep) * mixed).clamp_(0.0, 1.0)


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device, dtype=torch.float32) * 2 - 1


def _sample_gamma(alpha: float, shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Gamma(alpha, 1) draws: exact for whole alpha as a sum of exponentials, which is all that AugMix uses."""
    count = max(1, round(alpha))
    uniform = torch.rand((*shape, count), generator=generator, device=like.device)
    return -torch.log1p(-uniform.clamp(max=1 - 1e-6)).sum(-1) + 1e-6


def _chain(clips: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """One chain: a random one to three of seven operations, each clip with its own."""
    batch, channels, time, rows, cols = clips.shape
    draws = _uniform((batch, 8), generator, clips)
    order = torch.rand((batch, 7), generator=generator, device=clips.device).argsort(1).argsort(1)
    depth = torch.randint(1, 4, (batch, 1), generator=generator, device=clips.device)
    rotate, shear, shift, zoom, contrast, brightness, gamma = (
        (order < depth).float() * strength * torch.cat([draws[:, :2], draws[:, 2:3], draws[:, 4:8]], 1)
    ).unbind(1)
    shift_row = (order[:, 2:3] < depth).float()[:, 0] * strength * draws[:, 3]
    theta = _affines(rotate, shear, shift, shift_row, zoom)
    grid = F.affine_grid(theta, [batch, 1, rows, cols], align_corners=False).to(clips.dtype)
    moved = F.grid_sample(clips.reshape(batch, channels * time, rows, cols), grid, align_corners=False)
    moved = moved.view(clips.shape)
    gain, offset, exponent = (
        value.view(-1, 1, 1, 1, 1).to(clips.dtype)
        for value in (
            1 + _MAX_CONTRAST * contrast,
            _MAX_BRIGHTNESS * brightness,
            torch.exp(_MAX_LOG_GAMMA * gamma),
        )
    )
    return ((moved - 0.5) * gain + 0.5 + offset).clamp(1e-4, 1.0) ** exponent


def _affines(rotate: Tensor, shear: Tensor, shift_col: Tensor, shift_row: Tensor, zoom: Tensor) -> Tensor:
    """(batch, 2, 3) sampling matrices from strengths in [-1, 1]."""
    angle = rotate * math.radians(_MAX_ROTATE_DEG)
    cos, sin = torch.cos(angle), torch.sin(angle)
    scale = 1 + _MAX_ZOOM * zoom
    skew = _MAX_SHEAR * shear
    top = torch.stack([scale * cos, scale * (skew * cos - sin), _MAX_TRANSLATE * shift_col], 1)
    bottom = torch.stack([scale * sin, scale * (skew * sin + cos), _MAX_TRANSLATE * shift_row], 1)
    return torch.stack([top, bottom], 1)
