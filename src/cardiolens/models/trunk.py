"""The 2D trunk of SLIViT (Avram et al. 2024): ConvNeXt (Liu et al. 2022, arXiv 2201.03545) or ResNet of transformers.

`SliceClassifier` is the trunk under a linear layer, as it is pretrained on 2D images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from cardiolens.errors import CheckpointError
from cardiolens.models.card import Card

STRIDE = 32  # pixels of an image to one of the trunk's map


@dataclass(frozen=True)
class TrunkConfig:
    """Architecture of a trunk; the defaults are ConvNeXt-T's.

    Attributes:
        kind: "convnext", or "resnet" with basic blocks (for the ablation).
        depths, widths: blocks and channels of the four stages.
        channels: of an image.
        layer_scale: what ConvNeXt's layer scale starts at.
        wide_start: first weights by He et al. 2015 in place of ConvNeXt's sd of 0.02, with which a small trunk that
            starts from nothing forgets its input in a few steps.  Ours; means nothing once weights are loaded.
    """

    kind: Literal["convnext", "resnet"] = "convnext"
    depths: tuple[int, ...] = (3, 3, 9, 3)
    widths: tuple[int, ...] = (96, 192, 384, 768)
    channels: int = 3
    layer_scale: float = 1e-6
    wide_start: bool = False

    def __post_init__(self) -> None:
        for name in ("depths", "widths"):
            object.__setattr__(self, name, tuple(int(v) for v in getattr(self, name)))  # JSON gives lists
        sound = len(self.depths) == len(self.widths) == 4 and min(*self.depths, *self.widths, self.channels) > 0
        if self.kind not in ("convnext", "resnet") or not sound:
            raise CheckpointError(f"not a valid trunk: {self}")


def make_trunk(config: TrunkConfig) -> nn.Sequential:
    """Embeddings and encoder of transformers' model, by the publisher's names `0` and `1`; without its last norm."""
    from transformers import ConvNextConfig, ConvNextModel, ResNetConfig, ResNetModel

    if config.kind == "resnet":
        settings = ResNetConfig(
            num_channels=config.channels,
            embedding_size=config.widths[0],
            hidden_sizes=list(config.widths),
            depths=list(config.depths),
            layer_type="basic",
        )
        resnet = ResNetModel(settings)
        return nn.Sequential(resnet.embedder, resnet.encoder)
    convnext = ConvNextModel(
        ConvNextConfig(
            num_channels=config.channels,
            hidden_sizes=list(config.widths),
            depths=list(config.depths),
            layer_scale_init_value=config.layer_scale,
        )
    )
    if config.wide_start:
        for module in convnext.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
    return nn.Sequential(convnext.embeddings, convnext.encoder)


def trunk_map(trunk: nn.Sequential, images: Tensor) -> Tensor:
    """(batch, channel, row, col) -> (batch, width, row / 32, col / 32)."""
    found: Tensor = trunk[1](trunk[0](images)).last_hidden_state
    return found


@dataclass(frozen=True)
class SliceClassifierConfig:
    """Architecture of a trunk with a linear layer over its mean.

    Attributes:
        size: edge of the square images that it is trained on; others pass as well.
        classes: names, in the order of the outputs; none for a trunk alone (SimCLR).
        several: whether an image may be of several classes (sigmoid) or is of one (softmax).
    """

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    size: int = 256
    classes: tuple[str, ...] = ()
    several: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.trunk, Mapping):
            object.__setattr__(self, "trunk", TrunkConfig(**self.trunk))
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.size < STRIDE:
            raise CheckpointError(f"not a valid slice classifier: images must be {STRIDE} pixels or more: {self.size}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class SliceClassifier(nn.Module):
    """2D images in, one logit a class out: trunk, mean over the image, LayerNorm, linear."""

    def __init__(self, config: SliceClassifierConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config, self.card = config, card
        self.feature_extractor = make_trunk(config.trunk)
        self.layernorm = nn.LayerNorm(config.trunk.widths[-1], eps=1e-12)  # as in transformers' ConvNextConfig
        self.classifier = nn.Linear(config.trunk.widths[-1], len(config.classes)) if config.classes else None

    def features(self, images: Tensor) -> Tensor:
        """(batch, channel, row, col) in [0, 1] -> (batch, width); one grey channel stands for all."""
        images = images.expand(-1, self.config.trunk.channels, -1, -1)
        found: Tensor = self.layernorm(trunk_map(self.feature_extractor, images).mean((-2, -1)))
        return found

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channel, row, col) in [0, 1] -> logits (batch, classes)."""
        if self.classifier is None:
            raise CheckpointError("this trunk has no classes; `features` gives what it says of an image")
        found: Tensor = self.classifier(self.features(images))
        return found

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "trunk"} | self.config.to_dict()
