"""What the networks see."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.segmenter.channels import CHANNELS, channels_of, normalised


def frames() -> torch.Tensor:
    return torch.rand(3, 4, 16, 16, generator=torch.Generator().manual_seed(0)) + 0.1


def test_neighbours_are_the_planes_beside_and_absent_at_the_ends():
    seen = channels_of(frames())
    assert seen.shape == (3, 4, len(CHANNELS), 16, 16)
    assert torch.equal(seen[1, 2, 1], frames()[0, 2]) and torch.equal(seen[1, 2, 2], frames()[2, 2])
    assert seen[0, :, 1].isnan().all() and seen[2, :, 2].isnan().all()
    assert torch.equal(seen[1, 0, 4], frames()[1].amax(0) - frames()[1].amin(0))


def test_one_phase_has_no_beat():
    seen = normalised(channels_of(frames()[:, :1]).flatten(0, 1))
    assert (seen[:, 3:] == 0).all() and not seen.isnan().any()


@given(st.floats(0.01, 500.0))
def test_the_scale_of_intensities_does_not_matter(factor):
    seen = channels_of(frames()).flatten(0, 1)
    assert torch.allclose(normalised(seen), normalised(seen * factor), atol=2e-3)


def test_an_empty_frame_stays_finite():
    assert torch.isfinite(normalised(channels_of(torch.zeros(2, 2, 8, 8)).flatten(0, 1))).all()
