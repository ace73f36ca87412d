import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.augmix import augmix
from cardiolens.errors import CheckpointError, ReadError
from cardiolens.transforms import ClipTransform, evenly, fit

TINY = ClipTransform(frames=8, short_side=40, crop=32)


def plane(time=12, rows=50, cols=60, seed=0):
    return np.random.default_rng(seed).integers(0, 900, (time, rows, cols)).astype(np.uint16)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(20, 90), st.integers(20, 90), st.sampled_from([np.uint8, np.int16, np.float32]))
def test_any_plane_becomes_a_clip_of_the_right_shape_in_the_unit_range(time, rows, cols, dtype):
    clip = TINY(plane(time, rows, cols).astype(dtype))
    assert clip.shape == (1, 8, 32, 32)
    assert clip.dtype == torch.float32
    assert 0 <= float(clip.min()) <= float(clip.max()) <= 1


def test_frames_are_evenly_spaced_from_first_to_last():
    ramp = np.broadcast_to(np.arange(15.0)[:, None, None], (15, 40, 40)).copy()
    levels = ClipTransform(frames=8, short_side=40, crop=32, percentiles=(0, 100))(ramp)[0, :, 0, 0] * 14
    np.testing.assert_allclose(levels, [0, 2, 4, 6, 8, 10, 12, 14], atol=1e-4)


def test_the_centre_is_kept():
    image = np.zeros((2, 64, 80), np.float32)
    image[:, 30:34, 38:42] = 100
    clip = ClipTransform(frames=2, short_side=64, crop=32, percentiles=(0, 100))(image)
    assert float(clip[0, 0, 14:18, 14:18].min()) == 1
    assert float(clip.sum()) == 2 * 16


@given(st.floats(0.1, 50), st.floats(-100, 100))
@settings(max_examples=20, deadline=None)
def test_scanner_units_do_not_matter(gain, offset):
    image = plane().astype(np.float64)
    torch.testing.assert_close(TINY(image), TINY(image * gain + offset), atol=2e-4, rtol=0)


def test_three_channels_are_copies():
    clip = ClipTransform(frames=4, short_side=40, crop=32, channels=3)(plane())
    assert clip.shape[0] == 3
    assert torch.equal(clip[0], clip[2])


def test_a_constant_plane_gives_no_nan():
    assert torch.isfinite(TINY(np.full((3, 40, 40), 7))).all()


def test_nan_pixels_and_wrong_shapes_are_refused():
    with pytest.raises(ReadError, match="NaN"):
        TINY(np.full((3, 40, 40), np.nan))
    with pytest.raises(ReadError, match="shape"):
        TINY(np.zeros((40, 40)))


def test_a_transform_survives_the_card_and_unknown_fields_are_refused():
    assert ClipTransform.from_dict(TINY.to_dict()) == TINY
    with pytest.raises(CheckpointError, match="blur"):
        ClipTransform.from_dict({**TINY.to_dict(), "blur": 1})
    with pytest.raises(CheckpointError, match="impossible"):
        ClipTransform(short_side=32, crop=64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clips(batch=4):
    return torch.rand(batch, 1, 5, 24, 24, generator=generator(9))


def test_augmentation_is_the_same_for_every_frame_of_a_clip():
    still = torch.rand(4, 1, 1, 24, 24, generator=generator(1)).expand(-1, -1, 6, -1, -1).contiguous()
    moved = augmix(still, generator(), severity=8)
    assert float((moved - moved[:, :, :1]).abs().max()) == 0
    assert float((moved - still).abs().mean()) > 0.01


def test_augmentation_is_seeded_differs_between_clips_and_stays_in_range():
    same = clips()[:1].expand(4, -1, -1, -1, -1).contiguous()
    first = augmix(same, generator(), severity=5)
    assert torch.equal(first, augmix(same, generator(), severity=5))
    assert not torch.equal(first, augmix(same, generator(1), severity=5))
    assert not torch.allclose(first[0], first[1])
    assert 0 <= float(first.min()) <= float(first.max()) <= 1


def test_severity_zero_changes_nothing_and_more_severity_changes_more():
    assert augmix(clips(), generator(), severity=0) is not None
    assert torch.equal(augmix(clips(), generator(), severity=0), clips())
    change = [float((augmix(clips(32), generator(), severity=s) - clips(32)).abs().mean()) for s in (1, 4, 9)]
    assert change == sorted(change)


# Against PyTorch's own arithmetic ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 7, 16, 32])
def test_frames_are_those_of_torch_linspace(count):
    for length in range(1, 120):
        assert evenly(length, count).tolist() == torch.linspace(0, length - 1, count).long().tolist()


@pytest.mark.parametrize("size", [(160, 160), (256, 208), (40, 50), (300, 131), (64, 64)])
@pytest.mark.parametrize(("short_side", "crop"), [(128, 64), (264, 224), (64, 64)])
def test_resizing_is_that_of_torch_with_antialiasing(size, short_side, crop):
    frames = np.random.default_rng(0).random((3, *size)).astype(np.float32)
    scale = short_side / min(size)
    new = tuple(max(short_side, int(n * scale)) for n in size)
    whole = torch.nn.functional.interpolate(torch.from_numpy(frames)[:, None], new, mode="bilinear", antialias=True)
    top, left = ((n - crop) // 2 for n in new)
    expected = whole[:, 0, top : top + crop, left : left + crop].numpy()
    assert np.abs(fit(frames, short_side, crop) - expected).max() < 1e-6
