"""From the frames of one plane to a clip for the network, and batched augmentation of clips.

The transform travels with the weights: the one in a model's card is used at training, at prediction and in the app.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.errors import CheckpointError, ReadError

# How far one unit of AugMix severity (1 to 10) moves each operation at most.  The paper gives no strengths; ours.
_MAX_ROTATE_DEG = 30.0
_MAX_SHEAR = 0.3
_MAX_TRANSLATE = 0.3  # of half the field
_MAX_ZOOM = 0.3
_MAX_CONTRAST = 0.5
_MAX_BRIGHTNESS = 0.3
_MAX_LOG_GAMMA = 0.5


@dataclass(frozen=True)
class ClipTransform:
    """One plane to one clip: uniform frames in time, short side resized, centre cropped, scaled to [0, 1].

    The geometry in pixels (short side 264, crop 224) is that of Shad et al.'s published inputs; the percentiles between
    which intensities are scaled are our choice, since MR units are arbitrary.

    Attributes:
        frames: frames kept, evenly spaced over the cycle; a plane with fewer repeats some.
        short_side: pixels of the shorter image side after resizing.
        crop: side of the centred square that is kept, pixels.
        channels: 1, or 3 copies of the grey image.
        percentiles: intensities of the plane (over time and space) that become 0 and 1.
    """

    frames: int = 16
    short_side: int = 264
    crop: int = 224
    channels: int = 1
    percentiles: tuple[float, float] = (0.5, 99.5)

    def __post_init__(self) -> None:
        object.__setattr__(self, "percentiles", (float(self.percentiles[0]), float(self.percentiles[1])))
        if self.crop > self.short_side or min(self.frames, self.crop) < 1 or self.channels not in (1, 3):
            raise CheckpointError(f"impossible clip transform {self}; crop must fit the short side, channels be 1 or 3")

    def __call__(self, plane: npt.NDArray[Any]) -> Tensor:
        """Make a clip of one plane.

        Args:
            plane: (time, row, col), any real dtype.

        Returns:
            (channels, frames, crop, crop), float32 in [0, 1].

        Raises:
            ReadError: a plane of another shape or with NaN.
        """
        if plane.ndim != 3 or min(plane.shape) < 1:
            raise ReadError(f"a plane must be (time, row, col), got shape {plane.shape}")
        picked = torch.linspace(0, plane.shape[0] - 1, self.frames).long()
        frames = torch.from_numpy(np.ascontiguousarray(plane[picked.numpy()], dtype=np.float32))
        if not bool(torch.isfinite(frames).all()):
            raise ReadError("a plane holds NaN or infinite pixels")
        frames = fit(frames, self.short_side, self.crop)
        low, high = np.percentile(frames.numpy(), self.percentiles)
        frames = ((frames - float(low)) / max(float(high - low), 1e-6)).clamp_(0.0, 1.0)
        return frames[None].expand(self.channels, -1, -1, -1).contiguous()

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "percentiles": list(self.percentiles)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ClipTransform:
        """Rebuild from a model card; an unknown field is an error, never ignored."""
        unknown = set(fields) - set(cls.__dataclass_fields__)
        if unknown:
            raise CheckpointError(f"the card's transform has unknown fields {sorted(unknown)}; update cardiolens")
        return cls(**fields)


def fit(frames: Tensor, short_side: int, crop: int) -> Tensor:
    """(time, row, col) float -> (time, crop, crop): the shorter side resized, the centre kept."""
    rows, cols = frames.shape[-2:]
    scale = short_side / min(rows, cols)
    size = (max(short_side, int(rows * scale)), max(short_side, int(cols * scale)))
    if size != (rows, cols):
        frames = F.interpolate(frames[:, None], size=size, mode="bilinear", antialias=True, align_corners=False)[:, 0]
    top, left = (size[0] - crop) // 2, (size[1] - crop) // 2
    return frames[:, top : top + crop, left : left + crop]


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
