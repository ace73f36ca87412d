"""UNet with residual units from MONAI, 2D for planes and 3D for stacks: CineMA's baseline for masks (Fu et al. 2025).

Needs the extra `baselines`; MONAI is imported when a network is built.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from cardiolens.errors import CheckpointError
from cardiolens.models.card import Card
from cardiolens.models.cinema_card import fresh_card
from cardiolens.models.views import Images, check_images, clean_views


def monai_nets() -> Any:
    """MONAI's networks.

    Raises:
        CheckpointError: MONAI is not installed.
    """
    try:
        return importlib.import_module("monai.networks.nets")
    except ImportError as error:
        raise CheckpointError(
            f"the baselines are networks of MONAI, which cannot be imported ({error}): "
            "pip install 'cardiolens[baselines]'"
        ) from error


@dataclass(frozen=True)
class UNetConfig:
    """Architecture; the defaults are the paper's channel widths.

    Attributes:
        views: view -> size in pixels, (row, col) or (row, col, depth); each view has a network of its own.
        in_channels: frames that enter side by side.
        classes: channels of the logits, the background's among them.
        channels: of the levels; each is half as fine in plane as the one before, depth stays (our choice: a stack has
            16 planes, 10 mm apart).
        residual_units: convolutions of a level's residual unit.
        dropout: within the units.
    """

    views: Mapping[str, tuple[int, ...]]
    in_channels: int = 1
    classes: int = 4
    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    residual_units: int = 2
    dropout: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(int(v) for v in self.channels))  # JSON gives lists
        object.__setattr__(self, "views", clean_views(self.views, step=2 ** (len(self.channels) - 1)))
        counts = (self.in_channels, self.classes, *self.channels)
        if len(self.channels) < 2 or min(counts) < 1 or self.residual_units < 0 or not 0 <= self.dropout < 1:
            raise CheckpointError(f"not a valid UNet: {self}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class UNet(nn.Module):
    """Images of all its views in, logits of every pixel out; called as `ConvUNetR` is."""

    def __init__(self, config: UNetConfig, card: Card | None = None) -> None:
        super().__init__()
        self.config = config
        self.card = card or fresh_card(self.architecture())
        nets, steps = monai_nets(), len(config.channels) - 1
        self.networks = nn.ModuleDict(
            {
                view: nets.UNet(
                    spatial_dims=len(size),
                    in_channels=config.in_channels,
                    out_channels=config.classes,
                    channels=config.channels,
                    strides=[(2, 2, 1)[: len(size)]] * steps,
                    num_res_units=config.residual_units,
                    dropout=config.dropout,
                )
                for view, size in config.views.items()
            }
        )

    def forward(self, images: Images) -> dict[str, Tensor]:
        """view -> (batch, channel, row, col[, depth]) in [0, 1], every view of the model -> view -> logits
        (batch, classes, row, col[, depth]).

        Raises:
            InputError: a missing or unknown view, another size.
        """
        given = check_images(images, self.config, every=True)
        return {view: self.networks[view](image) for view, image in given.items()}

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        return {"family": "unet"} | self.config.to_dict()
