"""3D vision transformer with a factorised encoder: space first, then time (Arnab et al. 2021, ViViT, model 2).

The 3D ViT that SLIViT is compared with (Avram et al. 2024).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cardiolens.errors import CheckpointError
from cardiolens.models.transformer import Block, initialise


@dataclass(frozen=True)
class ViT3dConfig:
    """Every number of the architecture.

    Attributes:
        frames, crop: size of a volume: slices, edge in pixels.
        patch: edge of a patch in pixels; depth: slices of it.
        width, heads, layers, layers_depth: of the transformers over a slice and over the slices; the published one has
            width 192, 3 heads, depth 4 in vit-pytorch's version, which the paper took.
    """

    kind: Literal["vit3d"] = "vit3d"
    frames: int = 32
    crop: int = 256
    channels: int = 1
    patch: int = 16
    depth: int = 2
    width: int = 192
    heads: int = 3
    layers: int = 4
    layers_depth: int = 4

    def __post_init__(self) -> None:
        whole = self.crop % self.patch == 0 and self.frames % self.depth == 0 and self.width % self.heads == 0
        if not whole or self.kind != "vit3d":
            raise CheckpointError(f"not a valid 3D ViT: patches must cut the volume into whole pieces: {self}")

    @property
    def out_width(self) -> int:
        return self.width

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class ViT3d(nn.Module):
    """A volume in, one vector out."""

    def __init__(self, config: ViT3dConfig) -> None:
        super().__init__()
        self.config = config
        size = (config.depth, config.patch, config.patch)
        self.patch = nn.Conv3d(config.channels, config.width, size, stride=size)
        rooms = (config.crop // config.patch) ** 2, config.frames // config.depth
        self.cls_space, self.cls_depth = (nn.Parameter(torch.zeros(1, 1, config.width)) for _ in range(2))
        self.pos_space = nn.Parameter(0.02 * torch.randn(1, rooms[0] + 1, config.width))
        self.pos_depth = nn.Parameter(0.02 * torch.randn(1, rooms[1] + 1, config.width))
        self.space = nn.Sequential(*(Block(config.width, config.heads) for _ in range(config.layers)))
        self.over_depth = nn.Sequential(*(Block(config.width, config.heads) for _ in range(config.layers_depth)))
        self.norm = nn.LayerNorm(config.width)
        initialise(self)

    def forward(self, clips: Tensor) -> Tensor:
        """(batch, channel, slice, row, col) in [0, 1] -> (batch, out_width)."""
        x = self.patch(clips.expand(-1, self.config.channels, -1, -1, -1))
        count, steps = len(x), x.shape[2]
        x = x.flatten(3).permute(0, 2, 3, 1).flatten(0, 1)  # (batch * step, place, width)
        x = self.space(torch.cat([self.cls_space.expand(len(x), -1, -1), x], 1) + self.pos_space)[:, 0]
        x = torch.cat([self.cls_depth.expand(count, -1, -1), x.reshape(count, steps, -1)], 1) + self.pos_depth
        found: Tensor = self.norm(self.over_depth(x)[:, 0])
        return found
