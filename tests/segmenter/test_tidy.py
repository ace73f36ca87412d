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
