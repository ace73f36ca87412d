"""Masked autoencoder of video (VideoMAE: Tong et al. 2022), the pretraining of EchoAI (arXiv 2311.12582).

Most tubelets are hidden; the encoder sees the others, and a light decoder, which attends over both, predicts the pixels
of the hidden ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.card import Card
from cardiolens.models.multiview import places_of, take
from cardiolens.models.transformer import Block, initialise
from cardiolens.models.vivit import (
    BLOCK_EPS,
    Masking,
    TubeletConfig,
    TubeletEncoder,
    check_clips,
    draw_mask,
    position_table,
)

_TINY = 1e-6  # beside the standard deviation of a tubelet; of the published code


@dataclass(frozen=True)
class VideoMAEConfig:
    """Architecture: the encoder and a decoder; the defaults are VideoMAE-Base's.

    Attributes:
        encoder: see `TubeletConfig`; a mapping of its fields will do.
        mask_ratio: share that is hidden; masking: "tube" or "random", see `draw_mask`.
        normalise: the decoder learns the pixels of a tubelet less their mean, over their standard deviation (of each
            channel by itself); False learns the pixels themselves.
    """

    encoder: TubeletConfig
    decoder_width: int = 384
    decoder_layers: int = 4
    decoder_heads: int = 6
    mask_ratio: float = 0.9
    masking: Masking = "tube"
    normalise: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.encoder, Mapping):
            object.__setattr__(self, "encoder", TubeletConfig(**self.encoder))
        counts = (self.decoder_width, self.decoder_layers, self.decoder_heads)
        if min(counts) < 1 or self.decoder_width % self.decoder_heads or not 0 < self.mask_ratio < 1:
            raise CheckpointError(f"not a valid masked autoencoder: {self}")
        if self.masking not in get_args(Masking):
            raise CheckpointError(f"masking is 'tube' or 'random', not {self.masking!r}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class VideoMAEOutput(NamedTuple):
    """What a forward pass gives.

    Attributes:
        loss: mean squared error over the hidden tubelets.
        predictions: (batch, hidden, values), in ascending order of their places, the values of a tubelet in the order
            (time, row, col, channel).
        mask: (batch, tokens) bool, True = hidden.
    """

    loss: Tensor
    predictions: Tensor
    mask: Tensor


def to_tubelets(clips: Tensor, tubelet: tuple[int, int, int]) -> Tensor:
    """(batch, channel, time, row, col) -> (batch, tokens, values): tokens time-major, values (time, row, col,
    channel)."""
    t, r, c = tubelet
    batch, channels, time, rows, cols = clips.shape
    x = clips.reshape(batch, channels, time // t, t, rows // r, r, cols // c, c)
    return x.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(batch, -1, t * r * c * channels)


def from_tubelets(tokens: Tensor, config: TubeletConfig) -> Tensor:
    """The way back: (batch, tokens, values) -> (batch, channel, time, row, col)."""
    x = tokens.reshape(len(tokens), *config.grid, *config.tubelet, config.channels)
    return x.permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(len(tokens), config.channels, *config.size)


def _moments(tubelets: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (n - 1) of every channel of a tubelet, spread over its values."""
    x = tubelets.reshape(*tubelets.shape[:-1], -1, channels)
    mean, spread = x.mean(-2, keepdim=True), x.var(-2, unbiased=True, keepdim=True).sqrt() + _TINY
    return mean.expand_as(x).flatten(-2), spread.expand_as(x).flatten(-2)


