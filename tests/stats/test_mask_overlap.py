"""Dice and HD95 against MONAI and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.errors import StatsError
from cardiolens.stats import dice, hd95_mm, overlap_of


def _blob(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    at = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"))
    centre = np.array([rng.uniform(0.35, 0.65) * n for n in shape]).reshape(-1, *(1,) * len(shape))
    radius = np.array([rng.uniform(0.15, 0.4) * n for n in shape]).reshape(centre.shape)
    return (((at - centre) / radius) ** 2).sum(0) < 1


@pytest.mark.slow  # importing MONAI takes 20 s
@pytest.mark.parametrize(("shape", "spacing"), [((24, 30), (1.4, 1.4)), ((6, 20, 24), (10.0, 1.2, 1.7))])
@pytest.mark.parametrize("seed", range(4))
def test_dice_and_hd95_are_those_of_monai(shape, spacing, seed) -> None:
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    rng = np.random.default_rng(seed)
    a, b = _blob(rng, shape), _blob(rng, shape)
    first, second = (torch.from_numpy(m[None, None].astype(np.float32)) for m in (a, b))
    theirs = metrics.compute_hausdorff_distance(first, second, include_background=True, percentile=95, spacing=spacing)
    assert hd95_mm(a, b, spacing) == pytest.approx(float(theirs[0, 0]), abs=1e-4)
    assert dice(a, b) == pytest.approx(float(metrics.compute_dice(first, second)[0, 0]), abs=1e-6)


BY_MONAI = [  # shape, spacing, seed, Dice, HD95 of MONAI 1.6.1; the slow test computes them anew
    ((24, 30), (1.4, 1.4), 0, 0.366906, 15.4),
    ((24, 30), (1.4, 1.4), 1, 0.562842, 11.2),
    ((24, 30), (1.4, 1.4), 2, 0.421053, 9.938705),
    ((24, 30), (1.4, 1.4), 3, 0.666667, 7.0),
    ((6, 20, 24), (10.0, 1.2, 1.7), 0, 0.349901, 12.484971),
    ((6, 20, 24), (10.0, 1.2, 1.7), 1, 0.368201, 20.0),
    ((6, 20, 24), (10.0, 1.2, 1.7), 2, 0.455172, 10.2),
    ((6, 20, 24), (10.0, 1.2, 1.7), 3, 0.551237, 10.143471),
]


@pytest.mark.parametrize(("shape", "spacing", "seed", "score", "distance"), BY_MONAI)
def test_dice_and_hd95_are_those_that_monai_gave(shape, spacing, seed, score, distance) -> None:
    rng = np.random.default_rng(seed)
    a, b = _blob(rng, shape), _blob(rng, shape)
    assert dice(a, b) == pytest.approx(score, abs=1e-6)
    assert hd95_mm(a, b, spacing) == pytest.approx(distance, abs=1e-4)  # single precision there


@given(st.integers(1, 8), st.integers(0, 6), st.floats(0.2, 5.0))
def test_squares_moved_apart_lie_that_far_apart(size: int, shift: int, spacing: float) -> None:
    a, b = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    a[2 : 2 + size, 2 : 2 + size] = True
    b[2 : 2 + size, 2 + shift : 2 + shift + size] = True
    common = max(size - shift, 0) / size
    assert dice(a, b) == pytest.approx(common)
    assert hd95_mm(a, b, (1.0, spacing)) <= shift * spacing + 1e-9
    if shift >= size:  # apart: the far sides are furthest
        assert hd95_mm(a, b, (1.0, spacing), percentile=100) == pytest.approx(shift * spacing)


def test_empty_masks_follow_the_stated_convention() -> None:
    empty, full = np.zeros((5, 5), bool), np.ones((5, 5), bool)
    assert dice(empty, empty) == 1.0
    assert dice(empty, full) == 0.0
    assert hd95_mm(empty, empty, (1, 1)) == 0.0
    assert math.isnan(hd95_mm(empty, full, (1, 1)))


def test_pooled_and_mean_differ_and_gaps_are_counted() -> None:
    big, small = np.zeros((10, 10), int), np.zeros((10, 10), int)
    big[1:9, 1:9] = 1
    small[4, 4] = 1
    off = np.zeros((10, 10), int)
    found = overlap_of([big, off, off], [big, small, off], [(1, 1), (1, 1), None], {"LV cavity": 1, "LA": 4})
    lv = found["LV cavity"]
    assert lv.dice == (1.0, 0.0, 1.0)
    assert lv.mean_dice == pytest.approx(2 / 3)
    assert lv.pooled_dice == pytest.approx(2 * 64 / (2 * 64 + 1))
    assert lv.mean_hd95_mm == 0.0
    assert (lv.n_undefined, lv.n_empty) == (2, 1)
    assert found["LA"].n_empty == 3


def test_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(StatsError, match="unequal shape"):
        dice(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(StatsError, match="2 positive numbers"):
        hd95_mm(np.ones((2, 2)), np.ones((2, 2)), (1, 1, 1))
    with pytest.raises(StatsError, match="one case at least"):
        overlap_of([], [], [], {"LA": 4})
