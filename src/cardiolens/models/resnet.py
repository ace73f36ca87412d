"""ResNet from MONAI, 2D for planes and 3D for stacks: CineMA's baseline for a diagnosis or a value (Fu et al. 2025).

Needs the extra `baselines`; MONAI is imported when a network is built.  (`resnet3d` is another network: a video
encoder.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from cardiolens.errors import CheckpointError
from cardiolens.models.card import Card
from cardiolens.models.cinema_card import fresh_card
from cardiolens.models.convvit import Kind, check_outputs, predictions
from cardiolens.models.unet import monai_nets
from cardiolens.models.views import Images, check_images, clean_views


@dataclass(frozen=True)
class ResNetConfig:
    """Architecture; the defaults are ResNet-50's (He et al. 2016).

    Attributes:
        views: view -> size in pixels, (row, col) or (row, col, depth); each view has a network, their logits are
            averaged.
        in_channels: frames that enter side by side: 2 for ED and ES, in this order.
        outputs, kind, offset, scale: see `ConvViTConfig`.
        block, layers, widths: of the four stages; a bottleneck's end is four times as wide.
    """

    views: Mapping[str, tuple[int, ...]]
    in_channels: int = 2
    outputs: int = 2
    kind: Kind = "classification"
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    block: Literal["basic", "bottleneck"] = "bottleneck"
    layers: tuple[int, int, int, int] = (3, 4, 6, 3)
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)

    def __post_init__(self) -> None:
        for name, number in (("layers", int), ("widths", int), ("offset", float), ("scale", float)):
            object.__setattr__(self, name, tuple(number(v) for v in getattr(self, name)))  # JSON gives lists
        object.__setattr__(self, "views", clean_views(self.views))
        check_outputs(self.kind, self.outputs, self.offset, self.scale)
        fits = len(self.layers) == len(self.widths) == 4 and self.block in ("basic", "bottleneck")
        if not fits or min(self.in_channels, *self.layers, *self.widths) < 1:
            raise CheckpointError(f"not a valid ResNet: {self}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class ResNet(nn.Module):
    """Images of all its views in, one row of values out; called as `ConvViT` is."""

    def __init__(self, config: ResNetConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config = config
        self.card = card or fresh_card(self.architecture())
        nets = monai_nets()
        self.networks = nn.ModuleDict(
            {
                view: nets.ResNet(
                    config.block,
                    list(config.layers),
                    list(config.widths),
                    spatial_dims=len(size),
                    n_input_channels=config.in_channels,
                    conv1_t_size=(7, 7, 7)[: len(size)],
                    conv1_t_stride=(2, 2, 1)[: len(size)],
                    num_classes=config.outputs,
                    bias_downsample=False,
                )
                for view, size in config.views.items()
            }
        )

    def forward(self, images: Images) -> Tensor:
        """view -> (batch, frames, row, col[, depth]) in [0, 1], every view of the model -> logits (batch, outputs).

        Raises:
            InputError: a missing or unknown view, another size.
        """
        given = check_images(images, self.config, every=True)
        return torch.stack([self.networks[view](image) for view, image in given.items()]).mean(0)

    def predict(self, images: Images) -> Tensor:
        """In the terms of the task, see `ConvViT.predict`."""
        config = self.config
        return predictions(cast(Tensor, self(images)), config.kind, config.offset, config.scale)

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "resnet"} | self.config.to_dict()
