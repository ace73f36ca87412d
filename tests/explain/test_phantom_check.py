"""Pairs of hearts that differ in one structure, and how a heat is judged against it."""

import numpy as np
import pytest

from cardiolens.errors import CheckpointError
from cardiolens.explain.phantom_check import ALTERATIONS, answers, findings, healthy_hearts, make_pairs, score_heat
from cardiolens.hub import load_model
from cardiolens.study import View


@pytest.fixture(scope="module")
def pair(explainable):
    name = "pericardial effusion"
    pairs = make_pairs(load_model(explainable), healthy_hearts(1), {name: ALTERATIONS[name]}, views=(View.CH4,))
    return next(pairs)


def test_a_heat_on_the_structure_gains_what_can_be_gained_and_an_even_one_nothing():
    mask = np.zeros((2, 64, 64), dtype=bool)
    mask[:, :8, :8] = True
    assert score_heat(mask.astype(np.float32), mask) == (pytest.approx(64.0), True, pytest.approx(1 / 64))
    gain, _, chance = score_heat(np.ones((2, 64, 64), dtype=np.float32), mask)
    assert (gain, chance) == (pytest.approx(1.0), pytest.approx(1 / 64))
    elsewhere = np.roll(mask, 32, axis=2).astype(np.float32)
    assert score_heat(elsewhere, mask) == (0.0, False, pytest.approx(1 / 64))


def test_both_hearts_of_a_pair_are_alike_but_for_the_structure(pair):
    difference = (pair.clips_after - pair.clips_before).abs().amax(1).numpy()
    mask = pair.masks
    assert pair.showing == [0]
    assert 0.02 < mask.mean() < 0.4
    assert difference[mask].mean() > 10 * np.median(difference[~mask])
    body = mask[0].any(0)
    assert not body[:4].any()  # fluid lies about the heart, not at the upper edge of the image


def test_every_method_is_scored_and_the_change_itself_finds_the_structure(model, pair):
    rows = {row.method: row for row in findings(model, pair, load_model("shad-mvit-tiny"))}
    assert set(rows) == {
        "rollout",
        "last block",
        "rollout, change",
        "occlusion, embedding",
        "occlusion, answer",
        "rollout, random weights",
        "rollout, change, random weights",
        "centre of the image",
        "change of the image",
    }
    assert rows["change of the image"].gain > 2
    assert rows["change of the image"].hit
    assert all(0 < row.chance < 1 and row.gain >= 0 for row in rows.values())


def test_answers_tell_what_the_alteration_did_to_every_output(model, pair):
    rows = answers(model, pair)
    assert [row.output for row in rows] == ["lvef", "myocarditis", "cardiac_thrombus"]
    assert all(row.before != row.after for row in rows)
    assert {row.moved_most for row in rows} == {"4CH"}
    assert {row.relative_after for row in rows} == {1.0}


def test_random_weights_are_refused(pair):
    with pytest.raises(CheckpointError, match="random weights"):
        findings(load_model("shad-mvit-tiny"), pair)
