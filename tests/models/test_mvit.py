"""MViT against the publishers' own numbers, and what must hold for any size."""

import pytest
import torch
from published import expected, given, published, relative_error
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cardiolens import load_model
from cardiolens.models.mvit import MViT, MViTConfig
from cardiolens.models.registry import MODELS

TOLERANCE = 1e-5
SMALL = MViTConfig(
    frames=4, crop=32, channels=1, width=8, head_width=8, stage_starts=(1, 2), kv_stride=(4, 2, 1, 1), mlp_ratio=2.0
)


@pytest.fixture(scope="module")
def b16(tmp_path_factory):
    file = tmp_path_factory.mktemp("b16") / "published.ckpt"
    torch.save({"state_dict": {f"model.{k}": v for k, v in published("mvit_b_16").items()}, "epoch": 600}, file)
    return load_model("shad-mvit-b16", weights=file)


def test_b16_reproduces_the_published_features_and_embedding(b16):
    truth = expected("mvit_b_16")
    with torch.inference_mode():
        clips = given("video16", (2, 3, 16, 224, 224))
        features = b16.features(clips)
        assert relative_error(features, truth["backbone"]) < TOLERANCE
        projected = b16.project(features)
    assert relative_error(projected, truth["embedding"]) < TOLERANCE
    assert torch.allclose(projected.norm(dim=1), torch.ones(2), atol=1e-6)


def test_b16_reproduces_the_published_attention(b16):
    truth = expected("mvit_b_16")
    with torch.inference_mode():
        maps = b16.attention_maps(given("video16", (2, 3, 16, 224, 224))[:1])
    assert relative_error(maps[0][0, 0, :8], truth["attention_layer00_head0_rows0_8"]) < TOLERANCE
    assert relative_error(maps[15][0], truth["attention_layer15_all"]) < TOLERANCE
    spread = torch.stack([head.std() for layer in maps for head in layer[0]])
    assert len(spread) == 65
    assert relative_error(spread, truth["attention_mean_per_layer_head"]) < TOLERANCE
    sums = torch.stack([layer.sum(-1).mean() for layer in maps])
    assert relative_error(sums, truth["attention_rowsum_layers"]) < TOLERANCE


def test_b32_reproduces_the_published_features_and_embedding(tmp_path):
    torch.save(published("mvit_b_32"), tmp_path / "b32.pt")
    model = load_model("shad-mvit-b32", weights=tmp_path / "b32.pt")
    truth = expected("mvit_b_32")
    assert model.video_encoder.pos_time.shape[0] == 16
    with torch.inference_mode():
        features = model.features(given("video32", (2, 3, 32, 224, 224)))
        assert relative_error(features, truth["backbone"]) < TOLERANCE
        projected = model.project(features)
    assert relative_error(projected, truth["embedding"]) < TOLERANCE


def test_torchvision_layout_reproduces_its_features_and_logits(tmp_path):
    torch.save(published("mvit_torchvision"), tmp_path / "mvit_v1_b.pth")
    model = load_model("shad-mvit-b16", weights=tmp_path / "mvit_v1_b.pth")
    truth = expected("mvit_torchvision")
    with torch.inference_mode():
        features = model.features(given("video16", (2, 3, 16, 224, 224))[:1])
        assert relative_error(features, truth["backbone"]) < TOLERANCE
        assert relative_error(model.classifier(features), truth["logits"]) < TOLERANCE
    assert any("projection" in note for note in model.card.notes)


def test_mvit_b_has_36_3_million_parameters_without_classifier():
    assert sum(p.numel() for p in MViT(MViTConfig()).parameters()) / 1e6 == pytest.approx(36.3, abs=0.05)


def test_tiny_takes_at_most_one_gflop_a_clip():
    encoder = MViT(MViTConfig(**MODELS["shad-mvit-tiny"].architecture["video"])).eval()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # the fused kernel is not counted
        encoder(torch.rand(1, 1, 16, 64, 64))
    with FlopCounterMode(display=False) as stem:
        encoder.stem(torch.rand(1, 1, 16, 64, 64))
    assert 1.5 * stem.get_total_flops() < counter.get_total_flops() <= 1e9


