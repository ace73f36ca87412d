"""Video transformer over tubelets (ViViT: Arnab et al. 2021; VideoMAE: Tong et al. 2022), the encoder of EchoAI.

EchoAI (arXiv 2311.12582) names a ViViT with position and time embeddings and masked autoencoding, but gives no width,
tubelet or clip length: the defaults here are VideoMAE-Base's.  The autoencoder is in `videomae`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.answers import Answers
from cardiolens.models.card import Card
from cardiolens.models.multiview import take
from cardiolens.models.transformer import Block, initialise, sincos_table

Positions = Literal["joint", "axes"]
Masking = Literal["tube", "random"]

BLOCK_EPS = 1e-12  # of the published configurations; the authors' own code has 1e-6, a difference below 1e-5
_RAW_INTENSITY = 16.0  # no scaled image goes beyond this, every 8-bit grey scale does


@dataclass(frozen=True)
class TubeletConfig:
    """Every number of the encoder; the defaults are VideoMAE-Base's.

    Attributes:
        frames, crop, channels: of a clip: images, edge in pixels, colours.
        tubelet: (time, row, col) of a token.
        width, layers, heads: of the transformer.
        positions: fixed sin-cos of the token's number, time-major, as published ("joint"), or of its time, row and
            column in channels of their own ("axes").
        mean, std: of each channel; a clip in [0, 1] is brought to (clip - mean) / std; empty leaves it.
        drop_path: rate of the last layer; it grows linearly from 0 in the first.
    """

    frames: int = 16
    crop: int = 224
    channels: int = 3
    tubelet: tuple[int, int, int] = (2, 16, 16)
    width: int = 768
    layers: int = 12
    heads: int = 12
    positions: Positions = "joint"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "tubelet", tuple(int(v) for v in self.tubelet))  # JSON gives lists
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(float(v) for v in getattr(self, name)))
        counts = (self.frames, self.crop, self.channels, *self.tubelet, self.width, self.layers, self.heads)
        if len(self.tubelet) != 3 or min(counts) < 1 or self.width % self.heads or not 0 <= self.drop_path < 1:
            raise CheckpointError(f"not a valid video transformer: {self}")
        if any(n % t for n, t in zip(self.size, self.tubelet, strict=True)):
            raise CheckpointError(
                f"tubelets of {self.tubelet} do not cut a clip of {self.frames} frames and {self.crop} x {self.crop} "
                "pixels into whole pieces"
            )
        if {len(self.mean), len(self.std)} not in ({0}, {self.channels}) or self.positions not in get_args(Positions):
            raise CheckpointError(f"mean and std need {self.channels} numbers each, or none: {self}")

    @property
    def size(self) -> tuple[int, int, int]:
        """(time, row, col) of a clip."""
        return self.frames, self.crop, self.crop

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens along (time, row, col)."""
        time, rows, cols = (n // t for n, t in zip(self.size, self.tubelet, strict=True))
        return time, rows, cols

    @property
    def tokens(self) -> int:
        return prod(self.grid)

    @property
    def values(self) -> int:
        """Numbers in a tubelet."""
        return prod(self.tubelet) * self.channels

    @property
    def out_width(self) -> int:
        return self.width

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def position_table(config: TubeletConfig, width: int) -> Tensor:
    """Fixed positions of the tokens, (1, tokens, width), time-major."""
    if config.positions == "axes":
        return sincos_table(config.grid, width)
    channel = np.arange(width)[None]  # numpy, since a model may be built without numbers (on the meta device)
    angle = np.arange(config.tokens)[:, None] / 10000.0 ** (2 * (channel // 2) / width)
    return torch.from_numpy(np.where(channel % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)[None])


def draw_mask(
    config: TubeletConfig,
    batch: int,
    ratio: float,
    generator: torch.Generator | None = None,
    *,
    masking: Masking = "tube",
) -> Tensor:
    """Random masks (batch, tokens) bool, True = hidden; as many in every sample.

    "tube" hides the same floor(ratio * places) places of the image at all times (VideoMAE), "random" floor(ratio *
    tokens) tokens anywhere; at least one and not all.
    """
    device = "cpu" if generator is None else generator.device
    time, rows, cols = config.grid
    count = rows * cols if masking == "tube" else config.tokens
    if count < 2:
        raise InputError(f"{count} places cannot be partly hidden; take smaller tubelets or masking: random")
    hidden = min(max(int(ratio * count + 1e-9), 1), count - 1)
    rank = torch.rand(batch, count, generator=generator, device=device).argsort(1).argsort(1)
    mask = rank < hidden
    return mask.repeat(1, time) if masking == "tube" else mask


def check_clips(clips: Tensor, config: TubeletConfig) -> Tensor:
    """The clips as they are, or `InputError` naming what is wrong: shape, kind of numbers, grey levels, NaN."""
    want = (config.channels, *config.size)
    if not isinstance(clips, Tensor) or clips.ndim != 5 or tuple(clips.shape[1:]) != want:
        have = tuple(clips.shape) if isinstance(clips, Tensor) else type(clips).__name__
        raise InputError(
            f"clips must be (batch, channel, time, row, col) = (batch, {', '.join(map(str, want))}), {have}"
        )
    if not clips.is_floating_point():
        raise InputError(f"clips must be floating point in [0, 1], got {clips.dtype}")
    low, high = (float(v) for v in torch.aminmax(clips.detach())) if clips.numel() else (0.0, 0.0)
    if not (low > -_RAW_INTENSITY and high < _RAW_INTENSITY):  # also catches NaN
        raise InputError(f"clips must lie in [0, 1], they reach from {low:g} to {high:g}; scale them first")
    return clips


class TubeletEncoder(nn.Module):
    """Clips to tokens: one convolution a tubelet, fixed positions, pre-norm transformer blocks; no cls token."""

    position: Tensor

    def __init__(self, config: TubeletConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Conv3d(config.channels, config.width, config.tubelet, stride=config.tubelet)
        rates = np.linspace(0, config.drop_path, config.layers).tolist()
        self.blocks = nn.ModuleList(Block(config.width, config.heads, rate, eps=BLOCK_EPS) for rate in rates)
        self.register_buffer("position", position_table(config, config.width), persistent=False)
        initialise(self.blocks)
        nn.init.xavier_uniform_(self.embed.weight.view(config.width, -1))  # as of a linear layer (He et al. 2022)

    def forward(self, clips: Tensor, visible: Tensor | None = None) -> Tensor:
        """Clips (batch, channel, time, row, col) in [0, 1] -> tokens (batch, n, width).

        Args:
            visible: (batch, n) places of the tokens to take; None for all of them.
        """
        if self.config.mean:
            shape = (1, -1, 1, 1, 1)
            clips = (clips - clips.new_tensor(self.config.mean).view(shape)) / clips.new_tensor(self.config.std).view(
                shape
            )
        x = take(self.embed(clips).flatten(2).transpose(1, 2) + self.position, visible)
        for block in self.blocks:
            x = block(x)
        return x

    def start_from(self, other: TubeletEncoder) -> None:
        """Take over the weights; clips of another length or size will do, since positions are computed.

        Raises:
            CheckpointError: another tubelet, width or depth.
        """
        theirs = other.state_dict()
        for name, tensor in self.state_dict().items():
            if name not in theirs or theirs[name].shape != tensor.shape:
                have = "nothing" if name not in theirs else tuple(theirs[name].shape)
                raise CheckpointError(f"{name}: {tuple(tensor.shape)} here, {have} in the pretrained encoder")
        if set(theirs) != set(self.state_dict()):
            raise CheckpointError(
                f"the pretrained encoder has {other.config.layers} layers, this one {self.config.layers}"
            )
        self.load_state_dict({name: tensor.clone() for name, tensor in theirs.items()})


@dataclass(frozen=True)
class ViViTConfig:
    """Architecture of an encoder with a head, one output an answer."""

    encoder: TubeletConfig
    answers: Answers = field(default_factory=Answers)

    def __post_init__(self) -> None:
        if isinstance(self.encoder, Mapping):
            object.__setattr__(self, "encoder", TubeletConfig(**self.encoder))
        if isinstance(self.answers, Mapping):
            object.__setattr__(self, "answers", Answers(**self.answers))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class ViViT(nn.Module):
    """Clips in, one row of answers out, end to end: the mean of all tokens, LayerNorm, a linear layer (VideoMAE).

    >>> mae = cardiolens.load_model("echoai-tiny", weights="runs/echoai_tiny_pretrain/final")      # doctest: +SKIP
    >>> model = ViViT(ViViTConfig(mae.config.encoder, Answers(("ef",), ("value",), (55.0,), (12.0,))))  # doctest: +SKIP
    >>> model.encoder.start_from(mae.encoder)                                                       # doctest: +SKIP
    >>> model.predict(torch.rand(2, 1, 16, 64, 64))                                                 # doctest: +SKIP

    Attributes:
        card: what the model is; None until given.
    """

    def __init__(self, config: ViViTConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config, self.card = config, card
        self.encoder = TubeletEncoder(config.encoder)
        self.norm = nn.LayerNorm(config.encoder.width, eps=1e-5)
        self.head = nn.Linear(config.encoder.width, len(config.answers))
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def features(self, clips: Tensor) -> Tensor:
        """(batch, channel, time, row, col) in [0, 1] -> (batch, width), what the head sees."""
        found: Tensor = self.norm(self.encoder(check_clips(clips, self.config.encoder)).mean(1))
        return found

    def forward(self, clips: Tensor) -> Tensor:
        """(batch, channel, time, row, col) in [0, 1] -> logits (batch, outputs).

        Raises:
            InputError: another shape, or grey levels out of range.
        """
        found: Tensor = self.head(self.features(clips))
        return found

    def predict(self, clips: Tensor) -> Tensor:
        """In the terms of each output, see `Answers.predict`."""
        return self.config.answers.predict(self(clips))

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "vivit"} | self.config.to_dict()
