"""CineMA: masked autoencoder of the cine views (Fu et al. 2025, arXiv 2506.00679).

Three quarters of the patches of every view are hidden; one transformer encodes what is visible of all views, and a
decoder, whose queries are the hidden places, attends to it and predicts their pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.card import Card
from cardiolens.models.cinema_card import fresh_card
from cardiolens.models.cinema_sizes import CINEMA_SIZES
from cardiolens.models.multiview import Features, Masks, MultiViewEncoder, patchify, places_of, take, unpatchify
from cardiolens.models.transformer import Block, initialise, sincos_table
from cardiolens.models.views import EncoderConfig, Images, check_images


@dataclass(frozen=True)
class ConvMAEConfig:
    """Architecture: the encoder and a decoder; the defaults are the published ones.

    Attributes:
        encoder: see `EncoderConfig`; a mapping of its fields will do.
        mask_ratio: share of the tokens of a view that is hidden.
    """

    encoder: EncoderConfig
    decoder_width: int = 512
    decoder_layers: int = 8
    decoder_heads: int = 16
    mask_ratio: float = 0.75

    def __post_init__(self) -> None:
        if isinstance(self.encoder, Mapping):
            object.__setattr__(self, "encoder", EncoderConfig(**self.encoder))
        if min(self.decoder_width, self.decoder_layers, self.decoder_heads) < 1 or not 0 < self.mask_ratio < 1:
            raise CheckpointError(f"not a valid masked autoencoder: {self}")
        if self.decoder_width % self.decoder_heads:
            raise CheckpointError(f"decoder_width {self.decoder_width} is no multiple of {self.decoder_heads} heads")

    @classmethod
    def of(
        cls, size: str, views: Sequence[str] | None = None, *, sizes: Mapping[str, tuple[int, ...]] | None = None
    ) -> ConvMAEConfig:
        """The autoencoder of a named size ("tiny", "base", "large", "huge") for some or all views."""
        encoder = EncoderConfig.of(size, views, sizes=sizes)
        return cls(encoder, **CINEMA_SIZES[size]["decoder"])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class MAEOutput(NamedTuple):
    """What a forward pass gives.

    Attributes:
        loss: mean of `losses`.
        losses: by view the mean squared error over its masked patches.
        predictions: by view (batch, masked, values), masked tokens in ascending order, the values of a patch in the
            order (row, col, channel).
        masks: by view (batch, tokens) bool, True = masked, tokens row-major.
    """

    loss: Tensor
    losses: dict[str, Tensor]
    predictions: dict[str, Tensor]
    masks: dict[str, Tensor]


def draw_masks(
    config: EncoderConfig,
    views: Sequence[str],
    batch: int,
    ratio: float,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Random masks, (batch, tokens) bool by view: in each sample floor(ratio * tokens) of them are True, at least one
    and not all.  They lie on the generator's device (the CPU without one)."""
    device = "cpu" if generator is None else generator.device
    found = {}
    for view in views:
        tokens = config.tokens(view)
        masked = min(max(int(ratio * tokens), 1), tokens - 1)
        rank = torch.rand(batch, tokens, generator=generator, device=device).argsort(1).argsort(1)
        found[view] = rank < masked
    return found


