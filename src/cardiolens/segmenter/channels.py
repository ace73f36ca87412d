"""What the networks see of a frame: itself, its neighbours in the stack, and where the heart moves."""

from __future__ import annotations

import torch
from torch import Tensor

CHANNELS = ("frame", "plane before", "plane after", "mean over the beat", "range over the beat")
"""Absent ones are zero after `normalised`: the ends of a stack, a single plane, a single phase."""
_LIGHT = 3.5


def channels_of(frames: Tensor) -> Tensor:
    """(slice, time, row, col) -> (slice, time, channel, row, col), any scale of intensity; NaN where absent."""
    n, phases = frames.shape[:2]
    absent = torch.full_like(frames[:1], torch.nan)
    before, after = torch.cat([absent, frames[:-1]]), torch.cat([frames[1:], absent])
    low, high = frames.amin(1, keepdim=True), frames.amax(1, keepdim=True)
    mean, span = (low + high) / 2, high - low
    if phases == 1:
        mean, span = torch.full_like(mean, torch.nan), torch.full_like(span, torch.nan)
    shape = (n, phases, *frames.shape[2:])
    return torch.stack([frames, before, after, mean.expand(shape), span.expand(shape)], dim=2)


def normalised(images: Tensor) -> Tensor:
    """(batch, channel, row, col) with NaN where absent: centred and scaled by the frame's own spread, absent as zero.

    The spread is that of the frame (channel 0) where it is not background; the range over the beat is scaled only.
    """
    frame = images[:, :1]
    inside = (frame > 0.02 * frame.amax((2, 3), keepdim=True)).float()
    count = inside.sum((2, 3), keepdim=True).clamp(min=1.0)
    mean = (frame * inside).sum((2, 3), keepdim=True) / count
    spread = (((frame - mean) ** 2 * inside).sum((2, 3), keepdim=True) / count).sqrt().clamp(min=1e-6)
    out = torch.cat([(images[:, :4] - mean) / spread, images[:, 4:] / spread], dim=1)
    return torch.nan_to_num(out.clamp(-_LIGHT, _LIGHT), nan=0.0)
