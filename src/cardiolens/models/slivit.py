"""SLIViT: 2D features of each slice, brought together by a vision transformer (Avram et al. 2024, Nature BME).

Parts are named as in the authors' released files, which load by name.  The slices lie side by side in width, the
trunk's map is cut in memory order, and the position table starts at the slice index: so the files have it.  Cut in
memory order, channel after channel, a token is a group of channels of all slices and no slice: `cut: slices` cuts as
the paper describes it, and no released file is of that kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.answers import Answers
from cardiolens.models.card import Card
from cardiolens.models.trunk import STRIDE, SliceClassifier, TrunkConfig, make_trunk, trunk_map


@dataclass(frozen=True)
class SLIViTConfig:
    """Every number of the architecture; the defaults are those of the released files (the paper's width is 768).

    Attributes:
        slices, size: of a volume: how many, edge in pixels.
        cut: "memory" as the released files, "slices" as the paper has it: one token a slice.
        integrator: "vit", or for the ablation "lstm" (its last state) or "mean" of the slices' tokens.
        layers, width, mlp, heads, head_width: of the transformer.
        neighbours: attention reaches the slices next to each other only (needs `cut: slices`).  The cls token then
            takes no part, and the answer is made of the mean over the slices (the paper does not say how; ours).
    """

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    slices: int = 32
    size: int = 256
    cut: Literal["memory", "slices"] = "memory"
    integrator: Literal["vit", "lstm", "mean"] = "vit"
    layers: int = 5
    width: int = 256
    mlp: int = 512
    heads: int = 20
    head_width: int = 64
    dropout: float = 0.0
    neighbours: bool = False
    answers: Answers = field(default_factory=Answers)

    def __post_init__(self) -> None:
        if isinstance(self.trunk, Mapping):
            object.__setattr__(self, "trunk", TrunkConfig(**self.trunk))
        if isinstance(self.answers, Mapping):
            object.__setattr__(self, "answers", Answers(**self.answers))
        whole = self.size % STRIDE == 0 and min(self.layers, self.width, self.mlp, self.heads, self.head_width) > 0
        if not whole or self.slices < 2 or self.integrator not in ("vit", "lstm", "mean"):
            raise CheckpointError(f"not a valid SLIViT: two slices or more of a size divisible by {STRIDE}: {self}")
        if self.cut not in ("memory", "slices") or (self.neighbours and self.cut == "memory"):
            raise CheckpointError(
                "neighbours are of slices: they need `cut: slices`, in memory order a token is no slice"
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class SliceAttention(nn.Module):
    """LayerNorm, then attention of many heads; queries, keys and values in one layer without bias."""

    def __init__(self, config: SLIViTConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.norm = nn.LayerNorm(config.width)
        self.to_qkv = nn.Linear(config.width, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, config.width), nn.Dropout(config.dropout))

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        """x (batch, n, width), seen (n, n) bool or None for all -> (batch, n, width)."""
        q, k, v = self.to_qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found: Tensor = self.to_out(F.scaled_dot_product_attention(q, k, v, seen).transpose(1, 2).flatten(2))
        return found


class FeedForward(nn.Module):
    """LayerNorm, linear, GELU, linear."""

    def __init__(self, config: SLIViTConfig) -> None:
        super().__init__()
        first, second = nn.Linear(config.width, config.mlp), nn.Linear(config.mlp, config.width)
        drops = nn.Dropout(config.dropout), nn.Dropout(config.dropout)
        self.net = nn.Sequential(nn.LayerNorm(config.width), first, nn.GELU(), drops[0], second, drops[1])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, width) -> the same."""
        found: Tensor = self.net(x)
        return found


class SliceTransformer(nn.Module):
    """Pre-norm blocks and a last norm."""

    def __init__(self, config: SLIViTConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.layers = nn.ModuleList(
            nn.ModuleList([SliceAttention(config), FeedForward(config)]) for _ in range(config.layers)
        )

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """x (batch, n, width), seen (n, n) bool or None for all -> (batch, n, width)."""
        for layer in self.layers:
            attention, feed = cast(nn.ModuleList, layer)
            x = x + attention(x, seen)
            x = x + feed(x)
        found: Tensor = self.norm(x)
        return found


class SLIViT(nn.Module):
    """Volumes in, one row of answers out.

    >>> model = cardiolens.load_model("slivit", weights="slivit.pth")                   # doctest: +SKIP
    >>> model(torch.rand(1, 8, 1, 256, 256)).shape                                     # doctest: +SKIP
    torch.Size([1, 1])
    """

    def __init__(self, config: SLIViTConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config, self.card = config, card
        patch = config.trunk.widths[-1] * (config.size // STRIDE) ** 2
        self.feature_extractor = make_trunk(config.trunk)
        self.to_patch_embedding = nn.Sequential(
            nn.Identity(), nn.LayerNorm(patch), nn.Linear(patch, config.width), nn.LayerNorm(config.width)
        )
        if config.integrator == "vit":
            self.cls_token = nn.Parameter(torch.randn(1, 1, config.width))
            index = torch.arange(config.slices + 1.0)  # of cls 0, of the slices 1, 2, ...
            self.pos_embedding = nn.Parameter(index[None, :, None].repeat(1, 1, config.width))
            self.transformer = SliceTransformer(config)
        elif config.integrator == "lstm":
            self.lstm = nn.LSTM(config.width, config.width, batch_first=True)
        self.mlp_head = nn.Linear(config.width, len(config.answers))

    def feature_map(self, volumes: Tensor) -> Tensor:
        """(batch, slice, channel, row, col) in [0, 1] -> the trunk's map of all slices side by side
        (batch, width, row / 32, slices * col / 32); one grey channel stands for all."""
        config = self.config
        if volumes.ndim != 5 or volumes.shape[1] != config.slices or set(volumes.shape[3:]) != {config.size}:
            raise InputError(
                f"volumes must be (batch, {config.slices} slices, channel, {config.size}, {config.size}), got "
                f"{tuple(volumes.shape)}; `set_slices` brings the model to another count"
            )
        tiled = volumes.expand(-1, -1, config.trunk.channels, -1, -1).movedim(1, 3).flatten(3, 4)
        return trunk_map(self.feature_extractor, tiled)

    def tokens(self, volumes: Tensor) -> Tensor:
        """(batch, slice, channel, row, col) -> (batch, slices, width), before positions."""
        found = self.feature_map(volumes)
        if self.config.cut == "slices":
            found = torch.stack(found.chunk(self.config.slices, 3), 1)
        tokens: Tensor = self.to_patch_embedding(found.reshape(len(volumes), self.config.slices, -1))
        return tokens

    def integrate(self, tokens: Tensor) -> Tensor:
        """(batch, slice, width) -> (batch, width): what is said of a volume."""
        if self.config.integrator == "mean":
            return tokens.mean(1)
        if self.config.integrator == "lstm":
            last: Tensor = self.lstm(tokens)[0][:, -1]
            return last
        if self.config.neighbours:
            places = torch.arange(self.config.slices, device=tokens.device)
            near = (places[:, None] - places[None]).abs() <= 1
            mixed: Tensor = self.transformer(tokens + self.pos_embedding[:, 1:], near).mean(1)
            return mixed
        x = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1) + self.pos_embedding
        found: Tensor = self.transformer(x)[:, 0]
        return found

    def forward(self, volumes: Tensor) -> Tensor:
        """(batch, slice, channel, row, col) in [0, 1] -> logits (batch, outputs).

        Raises:
            InputError: another number or size of slices.
        """
        found: Tensor = self.mlp_head(self.integrate(self.tokens(volumes)))
        return found

    def predict(self, volumes: Tensor) -> Tensor:
        """In the terms of each output, see `Answers.predict`."""
        return self.config.answers.predict(self(volumes))

    def set_slices(self, count: int) -> None:
        """Take volumes of another slice count: the position table is interpolated (linear, ends on ends), cls kept.

        Says so in the card.  What was trained at the other count has not been measured at this one; cut in memory
        order, a token holds another share of the channels as well.
        """
        before = self.config.slices
        if count == before:
            return
        self.config = replace(self.config, slices=count)
        words = f"made for {before} slices, set to {count}"
        if self.config.integrator == "vit":
            table = self.pos_embedding.detach()
            slices = F.interpolate(table[:, 1:].transpose(1, 2), count, mode="linear", align_corners=True)
            self.pos_embedding = nn.Parameter(torch.cat([table[:, :1], slices.transpose(1, 2)], 1))
            words += ": the position table is interpolated"
        if self.config.cut == "memory":
            words += "; cut in memory order, a token holds another share of the channels now: measure before use"
        if self.card is not None:
            self.card.notes.append(words)
            self.card.transform["slices"] = count
            self.card.architecture = self.architecture()

    def take_trunk(self, other: SLIViT | SliceClassifier) -> None:
        """Take over the 2D trunk of a pretrained model; `CheckpointError` where its architecture is another."""
        if other.config.trunk != self.config.trunk:
            raise CheckpointError(f"the trunk here is {self.config.trunk}, that of the weights {other.config.trunk}")
        self.feature_extractor.load_state_dict(other.feature_extractor.state_dict())

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "slivit"} | self.config.to_dict()
