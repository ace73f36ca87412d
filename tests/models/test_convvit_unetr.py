"""Heads and segmenters on CineMA's encoder: starting from a pretrained one, what comes out, bad input."""

import pytest
import torch
from small_cinema import encoder_config, images_of, small_mae

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.convmae import ConvMAEConfig
from cardiolens.models.convvit import ConvViT, ConvViTConfig
from cardiolens.models.unetr import ConvUNetR, ConvUNetRConfig


@pytest.fixture(scope="module")
def mae():
    return small_mae(seed=1)


def vit(mae, **settings):
    torch.manual_seed(2)
    return ConvViT.from_pretrained(mae, ["SAX", "4CH"], **settings).eval()


def unetr(mae, **settings):
    torch.manual_seed(2)
    return ConvUNetR.from_pretrained(mae, ["SAX", "4CH"], **settings).eval()


def test_heads_start_from_the_branches_of_their_views_and_nothing_else(mae):
    state, start = vit(mae).state_dict(), mae.state_dict()
    stem = "scales.0.conv.weight"
    taken = [name for name in state if name.startswith("encoder.") and not name.endswith(stem)]
    assert len(taken) > 40
    assert all(torch.equal(state[name], start[name]) for name in taken)
    assert {name.split(".")[2] for name in state if name.startswith("encoder.stems.")} == {"SAX", "4CH"}
    assert "heads.SAX.weight" in state
    assert not any("decoder" in name for name in state)


def test_two_equal_frames_make_the_tokens_of_the_one_that_was_pretrained_on(mae):
    one = images_of(mae.config.encoder, views=["SAX", "4CH"])
    twice = {view: image.expand(-1, 2, *image.shape[2:]) for view, image in one.items()}
    found = vit(mae, in_channels=2).encoder(twice)
    for view, tokens in mae.features(one).tokens.items():
        assert torch.allclose(found.tokens[view], tokens, atol=1e-5)
    assert torch.allclose(found.cls, mae.features(one).cls, atol=1e-5)


def test_frames_of_another_number_cannot_be_taken_over():
    with pytest.raises(CheckpointError, match="made for 2 frames, cannot become 3"):
        vit(small_mae(in_channels=2), in_channels=3)
    with pytest.raises(CheckpointError, match=r"cls_token: \(1, 1, 32\) here, \(1, 1, 16\) in the pretrained"):
        ConvViT(ConvViTConfig(encoder_config(width=32))).encoder.start_from(small_mae().encoder)
    with pytest.raises(CheckpointError, match="has no 2CH, 3CH, 4CH, only SAX"):
        only = ConvMAEConfig(encoder_config(views={"SAX": (16, 16, 2)}), 12, 2, 2)
        ConvViT(ConvViTConfig(encoder_config())).encoder.start_from(type(small_mae())(only).encoder)


def test_all_pools_the_views_and_cls_and_patch_the_views(mae):
    model = vit(mae, outputs=3)
    images = images_of(model.config.encoder)
    logits = {pool: model(images, pool) for pool in ("all", "cls", "patch")}
    assert torch.allclose(logits["all"], (2 * logits["patch"] + logits["cls"]) / 3, atol=1e-6)
    with pytest.raises(InputError, match="'mean'"):
        model(images, "mean")


def test_predictions_are_in_the_terms_of_the_task(mae):
    images = images_of(encoder_config(in_channels=2), views=["SAX", "4CH"])
    classes = vit(mae, outputs=3)
    assert torch.allclose(classes.predict(images), classes(images).softmax(1))
    one = vit(mae, outputs=1)
    assert torch.allclose(one.predict(images), one(images).sigmoid())
    value = vit(mae, outputs=1, kind="regression", offset=(60.0,), scale=(10.0,))
    assert torch.allclose(value.predict(images), 60 + 10 * value(images))
    points = vit(mae, outputs=6, kind="coordinates")
    assert torch.equal(points.predict(images)[:, 2], points(images)[:, 4:])
    with pytest.raises(InputError, match="does not say what its logits are"):
        vit(mae, kind="raw").predict(images)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"outputs": 3, "kind": "coordinates"}, "even for coordinates"),
        ({"outputs": 2, "kind": "regression", "offset": (1.0,)}, "2 numbers each"),
        ({"outputs": 1, "offset": (1.0,)}, "belong to a regression"),
        ({"outputs": 1, "kind": "survival"}, "'survival' is none of"),
        ({"outputs": 0}, "at least 1"),
    ],
)
def test_heads_that_contradict_themselves_are_refused(settings, words):
    with pytest.raises(CheckpointError, match=words):
        ConvViTConfig(encoder_config(), **settings)


