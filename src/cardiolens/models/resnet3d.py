"""3D residual network for video (Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions", arXiv 1711.11248).

The other kind of video encoder that Shad et al. tried, and R3D and R(2+1)D that SLIViT is compared with.  Parts are
named as in torchvision's `r3d_18` and `r2plus1d_18`; Kinetics-400 weights (KINETICS400_V1) of the first load by name.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import CheckpointError
from cardiolens.models.mvit import with_motion

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class ResNet3dConfig:
    """Every number of the architecture; the defaults are torchvision's `r3d_18`.

    Attributes:
        kind: tells this architecture from others in a card.
        frames, crop: clip length and edge, in frames and pixels.
        channels: input channels of the first convolution.
        block: "basic" (two 3x3x3 convolutions, as in the 18-layer network), "bottleneck" (1, 3 and 1, as in the
            50-layer one, four times as wide at its end), or "factorised" (basic, each convolution in the plane and
            then through time: R(2+1)D).
        depths: blocks of each stage; every stage but the first halves time, rows and columns and doubles the width.
        width: of the first stage.
        stem_stride: (time, row, col) of the first convolution, 3x7x7.
        norm: "batch", or "group" (8 groups; Wu and He 2018), which does not look at the rest of a batch.
        motion: see `MViTConfig`; not the publishers'.
    """

    kind: Literal["resnet3d"] = "resnet3d"
    frames: int = 16
    crop: int = 112
    channels: int = 3
    block: Literal["basic", "bottleneck", "factorised"] = "basic"
    depths: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    stem_stride: Triple = (1, 2, 2)
    norm: Literal["batch", "group"] = "batch"
    motion: bool = False

    def __post_init__(self) -> None:
        for name in ("depths", "stem_stride"):
            object.__setattr__(self, name, tuple(int(v) for v in getattr(self, name)))  # JSON gives lists
        known = self.block in ("basic", "bottleneck", "factorised") and self.norm in ("batch", "group")
        if not known or not self.depths or min(self.depths) < 1 or self.width % 8 or self.kind != "resnet3d":
            raise CheckpointError(f"not a valid 3D ResNet architecture: {self}")

    @property
    def expansion(self) -> int:
        """Width of a block's end over the width of its 3x3x3 convolution."""
        return 4 if self.block == "bottleneck" else 1

    @property
    def out_width(self) -> int:
        return int(self.width * 2 ** (len(self.depths) - 1) * self.expansion)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _norm(config: ResNet3dConfig, width: int) -> nn.Module:
    return nn.BatchNorm3d(width) if config.norm == "batch" else nn.GroupNorm(8, width)


def _convolution(config: ResNet3dConfig, wide: int, out: int, size: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv3d(wide, out, size, stride=stride, padding=size // 2, bias=False), _norm(config, out)]


def _in_two(config: ResNet3dConfig, wide: int, out: int, between: int, stride: int) -> list[nn.Module]:
    """A 3x3x3 convolution as one in the plane and one through time."""
    plane = nn.Conv3d(wide, between, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)
    time = nn.Conv3d(between, out, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False)
    return [nn.Sequential(plane, _norm(config, between), nn.ReLU(), time), _norm(config, out)]


def _between(config: ResNet3dConfig, wide: int, out: int) -> int:
    """Channels between the two: as many weights as 3x3x3 has; for group norm, brought to a multiple of its groups."""
    exact = (wide * out * 27) // (wide * 9 + 3 * out)
    return exact if config.norm == "batch" else max(8, exact // 8 * 8)


class ResidualBlock(nn.Module):
    """Two convolutions, or three around a bottleneck, added to their input (brought to size where it differs)."""

    def __init__(self, config: ResNet3dConfig, wide: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * config.expansion
        sizes = [(wide, width, 3, stride), (width, out, 3, 1)]
        if config.block == "bottleneck":
            sizes = [(wide, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
        layers = [_convolution(config, *size) for size in sizes]
        if config.block == "factorised":
            between = _between(config, wide, width)
            layers = [_in_two(config, wide, width, between, stride), _in_two(config, width, out, between, 1)]
        self.conv1 = nn.Sequential(*layers[0], nn.ReLU())
        self.conv2 = nn.Sequential(*layers[1], *([nn.ReLU()] if len(layers) == 3 else []))
        self.conv3 = nn.Sequential(*layers[2]) if len(layers) == 3 else None
        self.downsample = (
            nn.Sequential(*_convolution(config, wide, out, 1, stride)) if (stride, wide) != (1, out) else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, wide, time, row, col) -> (batch, width * expansion, time', row', col')."""
        y = self.conv2(self.conv1(x))
        if self.conv3 is not None:
            y = self.conv3(y)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def _stem(config: ResNet3dConfig, channels: int) -> nn.Sequential:
    """The first convolution; of R(2+1)D 1x7x7 and then 3x1x1 with 45 channels between at the width of 64."""
    out, stride = config.width, config.stem_stride
    if config.block != "factorised":
        first = nn.Conv3d(channels, out, (3, 7, 7), stride=stride, padding=(1, 3, 3), bias=False)
        return nn.Sequential(first, _norm(config, out), nn.ReLU())
    between = 45 * out // 64 if config.norm == "batch" else max(8, 45 * out // 64 // 8 * 8)
    plane = nn.Conv3d(channels, between, (1, 7, 7), stride=(1, *stride[1:]), padding=(0, 3, 3), bias=False)
    time = nn.Conv3d(between, out, (3, 1, 1), stride=(stride[0], 1, 1), padding=(1, 0, 0), bias=False)
    return nn.Sequential(plane, _norm(config, between), nn.ReLU(), time, _norm(config, out), nn.ReLU())


class ResNet3d(nn.Module):
    """Video encoder: a clip in, one vector out.

    >>> encoder = ResNet3d(ResNet3dConfig())                               # doctest: +SKIP
    >>> encoder(torch.zeros(2, 3, 16, 112, 112)).shape                     # doctest: +SKIP
    torch.Size([2, 512])
    """

    def __init__(self, config: ResNet3dConfig) -> None:
        super().__init__()
        self.config = config
        channels = 2 * config.channels if config.motion else config.channels
        self.stem = _stem(config, channels)
        wide = config.width
        for stage, depth in enumerate(config.depths):
            width = config.width * 2**stage
            blocks = []
            for index in range(depth):
                blocks.append(ResidualBlock(config, wide, width, 2 if stage > 0 and index == 0 else 1))
                wide = width * config.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, clips: Tensor) -> Tensor:
        """(batch, channels, time, row, col) in [0, 1] -> (batch, out_width): the mean over time and space.

        A grey clip (one channel) is taken as the same image in every channel.
        """
        if clips.shape[1] == 1 and self.config.channels > 1:
            clips = clips.expand(-1, self.config.channels, -1, -1, -1)
        if self.config.motion:
            clips = with_motion(clips)
        x = self.stem(clips)
        for stage in range(len(self.config.depths)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        pooled: Tensor = x.mean((2, 3, 4))
        return pooled
