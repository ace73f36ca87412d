"""Networks, one file each: `mvit`, `resnet3d`, `text`, `dual_encoder`, `mil`, `domain` of Shad et al.; `convmae`,
`convvit`, `unetr` of CineMA with what they share in `views`, `transformer` and `multiview`; its baselines `unet` and
`resnet`; `card` and `registry` describe them.

Names are imported on first use, since each brings torch with it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.models.card import Card
    from cardiolens.models.convmae import ConvMAE, ConvMAEConfig
    from cardiolens.models.convvit import ConvViT, ConvViTConfig
    from cardiolens.models.domain import DomainReference
    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.models.mil import GatedAttentionMIL, MILConfig, MILOutput
    from cardiolens.models.mvit import MViT, MViTConfig
    from cardiolens.models.resnet import ResNet, ResNetConfig
    from cardiolens.models.resnet3d import ResNet3d, ResNet3dConfig
    from cardiolens.models.text import TextConfig, TextEncoder
    from cardiolens.models.unet import UNet, UNetConfig
    from cardiolens.models.unetr import ConvUNetR, ConvUNetRConfig
    from cardiolens.models.views import EncoderConfig

__all__ = [
    "Card",
    "ConvMAE",
    "ConvMAEConfig",
    "ConvUNetR",
    "ConvUNetRConfig",
    "ConvViT",
    "ConvViTConfig",
    "DomainReference",
    "DualEncoder",
    "EncoderConfig",
    "GatedAttentionMIL",
    "MILConfig",
    "MILOutput",
    "MViT",
    "MViTConfig",
    "ResNet",
    "ResNet3d",
    "ResNet3dConfig",
    "ResNetConfig",
    "TextConfig",
    "TextEncoder",
    "UNet",
    "UNetConfig",
]

_HOMES = {
    "Card": "card",
    "ConvMAE": "convmae",
    "ConvMAEConfig": "convmae",
    "ConvUNetR": "unetr",
    "ConvUNetRConfig": "unetr",
    "ConvViT": "convvit",
    "ConvViTConfig": "convvit",
    "DomainReference": "domain",
    "DualEncoder": "dual_encoder",
    "EncoderConfig": "views",
    "GatedAttentionMIL": "mil",
    "MILConfig": "mil",
    "MILOutput": "mil",
    "MViT": "mvit",
    "MViTConfig": "mvit",
    "ResNet": "resnet",
    "ResNet3d": "resnet3d",
    "ResNet3dConfig": "resnet3d",
    "ResNetConfig": "resnet",
    "TextConfig": "text",
    "TextEncoder": "text",
    "UNet": "unet",
    "UNetConfig": "unet",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cardiolens.models' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"cardiolens.models.{_HOMES[name]}"), name)
