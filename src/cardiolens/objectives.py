"""Losses as pure functions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(
    video: Tensor, text: Tensor, owner: Tensor | None = None, *, temperature: float = 0.1, video_weight: float = 0.75
) -> Tensor:
    """Asymmetric bidirectional InfoNCE (Shad et al., eqs. 1 and 2; ConVIRT, Zhang et al. 2022, eqs. 2 to 4).

    Args:
        video: (clip, width); text: (study, width); both are normalised here.
        owner: (clip,) row of `text` that each clip belongs to; None means one clip a study, in order.  Clips of one
            study are never each other's negatives.
        temperature: tau.  The paper gives none; 0.1 is ConVIRT's.
        video_weight: lambda, the share of the video-to-text part.  The paper gives none; 0.75 is ConVIRT's.

    Returns:
        scalar, mean over the pairs of clip and report.
    """
    owner = torch.arange(len(text), device=text.device) if owner is None else owner
    logits = F.normalize(video, dim=-1) @ F.normalize(text, dim=-1).T / temperature
    to_text = F.cross_entropy(logits, owner)
    positive = logits.gather(1, owner[:, None])[:, 0]
    own = owner[:, None] == torch.arange(len(text), device=text.device)
    others = logits.masked_fill(own, -torch.inf).logsumexp(0)[owner]
    to_video = (torch.logaddexp(positive, others) - positive).mean()
    return video_weight * to_text + (1 - video_weight) * to_video


def nt_xent(embeddings: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss (Chen et al. 2020, eq. 1): each look at an image finds the other one among all looks of the batch.

    Args:
        embeddings: (2 * image, width), the second look at image i in row image + i.
    """
    unit = F.normalize(embeddings, dim=1)
    count = len(unit) // 2
    likeness = unit @ unit.T / temperature
    likeness = likeness.masked_fill(torch.eye(len(unit), dtype=torch.bool, device=unit.device), float("-inf"))
    partner = torch.arange(len(unit), device=unit.device).roll(count)
    return F.cross_entropy(likeness, partner)


def flood(loss: Tensor, level: float) -> Tensor:
    """|loss - level| + level, which keeps a training loss from sinking below `level` (Ishida et al. 2020)."""
    return (loss - level).abs() + level


def huber(prediction: Tensor, target: Tensor, *, delta: float) -> Tensor:
    """Mean Huber loss in the unit of the target: squared within `delta`, linear beyond."""
    return F.huber_loss(prediction, target, delta=delta)


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over what is known; NaN in the target is not."""
    known = torch.isfinite(target)
    return F.mse_loss(prediction[known], target[known], reduction="sum") / known.sum().clamp(min=1)


def cross_entropy(logits: Tensor, target: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with label smoothing (Szegedy et al. 2016): logits (batch, class, ...), target (batch, ...) of
    class numbers; -1 is not known and does not count."""
    total = F.cross_entropy(logits, target, label_smoothing=smoothing, ignore_index=-1, reduction="sum")
    return total / (target >= 0).sum().clamp(min=1)


def soft_dice(shares: Tensor, target: Tensor, *, smooth: float = 1e-5) -> Tensor:
    """1 - Dice of each sample and class, (batch, class): shares and target (batch, class, ...) in [0, 1]
    (Milletari et al. 2016 without squares, as MONAI's `DiceLoss`)."""
    shares, target = shares.flatten(2), target.flatten(2)
    both = (shares * target).sum(2)
    return 1.0 - (2.0 * both + smooth) / (shares.sum(2) + target.sum(2) + smooth)


def dice_and_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Dice of the structures (without background) plus cross-entropy, CineMA's loss of segmentation (table 16).

    Args:
        logits: (batch, class, ...), class 0 the background; labels: (batch, ...) class numbers.
    """
    target = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    dice = soft_dice(logits.softmax(1)[:, 1:], target[:, 1:])
    return dice.mean() + F.cross_entropy(logits, labels)


def heat_maps(points: Tensor, size: tuple[int, int], *, sigma: float = 3.0) -> Tensor:
    """exp(-|p - point|^2 / (2 sigma^2)) about each point (CineMA, section 4.5; sigma 3 pixels).

    Args:
        points: (batch, landmark, 2) in pixels of the two axes; NaN gives a map of zeros.
        size: pixels of the two axes.

    Returns:
        (batch, landmark, *size), at most 1.
    """
    axes = [torch.arange(n, device=points.device, dtype=points.dtype) for n in size]
    first, second = (torch.exp(-((axis - points[..., i, None]) ** 2) / (2.0 * sigma**2)) for i, axis in enumerate(axes))
    return (first[..., :, None] * second[..., None, :]).nan_to_num(0.0)


def dice_and_heat(logits: Tensor, target: Tensor) -> Tensor:
    """Dice plus cross-entropy of heat-maps, each landmark by itself through a sigmoid, as in CineMA's code.

    Args:
        logits, target: (batch, landmark, ...); a map of zeros is of a landmark that is not known and does not count.
    """
    known = target.flatten(2).amax(2) > 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    dice = soft_dice(logits.sigmoid(), target)[known].mean()
    return dice + F.binary_cross_entropy_with_logits(logits[known], target[known])


def soft_argmax(heat: Tensor) -> Tensor:
    """(batch, landmark, first, second), not negative -> (batch, landmark, 2): the mean place, weighted by the heat."""
    weights = heat / heat.sum((2, 3), keepdim=True).clamp(min=1e-12)
    axes = [torch.arange(n, device=heat.device, dtype=heat.dtype) for n in heat.shape[2:]]
    return torch.stack([(weights.sum(3) * axes[0]).sum(2), (weights.sum(2) * axes[1]).sum(2)], -1)


def wing(prediction: Tensor, target: Tensor, *, width: float = 10.0, curvature: float = 2.0) -> Tensor:
    """Wing loss of coordinates in pixels, the mean over what is known (Feng et al. 2018, eq. 5, w = 10, epsilon = 2):
    logarithmic within `width`, linear beyond, so that small errors count."""
    known = torch.isfinite(target)
    away = (prediction[known] - target[known]).abs()
    constant = width - width * math.log1p(width / curvature)
    loss = torch.where(away < width, width * torch.log1p(away / curvature), away - constant)
    return loss.sum() / known.sum().clamp(min=1)
