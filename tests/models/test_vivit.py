"""EchoAI's networks: masks, tubelets, reconstruction, what clips they take; the same numbers as transformers'."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.answers import Answers
from cardiolens.models.checkpoint import shapes_of
from cardiolens.models.videomae import VideoMAE, VideoMAEConfig, from_tubelets, to_tubelets
from cardiolens.models.videomae_layout import LAYOUTS, joined, split
from cardiolens.models.vivit import TubeletConfig, ViViT, ViViTConfig, draw_mask

SMALL = TubeletConfig(frames=4, crop=16, channels=1, tubelet=(2, 4, 4), width=24, layers=2, heads=2, positions="axes")
COLOUR = TubeletConfig(
    frames=4,
    crop=16,
    channels=3,
    tubelet=(2, 4, 4),
    width=24,
    layers=2,
    heads=2,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def small_mae(encoder=SMALL, **changes):
    torch.manual_seed(0)
    fields = {"decoder_width": 12, "decoder_layers": 1, "decoder_heads": 2}
    return VideoMAE(VideoMAEConfig(encoder, **(fields | changes))).eval()


def clips(config=SMALL, batch=2):
    return torch.rand(batch, config.channels, *config.size, generator=torch.Generator().manual_seed(1))


def theirs(kind, config=COLOUR, **changes):
    """A model of transformers of the same size, with biases that are not 0."""
    transformers = pytest.importorskip("transformers")
    settings = transformers.VideoMAEConfig(
        image_size=config.crop,
        patch_size=config.tubelet[1],
        num_frames=config.frames,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.width,
        decoder_hidden_size=12,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=48,
        **changes,
    )
    torch.manual_seed(3)
    model = getattr(transformers, kind)(settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def normalised(video):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1, 1) for values in (COLOUR.mean, COLOUR.std))
    return ((video - mean) / std).movedim(2, 1)  # (batch, time, channel, row, col)


def with_their_weights(model, other, layout):
    wanted = shapes_of(model)
    state = {
        name: slot.take(other.state_dict()[slot.name], shape)
        for name, shape in split(wanted).items()
        if (slot := layout.slot(name, shape))
    }
    model.load_state_dict(joined(state))
    assert {layout.slot(name, shape).name for name, shape in split(wanted).items()} == set(other.state_dict())
    return model.eval()


@pytest.mark.parametrize("normalise", [True, False])
def test_loss_and_predictions_are_those_of_transformers_videomae(normalise):
    other = theirs("VideoMAEForPreTraining", norm_pix_loss=normalise, use_mean_pooling=False)
    mae = with_their_weights(small_mae(COLOUR, normalise=normalise), other, LAYOUTS["videomae"][1])
    video = clips(COLOUR)
    mask = draw_mask(COLOUR, 2, 0.75, torch.Generator().manual_seed(2), masking="random")
    with torch.no_grad():
        ours, published = mae(video, mask), other(normalised(video), bool_masked_pos=mask)
    assert torch.allclose(ours.predictions, published.logits, rtol=1e-5, atol=1e-5)
    assert float(ours.loss) == pytest.approx(float(published.loss), rel=1e-5)


def test_logits_are_those_of_transformers_fine_tuned_videomae():
    other = theirs("VideoMAEForVideoClassification", num_labels=3)
    model = ViViT(ViViTConfig(COLOUR, Answers(("a", "b", "c"), ("raw",) * 3)))
    model = with_their_weights(model, other, LAYOUTS["vivit"][1])
    video = clips(COLOUR)
    with torch.no_grad():
        assert torch.allclose(model(video), other(normalised(video)).logits, rtol=1e-5, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(ratio=st.floats(0.01, 0.99), masking=st.sampled_from(["tube", "random"]), seed=st.integers(0, 99))
def test_masks_hide_the_same_share_everywhere_and_tubes_the_same_places_at_all_times(ratio, masking, seed):
    mask = draw_mask(SMALL, 3, ratio, torch.Generator().manual_seed(seed), masking=masking)
    again = draw_mask(SMALL, 3, ratio, torch.Generator().manual_seed(seed), masking=masking)
    assert torch.equal(mask, again)
    time, rows, cols = SMALL.grid
    count = rows * cols if masking == "tube" else SMALL.tokens
    expected = min(max(int(ratio * count + 1e-9), 1), count - 1) * (time if masking == "tube" else 1)
    assert mask.sum(1).tolist() == [expected] * 3
    if masking == "tube":
        assert bool((mask.view(3, time, -1) == mask.view(3, time, -1)[:, :1]).all())


@pytest.mark.parametrize("ratio", [0.8, 0.9, 0.95])
def test_the_three_ratios_of_the_paper_hide_what_they_say_at_full_size(ratio):
    full = TubeletConfig()
    mask = draw_mask(full, 1, ratio, torch.Generator().manual_seed(0))
    assert full.tokens == 1568
    assert mask.float().mean().item() == pytest.approx(ratio, abs=0.005)


def test_tubelets_go_there_and_back():
    video = clips(COLOUR)
    tubelets = to_tubelets(video, COLOUR.tubelet)
    assert tubelets.shape == (2, COLOUR.tokens, COLOUR.values)
    assert torch.equal(from_tubelets(tubelets, COLOUR), video)
    assert torch.equal(tubelets[0, 1, :3], video[0, :, 0, 0, 4])  # second token: next columns; channels lie innermost


def test_what_is_hidden_does_not_reach_the_prediction():
    mae, video = small_mae(normalise=False), clips()
    mask = draw_mask(SMALL, 2, 0.5, torch.Generator().manual_seed(0))
    other = from_tubelets(to_tubelets(video, SMALL.tubelet).masked_fill(mask[..., None], 0.3), SMALL)
    assert torch.allclose(mae(video, mask).predictions, mae(other, mask).predictions, atol=1e-6)
    assert not torch.allclose(mae(video, mask).loss, mae(other, mask).loss)


@pytest.mark.parametrize("normalise", [True, False])
def test_a_reconstruction_keeps_what_was_seen_and_shows_the_prediction_elsewhere(normalise):
    mae, video = small_mae(normalise=normalise), clips()
    output = mae(video, generator=torch.Generator().manual_seed(0))
    shown = to_tubelets(mae.reconstruct(video, output), SMALL.tubelet)
    truth = to_tubelets(video, SMALL.tubelet)
    assert torch.equal(shown[~output.mask], truth[~output.mask])
    assert not torch.allclose(shown[output.mask], truth[output.mask])
    if not normalise:
        assert torch.allclose(shown[output.mask], output.predictions.flatten(0, 1))


def test_the_autoencoder_learns_a_moving_disc():
    torch.manual_seed(0)
    mae = small_mae(normalise=False, mask_ratio=0.5).train()
    at = torch.arange(16.0)
    radius = torch.tensor([3.0, 4.0, 5.0, 4.0]).view(4, 1, 1)
    disc = ((at[:, None] - 8).hypot(at[None] - 8)[None] < radius).float()[None, None].repeat(4, 1, 1, 1, 1)
    optimiser = torch.optim.AdamW(mae.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(200):
        loss = mae(disc, generator=generator).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) / 20 < 0.3 * disc.var().item()  # the mean alone would leave the variance


def test_an_encoder_of_another_clip_length_starts_from_a_pretrained_one_and_another_width_does_not():
    mae = small_mae()
    for frames in (2, 8):
        model = ViViT(ViViTConfig(dataclasses.replace(SMALL, frames=frames), Answers(("ef",), ("value",))))
        model.encoder.start_from(mae.encoder)
        assert torch.equal(model.encoder.blocks[1].mlp.fc1.weight, mae.encoder.blocks[1].mlp.fc1.weight)
    with pytest.raises(CheckpointError, match="in the pretrained encoder"):
        ViViT(ViViTConfig(dataclasses.replace(SMALL, width=32))).encoder.start_from(mae.encoder)
    with pytest.raises(CheckpointError, match="2 layers, this one 1"):
        ViViT(ViViTConfig(dataclasses.replace(SMALL, layers=1))).encoder.start_from(mae.encoder)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (torch.rand(1, 1, 4, 16, 12), "clips must be"),
        (torch.rand(1, 1, 3, 16, 16), "clips must be"),
        (torch.zeros(1, 1, 4, 16, 16, dtype=torch.uint8), "floating point"),
        (torch.full((1, 1, 4, 16, 16), 255.0), "lie in"),
        (torch.full((1, 1, 4, 16, 16), float("nan")), "lie in"),
    ],
)
def test_clips_that_cannot_be_meant_are_refused(bad, words):
    with pytest.raises(InputError, match=words):
        small_mae()(bad)
    with pytest.raises(InputError, match=words):
        ViViT(ViViTConfig(SMALL))(bad)


def test_masks_that_hide_all_nothing_or_unequal_numbers_are_refused():
    mae = small_mae()
    for mask in (torch.ones(2, SMALL.tokens), torch.zeros(2, SMALL.tokens), torch.eye(2, SMALL.tokens).cumsum(0)):
        with pytest.raises(InputError, match="mask"):
            mae(clips(), mask.bool())
    with pytest.raises(InputError, match="mask must be bool"):
        mae(clips(), torch.ones(2, 3, dtype=torch.bool))


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(CheckpointError, match="whole pieces"):
        TubeletConfig(frames=5)
    with pytest.raises(CheckpointError, match="mean and std"):
        dataclasses.replace(SMALL, mean=(0.5, 0.5), std=(0.5, 0.5))
    with pytest.raises(CheckpointError, match="masked autoencoder"):
        VideoMAEConfig(SMALL, mask_ratio=1.0)
    with pytest.raises(CheckpointError, match="masking"):
        VideoMAEConfig(SMALL, masking="blocks")
