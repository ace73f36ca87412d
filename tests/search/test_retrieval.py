"""Retrieval: against a plain count, with ties against the model, and what chance gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fixtures import tiny_model

from cardiolens.errors import CheckpointError, InputError
from cardiolens.search import retrieval, retrieve_reports
from cardiolens.stats import proportion
from cardiolens.store import StudyStore


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(st.integers(2, 30), st.integers(0, 1000), st.floats(0, 3))
def test_ranks_are_those_of_a_plain_count(n, seed, noise):
    rng = np.random.default_rng(seed)
    video = unit(rng.normal(size=(n, 6)))
    text = unit(video + noise * rng.normal(size=(n, 6)))
    found = retrieval(video, text)
    similarity = video @ text.T
    forward = [1 + sum(similarity[i, j] > similarity[i, i] for j in range(n) if j != i) for i in range(n)]
    backward = [1 + sum(similarity[j, i] > similarity[i, i] for j in range(n) if j != i) for i in range(n)]
    assert found.study_to_report.ranks.tolist() == forward
    assert found.report_to_study.ranks.tolist() == backward
    for k in (1, 5, 10):
        assert found.study_to_report.recall[k] == proportion(sum(r <= k for r in forward), n)
    assert found.study_to_report.median_rank == np.median(forward)
    assert found.study_to_report.median_low <= np.median(forward) <= found.study_to_report.median_high


def test_vectors_that_are_all_alike_earn_nothing():
    same = np.tile([[1.0, 0.0]], (20, 1))
    found = retrieval(same, same)
    assert found.study_to_report.ranks.tolist() == [20] * 20
    assert found.report_to_study.recall[10].value == 0
    assert found.tied == 20


def test_two_studies_of_one_report_are_tied_and_neither_is_first():
    video = np.eye(3)
    text = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]])
    found = retrieval(video, text)
    assert found.study_to_report.ranks.tolist() == [1, 2, 3]
    assert found.tied == 2


def test_perfect_vectors_are_found_and_chance_is_told():
    found = retrieval(np.eye(20), np.eye(20))
    assert found.study_to_report.recall[1].value == found.report_to_study.recall[1].value == 1
    assert found.chance == {1: 0.05, 5: 0.25, 10: 0.5}
    assert found.chance_median == 10.5
    assert found.to_dict()["study_to_report"]["recall"]["1"]["low"] < 1


def test_random_vectors_do_as_chance_does():
    rng = np.random.default_rng(0)
    found = retrieval(unit(rng.normal(size=(2000, 8))), unit(rng.normal(size=(2000, 8))))
    recall = found.study_to_report.recall[10]
    assert recall.low <= found.chance[10] <= recall.high
    assert found.study_to_report.median_low <= found.chance_median <= found.study_to_report.median_high


@pytest.mark.parametrize(
    ("video", "text", "message"),
    [
        (np.eye(3), np.eye(2), "a report for each study"),
        (np.eye(1), np.eye(1), "two or more"),
        (np.full((2, 2), np.nan), np.eye(2), "NaN"),
    ],
)
def test_what_cannot_be_ranked_is_refused(video, text, message):
    with pytest.raises(InputError, match=message):
        retrieval(video, text)


def test_a_store_is_read_and_studies_without_report_are_counted(model, index, store):
    result, reports = retrieve_reports(model, index, store)
    assert result.n == 4
    assert reports.without == ("s_p0/a4",)
    keys, vectors = index.study_vectors()
    own = vectors[[keys.index(key) for key in reports.keys]]
    np.testing.assert_array_equal(retrieval(own, reports.rows).study_to_report.ranks, result.study_to_report.ranks)


def test_a_store_of_other_studies_and_models_that_cannot_are_refused(model, index, store, tmp_path):
    with pytest.raises(InputError, match="5 studies of the index are not in"):
        retrieve_reports(model, index, StudyStore(tmp_path / "empty", mode="a"))
    with pytest.raises(CheckpointError, match="no text tower"):
        retrieve_reports(tiny_model(text=False), index, store)
    with pytest.raises(InputError, match="two or more studies"):
        retrieve_reports(model, index.select(index.studies[:1]), store)
