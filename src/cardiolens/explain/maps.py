"""Self-attention of the video encoder on one clip: every head's map, and the way of attention from output to input.

Shad et al. show, for each head of each block, what the patches attend to (supp. fig. 9: 65 maps for MViT-B), brought to
the size of the clip by nearest neighbour.  Here a map is each patch's attention to the cls token.  Attention rollout
(Abnar & Zuidema 2020, arXiv 2005.00928) multiplies the blocks' mean attention, identity added for the residual, from
the encoder's output down to its patches; pooled queries and keys are spread over the tokens nearest to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor

from cardiolens.errors import InputError

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.models.mvit import Grid, MViTConfig

Align = Literal["resize", "centres"]
Wanted = Sequence[tuple[int, int | None]]
"""(block, head) pairs, both from 0; None stands for every head of the block."""


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """One head.

    Attributes:
        block, head: which, from 0.
        values: (time', row', col') attention of each patch, on the grid of the block's queries, to the cls token.
        keys: number of tokens that the head chooses among; an even spread would give each 1 / keys.
        step: frames, rows and columns of the clip between neighbouring patches.
    """

    block: int
    head: int
    values: Tensor = field(repr=False)
    keys: int
    step: Grid

    def full(self, size: Grid, align: Align = "resize") -> Tensor:
        """(time, row, col) of the clip; see `to_full`."""
        return to_full(self.values, size, self.step, align)


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """The maps of one clip, in the order of blocks and heads.

    Attributes:
        maps: the heads asked for.
        rollout: (time', row', col') share of the output's attention that arrives at each patch; adds up to 1.
        size: (time, row, col) of the clip.
        step: of the rollout's grid, as in `AttentionMap`.
    """

    maps: tuple[AttentionMap, ...]
    rollout: Tensor = field(repr=False)
    size: Grid
    step: Grid

    def __len__(self) -> int:
        return len(self.maps)

    def __iter__(self) -> Iterator[AttentionMap]:
        return iter(self.maps)

    def stacked(self, align: Align = "resize") -> Tensor:
        """(maps, time, row, col) at the size of the clip: (65, 16, 224, 224), 0.2 GB, for MViT-B 16x4."""
        return torch.stack([one.full(self.size, align) for one in self.maps])

    def full_rollout(self) -> Tensor:
        """(time, row, col): the rollout at the size of the clip, each pixel from the patch centred nearest to it."""
        return to_full(self.rollout, self.size, self.step, "centres")


def attention_maps(model: DualEncoder, clip: Tensor, only: Wanted | None = None) -> AttentionMaps:
    """Attention of every block and head on one clip; 65 maps for MViT-B, 7 for the tiny model.

    Args:
        model: with an MViT encoder.
        clip: (channel, time, row, col) or (1, channel, time, row, col), in [0, 1].
        only: heads to keep, in the order given; None for all.

    Raises:
        InputError: a convolutional encoder, more than one clip, or a block or head that the encoder has not.
    """
    clip = clip[None] if clip.ndim == 4 else clip
    if clip.ndim != 5 or len(clip) != 1:
        raise InputError(f"attention is shown of one clip (channel, time, row, col), got {tuple(clip.shape)}")
    _require_attention(model)
    config = cast("MViTConfig", model.video_encoder.config)
    wanted = _wanted(config, only)
    with torch.inference_mode():
        found = [block[0] for block in model.attention_maps(clip)]
        maps = []
        for block, head in wanted:
            grid = grid_of(config, block)
            values = found[block][head, 1:, 0].reshape(grid).float().cpu()
            maps.append(AttentionMap(block, head, values, found[block].shape[-1], step_of(config, block)))
        rollout = _rollout(config, [one.float().mean(0).cpu() for one in found])
    size = (config.frames, config.crop, config.crop)
    return AttentionMaps(tuple(maps), rollout, size, step_of(config, None))


def heads_of(model: DualEncoder) -> list[int]:
    """How many heads each block has: 1, 2, 2, 4, ... for MViT-B.  `InputError` for a convolutional encoder."""
    _require_attention(model)
    return _heads(cast("MViTConfig", model.video_encoder.config))


def grid_of(config: MViTConfig, block: int) -> Grid:
    """Patches (time, row, col) that ask in a block."""
    time, rows, cols = config.grid
    for _ in range(_thinned(config, block)):
        rows, cols = (rows - 1) // 2 + 1, (cols - 1) // 2 + 1
    return time, rows, cols


def step_of(config: MViTConfig, block: int | None) -> Grid:
    """Frames, rows and columns between the centres of a block's patches; None for those before the first block."""
    halved = 2 ** len(config.stem)
    thinned = 1 if block is None else 2 ** _thinned(config, block)
    time, row, col = config.patch_stride
    return time * halved, row * halved * thinned, col * halved * thinned


def to_full(values: Tensor, size: Grid, step: Grid, align: Align = "resize") -> Tensor:
    """A grid of patches at the size of the clip, by nearest neighbour.

    Args:
        values: (time', row', col').
        size: (time, row, col) wanted.
        step: pixels between the centres of neighbouring patches; the first is centred on the first pixel.
        align: "resize" stretches the grid over the clip, as the published maps are; that moves what a patch sees by up
            to half a patch down and to the right.  "centres" takes for each pixel the patch centred nearest to it.
    """
    out = values
    for axis, (wide, stride) in enumerate(zip(size, step, strict=True)):
        count, pixel = values.shape[axis], torch.arange(wide)
        place = pixel * count // wide if align == "resize" else (2 * pixel + stride) // (2 * stride)
        out = out.index_select(axis, place.clamp(max=count - 1).to(out.device))
    return out


def _require_attention(model: DualEncoder) -> None:
    from cardiolens.models.mvit import MViT

    if not isinstance(model.video_encoder, MViT):
        raise InputError(
            f"{model.card.full_name} is a convolutional network and has no self-attention to show; "
            "take a shad-mvit model, or look at the view ablation and the occlusion, which any model has"
        )


def _heads(config: MViTConfig) -> list[int]:
    return [config.width_of(block) // config.head_width for block in range(config.depth)]


def _thinned(config: MViTConfig, block: int) -> int:
    return sum(start <= block for start in config.stage_starts)


def _wanted(config: MViTConfig, only: Wanted | None) -> list[tuple[int, int]]:
    heads = _heads(config)
    out: list[tuple[int, int]] = []
    for block, head in only if only is not None else [(block, None) for block in range(config.depth)]:
        if not 0 <= block < config.depth:
            raise InputError(f"no block {block}: the encoder has blocks 0 to {config.depth - 1}")
        if head is not None and not 0 <= head < heads[block]:
            raise InputError(f"no head {head} in block {block}: it has heads 0 to {heads[block] - 1}")
        out += [(block, h) for h in (range(heads[block]) if head is None else (head,))]
    if not out:
        raise InputError("no map asked for; name blocks and heads, or leave them out for all")
    return out


def _rollout(config: MViTConfig, attention: Sequence[Tensor]) -> Tensor:
    """Where on the first grid the output's attention arrives: (time, row, col), adds up to 1.

    `attention` holds (1 + queries, 1 + keys), mean over the heads, of each block.  A vector goes from the output down,
    so nothing larger than a block's own attention is ever held.
    """
    last = grid_of(config, config.depth - 1)
    count = last[0] * last[1] * last[2]
    row = torch.zeros(1 + count)
    if config.output == "cls":
        row[0] = 1.0
    else:
        row[1:] = 1.0 / count
    for block in reversed(range(config.depth)):
        below = config.grid if block == 0 else grid_of(config, block - 1)
        thin = 2 if block in config.stage_starts else 1
        attended = _spread(row @ attention[block], below, config.kv_stride[block])
        row = 0.5 * attended + 0.5 * _spread(row, below, thin)
    patches = row[1:].reshape(config.grid)
    return patches / patches.sum()


def _spread(row: Tensor, grid: Grid, stride: int) -> Tensor:
    """A row over (1 + pooled tokens) to one over (1 + tokens of `grid`): each pooled token's share goes to the tokens
    that are nearest to it in space."""
    time, rows, cols = grid
    pooled = row[1:].reshape(time, (rows - 1) // stride + 1, (cols - 1) // stride + 1)
    spread = _near(rows, stride).T @ pooled @ _near(cols, stride)
    return torch.cat([row[:1], spread.flatten()])


def _near(count: int, stride: int) -> Tensor:
    """(pooled, token): how the share of a pooled token is divided along one axis; rows add up to 1.

    A token belongs to the pooled token centred nearest to it, half and half between two that are as near; so an even
    row stays even but at the edges.
    """
    token = torch.arange(count)
    centres = torch.arange((count - 1) // stride + 1) * stride
    away = 2 * (token[None] - centres[:, None]).abs()
    near = (away < stride).float() + 0.5 * (away == stride)
    near[-1, token > centres[-1]] = 1.0
    return near / near.sum(1, keepdim=True)
