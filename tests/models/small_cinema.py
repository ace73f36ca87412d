"""CineMA in miniature, for tests: settings, images, one seed."""

import torch

from cardiolens.models.convmae import ConvMAE, ConvMAEConfig
from cardiolens.models.views import EncoderConfig

VIEWS = {"SAX": (16, 32, 3), "2CH": (16, 16), "3CH": (16, 32), "4CH": (32, 16)}


def encoder_config(**changes):
    settings = {
        "views": VIEWS,
        "stem_channels": (4, 6),
        "patches": (2, 2, 2),
        "stem_depth": 1,
        "width": 16,
        "layers": 2,
        "heads": 2,
    }
    return EncoderConfig(**(settings | changes))


def small_mae(seed=0, **changes):
    torch.manual_seed(seed)
    return ConvMAE(ConvMAEConfig(encoder_config(**changes), decoder_width=12, decoder_layers=2, decoder_heads=2)).eval()


def images_of(config, batch=2, seed=0, views=None):
    generator = torch.Generator().manual_seed(seed)
    sizes = {view: config.views[view] for view in views or config.views}
    return {view: torch.rand(batch, config.in_channels, *size, generator=generator) for view, size in sizes.items()}
