"""Scores by sentences: on constructed clips the right study stands first, and AUROC is that of the statistics."""

import numpy as np
import pandas as pd
import pytest
from search_fixtures import made_index, tiny_model

from cardiolens.errors import CheckpointError, InputError, StatsError
from cardiolens.search import Prompts, load_prompts, zero_shot, zero_shot_auroc
from cardiolens.search.texts import embed_texts
from cardiolens.stats import auroc

TWO = {
    "dilated": Prompts(("The left ventricle is dilated.", "Dilated ventricle."), ("The ventricle is normal.",)),
    "mass": Prompts(("There is a mass.",), ("No mass.", "No thrombus.")),
}


def test_a_study_that_lies_on_the_positive_sentences_scores_above_one_on_the_negative(model):
    said, denied = (embed_texts(model, list(side)).mean(0) for side in (TWO["mass"].positive, TWO["mass"].negative))
    index = made_index(model, ["with", "without"], ["SAX", "SAX"], [said, denied])
    scores = zero_shot(model, index, TWO)
    assert list(scores.columns) == ["dilated", "mass"]
    assert scores.index.name == "key"
    assert scores.loc["with", "mass"] > 0 > scores.loc["without", "mass"]


def test_the_score_is_the_difference_of_two_cosines_pooled_over_views(model):
    rng = np.random.default_rng(0)
    index = made_index(model, ["a"] * 4 + ["b"], ["SAX", "SAX", "SAX", "4CH", "2CH"], rng.normal(size=(5, 24)))
    own = TWO["dilated"]

    def cosine(row, sentences):
        mean = embed_texts(model, list(sentences)).mean(0)
        return row @ mean / np.linalg.norm(mean)

    clip = [cosine(row, own.positive) - cosine(row, own.negative) for row in index.rows]
    by_views, by_clips = (zero_shot(model, index, TWO, pooling=p)["dilated"] for p in ("views", "clips"))
    np.testing.assert_allclose(by_views, [(np.mean(clip[:3]) + clip[3]) / 2, clip[4]], atol=1e-6)
    np.testing.assert_allclose(by_clips, [np.mean(clip[:4]), clip[4]], atol=1e-6)


def test_all_conditions_of_a_store_are_scored(model, index):
    scores = zero_shot(model, index)
    assert scores.shape == (5, 35)
    assert list(scores.columns) == list(load_prompts())
    assert np.isfinite(scores.to_numpy()).all()


def test_one_study_is_scored(model, index):
    assert len(zero_shot(model, index.select(index.studies[:1]), TWO)) == 1


def test_auroc_is_that_of_the_statistics_and_what_cannot_be_computed_is_told():
    rng = np.random.default_rng(1)
    keys = pd.Index([f"k{i}" for i in range(30)], name="key")
    scores = pd.DataFrame(rng.normal(size=(30, 4)), index=keys, columns=["a", "b", "c", "d"])
    truth = rng.integers(0, 2, 30).astype(float)
    truth[3] = np.nan
    labels = pd.DataFrame({"a": truth, "b": np.zeros(30), "c": [1.0] + [0.0] * 29}, index=keys).iloc[::-1]
    table = zero_shot_auroc(scores, labels, level=0.9)
    known = np.isfinite(truth)
    expected = auroc(truth[known].astype(int), scores["a"][known], level=0.9)
    assert tuple(table.loc["a", ["auroc", "low", "high"]]) == (expected.auc, expected.low, expected.high)
    assert (table.loc["a", "n"], table.loc["a", "positive"]) == (29, int(np.nansum(truth)))
    assert "all 30 are negative" in table.loc["b", "not_computed"]
    assert np.isfinite(table.loc["c", "auroc"]) and np.isnan(table.loc["c", "low"])
    assert table.loc["d", "not_computed"] == "no such column among the labels"


def test_labels_that_do_not_fit_are_refused():
    scores = pd.DataFrame({"a": [0.1, 0.2]}, index=["k0", "k1"])
    with pytest.raises(StatsError, match="none of the studies"):
        zero_shot_auroc(scores, pd.DataFrame({"a": [0]}, index=["other"]))
    for wrong in (2, "present"):
        with pytest.raises(StatsError, match=r"column a: a condition is 0, 1 or empty, k1"):
            zero_shot_auroc(scores, pd.DataFrame({"a": [0, wrong]}, index=["k0", "k1"]))


def test_models_that_cannot_are_refused(index, store):
    with pytest.raises(CheckpointError, match="no text tower"):
        zero_shot(tiny_model(text=False), index)
    with pytest.raises(InputError, match="another model"):
        zero_shot(tiny_model(seed=1), index)