class VideoMAE(nn.Module):
    """Masked autoencoder of clips.

    >>> mae = cardiolens.load_model("echoai-tiny")                                     # doctest: +SKIP
    >>> out = mae(torch.rand(2, 1, 16, 64, 64), generator=torch.Generator().manual_seed(0))  # doctest: +SKIP
    >>> out.loss.backward()                                                            # doctest: +SKIP

    Attributes:
        card: what the model is; None until given.
    """

    position: Tensor

    def __init__(self, config: VideoMAEConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config, self.card = config, card
        encoder, width = config.encoder, config.decoder_width
        self.encoder = TubeletEncoder(encoder)
        self.norm = nn.LayerNorm(encoder.width, eps=BLOCK_EPS)
        self.to_decoder = nn.Linear(encoder.width, width, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder = nn.ModuleList(
            Block(width, config.decoder_heads, eps=BLOCK_EPS) for _ in range(config.decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(width, eps=1e-5)
        self.pixels = nn.Linear(width, encoder.values)
        self.register_buffer("position", position_table(encoder, width), persistent=False)
        for part in (self.to_decoder, self.decoder, self.pixels):
            initialise(part)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(
        self,
        clips: Tensor,
        mask: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        mask_ratio: float | None = None,
    ) -> VideoMAEOutput:
        """Hide, encode, predict.

        Args:
            clips: (batch, channel, time, row, col) in [0, 1].
            mask: (batch, tokens) bool, True = hidden; drawn where None.
            generator: for drawing; without one PyTorch's own.
            mask_ratio: other than the configured one.

        Raises:
            InputError: another shape, grey levels out of range, a mask that does not fit.
        """
        config = self.config
        check_clips(clips, config.encoder)
        if mask is None:
            ratio = config.mask_ratio if mask_ratio is None else mask_ratio
            mask = draw_mask(config.encoder, len(clips), ratio, generator, masking=config.masking)
        visible, hidden = places_of(self._checked(mask, len(clips)), clips.device)
        seen = self.to_decoder(self.norm(self.encoder(clips, visible))) + take(self.position, visible)
        x = torch.cat([seen, self.mask_token + take(self.position, hidden)], 1)
        for block in self.decoder:
            x = block(x)
        predictions: Tensor = self.pixels(self.decoder_norm(x[:, visible.shape[1] :]))
        truth = take(to_tubelets(clips, config.encoder.tubelet), hidden)
        if config.normalise:
            mean, spread = _moments(truth, config.encoder.channels)
            truth = (truth - mean) / spread
        return VideoMAEOutput(F.mse_loss(predictions.to(truth.dtype), truth), predictions, mask.to(clips.device))

    def features(self, clips: Tensor) -> Tensor:
        """(batch, channel, time, row, col) in [0, 1], nothing hidden -> (batch, width), the mean of all tokens."""
        found: Tensor = self.norm(self.encoder(check_clips(clips, self.config.encoder))).mean(1)
        return found

    def reconstruct(self, clips: Tensor, output: VideoMAEOutput) -> Tensor:
        """The clips with their hidden tubelets replaced by the prediction, in the shape they came in.

        Where the model learned normalised tubelets, the mean and spread of the true ones are put back, as the
        published pictures of VideoMAE do: structure within a tubelet is the prediction's, its grey level is not.
        """
        encoder, predictions = self.config.encoder, output.predictions
        values = to_tubelets(clips, encoder.tubelet).clone()
        if self.config.normalise:
            mean, spread = _moments(take(values, places_of(output.mask, values.device)[1]), encoder.channels)
            predictions = predictions * spread + mean
        values[output.mask] = predictions.to(values.dtype).flatten(0, 1)
        return from_tubelets(values, encoder)

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "videomae"} | self.config.to_dict()

    def _checked(self, mask: Tensor, batch: int) -> Tensor:
        want = (batch, self.config.encoder.tokens)
        if tuple(mask.shape) != want or mask.dtype != torch.bool:
            raise InputError(f"the mask must be bool {want}, got {mask.dtype} {tuple(mask.shape)}")
        counts = mask.sum(1)
        if batch and not (0 < int(counts.min()) == int(counts.max()) < want[1]):
            raise InputError(
                f"the mask hides {int(counts.min())} to {int(counts.max())} of {want[1]} tokens; it must hide the same "
                "number in every sample, at least one and not all"
            )
        return mask
