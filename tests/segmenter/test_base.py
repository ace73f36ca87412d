"""The base of the ventricle as people draw it."""

import numpy as np
from segmenter_samples import ring

from cardiolens.segmenter.base import whole_at_the_base


def stack(atrium_from_row: int) -> np.ndarray:
    """Three planes; below a row the last one shows atrium in place of ventricle."""
    labels = np.broadcast_to(ring(), (3, 1, 48, 48)).copy()
    below = np.arange(48)[:, None] >= atrium_from_row
    last = labels[2, 0]
    last[below & (last == 1)] = 4
    last[below & (last == 2)] = 0
    return labels


def test_a_ring_that_is_open_on_one_side_is_drawn_whole():
    drawn, cut = whole_at_the_base(stack(26))
    assert cut.tolist() == [[False], [False], [True]]
    whole = ring() == 1
    assert (drawn[2, 0] == 1)[whole & (np.arange(48)[:, None] < 28)].all()
    assert not (drawn[2, 0] == 4)[np.arange(48)[:, None].repeat(48, 1) < 26].any()
    assert (drawn[2, 0] == 1).sum() > (stack(26)[2, 0] == 1).sum()


def test_a_sliver_of_ventricle_is_drawn_as_none():
    drawn, cut = whole_at_the_base(stack(20))
    assert cut[2, 0] and not np.isin(drawn[2, 0], (1, 2)).any()
    assert (drawn[2, 0] == 3).any()  # the right ventricle stays


def test_planes_that_the_valve_does_not_cut_stay_as_they_are():
    labels = np.broadcast_to(ring(), (3, 2, 48, 48)).copy()
    drawn, cut = whole_at_the_base(labels)
    assert np.array_equal(drawn, labels) and not cut.any()
