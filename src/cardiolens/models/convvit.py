"""ConvViT: CineMA's encoder with linear heads, for what stands in a table: a diagnosis, LVEF, age, landmarks.

Each view's mean token and the cls token have a head of their own; the answer is their mean (Fu et al. 2025).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.card import Card
from cardiolens.models.cinema_card import fresh_card, note_start
from cardiolens.models.convmae import ConvMAE, ConvMAEConfig
from cardiolens.models.multiview import Features, MultiViewEncoder
from cardiolens.models.views import EncoderConfig, Images, check_images

Kind = Literal["classification", "regression", "coordinates", "raw"]
KINDS = ("classification", "regression", "coordinates", "raw")


def check_outputs(kind: str, outputs: int, offset: Sequence[float], scale: Sequence[float]) -> None:
    """`CheckpointError` where the settings of a head contradict each other."""
    wrong = ""
    if kind not in KINDS:
        wrong = f"kind {kind!r} is none of {', '.join(KINDS)}"
    elif outputs < 1 or (kind == "coordinates" and outputs % 2):
        wrong = f"outputs {outputs} must be at least 1, and even for coordinates (row and column of each landmark)"
    elif any(len(values) not in (0, outputs) for values in (offset, scale)):
        wrong = f"offset and scale must have {outputs} numbers each, or none"
    elif kind != "regression" and (offset or scale):
        wrong = f"offset and scale belong to a regression, not to {kind}"
    if wrong:
        raise CheckpointError(f"not a valid head: {wrong}")


def predictions(logits: Tensor, kind: Kind, offset: Sequence[float], scale: Sequence[float]) -> Tensor:
    """Logits (batch, outputs) in the terms of the task, see `ConvViT.predict`."""
    if kind == "classification":
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)
    if kind == "coordinates":
        return logits.reshape(len(logits), -1, 2)
    if kind == "raw":
        raise InputError(
            "the file does not say what its logits are: set model.config = dataclasses.replace(model.config, "
            'kind="classification"), or "regression" (with offset and scale), or "coordinates"; or take model(images)'
        )
    if scale:
        logits = logits * logits.new_tensor(list(scale))
    return logits + logits.new_tensor(list(offset)) if offset else logits


@dataclass(frozen=True)
class ConvViTConfig:
    """Architecture of an encoder with heads.

    Attributes:
        encoder: its `in_channels` are the frames: 2 for ED and ES, in this order.
        outputs: classes, values, or two for each landmark.
        kind: what the outputs are; "raw" where a published file does not say.
        offset, scale: a regression's target = offset + scale * logit, one number an output; empty for 0 and 1.
    """

    encoder: EncoderConfig
    outputs: int = 1
    kind: Kind = "classification"
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.encoder, Mapping):
            object.__setattr__(self, "encoder", EncoderConfig(**self.encoder))
        for name in ("offset", "scale"):
            object.__setattr__(self, name, tuple(float(v) for v in getattr(self, name)))  # JSON gives lists
        check_outputs(self.kind, self.outputs, self.offset, self.scale)

    @classmethod
    def like(
        cls,
        mae: ConvMAEConfig,
        *,
        views: Sequence[str] | None = None,
        in_channels: int = 2,
        drop_path: float = 0.1,
        **head: Any,
    ) -> ConvViTConfig:
        """Of the size of an autoencoder; `head` are the other fields."""
        encoder = mae.encoder if views is None else mae.encoder.only(views)
        return cls(replace(encoder, in_channels=in_channels, drop_path=drop_path), **head)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class ConvViT(nn.Module):
    """Images of all its views in, one row of values out.

    >>> mae = cardiolens.load_model("cinema-base", weights="cinema.safetensors")       # doctest: +SKIP
    >>> model = ConvViT.from_pretrained(mae, ["SAX"], outputs=5)                       # doctest: +SKIP
    >>> model.predict({"SAX": torch.rand(1, 2, 192, 192, 16)})                         # doctest: +SKIP
    """

    def __init__(self, config: ConvViTConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config = config
        self.card = card or fresh_card(self.architecture())
        self.encoder = MultiViewEncoder(config.encoder, fusion=True)
        self.heads = nn.ModuleDict()
        for name in (*config.encoder.views, "cls"):
            head = nn.Linear(config.encoder.width, config.outputs)
            nn.init.trunc_normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
            self.heads[name] = head

    @classmethod
    def from_pretrained(
        cls,
        mae: ConvMAE,
        views: Sequence[str] | None = None,
        *,
        in_channels: int = 2,
        drop_path: float = 0.1,
        **head: Any,
    ) -> ConvViT:
        """Untrained heads on the encoder of a pretrained autoencoder: its branches of these views, its transformer.

        Args:
            views: which; None for all that the autoencoder has.
            in_channels: frames; a stem of one frame gives every frame its kernel divided by their number.
            head: `outputs`, `kind`, `offset`, `scale` of `ConvViTConfig`.

        Raises:
            InputError: the autoencoder has no such view.
            CheckpointError: settings that contradict each other.
        """
        model = cls(ConvViTConfig.like(mae.config, views=views, in_channels=in_channels, drop_path=drop_path, **head))
        model.encoder.start_from(mae.encoder)
        note_start(model.card, mae.card)
        return model

    def forward(self, images: Images, pool: Literal["all", "cls", "patch"] = "all") -> Tensor:
        """view -> (batch, frames, row, col[, depth]) in [0, 1], every view of the model -> logits (batch, outputs).

        Args:
            pool: mean over the heads of the views and of cls ("all"), of the views ("patch"), or cls alone.

        Raises:
            InputError: a missing or unknown view, another size.
        """
        features: Features = self.encoder(check_images(images, self.config.encoder, every=True))
        logits = []
        if pool in ("all", "patch"):
            logits += [self.heads[view](tokens.mean(1)) for view, tokens in features.tokens.items()]
        if pool in ("all", "cls"):
            logits.append(self.heads["cls"](features.cls))
        if not logits:
            raise InputError(f'pool is "all", "cls" or "patch", not {pool!r}')
        return torch.stack(logits).mean(0)

    def predict(self, images: Images) -> Tensor:
        """In the terms of the task.

        Returns:
            classification: probabilities (batch, outputs), softmax, or sigmoid where there is one output;
            regression: (batch, outputs) in the target's unit;
            coordinates: (batch, landmarks, 2), (row, col) as fractions of the image's size.
        """
        config = self.config
        return predictions(cast(Tensor, self(images)), config.kind, config.offset, config.scale)

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "convvit"} | self.config.to_dict()
