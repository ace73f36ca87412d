"""What a heart cannot look like."""

import numpy as np
from segmenter_samples import SHORT, ring

from cardiolens.segmenter.tidy import main_piece, tidy


def test_a_heart_that_is_whole_stays_as_it_is():
    labels = np.broadcast_to(ring(), (3, 2, 48, 48)).copy()
    mended, notes = tidy(labels, SHORT)
    assert np.array_equal(mended, labels) and notes == ()


def test_a_second_ventricle_and_islands_go_and_holes_are_filled():
    labels = np.broadcast_to(ring(), (3, 1, 48, 48)).copy()
    labels[1, 0, 40:47, 2:14] = 1
    labels[0, 0, 2:4, 40:42] = 3
    labels[2, 0, 24, 28] = 0
    mended, notes = tidy(labels, SHORT)
    assert np.array_equal(mended, np.broadcast_to(ring(), (3, 1, 48, 48)))
    assert len(notes) == 1 and "dropped" in notes[0]


def test_of_two_cavities_in_a_plane_the_one_that_goes_on_stays():
    labels = np.broadcast_to(ring(), (4, 1, 48, 48)).copy()
    labels[3, 0][labels[3, 0] == 3] = 1  # towards the apex the right ventricle is taken for the left
    labels[0, 0] = 0
    labels[0, 0, 2:20, 2:20] = 1  # beyond the base something large and round is
    mended, _ = tidy(labels, SHORT)
    assert not mended[0].any()
    assert np.array_equal(mended[3, 0] == 1, ring() == 1)


def test_muscle_without_cavity_stays_at_the_tip_and_nowhere_else():
    labels = np.broadcast_to(ring(), (4, 1, 48, 48)).copy()
    labels[0, 0] = np.where(ring(radius=4) == 1, 2, 0)
    labels[3, 0] = 0
    labels[3, 0, 40:46, 2:10] = 2
    mended, _ = tidy(labels, SHORT)
    assert np.array_equal(mended[0], labels[0]) and not mended[3].any()


def test_a_cavity_with_muscle_less_than_half_way_round_counts_only_where_planes_are_no_rings():
    labels = np.broadcast_to(ring(), (4, 1, 48, 48)).copy()
    labels[3, 0][(labels[3, 0] == 2) & (np.arange(48)[:, None] < 30)] = 0
    kept, _ = tidy(labels, SHORT)
    dropped, _ = tidy(labels, SHORT, rings=True)
    assert (kept[3] == 1).any() and not (dropped[3] == 1).any()
    assert np.array_equal(dropped[:3], labels[:3])


def test_nothing_stays_nothing():
    mended, notes = tidy(np.zeros((2, 2, 8, 8), np.uint8), SHORT)
    assert not mended.any() and notes == ()


def test_the_main_piece_is_the_heavier_of_two():
    heart = np.zeros((4, 30, 30), np.float32)
    heart[:, 5:15, 5:15] = 0.9
    heart[0, 22:26, 22:26] = 1.0
    kept = main_piece(heart)
    assert kept[:, 5:15, 5:15].min() > 0.8 and not kept[:, 20:, 20:].any()
    assert not main_piece(0.3 * heart).any()
