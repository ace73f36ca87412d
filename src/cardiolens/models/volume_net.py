"""3D baselines of SLIViT: a video encoder over the whole volume, and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.answers import Answers
from cardiolens.models.card import Card
from cardiolens.models.resnet3d import ResNet3d, ResNet3dConfig
from cardiolens.models.vit3d import ViT3d, ViT3dConfig

VolumeEncoder = ResNet3dConfig | ViT3dConfig


@dataclass(frozen=True)
class VolumeNetConfig:
    """Architecture: `encoder.frames` slices of `encoder.crop` pixels, one output an answer."""

    encoder: VolumeEncoder
    answers: Answers = field(default_factory=Answers)

    def __post_init__(self) -> None:
        if isinstance(self.encoder, Mapping):
            made: dict[str, Any] = {"resnet3d": ResNet3dConfig, "vit3d": ViT3dConfig}
            kind = self.encoder.get("kind", "")
            if kind not in made:
                raise CheckpointError(f"not a valid encoder of volumes: {kind!r} is none of {', '.join(made)}")
            object.__setattr__(self, "encoder", made[kind](**self.encoder))
        if isinstance(self.answers, Mapping):
            object.__setattr__(self, "answers", Answers(**self.answers))

    @property
    def slices(self) -> int:
        return self.encoder.frames

    @property
    def size(self) -> int:
        return self.encoder.crop

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class VolumeNet(nn.Module):
    """Volumes in, one row of answers out; takes what SLIViT takes."""

    def __init__(self, config: VolumeNetConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config, self.card = config, card
        encoder = config.encoder
        self.video_encoder = ResNet3d(encoder) if isinstance(encoder, ResNet3dConfig) else ViT3d(encoder)
        self.head = nn.Linear(encoder.out_width, len(config.answers))

    def forward(self, volumes: Tensor) -> Tensor:
        """(batch, slice, channel, row, col) in [0, 1] -> logits (batch, outputs)."""
        if volumes.ndim != 5 or volumes.shape[1] != self.config.slices or set(volumes.shape[3:]) != {self.config.size}:
            raise InputError(
                f"volumes must be (batch, {self.config.slices} slices, channel, {self.config.size}, "
                f"{self.config.size}), got {tuple(volumes.shape)}"
            )
        found: Tensor = self.head(self.video_encoder(volumes.movedim(1, 2)))
        return found

    def predict(self, volumes: Tensor) -> Tensor:
        """In the terms of each output, see `Answers.predict`."""
        return self.config.answers.predict(self(volumes))

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "volume"} | self.config.to_dict()
