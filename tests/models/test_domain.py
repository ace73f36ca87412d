"""Telling studies of another kind from those that the model learned from."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from cardiolens.errors import CheckpointError, TrainingError
from cardiolens.models.domain import STATISTICS, DomainReference, _upper, domain_features, image_statistics
from cardiolens.study import View

NAMES = [statistic.name for statistic in STATISTICS]
VIEWS = (View.SAX, View.SAX, View.SAX, View.CH4)
SIDE, FRAMES = 32, 12
QUANTILE = 0.95
_MIX = torch.randn(24, 16, generator=torch.Generator().manual_seed(5))


def clip(generator: torch.Generator, view: View) -> torch.Tensor:
    """(1, time, row, col) in [0, 1]: a beating ellipse, longer in 4CH, in noise of a usual level."""

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    rows, cols = torch.meshgrid(torch.arange(SIDE) - SIDE / 2, torch.arange(SIDE) - SIDE / 2, indexing="ij")
    radius = torch.hypot(rows / (1.6 if view is View.CH4 else 1.0), cols)
    beat = 1 - draw(0.12, 0.2) * (1 - torch.cos(2 * math.pi * torch.arange(FRAMES) / FRAMES))
    disc = torch.sigmoid(SIDE * draw(0.2, 0.25) * beat[:, None, None] - radius)
    body = torch.sigmoid((SIDE * 0.42 - radius) / 1.5)
    noise = draw(0.015, 0.02) * torch.randn(disc.shape, generator=generator)
    return (0.06 + draw(0.2, 0.25) * body + draw(0.5, 0.55) * disc + noise).clamp(0, 1)[None]


def embedding(clips: torch.Tensor) -> torch.Tensor:
    """(clip, 16): stands for a network; unit vectors that depend on the image."""
    pooled = torch.nn.functional.adaptive_avg_pool3d(clips[:, 0], (6, 2, 2)).flatten(1)
    return torch.nn.functional.normalize(pooled @ _MIX, dim=1)


def study(seed: int, change=lambda clips, generator: clips, views=VIEWS) -> tuple[torch.Tensor, tuple[View, ...]]:
    """(features, views) of one study, its clips changed first."""
    generator = torch.Generator().manual_seed(seed)
    clips = change(torch.stack([clip(generator, view) for view in views]), generator)
    return domain_features(embedding(clips), clips), views


def reference_of(train, held_out, **options) -> DomainReference:
    reference = DomainReference(train[0][0].shape[1])
    reference.fit([features for features, _ in train], held_out, **options)
    return reference


@pytest.fixture(scope="module")
def reference():
    return reference_of([study(i) for i in range(40)], [study(100 + i) for i in range(60)], quantile=QUANTILE)


def noisier(clips, generator):
    return (clips + 0.06 * torch.randn(clips.shape, generator=generator)).clamp(0, 1)


def inverted(clips, generator):
    return 1 - clips


def shuffled(clips, generator):
    return clips[:, :, torch.randperm(clips.shape[2], generator=generator)]


def still(clips, generator):
    return clips[:, :, :1].expand_as(clips).contiguous()


CHANGES = [noisier, inverted, shuffled, still]


# The check -----------------------------------------------------------------------------------------------------------


def test_new_studies_of_the_same_kind_are_seldom_flagged(reference):
    scores = [reference.study_score(*study(1000 + i)) for i in range(100)]
    assert sum(score > reference.threshold for score in scores) <= 12  # 5 expected; 12 or more has a chance of 0.4 %
    assert 0.2 < sorted(scores)[50] < 1.0


def test_single_clips_of_the_same_kind_are_seldom_marked(reference):
    scores = torch.cat([reference.score(*study(1000 + i)) for i in range(60)])
    assert scores.shape == (240,)
    assert float((scores > reference.threshold).float().mean()) < 0.12


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("views", [VIEWS, (View.SAX,), (View.CH4,)], ids=["whole", "one SAX", "one 4CH"])
def test_changed_images_are_flagged_whole_or_from_a_single_view(reference, change, views):
    flagged = [study(2000 + i, change, views) for i in range(15)]
    assert sum(reference.study_score(*item) > reference.threshold for item in flagged) >= 13
    assert any(reference.reasons(*item) for item in flagged)


@pytest.mark.parametrize("view", [View.SAX, View.CH4])
def test_a_single_view_of_the_same_kind_is_seldom_flagged(reference, view):
    scores = [reference.study_score(*study(3000 + i, views=(view,))) for i in range(60)]
    assert sum(score > reference.threshold for score in scores) <= 9


def test_a_minority_of_bad_clips_does_not_condemn_the_study_but_is_marked(reference):
    def one_bad(clips, generator):
        return torch.cat([inverted(clips[:1], generator), clips[1:]])

    features, views = study(4000, one_bad)
    assert reference.study_score(features, views) <= reference.threshold
    scores = reference.score(features, views)
    assert scores[0] > reference.threshold
    assert scores.argmax() == 0


# Reasons -------------------------------------------------------------------------------------------------------------


def test_reasons_name_what_was_changed_in_the_units_of_the_image(reference):
    lines = reference.reasons(*study(5000, noisier), most=12)
    noise = next(line for line in lines if line.startswith("pixel noise within a frame"))
    assert "above the 0.0" in noise
    value = float(noise.split(": ")[1].split(",")[0])
    assert value == pytest.approx(0.06, rel=0.3)  # no logarithm is shown
    assert any("brightness" in line or "grey level" in line for line in reference.reasons(*study(5001, inverted)))


def test_a_study_in_domain_has_no_reasons_and_their_number_is_bounded(reference):
    inside = next(item for i in range(9) if reference.study_score(*(item := study(1000 + i))) <= reference.threshold)
    assert reference.reasons(*inside) == []
    assert len(reference.reasons(*study(5002, inverted), most=2)) <= 3  # and the network's own


def test_an_embedding_far_off_is_flagged_by_itself(reference):
    features, views = study(1001)
    features = features.clone()
    features[:, :16] = torch.nn.functional.normalize(torch.randn(4, 16, generator=torch.Generator().manual_seed(1)))
    assert reference.study_score(features, views) > reference.threshold
    assert any("network's own description" in line for line in reference.reasons(features, views))


# Fitting, keeping ----------------------------------------------------------------------------------------------------


def test_what_the_card_says_counts_studies_not_views():
    train, held_out = [study(i) for i in range(12)], [study(100 + i) for i in range(14)]
    entry = DomainReference(train[0][0].shape[1]).fit([rows for rows, _ in train], held_out, quantile=0.9)
    assert (entry["n_fit"], entry["n_held_out"], entry["quantile"], entry["threshold"]) == (12, 14, 0.9, 1.0)
    assert entry["n_held_out_by_view"] == {"SAX": 14, "2CH": 0, "3CH": 0, "4CH": 14}
    assert entry["dim"] == 16 + len(STATISTICS)


def test_saved_and_loaded_it_scores_the_same_to_the_bit(reference):
    other = DomainReference(reference.dim)
    other.load_state_dict(load(save(reference.state_dict())))
    features, views = study(6000, noisier)
    assert torch.equal(other.score(features, views), reference.score(features, views))
    assert other.study_score(features, views) == reference.study_score(features, views)
    assert other.reasons(features, views) == reference.reasons(features, views)


def test_it_holds_buffers_only(reference):
    assert not list(reference.parameters())
    assert all(value.dtype == torch.float32 for value in reference.state_dict().values())


def test_before_fitting_it_refuses_to_give_a_limit():
    with pytest.raises(CheckpointError, match="never fitted"):
        _ = DomainReference(len(STATISTICS) + 18).threshold


@pytest.mark.parametrize(("n_train", "n_held_out"), [(9, 12), (12, 9)])
def test_fewer_than_ten_studies_are_refused_with_the_counts(n_train, n_held_out):
    item = study(0)
    with pytest.raises(TrainingError, match=f"got {n_train} and {n_held_out}"):
        DomainReference(item[0].shape[1]).fit([item[0]] * n_train, [item] * n_held_out)


def test_features_of_another_width_and_views_of_another_number_are_refused(reference):
    features, views = study(0)
    with pytest.raises(TrainingError, match="must be"):
        DomainReference(len(STATISTICS) + 5).fit([features] * 10, [(features, views)] * 10)
    with pytest.raises(TrainingError, match="one view a clip"):
        DomainReference(reference.dim).fit([features] * 10, [(features, views[:2])] * 10)
    with pytest.raises(ValueError, match="must be"):
        reference.score(features[:, 1:], views)
    with pytest.raises(ValueError, match="one view a clip"):
        reference.score(features, views[:1])
    with pytest.raises(CheckpointError, match="more than"):
        DomainReference(len(STATISTICS))


def test_a_view_that_few_held_out_studies_had_is_named_and_held_to_the_limits_of_all(reference):
    assert reference.unsure_of([View.SAX, View.CH2, View.CH2, View.CH4]) == [View.CH2]
    features, _ = study(7000, views=(View.SAX,))
    assert reference.study_score(features, [View.CH2]) > 0
    assert torch.equal(reference.cutoff[2], reference.cutoff[0])
    assert reference.study_score(*study(7001, inverted, (View.CH2,))) > reference.threshold


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.floats(0.5, 0.99))
@settings(max_examples=60, deadline=None)
def test_the_limit_is_the_conformal_rank(values, quantile):
    scores = torch.tensor(values)
    limit = float(_upper(scores, quantile))
    assert limit in scores.tolist()
    within = int((scores <= limit).sum())
    assert within >= min(len(values), math.ceil((len(values) + 1) * quantile))


# The statistics ------------------------------------------------------------------------------------------------------


def test_pixel_noise_is_measured_as_it_was_added():
    generator = torch.Generator().manual_seed(0)
    for sigma in (0.01, 0.04):
        clips = 0.5 + sigma * torch.randn(2, 1, 12, 64, 64, generator=generator)
        values = image_statistics(clips)
        for name in ("noise_level", "frame_noise"):
            assert values[:, NAMES.index(name)].exp().tolist() == pytest.approx([sigma, sigma], rel=0.1), name


def test_statistics_do_not_depend_on_the_other_clips_of_the_batch():
    generator = torch.Generator().manual_seed(0)
    clips = torch.stack([clip(generator, View.SAX) for _ in range(19)])
    together = image_statistics(clips)
    assert together.shape == (19, len(STATISTICS))
    assert torch.allclose(together[17:18], image_statistics(clips[17:18]), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 16])
def test_constant_and_short_clips_give_finite_statistics(frames):
    for value in (0.0, 0.5, 1.0):
        assert image_statistics(torch.full((1, 1, frames, 8, 11), value)).isfinite().all()


@pytest.mark.parametrize("shape", [(1, 16, 32, 32), (1, 1, 4, 7, 32), (1, 0, 4, 32, 32)])
def test_arrays_that_are_no_clips_are_refused(shape):
    with pytest.raises(ValueError, match="clips must be"):
        image_statistics(torch.zeros(shape))
