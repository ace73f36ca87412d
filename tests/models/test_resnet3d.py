"""3D ResNet: torchvision's names, shapes and numbers; strict loading; round trips; what must hold for any size."""

import math

import pytest
import torch
import torch.nn.functional as F
from published import published
from torch.utils.flop_counter import FlopCounterMode

from cardiolens.errors import CheckpointError, InputError
from cardiolens.hub import load_model, save_model
from cardiolens.models.registry import MODELS
from cardiolens.models.resnet3d import ResNet3d, ResNet3dConfig

SMALL = {"frames": 4, "crop": 16, "width": 8, "depths": (1, 1)}


def conv_norm(prefix, out, wide, kernel, norm="1", conv="0"):
    """Names and shapes of a convolution without bias and its batch normalisation."""
    vectors = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (out,)) | {"num_batches_tracked": ()}
    return {f"{prefix}.{conv}.weight": (out, wide, *kernel)} | {f"{prefix}.{norm}.{k}": v for k, v in vectors.items()}


def r3d_18():
    """The state dict of torchvision's r3d_18, made from its structure (torchvision/models/video/resnet.py)."""
    shapes = conv_norm("stem", 64, 3, (3, 7, 7))
    wide = 64
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            prefix = f"layer{stage}.{block}"
            shapes |= conv_norm(f"{prefix}.conv1", width, wide, (3, 3, 3))
            shapes |= conv_norm(f"{prefix}.conv2", width, width, (3, 3, 3))
            if block == 0 and stage > 1:
                shapes |= conv_norm(f"{prefix}.downsample", width, wide, (1, 1, 1))
            wide = width
    shapes |= {"fc.weight": (400, 512), "fc.bias": (400,)}
    state, generator = {}, torch.Generator().manual_seed(0)
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        else:
            values = torch.randn(shape, generator=generator) * (2 / math.prod(shape[1:])) ** 0.5
            state[name] = 0.5 + values.abs() if "running_var" in name else values
    return state


