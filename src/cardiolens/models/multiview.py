"""CineMA's encoder, which its masked autoencoder, segmenter and heads share (Fu et al. 2025, arXiv 2506.00679).

Each view has a convolutional stem with masked blocks (ConvMAE: Gao et al. 2022); the tokens of all views go through one
vision transformer (MultiMAE: Bachmann et al. 2022); then the stem's scales are added to the tokens.  Inside, images
are (batch, row, col[, depth], channel).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import CheckpointError
from cardiolens.models.transformer import MLP, Block, Recomputed, initialise, sincos_table
from cardiolens.models.views import EncoderConfig

Masks = Mapping[str, Tensor]


def convolution(size: int, wide: int, out: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    """A convolution of planes (size 2) or stacks (size 3): in-plane kernel; "same" where the stride is 1, and then as
    wide in depth; a strided one has kernel = stride and leaves the depth alone."""
    kind: Any = nn.Conv2d if size == 2 else nn.Conv3d
    kernels, padding = (kernel, kernel, 1)[:size], kernel // 2
    made: nn.Module = (
        kind(wide, out, kernels, stride=kernels)
        if stride > 1
        else kind(wide, out, kernel, padding=padding, groups=groups)
    )
    return made


def channels_last(layer: nn.Module, x: Tensor) -> Tensor:
    """A convolution on (batch, row, col[, depth], channel)."""
    found: Tensor = layer(x.movedim(-1, 1)).movedim(1, -1)
    return found


class MaskedConvBlock(Recomputed):
    """x += conv2(dw_conv(visible * conv1(norm1(x)))); x += mlp(norm2(x)); `dw_conv` is 5 wide, one filter a channel."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.conv1 = nn.Linear(width, width)
        self.dw_conv = convolution(size, width, width, kernel=5, groups=width)
        self.conv2 = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width)

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        """x (batch, row, col[, depth], width); visible the same with one channel, 1 or 0, or None -> like x."""
        y = self.conv1(self.norm1(x))
        if visible is not None:
            y = y * visible
        x = x + self.conv2(channels_last(self.dw_conv, y))
        found: Tensor = x + self.mlp(self.norm2(x))
        return found


class Scale(nn.Module):
    """One scale of a stem: patches, LayerNorm, GELU, masked blocks."""

    def __init__(self, size: int, wide: int, out: int, patch: int, depth: int) -> None:
        super().__init__()
        self.conv = convolution(size, wide, out, kernel=patch, stride=patch)
        self.norm = nn.LayerNorm(out, eps=1e-6)
        self.blocks = nn.ModuleList(MaskedConvBlock(size, out) for _ in range(depth))

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        """(batch, row, col[, depth], wide) -> (batch, row / patch, col / patch[, depth], out)."""
        x = F.gelu(self.norm(channels_last(self.conv, x)))
        for block in self.blocks:
            x = block(x, visible)
        return x