def test_logits_have_the_images_shapes(mae):
    model = unetr(mae, classes=5)
    images = images_of(model.config.encoder)
    shapes = {view: tuple(logits.shape) for view, logits in model(images).items()}
    assert shapes == {"SAX": (2, 5, 16, 32, 3), "4CH": (2, 5, 32, 16)}


@pytest.mark.parametrize("patches", [(2, 2, 2), (4, 2, 2), (2, 4, 2)])
def test_the_way_up_meets_every_level_whatever_the_patches(patches):
    torch.manual_seed(0)
    encoder = encoder_config(views={"2CH": (32, 32)}, patches=patches)
    model = ConvUNetR(ConvUNetRConfig(encoder, 2, (2, 4, 6, 8, 10))).train()
    model(images_of(encoder))["2CH"].square().sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # LayerNorm of one channel is its bias (0 at the start) whatever the pixel; the shortcut passes the image on
    assert set(without) <= {"decoders.2CH.image.norm1.weight", "decoders.2CH.image.conv1.weight"}


@pytest.mark.parametrize("build", [vit, unetr])
def test_any_batch_size_gives_the_same_logits(mae, build):
    model = build(mae, in_channels=2).double()  # LayerNorm over two channels magnifies rounding
    images = {view: image.double() for view, image in images_of(model.config.encoder, batch=3).items()}
    alone = [model({view: image[i : i + 1] for view, image in images.items()}) for i in range(3)]
    whole = model(images)
    if isinstance(whole, dict):
        for view, logits in whole.items():
            assert torch.allclose(logits, torch.cat([one[view] for one in alone]), atol=1e-5)
    else:
        assert torch.allclose(whole, torch.cat(alone), atol=1e-5)


@pytest.mark.parametrize("build", [vit, unetr])
def test_every_view_of_the_model_is_asked_for(mae, build):
    model = build(mae, in_channels=1)
    images = images_of(model.config.encoder)
    with pytest.raises(InputError, match="missing view 4CH: the model takes SAX, 4CH, got SAX"):
        model({"SAX": images["SAX"]})
    with pytest.raises(InputError, match="unknown view 2CH"):
        model(images | {"2CH": images["4CH"]})
    with pytest.raises(InputError, match=r"SAX must be .* = \(2, 1, 16, 32, 3\)"):
        model(images | {"SAX": images["SAX"].expand(-1, 2, -1, -1, -1)})
    with pytest.raises(InputError, match="unknown view 5CH"):
        type(model).from_pretrained(mae, ["5CH"])


def test_dropped_paths_are_those_of_fine_tuning_and_the_pretrained_model_stays_as_it_is(mae):
    before = {name: tensor.clone() for name, tensor in mae.state_dict().items()}
    model = unetr(mae)
    assert model.encoder.blocks[-1].drop_path.rate == 0.1
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in mae.state_dict().items())


def test_segmenters_that_cannot_be_are_refused():
    with pytest.raises(CheckpointError, match="over a stem of"):
        ConvUNetRConfig(encoder_config(), 4, (2, 5, 6, 8, 10))
    for patches in ((3, 2, 2), (2, 4, 1)):
        with pytest.raises(CheckpointError, match="must be 2, 4, 8"):
            ConvUNetRConfig(encoder_config(patches=patches, views={"2CH": (24, 24)}), 4, (2, 4, 6, 8, 10))
    with pytest.raises(CheckpointError, match="cannot be halved"):
        ConvUNetRConfig(encoder_config(views={"2CH": (24, 24)}), 4, (2, 4, 6, 8, 10))
