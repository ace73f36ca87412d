"""The masked autoencoder: masks, losses, subsets of views, bad input, sizes."""

import pytest
import torch
from small_cinema import VIEWS, images_of, small_mae

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.convmae import ConvMAE, ConvMAEConfig, draw_masks
from cardiolens.models.unetr import ConvUNetR, ConvUNetRConfig
from cardiolens.study import View


@pytest.fixture(scope="module")
def mae():
    return small_mae()


@pytest.fixture(scope="module")
def images(mae):
    return images_of(mae.config.encoder)


def test_three_quarters_are_hidden_and_a_generator_repeats_them(mae, images):
    outputs = [mae(images, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    for view in VIEWS:
        hidden = outputs[0].masks[view]
        tokens = mae.config.encoder.tokens(view)
        assert hidden.sum(1).tolist() == [int(0.75 * tokens)] * 2
        assert outputs[0].predictions[view].shape == (2, int(0.75 * tokens), 64)
        assert torch.equal(hidden, outputs[1].masks[view])
    assert outputs[0].loss == outputs[1].loss != outputs[2].loss
    assert mae(images, mask_ratio=0.5).masks["SAX"].sum(1).tolist() == [12, 12]


def test_every_token_is_hidden_as_often_as_any_other(mae):
    masks = draw_masks(mae.config.encoder, ["4CH"], 4000, 0.75, torch.Generator().manual_seed(0))["4CH"]
    assert masks.float().mean(0).tolist() == pytest.approx([0.75] * 8, abs=0.03)


def test_loss_is_the_squared_error_of_the_hidden_patches_averaged_over_views(mae, images):
    output = mae(images, generator=torch.Generator().manual_seed(0))
    pictures = mae.reconstruct(images, output)
    for view, image in images.items():
        step = 8
        hidden = output.masks[view].reshape(2, 1, *mae.config.encoder.grid(view))
        hidden = hidden.repeat_interleave(step, 2).repeat_interleave(step, 3)
        error = (pictures[view] - image)[hidden]
        assert error.square().mean().item() == pytest.approx(output.losses[view].item(), rel=1e-5)
        assert torch.equal(pictures[view][~hidden], image[~hidden])
    assert output.loss.item() == pytest.approx(sum(loss.item() for loss in output.losses.values()) / 4, rel=1e-6)


def test_any_views_will_do_in_any_order_and_absent_ones_play_no_part(mae, images):
    masks = draw_masks(mae.config.encoder, ["SAX", "4CH"], 2, 0.75, torch.Generator().manual_seed(0))
    two = mae({View.CH4: images["4CH"], View.SAX: images["SAX"]}, {"4CH": masks["4CH"], "SAX": masks["SAX"]})
    assert list(two.losses) == ["SAX", "4CH"]
    alone = ConvMAE(ConvMAEConfig(mae.config.encoder.only(["SAX", "4CH"]), 12, 2, 2)).eval()
    alone.load_state_dict({name: t for name, t in mae.state_dict().items() if name in alone.state_dict()})
    assert alone({view: images[view] for view in ("SAX", "4CH")}, masks).loss == two.loss


def test_a_view_may_be_hidden_whole_while_another_is_seen(mae, images):
    masks = draw_masks(mae.config.encoder, ["SAX", "4CH"], 2, 0.75, torch.Generator().manual_seed(0))
    masks["4CH"][:] = True
    pair = {view: images[view] for view in masks}
    assert mae(pair, masks).predictions["4CH"].shape[1] == 8
    masks["SAX"][:] = True
    with pytest.raises(InputError, match="nothing is left to encode"):
        mae(pair, masks)


def test_any_batch_size_gives_the_same_predictions(mae):
    images = images_of(mae.config.encoder, batch=3)
    masks = draw_masks(mae.config.encoder, list(VIEWS), 3, 0.75, torch.Generator().manual_seed(0))
    whole = mae(images, masks)
    for index in range(3):
        one = slice(index, index + 1)
        alone = mae({v: x[one] for v, x in images.items()}, {v: m[one] for v, m in masks.items()})
        for view in VIEWS:
            assert torch.allclose(alone.predictions[view], whole.predictions[view][one], atol=1e-5)


def test_every_parameter_learns():
    mae = small_mae().train()
    mae(images_of(mae.config.encoder), generator=torch.Generator().manual_seed(0)).loss.backward()
    without = [name for name, p in mae.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_a_few_steps_on_one_batch_lower_the_loss():
    mae = small_mae().train()
    images, optimiser = images_of(mae.config.encoder), torch.optim.AdamW(mae.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        loss = mae(images, generator=torch.Generator().manual_seed(0)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_features_see_everything_and_are_normalised(mae, images):
    found = mae.features({"2CH": images["2CH"]})
    assert found.cls.shape == (2, 16)
    assert {view: tuple(tokens.shape) for view, tokens in found.tokens.items()} == {"2CH": (2, 4, 16)}


def test_wrong_images_are_refused_by_view_and_shape(mae, images):
    with pytest.raises(InputError, match="no view given; there are SAX, 2CH"):
        mae({})
    with pytest.raises(InputError, match="unknown view 5CH"):
        mae(images | {"5CH": images["4CH"]})
    with pytest.raises(InputError, match=r"4CH must be .* = \(2, 1, 32, 16\), got \(2, 1, 16, 32\)"):
        mae(images | {"4CH": images["4CH"].transpose(2, 3)})
    with pytest.raises(InputError, match=r"SAX must be .*depth\) = \(2, 1, 16, 32, 3\)"):
        mae(images | {"SAX": images["SAX"][..., 0]})
    with pytest.raises(InputError, match=r"2CH .* got \(1, 1, 16, 16\)"):
        mae(images | {"2CH": images["2CH"][:1]})
    with pytest.raises(InputError, match="floating point"):
        mae(images | {"2CH": images["2CH"].to(torch.int16)})
    with pytest.raises(InputError, match=r"reaches from .* to 1000"):
        mae(images | {"2CH": images["2CH"] * 0 + 1000})
    with pytest.raises(InputError, match="nan"):
        mae(images | {"2CH": images["2CH"] * float("nan")})


def test_wrong_masks_are_refused_by_view(mae, images):
    masks = draw_masks(mae.config.encoder, list(VIEWS), 2, 0.75)
    with pytest.raises(InputError, match="masks are of SAX, images of SAX, 2CH"):
        mae(images, {"SAX": masks["SAX"]})
    with pytest.raises(InputError, match=r"mask of 3CH must be bool \(2, 8\)"):
        mae(images, masks | {"3CH": masks["3CH"][:, 1:]})
    uneven = masks["4CH"].clone()
    uneven[0] = torch.arange(8) < 2
    with pytest.raises(InputError, match="mask of 4CH hides 2 to 6 tokens"):
        mae(images, masks | {"4CH": uneven})


def test_settings_of_a_decoder_that_cannot_be_are_refused():
    encoder = small_mae().config.encoder
    with pytest.raises(CheckpointError, match="no multiple of 5 heads"):
        ConvMAEConfig(encoder, decoder_width=12, decoder_heads=5)
    with pytest.raises(CheckpointError, match="not a valid masked autoencoder"):
        ConvMAEConfig(encoder, mask_ratio=1.0)


@pytest.mark.parametrize(
    ("size", "width", "layers", "trainable", "with_tables"),
    [
        ("tiny", 128, 4, 1.52, 1.95),
        ("base", 768, 12, 121.74, 125.67),
        ("large", 1024, 24, 343.06, 347.78),
        ("huge", 1280, 32, 675.03, 680.53),
    ],
)
def test_sizes_have_their_parameter_counts(size, width, layers, trainable, with_tables):
    with torch.device("meta"):
        mae = ConvMAE(ConvMAEConfig.of(size))
    assert sum(p.numel() for p in mae.encoder.blocks.parameters()) == layers * (12 * width**2 + 13 * width)
    count = sum(p.numel() for p in mae.parameters())
    assert count / 1e6 == pytest.approx(trainable, abs=0.006)
    assert (count + sum(b.numel() for b in mae.buffers())) / 1e6 == pytest.approx(with_tables, abs=0.006)


@pytest.mark.parametrize(("view", "trainable", "with_tables"), [("SAX", 125.6, 127.4), ("4CH", 102.0, 102.2)])
def test_segmenters_have_the_papers_parameter_counts(view, trainable, with_tables):
    with torch.device("meta"):
        model = ConvUNetR(ConvUNetRConfig.like(ConvMAEConfig.of("base"), views=[view]))
    count = sum(p.numel() for p in model.parameters())
    assert count / 1e6 == pytest.approx(trainable, abs=0.05)
    assert (count + sum(b.numel() for b in model.buffers())) / 1e6 == pytest.approx(with_tables, abs=0.05)
