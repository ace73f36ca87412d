"""CineMA's baselines from MONAI: shapes in 2D and 3D, a folder and back, a clear error where MONAI is absent."""

import importlib

import pytest
import torch

from cardiolens.errors import CheckpointError, InputError
from cardiolens.hub import load_model, save_model
from cardiolens.models.resnet import ResNet, ResNetConfig
from cardiolens.models.unet import UNet, UNetConfig

VIEWS = {"SAX": (32, 32, 4), "4CH": (32, 16)}


def test_unet_gives_each_view_logits_of_its_own_shape():
    model = UNet(UNetConfig(VIEWS, classes=3, channels=(4, 8, 16))).eval()
    images = {view: torch.rand(2, 1, *size) for view, size in VIEWS.items()}
    assert {v: tuple(x.shape) for v, x in model(images).items()} == {"SAX": (2, 3, 32, 32, 4), "4CH": (2, 3, 32, 16)}
    with pytest.raises(InputError, match="missing view 4CH"):
        model({"SAX": images["SAX"]})


def test_resnet_averages_its_views_and_predicts_as_the_heads_do():
    model = ResNet(
        ResNetConfig(
            VIEWS, outputs=1, kind="regression", offset=(60,), scale=(10,), layers=(1, 1, 1, 1), widths=(4, 4, 8, 8)
        )
    ).eval()
    images = {view: torch.rand(2, 2, *size) for view, size in VIEWS.items()}
    logits = [model.networks[view](image) for view, image in images.items()]
    assert torch.allclose(model(images), (logits[0] + logits[1]) / 2)
    assert torch.allclose(model.predict(images), 60 + 10 * model(images))


@pytest.mark.parametrize("name", ["cinema-unet-tiny", "cinema-resnet-tiny"])
def test_a_baseline_comes_back_from_its_folder(name, tmp_path):
    model = load_model(name)
    save_model(model, tmp_path / "kept")
    found = load_model(tmp_path / "kept")
    assert found.config == model.config
    state = found.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())


def test_full_sizes_have_the_paper_widths_and_depths():
    with torch.device("meta"):
        unet = UNet(UNetConfig({"4CH": (256, 256)}))
        resnet = ResNet(ResNetConfig({"4CH": (256, 256)}, outputs=1000, in_channels=3))
    assert {p.shape[0] for p in unet.parameters()} >= {32, 64, 128, 256, 512}
    assert sum(p.numel() for p in resnet.parameters()) == 25_557_032  # He et al.'s ResNet-50 on ImageNet


def test_without_monai_the_error_says_what_to_install(monkeypatch):
    real = importlib.import_module

    def absent(name, *rest):
        if name.startswith("monai"):
            raise ImportError("No module named 'monai'")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(CheckpointError, match=r"pip install 'cardiolens\[baselines\]'"):
        UNet(UNetConfig(VIEWS))
    with pytest.raises(CheckpointError, match="MONAI"):
        ResNet(ResNetConfig(VIEWS))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(CheckpointError, match=r"4CH: .* multiples of 16"):
        UNetConfig({"4CH": (40, 32)})
    with pytest.raises(CheckpointError, match="not a valid ResNet"):
        ResNetConfig(VIEWS, block="wide")
