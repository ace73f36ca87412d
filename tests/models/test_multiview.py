"""The encoder that CineMA's models share: positions, masks, views, memory, learning rates."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cinema import VIEWS, encoder_config, images_of, small_mae

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.convmae import draw_masks
from cardiolens.models.multiview import MultiViewEncoder, layer_groups, patchify, unpatchify
from cardiolens.models.transformer import DropPath, set_checkpointing, sincos_table
from cardiolens.models.unetr import ConvUNetR, ConvUNetRConfig
from cardiolens.models.views import EncoderConfig
from cardiolens.study import View


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return MultiViewEncoder(encoder_config(), fusion=True).eval()


def drawn(config, batch, seed, views=None, ratio=0.5):
    return draw_masks(config, list(views or config.views), batch, ratio, torch.Generator().manual_seed(seed))


def test_position_table_by_hand():
    table = sincos_table((2, 3), 9)  # two axes: 4 channels each, one left over; tokens row-major, column first
    row, col = 1, 2
    angles = [torch.tensor([index * 1.0, index / 100.0]) for index in (col, row)]
    expected = torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)] + [torch.zeros(1)])
    assert torch.allclose(table[0, row * 3 + col], expected, atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), view=st.sampled_from(list(VIEWS)), hidden=st.booleans())
def test_hidden_pixels_reach_no_visible_token_and_visible_ones_do(encoder, seed, view, hidden):
    images, masks = images_of(encoder.config, seed=seed), drawn(encoder.config, 2, seed)
    with torch.inference_mode():
        before = encoder(images, masks)
        places = masks[view] if hidden else ~masks[view]
        step, grid = encoder.config.patch(view)[0], encoder.config.grid(view)
        noise = torch.rand(2, places.shape[1], step * step) * places.unsqueeze(-1)
        changed = images | {view: images[view] + unpatchify(noise, grid, step).movedim(-1, 1)}
        after = encoder(changed, masks)
    same = [torch.equal(before.tokens[name], after.tokens[name]) for name in images]
    assert all(same) if hidden else not any(same)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), batch=st.integers(1, 4), masked=st.booleans())
def test_a_sample_gets_the_same_tokens_alone_and_in_any_batch(encoder, seed, batch, masked):
    images = images_of(encoder.config, batch, seed)
    masks = drawn(encoder.config, batch, seed) if masked else None
    with torch.inference_mode():
        whole = encoder(images, masks)
        for index in range(batch):
            one = slice(index, index + 1)
            alone = encoder(
                {view: image[one] for view, image in images.items()},
                None if masks is None else {view: mask[one] for view, mask in masks.items()},
            )
            assert torch.allclose(alone.cls, whole.cls[one], atol=1e-5)
            for view in images:
                assert torch.allclose(alone.tokens[view], whole.tokens[view][one], atol=1e-5)


@pytest.mark.parametrize("size", [(6, 4), (6, 4, 3)])
def test_patches_come_back_and_are_row_major_with_the_channel_last(size):
    x = torch.arange(2 * 2 * torch.tensor(size).prod().item(), dtype=torch.float32).reshape(2, *size, 2)
    tokens = patchify(x, 2)
    assert torch.equal(unpatchify(tokens, (3, 2, *size[2:]), 2), x)
    second = x[0, 0:2, 2:4] if len(size) == 2 else x[0, 0:2, 0:2, 1]
    assert torch.equal(tokens[0, 1], second.reshape(-1))


@pytest.mark.parametrize("fusion", [True, False])
def test_forgetting_activations_changes_neither_loss_nor_gradients(fusion):
    torch.manual_seed(0)
    model = (
        small_mae(drop_path=0.3)
        if fusion
        else ConvUNetR(ConvUNetRConfig(encoder_config(drop_path=0.3), 3, (2, 4, 6, 8, 10), dropout=0.2))
    )
    images = images_of(model.config.encoder)

    def gradients(on):
        set_checkpointing(model, on)
        model.train().zero_grad()
        torch.manual_seed(1)  # drop path and dropout draw the same again
        found = (
            model(images, drawn(model.config.encoder, 2, 0)).loss
            if fusion
            else sum(logits.square().mean() for logits in model(images).values())
        )
        found.backward()
        return found.item(), [p.grad.clone() for p in model.parameters()]

    plain, lean = gradients(False), gradients(True)
    assert plain[0] == pytest.approx(lean[0], rel=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(plain[1], lean[1], strict=True))


def test_forgetting_activations_keeps_fewer_of_them():
    model, images = small_mae(layers=6), images_of(encoder_config())
    kept = []
    for on in (False, True):
        set_checkpointing(model, on)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: (s.append(t.numel()), t)[1], lambda t: t):
            model(images, drawn(model.config.encoder, 2, 0))
        kept.append(sum(sizes))
    assert kept[1] < 0.6 * kept[0]


def test_dropped_paths_keep_the_mean_and_rest_in_evaluation():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    x = torch.ones(4000, 2, 3)
    y = drop(x)
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert y.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(x), x)
    rates = [
        block.drop_path.rate for block in MultiViewEncoder(encoder_config(layers=3, drop_path=0.2), fusion=False).blocks
    ]
    assert rates == pytest.approx([0, 0.1, 0.2])


def test_learning_rates_decay_by_layer_and_every_parameter_is_in_one_group():
    mae = small_mae()
    groups = layer_groups(mae, decay=0.5, weight_decay=0.1)
    inside = [p for group in groups for p in group["params"]]
    assert sorted(map(id, inside)) == sorted(map(id, mae.parameters()))
    scale = {id(p): g["lr_scale"] for g in groups for p in g["params"]}
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert scale[id(mae.encoder.stems["SAX"].linear.weight)] == scale[id(mae.encoder.cls_token)] == 0.5**3
    assert scale[id(mae.encoder.blocks[0].norm1.weight)] == 0.5**2
    assert scale[id(mae.encoder.blocks[1].mlp.fc1.weight)] == 0.5
    assert scale[id(mae.encoder.fusion["2CH"].norm.weight)] == scale[id(mae.heads["4CH"].weight)] == 1
    assert (
        decay[id(mae.encoder.cls_token)] == decay[id(mae.mask_tokens["SAX"])] == decay[id(mae.heads["4CH"].bias)] == 0
    )
    assert decay[id(mae.heads["4CH"].weight)] == 0.1
    torch.optim.AdamW([group | {"lr": 1e-3 * group["lr_scale"]} for group in groups]).step()


def test_frozen_parameters_are_in_no_group():
    mae = small_mae()
    mae.encoder.requires_grad_(False)
    assert {group["lr_scale"] for group in layer_groups(mae)} == {1.0}


def test_named_sizes_views_and_other_image_sizes():
    base = EncoderConfig.of("base")
    assert [base.tokens(view) for view in base.views] == [2304, 256, 256, 256]
    assert EncoderConfig.of("huge", [View.CH4]).views == {"4CH": (256, 256)}
    assert EncoderConfig.of("tiny", ["SAX"], sizes={"SAX": (64, 96, 5)}).grid("SAX") == (8, 12, 5)
    assert EncoderConfig(**EncoderConfig.of("large").to_dict()) == EncoderConfig.of("large")


def test_settings_that_cannot_be_are_refused_by_name():
    with pytest.raises(InputError, match="no size 'giant'; there are tiny, base"):
        EncoderConfig.of("giant")
    with pytest.raises(InputError, match="unknown view 5CH"):
        encoder_config(views={"5CH": (16, 16)})
    with pytest.raises(InputError, match="unknown view 2CH; there are SAX"):
        EncoderConfig.of("base", ["SAX"]).only(["2CH"])
    with pytest.raises(CheckpointError, match=r"2CH: .* multiples of 8"):
        encoder_config(views={"2CH": (16, 20)})
    with pytest.raises(CheckpointError, match="not a valid encoder"):
        encoder_config(width=15)
