"""ConvUNetR: CineMA's encoder under a convolutional decoder, for masks and landmark heat-maps (Fu et al. 2025).

The decoder of each view takes the image itself, both scales of the stem, the token grid and one level below it, and
climbs back to the image (UNETR: Hatamizadeh et al. 2022).  There is no fusion here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import log2
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import CheckpointError
from cardiolens.models.card import Card
from cardiolens.models.cinema_card import fresh_card, note_start
from cardiolens.models.convmae import ConvMAE, ConvMAEConfig
from cardiolens.models.multiview import Features, MultiViewEncoder, channels_last, convolution
from cardiolens.models.transformer import Recomputed
from cardiolens.models.views import EncoderConfig, Images, check_images


@dataclass(frozen=True)
class ConvUNetRConfig:
    """Architecture of an encoder with a decoder a view.

    Attributes:
        classes: channels of the logits, the background's among them.
        channels: of the levels: the image, both scales of the stem (as wide as there), tokens, one below.
        dropout: within residual blocks.
    """

    encoder: EncoderConfig
    classes: int = 4
    channels: tuple[int, int, int, int, int] = (32, 64, 128, 256, 512)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.encoder, Mapping):
            object.__setattr__(self, "encoder", EncoderConfig(**self.encoder))
        object.__setattr__(self, "channels", tuple(int(v) for v in self.channels))  # JSON gives lists
        fits = len(self.channels) == 5 and self.channels[1:3] == self.encoder.stem_channels
        if not fits or self.classes < 1 or min(self.channels) < 1 or not 0 <= self.dropout < 1:
            raise CheckpointError(
                f"not a valid ConvUNetR: {self.classes} classes, channels {self.channels} over a stem of "
                f"{self.encoder.stem_channels}, dropout {self.dropout}"
            )
        if any(ratio < 2 or not log2(ratio).is_integer() for ratio in self.encoder.patches):
            raise CheckpointError(f"patches {self.encoder.patches} must be 2, 4, 8, ... for a ConvUNetR")
        for view in self.encoder.views:
            if any(n % 2 for n in self.encoder.grid(view)[:2]):
                raise CheckpointError(f"{view}: a token grid of {self.encoder.grid(view)} cannot be halved in plane")

    @classmethod
    def like(
        cls,
        mae: ConvMAEConfig,
        *,
        views: Sequence[str] | None = None,
        in_channels: int = 1,
        drop_path: float = 0.1,
        classes: int = 4,
        dropout: float = 0.0,
        channels: tuple[int, int, int, int, int] | None = None,
    ) -> ConvUNetRConfig:
        """Of the size of an autoencoder; `channels` by default the stem's, half as many above and doubled below."""
        encoder = mae.encoder if views is None else mae.encoder.only(views)
        encoder = replace(encoder, in_channels=in_channels, drop_path=drop_path)
        first, second = encoder.stem_channels
        wide = channels or (first // 2, first, second, 2 * second, 4 * second)
        return cls(encoder, classes, wide, dropout)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class ResidualBlock(Recomputed):
    """LayerNorm, GELU, 3-wide convolution, LayerNorm, GELU, dropout, 3-wide convolution; added to the input, which
    passes a 1x1 convolution where widths differ."""

    def __init__(self, size: int, wide: int, out: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(wide, eps=1e-6)
        self.conv1 = convolution(size, wide, out, kernel=3)
        self.norm2 = nn.LayerNorm(out, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = convolution(size, out, out, kernel=3)
        self.shortcut = nn.Linear(wide, out) if wide != out else None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, row, col[, depth], wide) -> (batch, row, col[, depth], out)."""
        y = channels_last(self.conv1, F.gelu(self.norm1(x)))
        y = channels_last(self.conv2, self.dropout(F.gelu(self.norm2(y))))
        return y + (x if self.shortcut is None else self.shortcut(x))


class Climb(nn.Module):
    """Twice as fine in plane: transposed convolution, the level there added if there is one, two residual blocks."""

    def __init__(self, size: int, wide: int, out: int, dropout: float) -> None:
        super().__init__()
        step = (2, 2, 1)[:size]
        kind: Any = nn.ConvTranspose2d if size == 2 else nn.ConvTranspose3d
        self.up: nn.Module = kind(wide, out, step, stride=step)
        self.blocks = nn.ModuleList(ResidualBlock(size, out, out, dropout) for _ in range(2))

    def forward(self, x: Tensor, level: Tensor | None) -> Tensor:
        """(batch, row, col[, depth], wide) -> (batch, 2 row, 2 col[, depth], out)."""
        x = channels_last(self.up, x)
        if level is not None:
            x = x + level
        for block in self.blocks:
            x = block(x)
        return x


class ViewDecoder(nn.Module):
    """Levels of one view and the way up through them."""

    def __init__(self, config: ConvUNetRConfig, view: str) -> None:
        super().__init__()
        encoder, dropout = config.encoder, config.dropout
        self.grid = encoder.grid(view)
        size, (top, first, second, token, below) = len(self.grid), config.channels
        self.image = ResidualBlock(size, encoder.in_channels, top, dropout)
        self.down = convolution(size, encoder.width, encoder.width, kernel=2, stride=2)
        wides = ((first, first), (second, second), (encoder.width, token), (encoder.width, below))
        self.levels = nn.ModuleList(ResidualBlock(size, wide, out, dropout) for wide, out in wides)
        self.ups, self.meets = nn.ModuleList(), []
        wide = below
        for level, ratio in zip((3, 2, 1, 0), (2, *reversed(encoder.patches)), strict=True):
            out = config.channels[level]
            for step in range(int(log2(ratio)), 0, -1):
                self.ups.append(Climb(size, wide, out, dropout))
                self.meets.append(level if step == 1 else None)
                wide = out
        self.head = nn.Linear(top, config.classes)

    def forward(self, image: Tensor, tokens: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """image (batch, channel, row, col[, depth]), tokens (batch, tokens, width), skips as of the stem -> logits
        (batch, classes, row, col[, depth])."""
        grid = tokens.reshape(len(tokens), *self.grid, -1)
        inputs = (*skips, grid, channels_last(self.down, grid))
        levels = [self.image(image.movedim(1, -1))]
        levels += [block(x) for block, x in zip(self.levels, inputs, strict=True)]
        x = levels.pop()
        for up, meet in zip(self.ups, self.meets, strict=True):
            x = up(x, None if meet is None else levels[meet])
        logits: Tensor = self.head(x).movedim(-1, 1)
        return logits


class ConvUNetR(nn.Module):
    """Images of all its views in, logits of every pixel out.

    >>> mae = cardiolens.load_model("cinema-base", weights="cinema.safetensors")       # doctest: +SKIP
    >>> model = ConvUNetR.from_pretrained(mae, ["SAX"], classes=4)                     # doctest: +SKIP
    >>> model({"SAX": torch.rand(1, 1, 192, 192, 16)})["SAX"].shape                    # doctest: +SKIP
    torch.Size([1, 4, 192, 192, 16])
    """

    def __init__(self, config: ConvUNetRConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config = config
        self.card = card or fresh_card(self.architecture())
        self.encoder = MultiViewEncoder(config.encoder, fusion=False)
        self.decoders = nn.ModuleDict({view: ViewDecoder(config, view) for view in config.encoder.views})

    @classmethod
    def from_pretrained(
        cls,
        mae: ConvMAE,
        views: Sequence[str] | None = None,
        *,
        in_channels: int = 1,
        drop_path: float = 0.1,
        classes: int = 4,
        dropout: float = 0.0,
        channels: tuple[int, int, int, int, int] | None = None,
    ) -> ConvUNetR:
        """Untrained decoders on the encoder of a pretrained autoencoder: its branches of these views, its transformer.

        Args:
            views: which; None for all that the autoencoder has.
            in_channels: frames; a stem of one frame gives every frame its kernel divided by their number.

        Raises:
            InputError: the autoencoder has no such view.
        """
        config = ConvUNetRConfig.like(
            mae.config,
            views=views,
            in_channels=in_channels,
            drop_path=drop_path,
            classes=classes,
            dropout=dropout,
            channels=channels,
        )
        model = cls(config)
        model.encoder.start_from(mae.encoder)
        note_start(model.card, mae.card)
        return model

    def forward(self, images: Images) -> dict[str, Tensor]:
        """view -> (batch, channel, row, col[, depth]) in [0, 1], every view of the model -> view -> logits
        (batch, classes, row, col[, depth]).

        Raises:
            InputError: a missing or unknown view, another size.
        """
        given = check_images(images, self.config.encoder, every=True)
        features: Features = self.encoder(given)
        return {
            view: self.decoders[view](image, features.tokens[view], features.skips[view])
            for view, image in given.items()
        }

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "unetr"} | self.config.to_dict()
