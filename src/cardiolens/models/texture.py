"""Texture of clips: fine structure that tells a scan from a picture of the same grey levels, noise and motion.

Two families.  Local binary patterns (Ojala et al. 2002, rotation-invariant uniform) say how each pixel stands to its
eight neighbours, within the frame and, cutting the movie along time, over the cycle (LBP-TOP, Zhao and Pietikäinen
2007).  Derivative statistics at four scales say how strong, how one-sided and how tied to brightness fine detail is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.models.look_names import COL, CURVATURE, CUTS, ROW, SCALES, SLOPE

_FLOOR = 2e-3  # of a pattern's share: rarer ones differ by chance
_AROUND = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
_MOST_FRAMES, _MOST_LINES = 4, 40


def texture_statistics(movie: Tensor) -> Tensor:
    """Measure the texture of each clip; pattern shares and levels are logarithms, ties are correlations.

    Args:
        movie: (clip, time, row, col), float in [0, 1].

    Returns:
        (clip, len(TEXTURES)), finite also for a constant, small or one-frame clip.
    """
    frames = movie[:, :: max(1, movie.shape[1] // _MOST_FRAMES)]
    columns = []
    for _, axes, radius in CUTS:
        within = axes == (ROW, COL)
        columns.append(_patterns(frames if within else _thinned(movie, axes), axes, radius))
    return torch.cat([*columns, _derivatives(frames)], 1)


def _thinned(movie: Tensor, axes: Sequence[int]) -> Tensor:
    """Fewer of the lines that a cut along time does not look along: neighbours say the same."""
    across = COL if ROW in axes else ROW
    step = max(1, movie.shape[across] // _MOST_LINES)
    return movie[:, :, ::step] if across == ROW else movie[..., ::step]


def _patterns(movie: Tensor, axes: tuple[int, int], radius: int) -> Tensor:
    """(clip, 10): log share of pixels with 0 to 8 neighbours at least as bright in one run, and of all others."""
    for axis in axes:
        movie = _at_least(movie, axis, 2 * radius + 1)
    first, second = axes

    def neighbour(by: tuple[int, int]) -> Tensor:
        kept = movie.narrow(first, radius * (1 + by[0]), movie.shape[first] - 2 * radius)
        return kept.narrow(second, radius * (1 + by[1]), movie.shape[second] - 2 * radius)

    centre = neighbour((0, 0))
    brighter = torch.stack([neighbour(by) >= centre for by in _AROUND]).to(torch.int8)
    ones = brighter.sum(0)
    turns = (brighter != brighter.roll(1, 0)).sum(0)
    codes = torch.where(turns <= 2, ones, 9).flatten(1)
    share = torch.zeros(movie.shape[0], 10, device=movie.device)
    share.scatter_add_(1, codes, torch.ones_like(codes, dtype=share.dtype))
    return torch.log(share / codes.shape[1] + _FLOOR)


def _at_least(movie: Tensor, axis: int, size: int) -> Tensor:
    """The movie with its last element along the axis repeated until it is so long."""
    lacking = size - movie.shape[axis]
    if lacking <= 0:
        return movie
    return torch.cat([movie, *[movie.narrow(axis, movie.shape[axis] - 1, 1)] * lacking], axis)


def _derivatives(frames: Tensor) -> Tensor:
    """Columns of the second family; frames (clip, time, row, col)."""
    smallest = 4 * SCALES[-1]
    image = _at_least(_at_least(frames, ROW, smallest), COL, smallest)
    columns: list[Tensor] = []
    ties: list[Tensor] = []
    finer: Tensor | None = None
    for _ in SCALES:
        centre = image[..., 1:-1, 1:-1]
        slope = torch.hypot(image[..., 1:-1, 2:] - image[..., 1:-1, :-2], image[..., 2:, 1:-1] - image[..., :-2, 1:-1])
        bend = (
            image[..., 1:-1, 2:] + image[..., 1:-1, :-2] + image[..., 2:, 1:-1] + image[..., :-2, 1:-1] - 4 * centre
        ).flatten(1)
        columns += [_log_levels(bend.abs(), CURVATURE), _log_levels(slope.flatten(1), SLOPE), _sides(bend)]
        edges, grey = slope.flatten(1), centre.flatten(1)
        pairs = ((edges, grey), (bend.abs(), grey), (bend.abs(), edges), (-bend, grey))
        columns.append(torch.stack([_correlation(one, other) for one, other in pairs], 1))
        slope = F.pad(slope, (1, 1, 1, 1))
        if finer is not None:
            smaller = F.avg_pool2d(finer, 2)
            same = slope[..., : smaller.shape[-2], : smaller.shape[-1]]
            ties.append(_correlation(smaller.flatten(1), same.flatten(1))[:, None])
        finer, image = slope, F.avg_pool2d(image, 2)
    return torch.cat([*columns, *ties], 1)


def _log_levels(values: Tensor, shares: Sequence[float]) -> Tensor:
    return torch.log(torch.quantile(values, values.new_tensor(shares), dim=1) + 1e-4).T


def _sides(bend: Tensor) -> Tensor:
    """(clip, 2): skewness, bright spots (negative curvature) counting positive; log ratio of the two extremes."""
    spots = -bend
    skewness = spots.pow(3).mean(1) / (spots.square().mean(1).pow(1.5) + 1e-9)
    dark, bright = torch.quantile(spots, spots.new_tensor([0.02, 0.98]), dim=1)
    return torch.stack([skewness, torch.log(bright.clamp_min(0) + 1e-4) - torch.log((-dark).clamp_min(0) + 1e-4)], 1)


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson's, over the pixels of each clip; 0 where one of them is constant."""
    one, other = one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True)
    both = (one.square().mean(1) * other.square().mean(1)).sqrt()
    return (one * other).mean(1) / (both + 1e-9)
