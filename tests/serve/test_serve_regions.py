"""Edits of a mask: what a line encloses, how the structures of the left ventricle lie in each other."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.contours.lines import outlines
from cardiolens.errors import InputError
from cardiolens.segmentation import STRUCTURES
from cardiolens.serve.regions import brush_region, grown, polygon_region, region_of, with_region

CAVITY, MUSCLE, RV = (STRUCTURES[name] for name in ("LV cavity", "LV myocardium", "RV cavity"))


def disc(radius, row=20, col=20, side=40):
    rows, cols = np.mgrid[:side, :side]
    return np.hypot(rows - row, cols - col) <= radius


def heart():
    labels = np.zeros((40, 40), np.uint8)
    labels[disc(12)] = MUSCLE
    labels[disc(8)] = CAVITY
    labels[disc(3, 20, 37)] = RV
    return labels


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["LV cavity", "LV myocardium", "RV cavity"]))
def test_a_line_that_nobody_moved_changes_nothing(seed, structure):
    rng = np.random.default_rng(seed)
    labels = heart()
    labels[rng.random(labels.shape) < 0.03] = 0  # holes and corners
    found = polygon_region(outlines(labels, structure), labels.shape)
    np.testing.assert_array_equal(with_region(labels, structure, found), labels)


def test_what_is_taken_from_the_cavity_becomes_muscle():
    after = with_region(heart(), "LV cavity", disc(6))
    np.testing.assert_array_equal(after == CAVITY, disc(6))
    np.testing.assert_array_equal(np.isin(after, (CAVITY, MUSCLE)), disc(12))


def test_what_is_taken_from_a_cavity_without_muscle_becomes_nothing():
    labels = np.where(disc(8), CAVITY, 0).astype(np.uint8)
    assert set(np.unique(with_region(labels, "LV cavity", disc(6)))) == {0, CAVITY}


def test_a_smaller_epicardium_cuts_the_cavity_and_a_larger_one_leaves_it():
    smaller = with_region(heart(), "LV myocardium", disc(7))
    assert not (smaller[~disc(7) & disc(12)]).any() and (smaller[disc(7)] == CAVITY).all()
    larger = with_region(heart(), "LV myocardium", disc(14))
    np.testing.assert_array_equal(larger == CAVITY, disc(8))
    np.testing.assert_array_equal(region_of(larger, "LV myocardium"), disc(14))


def test_other_structures_take_the_pixels_drawn_last():
    after = with_region(heart(), "RV cavity", disc(6, 20, 33))
    np.testing.assert_array_equal(after == RV, disc(6, 20, 33))


def test_a_brush_reaches_its_radius_from_the_way_and_no_farther():
    region = brush_region([(10, 5), (30, 5)], 3.0, (40, 40))
    assert region[5, 10:31].all() and region[8, 20] and region[5, 7] and not region[9].any() and not region[5, 6]
    assert brush_region([(3, 4)], 1.0, (10, 10)).sum() == 5


def test_growing_and_shrinking_move_the_edge_by_pixels():
    assert grown(disc(8), 2)[20, 30] and not grown(disc(8), 2)[20, 31]
    assert not grown(disc(8), -1)[20, 28] and grown(disc(8), -1)[20, 27]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([[(1, 1), (2, 2)]], "three points"),
        ([[(1, 1), (2, float("nan")), (3, 1)]], "finite"),
        ([[(1, 2, 3)] * 4], "pairs"),
        ([[(0, 0)] * 20_001], "at most"),
    ],
)
def test_lines_that_are_none_are_refused(lines, words):
    with pytest.raises(InputError, match=words):
        polygon_region(lines, (10, 10))


def test_lines_of_too_many_points_together_are_refused():
    with pytest.raises(InputError, match="together"):
        polygon_region([[(0.0, 0.0)] * 10_001] * 2, (4, 4))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_brush_is_every_pixel_within_its_radius_of_the_way(seed):
    rng = np.random.default_rng(seed)
    way, radius = rng.uniform(-15, 55, (rng.integers(1, 6), 2)), float(rng.uniform(0.2, 12))
    rows, cols = np.mgrid[:40, :30]
    pieces = zip(way, way[1:] if len(way) > 1 else way, strict=False)
    steps = np.concatenate([np.linspace(start, end, 400) for start, end in pieces])
    away = np.hypot(cols[..., None] - steps[:, 0], rows[..., None] - steps[:, 1]).min(-1)
    found = brush_region(way.tolist(), radius, (40, 30))
    sure = np.abs(away - radius) > 0.1  # the way is made of steps here
    np.testing.assert_array_equal(found[sure], (away <= radius)[sure])


def test_strokes_and_lines_that_would_hold_the_server_up_are_refused():
    turn = np.linspace(0, 2 * np.pi, 20_000)
    ring = np.column_stack([250 + 200 * np.cos(turn), 250 + 200 * np.sin(turn)])
    start = time.process_time()
    assert brush_region(ring.tolist(), 3.0, (512, 512)).any()
    with pytest.raises(InputError, match="draw it in parts"):
        brush_region(ring.tolist(), 200.0, (512, 512))
    with pytest.raises(InputError, match="too many points"):
        polygon_region([ring.tolist()], (512, 512))
    assert time.process_time() - start < 10  # more than a minute when every point looked at every pixel