class Stem(nn.Module):
    """Convolutional stem of one view: an image to tokens with their positions, and the two scales on the way."""

    position: Tensor

    def __init__(self, config: EncoderConfig, view: str) -> None:
        super().__init__()
        size, (first, second), self.patches = len(config.views[view]), config.stem_channels, config.patches
        wides = ((config.in_channels, first), (first, second))
        self.scales = nn.ModuleList(
            Scale(size, wide, out, patch, config.stem_depth)
            for (wide, out), patch in zip(wides, config.patches, strict=False)
        )
        self.grid = config.grid(view)
        self.embed = nn.Linear(second * config.patches[2] ** 2, config.width)
        self.linear = nn.Linear(config.width, config.width)
        self.register_buffer("position", sincos_table(self.grid, config.width), persistent=False)

    def forward(self, image: Tensor, mask: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """image (batch, channel, row, col[, depth]), mask (batch, tokens) bool or None -> tokens (batch, tokens, width)
        and both scales (batch, row, col[, depth], channel)."""
        x, skips = image.movedim(1, -1), []
        for index, scale in enumerate(self.scales):
            x = scale(x, None if mask is None else self._visible(mask, prod(self.patches[index + 1 :])).to(x.dtype))
            skips.append(x)
        return self.linear(self.embed(patchify(x, self.patches[2]))) + self.position, skips

    def _visible(self, mask: Tensor, times: int) -> Tensor:
        """Token mask (batch, tokens), True where masked -> 1 where visible, that many times as large in plane."""
        grid = (~mask).reshape(-1, *self.grid, 1)
        return grid.repeat_interleave(times, 1).repeat_interleave(times, 2)


def patchify(x: Tensor, patch: int) -> Tensor:
    """(batch, row, col[, depth], channel) -> (batch, tokens, values), tokens row-major, the values of a patch in the
    order (row, col, channel)."""
    batch, rows, cols, *rest = x.shape
    x = x.reshape(batch, rows // patch, patch, cols // patch, patch, *rest)
    order = (0, 1, 3, 2, 4, 5) if len(rest) == 1 else (0, 1, 3, 5, 2, 4, 6)
    return x.permute(order).reshape(batch, -1, patch * patch * rest[-1])


def unpatchify(tokens: Tensor, grid: tuple[int, ...], patch: int) -> Tensor:
    """The way back: (batch, tokens, values) -> (batch, row, col[, depth], channel)."""
    x = tokens.reshape(tokens.shape[0], *grid, patch, patch, -1)
    order = (0, 1, 3, 2, 4, 5) if len(grid) == 2 else (0, 1, 4, 2, 5, 3, 6)
    rows, cols, *rest = grid
    return x.permute(order).reshape(tokens.shape[0], rows * patch, cols * patch, *rest, x.shape[-1])


class Fusion(nn.Module):
    """Both scales of a stem, brought down to the token grid, added to the tokens; then LayerNorm."""

    def __init__(self, config: EncoderConfig, view: str) -> None:
        super().__init__()
        steps = (prod(config.patches[1:]), config.patches[2])
        self.downs = nn.ModuleList(
            convolution(len(config.views[view]), wide, config.width, kernel=step, stride=step)
            for wide, step in zip(config.stem_channels, steps, strict=True)
        )
        self.norm = nn.LayerNorm(config.width, eps=1e-5)

    def forward(self, tokens: Tensor, skips: list[Tensor], kept: Tensor | None) -> Tensor:
        """tokens (batch, n, width), skips as of `Stem`, kept (batch, n) their places or None for all -> tokens."""
        for down, skip in zip(self.downs, skips, strict=True):
            tokens = tokens + take(channels_last(down, skip).flatten(1, -2), kept)
        found: Tensor = self.norm(tokens)
        return found


def take(tokens: Tensor, places: Tensor | None) -> Tensor:
    """tokens (batch or 1, all, width), places (batch, n) -> (batch, n, width)."""
    if places is None:
        return tokens
    return tokens.expand(len(places), -1, -1).gather(1, places.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def places_of(mask: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """mask (batch, tokens) bool, on any device -> places (batch, n) of the visible tokens and of the masked ones, each
    ascending, on this device."""
    visible = mask.shape[1] - int(mask[0].sum())
    order = mask.to(torch.uint8).argsort(dim=1, stable=True).to(device)
    return order[:, :visible], order[:, visible:]


class Features(NamedTuple):
    """What the encoder makes of a batch.

    Attributes:
        cls: (batch, width).
        tokens: by view (batch, tokens, width), the visible ones where there is a mask.
        skips: by view the two scales of its stem, (batch, row, col[, depth], channel).
    """

    cls: Tensor
    tokens: dict[str, Tensor]
    skips: dict[str, list[Tensor]]


class MultiViewEncoder(nn.Module):
    """Stems of the views, one transformer for all of them, fusion."""

    def __init__(self, config: EncoderConfig, *, fusion: bool) -> None:
        super().__init__()
        self.config = config
        self.stems = nn.ModuleDict({view: Stem(config, view) for view in config.views})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        rates = [config.drop_path * layer / max(config.layers - 1, 1) for layer in range(config.layers)]
        self.blocks = nn.ModuleList(Block(config.width, config.heads, rate) for rate in rates)
        self.norm = nn.LayerNorm(config.width, eps=1e-5)
        self.fusion = nn.ModuleDict({view: Fusion(config, view) for view in config.views} if fusion else {})
        initialise(self)
        nn.init.normal_(self.cls_token, std=0.02)

    def forward(self, images: dict[str, Tensor], masks: Masks | None = None) -> Features:
        """Checked images (see `check_images`) of some or all views, masks (batch, tokens) bool of the same or None."""
        tokens, skips, kept = {}, {}, {}
        for view, image in images.items():
            mask = None if masks is None else masks[view]
            tokens[view], skips[view] = self.stems[view](image, None if mask is None else mask.to(image.device))
            kept[view] = None if mask is None else places_of(mask, image.device)[0]
            tokens[view] = take(tokens[view], kept[view])
        lengths = [found.shape[1] for found in tokens.values()]
        batch = next(iter(images.values())).shape[0]
        x = torch.cat([self.cls_token.expand(batch, -1, -1), *tokens.values()], 1)
        for block in self.blocks:
            x = block(x)
        cls, *parts = self.norm(x).split([1, *lengths], 1)
        found = dict(zip(images, parts, strict=True))
        if self.fusion:
            found = {view: self.fusion[view](part, skips[view], kept[view]) for view, part in found.items()}
        return Features(cls[:, 0], found, skips)

    def start_from(self, other: MultiViewEncoder) -> None:
        """Take over the branches of our views and the transformer from a pretrained encoder.

        A stem of one frame becomes one of several by giving every frame the same kernel, divided by their number: for
        equal frames the answer is unchanged (as Carreira and Zisserman 2017 inflate kernels over time; our choice).

        Raises:
            CheckpointError: the other encoder lacks a view or has another architecture.
        """
        if missing := [view for view in self.config.views if view not in other.config.views]:
            raise CheckpointError(f"the pretrained encoder has no {', '.join(missing)}, only {', '.join(other.stems)}")
        theirs, state = other.state_dict(), {}
        for name, tensor in self.state_dict().items():
            found = theirs.get(name)
            if found is not None and name.endswith("scales.0.conv.weight") and found.shape[1] != tensor.shape[1]:
                if found.shape[1] != 1:
                    raise CheckpointError(f"{name}: made for {found.shape[1]} frames, cannot become {tensor.shape[1]}")
                found = found.expand(-1, tensor.shape[1], *found.shape[2:]) / tensor.shape[1]
            if found is None or found.shape != tensor.shape:
                have = "nothing" if found is None else tuple(found.shape)
                raise CheckpointError(f"{name}: {tuple(tensor.shape)} here, {have} in the pretrained encoder")
            state[name] = found.clone()
        self.load_state_dict(state)


def layer_groups(model: nn.Module, decay: float = 0.75, weight_decay: float = 0.05) -> list[dict[str, Any]]:
    """Parameter groups with layer-wise decay of the learning rate (Clark et al. 2020; 0.75 in CineMA).

    Stems, cls token and tubelets are layer 0, then come the blocks; what follows them (fusion, decoder, heads) keeps
    the whole rate.  Biases, norms and tokens get no weight decay.

    Returns:
        Groups for an optimiser with keys `params`, `lr_scale`, `weight_decay`, `name`; the rate of a group is
        lr_scale * rate.  Every trainable parameter is in one of them.
    """
    blocks = getattr(getattr(model, "encoder", None), "blocks", None)
    last = len(blocks) + 1 if isinstance(blocks, nn.ModuleList) else 1
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = last
        if name.startswith(("encoder.stems.", "encoder.cls_token", "encoder.embed.")):
            layer = 0
        elif name.startswith("encoder.blocks."):
            layer = int(name.split(".")[2]) + 1
        decayed = parameter.ndim > 1 and "token" not in name
        group = groups.setdefault(
            (layer, decayed),
            {
                "params": [],
                "lr_scale": decay ** (last - layer),
                "weight_decay": weight_decay if decayed else 0.0,
                "name": f"layer {layer} of {last}{'' if decayed else ', no weight decay'}",
            },
        )
        group["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]
