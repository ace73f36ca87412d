"""Networks, one file each: `mvit`, `resnet3d`, `text`, `dual_encoder`, `mil`, `domain`; `card` and `registry` describe
them.

Names are imported on first use, since each brings torch with it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.models.card import Card
    from cardiolens.models.domain import DomainReference
    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.models.mil import GatedAttentionMIL, MILConfig, MILOutput
    from cardiolens.models.mvit import MViT, MViTConfig
    from cardiolens.models.resnet3d import ResNet3d, ResNet3dConfig
    from cardiolens.models.text import TextConfig, TextEncoder

__all__ = [
    "Card",
    "DomainReference",
    "DualEncoder",
    "GatedAttentionMIL",
    "MILConfig",
    "MILOutput",
    "MViT",
    "MViTConfig",
    "ResNet3d",
    "ResNet3dConfig",
    "TextConfig",
    "TextEncoder",
]

_HOMES = {
    "Card": "card",
    "DomainReference": "domain",
    "DualEncoder": "dual_encoder",
    "GatedAttentionMIL": "mil",
    "MILConfig": "mil",
    "MILOutput": "mil",
    "MViT": "mvit",
    "MViTConfig": "mvit",
    "ResNet3d": "resnet3d",
    "ResNet3dConfig": "resnet3d",
    "TextConfig": "text",
    "TextEncoder": "text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cardiolens.models' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"cardiolens.models.{_HOMES[name]}"), name)
