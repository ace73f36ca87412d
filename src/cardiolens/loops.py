"""From a loop of any modality to clips for a video network.  The transform travels with the weights, in the card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cardiolens.errors import CheckpointError, InputError
from cardiolens.transforms import fit
from cardiolens.volume import Volume

_GREYS = 255.0
_LOOKED_AT = 32  # frames of a loop whose intensities are looked at


@dataclass(frozen=True)
class LoopTransform:
    """One loop to clips: short side resized, centre cropped, scaled to [0, 1], in 256 greys; then frames by stride.

    Attributes:
        frames: of a clip.
        stride: a clip takes every so many-th frame, so a long loop has many clips; None takes frames evenly spaced
            over the whole loop, for cines that hold one beat.
        short_side: pixels of the shorter image side after resizing; crop: side of the centred square that is kept.
        channels: 1, or 3 copies of the grey image; colour becomes grey (the mean of its channels).
        percentiles: intensities of the loop (over time and space) that become 0 and 1; ours.
    """

    frames: int = 16
    stride: int | None = 4
    short_side: int = 224
    crop: int = 224
    channels: int = 3
    percentiles: tuple[float, float] = (0.5, 99.5)

    def __post_init__(self) -> None:
        object.__setattr__(self, "percentiles", (float(self.percentiles[0]), float(self.percentiles[1])))
        small = min(self.frames, self.crop, 1 if self.stride is None else self.stride)
        if self.crop > self.short_side or small < 1 or self.channels not in (1, 3):
            raise CheckpointError(f"impossible loop transform {self}; crop must fit the short side, channels be 1 or 3")

    @property
    def extent(self) -> int:
        """Frames that a loop must have."""
        return 1 if self.stride is None else (self.frames - 1) * self.stride + 1

    def prepare(self, volume: Volume) -> Tensor:
        """The whole loop as (time, crop, crop) uint8, what clips are cut from.

        Raises:
            InputError: images that run through depth, a loop shorter than a clip, or NaN in it.
        """
        if volume.along != "time":
            raise InputError(f"{volume.source}: images run along {volume.along}, a video model takes loops over time")
        if len(volume) < self.extent:
            raise InputError(
                f"{volume.source}: {len(volume)} frames are too few for a clip of {self.frames} at a stride of "
                f"{self.stride}, which spans {self.extent}; take fewer frames or a smaller stride"
            )
        images = volume.images.mean(-1) if volume.in_colour else volume.images
        grey = np.ascontiguousarray(images, dtype=np.float32)
        if not np.isfinite(grey).all():
            raise InputError(f"{volume.source}: the loop holds NaN or infinite pixels")
        frames = torch.from_numpy(fit(grey, self.short_side, self.crop))
        looked = frames[:: -(-len(frames) // _LOOKED_AT)]
        low, high = np.percentile(looked.numpy(), self.percentiles)
        scaled = ((frames - float(low)) / max(float(high - low), 1e-6)).clamp_(0.0, 1.0)
        return (scaled * _GREYS).round_().to(torch.uint8)

    def starts(self, length: int, clips: int) -> list[int]:
        """First frames of up to so many clips, evenly spread over a loop; the loop's only clip where there is one."""
        last = 0 if self.stride is None else length - self.extent
        return sorted({round(at) for at in np.linspace(0, last, max(1, clips))}) if clips > 1 else [last // 2]

    def random_start(self, length: int, generator: np.random.Generator) -> int:
        """A first frame at random."""
        return 0 if self.stride is None else int(generator.integers(length - self.extent + 1))

    def clip(self, loop: Tensor, start: int) -> Tensor:
        """(time, crop, crop) uint8 of `prepare` -> (channels, frames, crop, crop) float32 in [0, 1]."""
        if self.stride is None:
            picked = torch.linspace(0, len(loop) - 1, self.frames).long()
        else:
            picked = start + self.stride * torch.arange(self.frames)
        return (loop[picked].float() / _GREYS)[None].expand(self.channels, -1, -1, -1)

    def clips(self, volume: Volume, count: int) -> Tensor:
        """Up to so many clips of a loop, (clip, channels, frames, crop, crop); see `prepare`."""
        loop = self.prepare(volume)
        return torch.stack([self.clip(loop, start) for start in self.starts(len(loop), count)])

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "percentiles": list(self.percentiles)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> LoopTransform:
        """Rebuild from a model card; an unknown field is an error, never ignored."""
        unknown = set(fields) - set(cls.__dataclass_fields__)
        if unknown:
            raise CheckpointError(f"the card's transform has unknown fields {sorted(unknown)}; update cardiolens")
        return cls(**fields)
