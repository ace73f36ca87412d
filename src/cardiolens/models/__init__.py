"""Networks, one file each: `mvit`, `resnet3d`, `text`, `dual_encoder`, `mil`, `domain` of Shad et al.; `convmae`,
`convvit`, `unetr` of CineMA with what they share in `views`, `transformer` and `multiview`; its baselines `unet` and
`resnet`; `slivit` with its `trunk`, and its baselines in `volume_net` (`resnet3d`, `vit3d`); `vivit` and `videomae` of
EchoAI; `card` and `registry` describe them.

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
    from cardiolens.models.slivit import SLIViT, SLIViTConfig
    from cardiolens.models.text import TextConfig, TextEncoder
    from cardiolens.models.trunk import SliceClassifier, SliceClassifierConfig
    from cardiolens.models.unet import UNet, UNetConfig
    from cardiolens.models.unetr import ConvUNetR, ConvUNetRConfig
    from cardiolens.models.videomae import VideoMAE, VideoMAEConfig
    from cardiolens.models.views import EncoderConfig
    from cardiolens.models.vivit import TubeletConfig, ViViT, ViViTConfig
    from cardiolens.models.volume_net import VolumeNet, VolumeNetConfig

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
    "SLIViT",
    "SLIViTConfig",
    "SliceClassifier",
    "SliceClassifierConfig",
    "TextConfig",
    "TextEncoder",
    "TubeletConfig",
    "UNet",
    "UNetConfig",
    "ViViT",
    "ViViTConfig",
    "VideoMAE",
    "VideoMAEConfig",
    "VolumeNet",
    "VolumeNetConfig",
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
    "SliceClassifier": "trunk",
    "SliceClassifierConfig": "trunk",
    "SLIViT": "slivit",
    "SLIViTConfig": "slivit",
    "TextConfig": "text",
    "TextEncoder": "text",
    "TubeletConfig": "vivit",
    "UNet": "unet",
    "UNetConfig": "unet",
    "VideoMAE": "videomae",
    "VideoMAEConfig": "videomae",
    "ViViT": "vivit",
    "ViViTConfig": "vivit",
    "VolumeNet": "volume_net",
    "VolumeNetConfig": "volume_net",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cardiolens.models' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"cardiolens.models.{_HOMES[name]}"), name)
