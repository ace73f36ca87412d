"""Self-attention maps: how many, what they hold, where they are put, and the rollout."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from published import expected, published, relative_error
from published import given as golden_input

from cardiolens import load_model
from cardiolens.errors import InputError
from cardiolens.explain.maps import attention_maps, grid_of, heads_of, step_of, to_full
from cardiolens.models.mvit import MViTConfig


def test_the_65_maps_of_mvit_b_are_the_published_attention_to_the_cls_token(tmp_path):
    file = tmp_path / "published.ckpt"
    torch.save({"state_dict": {f"model.{k}": v for k, v in published("mvit_b_16").items()}}, file)
    maps = attention_maps(load_model("shad-mvit-b16", weights=file), golden_input("video16", (2, 3, 16, 224, 224))[0])
    assert len(maps) == 65
    assert [one.block for one in maps] == sorted(one.block for one in maps)
    assert [sum(one.block == block for one in maps) for block in range(16)] == [1, 2, 2, *[4] * 11, 8, 8]
    first = expected("mvit_b_16")["attention_layer00_head0_rows0_8"]  # rows: the cls token, then the first patches
    assert relative_error(maps.maps[0].values.flatten()[:7], first[1:, 0]) < 1e-4
    last = expected("mvit_b_16")["attention_layer15_all"]
    for one in maps.maps[-8:]:
        assert one.block == 15
        assert one.values.shape == (8, 7, 7)
        assert relative_error(one.values.flatten(), last[one.head, 1:, 0]) < 1e-4
    full = maps.maps[-1].full(maps.size)
    assert full.shape == (16, 224, 224)
    assert torch.equal(full, F.interpolate(maps.maps[-1].values[None, None], (16, 224, 224), mode="nearest")[0, 0])


def test_a_smaller_encoder_gives_a_map_for_each_of_its_own_heads(model):
    maps = attention_maps(model, torch.rand(1, 1, 16, 64, 64))
    assert heads_of(model) == [1, 2, 2, 2]
    assert [(one.block, one.head) for one in maps] == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)]
    assert maps.stacked().shape == (7, 16, 64, 64)
    assert [tuple(one.values.shape) for one in maps][:2] == [(4, 8, 8), (4, 4, 4)]


def test_only_the_heads_asked_for_are_kept_in_that_order(model):
    clip = torch.rand(1, 16, 64, 64)
    every = {(one.block, one.head): one.values for one in attention_maps(model, clip)}
    some = attention_maps(model, clip, [(3, 1), (1, None)])
    assert [(one.block, one.head) for one in some] == [(3, 1), (1, 0), (1, 1)]
    assert all(torch.equal(one.values, every[one.block, one.head]) for one in some)


@pytest.mark.parametrize(
    ("only", "message"),
    [([(4, None)], "no block 4.*0 to 3"), ([(0, 1)], "no head 1 in block 0.*0 to 0"), ([], "no map asked for")],
)
def test_a_block_or_head_that_is_not_there_is_named(model, only, message):
    with pytest.raises(InputError, match=message):
        attention_maps(model, torch.rand(1, 16, 64, 64), only)


def test_a_convolutional_encoder_is_told_to_have_no_attention():
    resnet = load_model("shad-resnet3d-tiny")
    with pytest.raises(InputError, match=r"convolutional network.*shad-mvit"):
        attention_maps(resnet, torch.rand(1, 16, 64, 64))
    with pytest.raises(InputError, match="convolutional"):
        heads_of(resnet)


def test_two_clips_at_once_are_refused(model):
    with pytest.raises(InputError, match="one clip"):
        attention_maps(model, torch.rand(2, 1, 16, 64, 64))


@given(
    grid=st.tuples(*[st.integers(1, 5)] * 3),
    step=st.tuples(*[st.integers(1, 4)] * 3),
)
@settings(max_examples=40, deadline=None)
def test_at_the_size_of_the_clip_every_patch_keeps_its_value(grid, step):
    values = torch.arange(float(grid[0] * grid[1] * grid[2])).reshape(grid)
    size = tuple(n * s for n, s in zip(grid, step, strict=True))
    resized = to_full(values, size, step)
    assert torch.equal(resized, F.interpolate(values[None, None], size, mode="nearest")[0, 0])
    centred = to_full(values, size, step, "centres")
    at_centres = centred[:: step[0], :: step[1], :: step[2]]
    assert torch.equal(at_centres, values)


def test_centres_puts_a_patch_around_the_pixel_that_it_is_centred_on():
    row = to_full(torch.tensor([[[0.0, 1.0, 2.0]]]), (1, 1, 12), (1, 1, 4), "centres")[0, 0]
    assert row.tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]


def routed(config, places):
    """Attention of every block that sends all that asks to one token: `places` names it by block, from the cls on."""
    out = []
    for block, place in enumerate(places):
        below = config.grid if block == 0 else grid_of(config, block - 1)
        stride = config.kv_stride[block]
        keys = below[0] * ((below[1] - 1) // stride + 1) * ((below[2] - 1) // stride + 1)
        queries = grid_of(config, block)
        heads = config.width_of(block) // config.head_width
        attention = torch.zeros(1, heads, 1 + queries[0] * queries[1] * queries[2], 1 + keys)
        attention[..., place] = 1.0
        out.append(attention)
    return out


def test_the_rollout_goes_where_the_attention_sends_it(model, monkeypatch):
    config = model.video_encoder.config
    monkeypatch.setattr(model, "attention_maps", lambda clips: routed(config, [1, 0, 0, 0]))
    even = attention_maps(model, torch.rand(1, 16, 64, 64)).rollout
    # half of what reaches block 0 stays where it is, the other half goes to its first key, over 2 x 2 patches there
    assert even[0, :2, :2].sum() > 0.5
    assert even.sum() == pytest.approx(1)
    monkeypatch.setattr(model, "attention_maps", lambda clips: routed(config, [64, 0, 0, 0]))
    moved = attention_maps(model, torch.rand(1, 16, 64, 64)).rollout
    assert moved[3, 6:, 6:].sum() > 0.5


def test_an_even_attention_rolls_out_evenly_but_at_the_edges(model, monkeypatch):
    config = model.video_encoder.config
    flat = [torch.full_like(one, 1 / one.shape[-1]) for one in routed(config, [0, 0, 0, 0])]
    monkeypatch.setattr(model, "attention_maps", lambda clips: flat)
    rollout = attention_maps(model, torch.rand(1, 16, 64, 64)).rollout
    inside = rollout[:, 2:5, 2:5]
    assert inside.max() / inside.min() < 1.1
    assert rollout.sum() == pytest.approx(1)


def test_the_distance_between_patches_follows_stem_strides_and_stages():
    big = MViTConfig()
    assert [step_of(big, block) for block in (0, 1, 3, 14)] == [(2, 4, 4), (2, 8, 8), (2, 16, 16), (2, 32, 32)]
    assert grid_of(big, 15) == (8, 7, 7)
    assert step_of(MViTConfig(stem=(8, 8)), None) == (8, 16, 16)