class ConvMAE(nn.Module):
    """Masked autoencoder over any of its views.

    >>> mae = ConvMAE(ConvMAEConfig.of("tiny"))                                        # doctest: +SKIP
    >>> images = {"SAX": torch.rand(2, 1, 96, 96, 8), "4CH": torch.rand(2, 1, 128, 128)}
    >>> mae(images, generator=torch.Generator().manual_seed(0)).loss.backward()        # doctest: +SKIP

    Attributes:
        card: what the model is; None until given.
    """

    def __init__(self, config: ConvMAEConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config = config
        self.card = card or fresh_card(self.architecture())
        encoder, width = config.encoder, config.decoder_width
        self.encoder = MultiViewEncoder(encoder, fusion=True)
        self.to_decoder = nn.Linear(encoder.width, width)
        self.mask_tokens = nn.ParameterDict({view: nn.Parameter(torch.zeros(1, 1, width)) for view in encoder.views})
        self.decoder = nn.ModuleList(Block(width, config.decoder_heads) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(width, eps=1e-5)
        self.heads = nn.ModuleDict()
        for view in encoder.views:
            rows, cols, *_ = encoder.patch(view)
            self.heads[view] = nn.Linear(width, rows * cols * encoder.in_channels)
            self.register_buffer(f"position_{view}", sincos_table(encoder.grid(view), width), persistent=False)
        for part in (self.to_decoder, self.decoder, self.heads):
            initialise(part)
        for token in self.mask_tokens.values():
            nn.init.normal_(token, std=0.02)

    def forward(
        self,
        images: Images,
        masks: Masks | None = None,
        *,
        generator: torch.Generator | None = None,
        mask_ratio: float | None = None,
    ) -> MAEOutput:
        """Hide, encode, predict.

        Args:
            images: view -> (batch, channel, row, col[, depth]) in [0, 1], any of the model's views.
            masks: view -> (batch, tokens) bool, True = masked; drawn where None.
            generator: for drawing; without one PyTorch's own.
            mask_ratio: other than the configured one.

        Raises:
            InputError: an unknown view, another size, masks that do not fit.
        """
        given = check_images(images, self.config.encoder, every=False)
        first = next(iter(given.values()))
        if masks is None:
            ratio = self.config.mask_ratio if mask_ratio is None else mask_ratio
            masks = draw_masks(self.config.encoder, list(given), len(first), ratio, generator)
        masks = self._checked(masks, given)
        places = {view: places_of(mask, first.device) for view, mask in masks.items()}
        features = self.encoder(given, masks)
        predictions = self._decode(features, places)
        losses = {}
        for view, image in given.items():
            truth = patchify(image.movedim(1, -1), self.config.encoder.patch(view)[0])
            losses[view] = F.mse_loss(predictions[view].to(truth.dtype), take(truth, places[view][1]))
        masks = {view: mask.to(first.device) for view, mask in masks.items()}
        return MAEOutput(torch.stack(list(losses.values())).mean(), losses, predictions, masks)

    def _decode(self, features: Features, places: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Predicted patches at the masked places.

        Queries do not see each other, so the one that the publishers send through for the cls token changes nothing
        and is left out.
        """
        context, queries = [], []
        for view, tokens in features.tokens.items():
            position = self.get_buffer(f"position_{view}")
            visible, masked = places[view]
            context.append(self.to_decoder(tokens) + take(position, visible))
            queries.append(self.mask_tokens[view] + take(position, masked))
        lengths = [query.shape[1] for query in queries]
        x, seen = torch.cat(queries, 1), torch.cat(context, 1)
        for block in self.decoder:
            x = block(x, seen)
        parts = self.decoder_norm(x).split(lengths, 1)
        return {view: self.heads[view](part) for view, part in zip(features.tokens, parts, strict=True)}

    def features(self, images: Images) -> Features:
        """cls (batch, width) and tokens (batch, tokens, width) of each view, nothing masked, after fusion.

        Raises:
            InputError: an unknown view, another size.
        """
        found: Features = self.encoder(check_images(images, self.config.encoder, every=False))
        return found

    def reconstruct(self, images: Images, output: MAEOutput) -> dict[str, Tensor]:
        """The images with their masked patches replaced by the prediction, in the shapes they came in."""
        given, found = check_images(images, self.config.encoder, every=False), {}
        for view, image in given.items():
            step = self.config.encoder.patch(view)[0]
            values = patchify(image.movedim(1, -1), step).clone()
            values[output.masks[view]] = output.predictions[view].to(values.dtype).flatten(0, 1)
            found[view] = unpatchify(values, self.config.encoder.grid(view), step).movedim(-1, 1)
        return found

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "convmae"} | self.config.to_dict()

    def _checked(self, masks: Masks, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Masks of the images at hand, in their order."""
        if set(masks) != set(given):
            raise InputError(f"masks are of {', '.join(masks) or 'no view'}, images of {', '.join(given)}")
        for view, mask in masks.items():
            want = (len(given[view]), self.config.encoder.tokens(view))
            if tuple(mask.shape) != want or mask.dtype != torch.bool:
                raise InputError(f"mask of {view} must be bool {want}, got {mask.dtype} {tuple(mask.shape)}")
            counts = mask.sum(1)
            if want[0] and (int(counts.min()) != int(counts.max()) or int(counts.min()) == 0):
                raise InputError(
                    f"mask of {view} hides {int(counts.min())} to {int(counts.max())} tokens; it must hide the same "
                    "number, at least one, in every sample of a batch"
                )
        if all(bool(mask.all()) for mask in masks.values()):
            raise InputError("the masks hide every token of every view: nothing is left to encode")
        return {view: masks[view] for view in given}