def by_hand(state, clips):
    """Logits of r3d_18 from its state dict, with functions alone."""

    def layer(x, prefix, stride, padding):
        x = F.conv3d(x, state[f"{prefix}.0.weight"], stride=stride, padding=padding)
        norm = [state[f"{prefix}.1.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *norm)

    x = F.relu(layer(clips, "stem", (1, 2, 2), (1, 3, 3)))
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            prefix, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = layer(F.relu(layer(x, f"{prefix}.conv1", stride, 1)), f"{prefix}.conv2", 1, 1)
            x = F.relu(y + (layer(x, f"{prefix}.downsample", stride, 0) if stride == 2 else x))
    pooled = F.adaptive_avg_pool3d(x, 1).flatten(1)
    return pooled, F.linear(pooled, state["fc.weight"], state["fc.bias"])


@pytest.fixture(scope="module")
def published_state():
    return r3d_18()


@pytest.fixture(scope="module")
def file(published_state, tmp_path_factory):
    path = tmp_path_factory.mktemp("r3d") / "r3d_18-b3b3357e.pth"
    torch.save(published_state, path)
    return path


@pytest.fixture(scope="module")
def loaded(file):
    return load_model("shad-resnet3d-18", weights=file)


def test_torchvision_s_file_gives_its_features_and_logits(published_state, loaded):
    state, clips = published_state, torch.rand(2, 3, 4, 32, 32)
    with torch.inference_mode():
        features = loaded.video_encoder(clips)
        pooled, logits = by_hand(state, clips)
        assert torch.allclose(features, pooled, rtol=1e-4, atol=1e-5)
        assert torch.allclose(loaded.classifier(features), logits, rtol=1e-4, atol=1e-5)
    assert pooled.std() > 1e-3


def test_it_has_the_parameters_that_torchvision_states(loaded):
    parameters = [*loaded.video_encoder.parameters(), *loaded.classifier.parameters()]
    assert sum(p.numel() for p in parameters) == 33_371_472  # R3D_18_Weights.KINETICS400_V1, num_params


def test_the_card_says_where_the_weights_are_from_and_that_the_projection_is_untrained(loaded):
    assert "r3d_18" in loaded.card.provenance["layout"]
    assert "BSD-3" in loaded.card.licence.weights
    assert any("projection" in note and "untrained" in note for note in loaded.card.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer3.1.conv2.1.running_var"), r"missing: layer3\.1\.conv2\.1\.running_var"),
        (lambda s: s.update({"layer5.0.conv1.0.weight": torch.zeros(1)}), r"not part of the model: layer5"),
        (
            lambda s: s.update({"layer2.0.conv1.0.weight": torch.zeros(128, 64, 1, 3, 3)}),  # as in mc3_18
            r"layer2\.0\.conv1\.0\.weight is \(128, 64, 1, 3, 3\) in the file",
        ),
    ],
)
def test_a_file_that_is_not_whole_is_refused_by_name(published_state, tmp_path, change, message):
    state = dict(published_state)
    change(state)
    torch.save(state, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match=message):
        load_model("shad-resnet3d-18", weights=tmp_path / "bad.pth")


def test_a_file_of_the_other_network_is_refused_with_the_names_to_take(file, tmp_path):
    torch.save(published("mvit_torchvision"), tmp_path / "mvit_v1_b.pth")
    with pytest.raises(CheckpointError, match=r"mvit_v1_b layout.*shad-mvit-\*"):
        load_model("shad-resnet3d-18", weights=tmp_path / "mvit_v1_b.pth")
    with pytest.raises(CheckpointError, match=r"r3d_18 layout.*shad-resnet3d-\*"):
        load_model("shad-mvit-b16", weights=file)


@pytest.mark.parametrize("name", ["shad-resnet3d-tiny", "shad-resnet3d-18"])
def test_a_saved_model_comes_back_the_same(tmp_path, name):
    torch.manual_seed(0)
    model = load_model(name)
    if name == "shad-resnet3d-18":
        model.video_encoder.stem[1].running_var.fill_(3.0)
    again = load_model(save_model(model, tmp_path / "model"))
    assert type(again.video_encoder) is ResNet3d
    assert again.video_encoder.config == model.video_encoder.config
    ours, theirs = model.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_tiny_twin_takes_at_most_one_gflop_a_clip_and_gives_unit_vectors():
    model = load_model("shad-resnet3d-tiny")
    clips = torch.rand(2, 1, 16, 64, 64)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        embedded = model.embed(clips[:1])
    assert 1e8 < counter.get_total_flops() <= 1e9
    assert embedded.shape == (1, 512)
    assert torch.allclose(embedded.norm(dim=1), torch.ones(1), atol=1e-5)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_every_parameter_learns(block, norm):
    torch.manual_seed(0)
    config = ResNet3dConfig(**SMALL, block=block, norm=norm)
    encoder = ResNet3d(config)
    out = encoder(torch.rand(3, 3, 4, 16, 16))
    assert out.shape == (3, config.out_width)
    (out * torch.randn_like(out)).sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_the_50_layer_network_has_the_blocks_of_a_resnet_50():
    with torch.device("meta"):
        encoder = ResNet3d(ResNet3dConfig(**MODELS["shad-resnet3d-50"].architecture["video"]))
    convolutions = [m for m in encoder.modules() if isinstance(m, torch.nn.Conv3d) and m.kernel_size != (1, 1, 1)]
    assert len(convolutions) == 1 + 16  # the stem and one 3x3x3 a block
    assert encoder.config.out_width == 2048


def test_a_grey_clip_equals_the_same_clip_in_three_channels():
    encoder = ResNet3d(ResNet3dConfig(**SMALL)).eval()
    grey = torch.rand(2, 1, 4, 16, 16)
    assert torch.equal(encoder(grey), encoder(grey.expand(-1, 3, -1, -1, -1)))


def test_a_convolutional_network_has_no_attention_to_show():
    with pytest.raises(InputError, match="no attention"):
        load_model("shad-resnet3d-tiny").attention_maps(torch.rand(1, 1, 16, 64, 64))


@pytest.mark.parametrize("wrong", [{"block": "wide"}, {"norm": "layer"}, {"depths": ()}, {"width": 12}])
def test_an_impossible_architecture_is_refused(wrong):
    with pytest.raises(CheckpointError, match="3D ResNet"):
        ResNet3dConfig(**wrong)
