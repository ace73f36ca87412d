"""Muscle grown into the ventricles."""

import numpy as np
from segmenter_samples import ring

from cardiolens.segmenter.trabeculae import grow

LABELS = np.stack([ring(radius=r) for r in (10, 6)])


def grown(seed: int) -> np.ndarray:
    frames = np.choose(LABELS, [40, 220, 90, 200]).astype(np.float32)
    grow(frames, LABELS, np.random.default_rng(seed))
    return frames


def test_only_the_cavities_grow_darker_and_never_darker_than_the_wall():
    before = np.choose(LABELS, [40, 220, 90, 200])
    changed = 0
    for seed in range(20):
        frames = grown(seed)
        cavity = np.isin(LABELS, (1, 3))
        assert np.array_equal(frames[~cavity], before[~cavity])
        assert (frames <= before).all() and frames[cavity].min() >= 90
        changed += bool((frames < before).any())
    assert changed > 12


def test_a_small_cavity_is_filled_more_than_a_large_one():
    share = np.zeros(2)
    for seed in range(40):
        frames = grown(seed)
        share += [(frame[label == 1] < 180).mean() for frame, label in zip(frames, LABELS, strict=True)]
    assert share[1] > 1.5 * share[0] > 0


def test_the_same_draw_gives_the_same_muscle():
    assert np.array_equal(grown(7), grown(7)) and not np.array_equal(grown(7), grown(8))


def test_without_muscle_in_sight_nothing_is_done():
    labels = np.where(LABELS == 2, 0, LABELS).astype(np.uint8)
    frames = np.choose(labels, [40, 220, 90, 200]).astype(np.float32)
    before = frames.copy()
    grow(frames, labels, np.random.default_rng(3))
    assert np.array_equal(frames, before)
