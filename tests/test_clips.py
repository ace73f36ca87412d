import numpy as np
import pytest

from cardiolens.clips import choose_planes, clips_of
from cardiolens.errors import ReadError
from cardiolens.study import Cine, Study
from cardiolens.transforms import ClipTransform

TINY = ClipTransform(frames=4, short_side=24, crop=16)


def cine(view, n_slices):
    return Cine(view, np.random.default_rng(0).random((n_slices, 5, 30, 30)))


def test_stacks_of_more_than_five_planes_lose_first_and_last():
    assert choose_planes(5) == [0, 1, 2, 3, 4]
    assert choose_planes(8) == [1, 2, 3, 4, 5, 6]


def test_every_second_plane_as_in_the_published_code():
    assert choose_planes(8, "alternate") == [1, 3, 5]


def test_a_random_half_is_seeded_ordered_and_varies():
    draws = {tuple(choose_planes(12, "random_half", np.random.default_rng(seed))) for seed in range(20)}
    assert all(len(d) == 5 and list(d) == sorted(d) and set(d) <= set(range(1, 11)) for d in draws)
    assert len(draws) > 10
    with pytest.raises(ValueError, match="generator"):
        choose_planes(12, "random_half")


def test_a_lone_plane_is_always_kept():
    assert choose_planes(1, "random_half") == [0]


def test_a_study_becomes_a_bag_that_names_view_and_plane_of_each_clip():
    bag = clips_of(Study((cine("4CH", 1), cine("SAX", 7))), TINY)
    assert bag.clips.shape == (6, 1, 4, 16, 16)
    assert bag.views == ("SAX",) * 5 + ("4CH",)
    assert bag.planes == (1, 2, 3, 4, 5, 0)
    assert len(clips_of(cine("2CH", 1), TINY)) == 1


def test_a_study_without_cines_is_refused():
    with pytest.raises(ReadError, match="no cine"):
        clips_of(Study(()), TINY)
