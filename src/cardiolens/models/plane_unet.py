"""A compact U-Net over single image planes: the network of the bundled segmenter."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class PlaneUNetConfig:
    """`channels` in, `classes` out, `widths` from full resolution downwards, each level at half the one before."""

    channels: int = 5
    classes: int = 4
    widths: tuple[int, ...] = (24, 48, 96, 128, 160)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(int(width) for width in self.widths))
        if self.channels < 1 or self.classes < 2 or len(self.widths) < 2 or any(w % 8 for w in self.widths):
            raise ValueError(f"PlaneUNet: no such network: {self}; widths must be multiples of 8, two levels or more")

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "widths": list(self.widths)}


class PlaneUNet(nn.Module):
    """(batch, channel, row, col) -> logits (batch, class, row, col); sides must divide by 2 ** (levels - 1)."""

    def __init__(self, config: PlaneUNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.down = nn.ModuleList(
            _Block(before, width) for before, width in zip((config.channels, *widths), widths, strict=False)
        )
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(_Block(deep + fine, fine) for deep, fine in pairs)
        self.head = nn.Conv2d(widths[0], config.classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        multiple = 2 ** (len(self.down) - 1)
        if images.ndim != 4 or images.shape[1] != self.config.channels or any(n % multiple for n in images.shape[2:]):
            raise ValueError(
                f"PlaneUNet: expects (batch, {self.config.channels}, row, col) with sides that divide by {multiple}, "
                f"got {tuple(images.shape)}"
            )
        x, kept = images, []
        for number, block in enumerate(self.down):
            x = block(x if number == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        kept.pop()
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), kept.pop()], dim=1))
        logits: Tensor = self.head(x)
        return logits


class _Block(nn.Module):
    """Two convolutions, each with group norm and activation, and a shortcut."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(8, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(8, width)
        self.short = nn.Conv2d(before, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.norm1(self.first(x)))
        return F.silu(self.norm2(self.second(y)) + self.short(x))
