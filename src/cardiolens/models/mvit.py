"""Multiscale vision transformer for video (Fan et al. 2021, "Multiscale Vision Transformers", arXiv 2104.11227).

As Shad et al. use it for cardiac cine clips: MViT-B 16x4 and 32x3.  A clip becomes a grid of tokens that is thinned in
space from stage to stage while the tokens widen; within a block keys and values are thinned further.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import CheckpointError

Grid = tuple[int, int, int]


@dataclass(frozen=True)
class MViTConfig:
    """Every number of the architecture.

    Attributes:
        frames, crop: clip length and edge, in frames and pixels.
        channels: input channels of the patch convolution.
        patch_kernel, patch_stride: (time, row, col).
        width: of a token after the patch convolution; it doubles before each stage start.
        head_width: of one attention head.
        stage_starts: blocks that pool the queries, and so the grid, by 2 in space.
        kv_stride: of each block, in space, relative to the block's own input grid.
        mlp_ratio: width of the hidden layer over width of the token.
        output: the cls token, or the mean of all others.
        motion: the encoder sees beside the image its deviation from the clip's mean image, both scaled to about 1.
        stem: widths of convolutions that halve time and space before the patch convolution (Xiao et al. 2021).
            `output`, `motion` and `stem` are not the paper's: they let a small network learn from random weights.
        norm_eps, pool_norm_eps: of the block norms, and of the norms after pooling (1e-5 in the authors' and
            pytorchvideo's files, 1e-6 in torchvision's).
    """

    frames: int = 16
    crop: int = 224
    channels: int = 3
    patch_kernel: Grid = (3, 7, 7)
    patch_stride: Grid = (2, 4, 4)
    width: int = 96
    head_width: int = 96
    stage_starts: tuple[int, ...] = (1, 3, 14)
    kv_stride: tuple[int, ...] = (8, 4, 4, *[2] * 11, 1, 1)
    mlp_ratio: float = 4.0
    norm_eps: float = 1e-6
    pool_norm_eps: float = 1e-5
    output: Literal["cls", "mean"] = "cls"
    motion: bool = False
    stem: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("patch_kernel", "patch_stride", "stage_starts", "kv_stride", "stem"):
            object.__setattr__(self, name, tuple(int(v) for v in getattr(self, name)))  # JSON gives lists
        if self.width % self.head_width or not self.kv_stride or max(self.stage_starts, default=0) >= self.depth:
            raise CheckpointError(f"not a valid MViT architecture: {self}")

    @property
    def depth(self) -> int:
        return len(self.kv_stride)

    @property
    def grid(self) -> Grid:
        """Tokens (time, row, col) after the patch convolution, which pads by half its kernel."""
        size = tuple(-(-n // 2 ** len(self.stem)) for n in (self.frames, self.crop, self.crop))
        pairs = zip(size, self.patch_kernel, self.patch_stride, strict=True)
        return cast(Grid, tuple((n + 2 * (k // 2) - k) // s + 1 for n, k, s in pairs))

    def width_of(self, block: int) -> int:
        """Token width at the entrance of a block."""
        return int(self.width * 2 ** sum(start <= block for start in self.stage_starts))

    @property
    def out_width(self) -> int:
        return self.width_of(self.depth)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def with_motion(clips: Tensor) -> Tensor:
    """(batch, channels, time, ...) in [0, 1] to twice the channels: the image, and its difference from the mean."""
    moving = clips - clips.mean(2, keepdim=True)
    return torch.cat([4 * (clips - 0.25), 10 * moving], 1)


class Stem(nn.Module):
    """What comes before the patch convolution: the motion channel and the halving convolutions, where asked for."""

    def __init__(self, config: MViTConfig) -> None:
        super().__init__()
        self.motion = config.motion
        width = 2 * config.channels if config.motion else config.channels
        layers: list[nn.Module] = []
        for index, out in enumerate(config.stem):
            kernel = (3, 5, 5) if index == 0 else (3, 3, 3)
            padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
            convolution = nn.Conv3d(width, out, kernel, stride=2, padding=padding)
            layers += [convolution, nn.GroupNorm(4, out), nn.GELU()]
            width = out
        self.layers = nn.Sequential(*layers)
        self.width = width

    def forward(self, clips: Tensor) -> Tensor:
        """(batch, channels, time, row, col) in [0, 1] -> (batch, width, time', row', col')."""
        stemmed: Tensor = self.layers(with_motion(clips) if self.motion else clips)
        return stemmed


class PooledTokens(nn.Module):
    """Depthwise 3x3x3 convolution over the token grid, the same for every head, then LayerNorm over a head.

    The cls token is left out of the convolution and put back before the norm.  All heads are convolved at once in
    channels-last order, which is the order of the tokens, so nothing is permuted in memory.
    """

    def __init__(self, width: int, stride: int, eps: float) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(width, 1, 3, 3, 3))
        self.norm = nn.LayerNorm(width, eps=eps)
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(batch, 1 + tokens, heads * width) on `grid` -> (batch, 1 + fewer, heads, width) and its grid."""
        width = len(self.weight)
        heads = x.shape[-1] // width
        volume = x[:, 1:].reshape(x.shape[0], *grid, heads * width).permute(0, 4, 1, 2, 3)
        pooled = F.conv3d(
            volume,
            self.weight.repeat(heads, 1, 1, 1, 1),
            stride=(1, self.stride, self.stride),
            padding=1,
            groups=heads * width,
        )
        tokens = pooled.permute(0, 2, 3, 4, 1).flatten(1, 3)
        tokens = torch.cat([x[:, :1], tokens], dim=1)
        return self.norm(tokens.view(*tokens.shape[:2], heads, width)), (
            pooled.shape[2],
            pooled.shape[3],
            pooled.shape[4],
        )


class PoolingAttention(nn.Module):
    """Multi-head attention with thinned keys and values, and at the start of a stage thinned queries."""

    def __init__(self, width: int, head_width: int, *, q_stride: int, kv_stride: int, eps: float) -> None:
        super().__init__()
        self.head_width = head_width
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.pool_q = PooledTokens(head_width, q_stride, eps) if q_stride > 1 else None
        self.pool_k = PooledTokens(head_width, kv_stride, eps)
        self.pool_v = PooledTokens(head_width, kv_stride, eps)
        self.proj = nn.Linear(width, width)

    def forward(
        self, x: Tensor, grid: Grid, *, queries: int | None = None, maps: list[Tensor] | None = None
    ) -> tuple[Tensor, Grid]:
        """(batch, 1 + tokens, width) -> (batch, 1 + queries, width) and the grid of the queries.

        Args:
            queries: only the first so many tokens ask (where queries are not pooled).
            maps: a list to which the attention (batch, heads, query, key) is appended; it is materialised only then.
        """
        if self.pool_q is None:
            q, q_grid = self.q(x[:, :queries]).unflatten(-1, (-1, self.head_width)), grid
        else:
            q, q_grid = self.pool_q(self.q(x), grid)
        k, _ = self.pool_k(self.k(x), grid)
        v, _ = self.pool_v(self.v(x), grid)
        q, k, v = (tokens.transpose(1, 2) for tokens in (q, k, v))
        if maps is None:
            out = F.scaled_dot_product_attention(q, k, v)
        else:
            attention = torch.softmax(q @ k.transpose(-1, -2) * self.head_width**-0.5, dim=-1)
            maps.append(attention)
            out = attention @ v
        return self.proj(out.transpose(1, 2).flatten(2)), q_grid


class Block(nn.Module):
    """Attention and MLP, each after a LayerNorm and added to its input; widens in the MLP where `out_width` says so."""

    def __init__(self, config: MViTConfig, index: int) -> None:
        super().__init__()
        width, out_width = config.width_of(index), config.width_of(index + 1)
        self.thins = index in config.stage_starts
        self.norm1 = nn.LayerNorm(width, eps=config.norm_eps)
        self.attn = PoolingAttention(
            width,
            config.head_width,
            q_stride=2 if self.thins else 1,
            kv_stride=config.kv_stride[index],
            eps=config.pool_norm_eps,
        )
        self.norm2 = nn.LayerNorm(width, eps=config.norm_eps)
        hidden = int(width * config.mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, out_width))
        self.widen = nn.Linear(width, out_width) if out_width != width else None

    def forward(
        self, x: Tensor, grid: Grid, *, queries: int | None = None, maps: list[Tensor] | None = None
    ) -> tuple[Tensor, Grid]:
        """(batch, 1 + tokens, width) on `grid` -> (batch, 1 + tokens', out_width) and its grid."""
        attended, out_grid = self.attn(self.norm1(x), grid, queries=queries, maps=maps)
        x = (_thin(x, grid) if self.thins else x[:, :queries]) + attended
        y = self.norm2(x)
        return (x if self.widen is None else self.widen(y)) + self.mlp(y), out_grid


def _thin(x: Tensor, grid: Grid) -> Tensor:
    """Max-pool tokens by 2 in space (kernel 3x3, padding 1); the cls token passes by."""
    planes = x[:, 1:].reshape(-1, grid[1], grid[2], x.shape[-1]).permute(0, 3, 1, 2)
    pooled = F.max_pool2d(planes, 3, stride=2, padding=1).permute(0, 2, 3, 1)
    return torch.cat([x[:, :1], pooled.reshape(x.shape[0], -1, x.shape[-1])], dim=1)


class MViT(nn.Module):
    """Video encoder: a clip in, one vector out.

    >>> encoder = MViT(MViTConfig())                                       # doctest: +SKIP
    >>> encoder(torch.zeros(2, 3, 16, 224, 224)).shape                     # doctest: +SKIP
    torch.Size([2, 768])
    """

    def __init__(self, config: MViTConfig) -> None:
        super().__init__()
        self.config = config
        time, rows, cols = config.grid
        self.stem = Stem(config)
        self.patch = nn.Conv3d(
            self.stem.width,
            config.width,
            config.patch_kernel,
            stride=config.patch_stride,
            padding=cast(Grid, tuple(k // 2 for k in config.patch_kernel)),
        )
        self.cls_token = nn.Parameter(torch.zeros(config.width))
        self.pos_cls = nn.Parameter(torch.zeros(config.width))
        self.pos_space = nn.Parameter(torch.zeros(rows * cols, config.width))
        self.pos_time = nn.Parameter(torch.zeros(time, config.width))
        self.blocks = nn.ModuleList(Block(config, index) for index in range(config.depth))
        self.norm = nn.LayerNorm(config.out_width, eps=config.norm_eps)
        for table in (self.cls_token, self.pos_cls, self.pos_space, self.pos_time):
            nn.init.trunc_normal_(table, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)  # at a width of 64, the usual 0.02 lets the signal die out
                nn.init.zeros_(module.bias)

    def forward(self, clips: Tensor) -> Tensor:
        """(batch, channels, time, row, col) in [0, 1] -> (batch, out_width): cls token, or mean, after the last norm.

        A grey clip (one channel) is taken as the same image in every channel.
        """
        x, grid = self._tokens(clips), self.config.grid
        for index, block in self._blocks():
            only_cls = self.config.output == "cls" and index == self.config.depth - 1 and not block.thins
            x, grid = block(x, grid, queries=1 if only_cls else None)  # nothing else of the last block is used
        pooled: Tensor = self.norm(x[:, 0]) if self.config.output == "cls" else self.norm(x[:, 1:]).mean(1)
        return pooled

    def attention_maps(self, clips: Tensor) -> list[Tensor]:
        """Attention after softmax of every block: (batch, heads, 1 + queries, 1 + keys) each, cls first.

        The matrices are written out, so this needs some 0.3 GB a clip for MViT-B 16x4.
        """
        maps: list[Tensor] = []
        x, grid = self._tokens(clips), self.config.grid
        for _, block in self._blocks():
            x, grid = block(x, grid, maps=maps)
        return maps

    def _blocks(self) -> Iterator[tuple[int, Block]]:
        for index, block in enumerate(self.blocks):
            yield index, cast(Block, block)

    def _tokens(self, clips: Tensor) -> Tensor:
        """(batch, 1 + time * row * col, width), time-major, positions added."""
        weight = self.patch.weight
        x = self.stem(clips)
        if x.shape[1] == 1 and self.config.channels > 1:
            weight = weight.sum(1, keepdim=True)  # the same as copying the grey image to every channel
        x = F.conv3d(x, weight, self.patch.bias, self.patch.stride, self.patch.padding)
        x = x.flatten(2).transpose(1, 2)
        x = x + (self.pos_time[:, None] + self.pos_space).flatten(0, 1)
        first = (self.cls_token + self.pos_cls).expand(x.shape[0], 1, -1)
        return torch.cat([first, x], dim=1)
