"""Losses as pure functions."""

from __future__ import annotations

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


def flood(loss: Tensor, level: float) -> Tensor:
    """|loss - level| + level, which keeps a training loss from sinking below `level` (Ishida et al. 2020)."""
    return (loss - level).abs() + level


def huber(prediction: Tensor, target: Tensor, *, delta: float) -> Tensor:
    """Mean Huber loss in the unit of the target: squared within `delta`, linear beyond."""
    return F.huber_loss(prediction, target, delta=delta)