def test_last_block_asks_for_the_cls_token_only_and_gives_the_same_vector():
    torch.manual_seed(0)
    encoder = MViT(SMALL).eval()
    clips = torch.rand(2, 1, 4, 32, 32)
    x, grid = encoder._tokens(clips), encoder.config.grid
    for block in encoder.blocks:
        x, grid = block(x, grid)
    assert torch.allclose(encoder(clips), encoder.norm(x)[:, 0], atol=1e-6)


def test_attention_on_request_is_the_attention_that_is_used():
    torch.manual_seed(0)
    block = MViT(SMALL).double().blocks[1]
    x = torch.randn(2, 1 + 2 * 8 * 8, block.norm1.normalized_shape[0], dtype=torch.float64)
    maps = []
    with_maps, grid = block(x, (2, 8, 8), maps=maps)
    fused, same_grid = block(x, (2, 8, 8))
    assert grid == same_grid == (2, 4, 4)
    assert maps[0].shape == (2, 2, 1 + 2 * 4 * 4, 1 + 2 * 4 * 4)
    assert torch.allclose(with_maps, fused, atol=1e-10)


def test_pooling_in_channels_last_order_equals_a_convolution_for_each_head():
    torch.manual_seed(0)
    pool = MViT(SMALL).blocks[1].attn.pool_k
    grid, heads, width = (2, 8, 8), 2, 8
    x = torch.randn(3, 1 + 128, heads * width)
    found, out_grid = pool(x, grid)
    for head in range(heads):
        part = x[..., head * width : (head + 1) * width]
        volume = part[:, 1:].transpose(1, 2).reshape(3, width, *grid).contiguous()
        pooled = torch.nn.functional.conv3d(volume, pool.weight, stride=(1, 2, 2), padding=1, groups=width)
        tokens = torch.cat([part[:, :1], pooled.flatten(2).transpose(1, 2)], 1)
        assert torch.allclose(found[:, :, head], pool.norm(tokens), atol=1e-5)
    assert out_grid == (2, 4, 4)


def test_grey_clip_equals_the_same_clip_in_three_channels():
    torch.manual_seed(0)
    encoder = MViT(MViTConfig(**{**SMALL.to_dict(), "channels": 3})).eval()
    grey = torch.rand(2, 1, 4, 32, 32)
    assert torch.allclose(encoder(grey), encoder(grey.expand(-1, 3, -1, -1, -1)), atol=1e-5)


def test_every_parameter_learns():
    encoder = MViT(SMALL)
    encoder(torch.rand(2, 1, 4, 32, 32)).square().sum().backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # softmax does not see what is added to every key alike
    assert [name for name in without if ".attn.k.bias" not in name and "pool_k.norm.bias" not in name] == []


def test_the_motion_channel_sees_change_and_not_the_level():
    encoder = MViT(
        MViTConfig(frames=4, crop=32, channels=1, width=8, head_width=8, stage_starts=(), kv_stride=(1,), motion=True)
    )
    still = torch.rand(1, 1, 1, 32, 32).expand(-1, -1, 4, -1, -1)
    moving = torch.rand(1, 1, 4, 32, 32) * 0.1
    image, motion = encoder.stem(still).split(1, dim=1)
    assert motion.abs().max() < 1e-5
    assert torch.allclose(image, 4 * (still - 0.25))
    lifted = encoder.stem(moving + 0.5)[:, 1]
    assert torch.allclose(lifted, encoder.stem(moving)[:, 1], atol=1e-5)


def test_a_stem_halves_time_and_space_and_the_grid_knows():
    config = MViTConfig(
        frames=10,
        crop=36,
        channels=1,
        stem=(8, 16),
        patch_kernel=(1, 3, 3),
        patch_stride=(1, 2, 2),
        width=8,
        head_width=8,
        stage_starts=(),
        kv_stride=(1,),
        output="mean",
    )
    encoder = MViT(config)
    assert encoder.stem(torch.rand(1, 1, 10, 36, 36)).shape == (1, 16, 3, 9, 9)
    assert config.grid == (3, 5, 5)
    assert encoder(torch.rand(2, 1, 10, 36, 36)).shape == (2, 8)
