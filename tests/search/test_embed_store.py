"""A store to an index: every plane, resumed, and never mixed between models."""

import numpy as np
import pytest
import torch
from search_fixtures import made_index, small_study, tiny_model

from cardiolens.errors import InputError, StoreError
from cardiolens.search import embed_store, require_made_by
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study, View
from cardiolens.transforms import ClipTransform


def count_clips(monkeypatch, model):
    """A list that grows by the number of clips each time the encoder is asked."""
    asked = []
    features = model.features
    monkeypatch.setattr(model, "features", lambda clips: (asked.append(len(clips)), features(clips))[1])
    return asked


def test_rows_are_those_of_the_model(model, store, index):
    assert len(index.studies) == 5
    assert index.keys[:4] == (store.keys()[0],) * 4
    transform = ClipTransform.from_dict(model.card.transform)
    for i in (0, 3, 9):
        clip = transform(store.frames(index.keys[i], index.views[i], index.planes[i]))[None]
        with torch.inference_mode():
            np.testing.assert_allclose(index.rows[i], model.embed(clip)[0].numpy(), atol=1e-5)
    assert index.meta["store_hash"] == store.hash()
    assert index.patient(store.keys()[0]) == index.patient("s_p0/a4") == "p0"


def test_batch_does_not_change_rows(model, store, index):
    np.testing.assert_allclose(embed_store(model, store, batch=1).rows, index.rows, atol=1e-5)


def test_a_killed_run_goes_on_where_it_was(model, store, index, tmp_path, monkeypatch):
    def kill(key, done, total):
        if done == 3:
            raise KeyboardInterrupt

    asked = count_clips(monkeypatch, model)
    with pytest.raises(KeyboardInterrupt):
        embed_store(model, store, folder=tmp_path, progress=kill)
    assert sum(asked) == 12
    again = embed_store(model, store, folder=tmp_path)
    assert sum(asked) == 20
    np.testing.assert_array_equal(again.rows, index.rows)
    assert again.keys == index.keys


def test_a_grown_store_embeds_only_what_is_new_or_changed(model, store, index, tmp_path, monkeypatch):
    own = StudyStore(tmp_path / "own", mode="a")
    for key in store.keys()[:2]:
        own.write(store.read(key), key=key)
    first = embed_store(model, own)
    own.write(small_study(77), key=own.keys()[1])
    own.write(small_study(78), key="s_new/a")
    asked = count_clips(monkeypatch, model)
    second = embed_store(model, own, previous=first)
    assert sum(asked) == 8
    assert set(second.studies) == {*first.studies, "s_new/a"}
    same, changed = first.studies
    np.testing.assert_array_equal(second.select([same]).rows, first.select([same]).rows)
    assert not np.allclose(second.select([changed]).rows, first.select([changed]).rows)


def test_rows_of_another_model_are_not_taken_over(store, index):
    other = embed_store(tiny_model(seed=1), store, previous=index)
    assert not np.allclose(other.rows, index.rows, atol=1e-2)


def test_a_study_that_cannot_be_read_is_left_out_and_told(model, store, tmp_path):
    own = StudyStore(tmp_path / "own", mode="a")
    own.write(store.read(store.keys()[0]), key="s_good/a")
    frames = np.full((1, 4, 20, 20), np.nan, dtype=np.float32)
    own.write(Study((Cine(View.CH2, frames, source="c"),), patient="n", accession="n"), key="s_nan/a")
    own.write(small_study(1), key="s_broken/a")
    (own.path / "s_broken" / "a.h5").write_bytes(b"nothing")
    index = embed_store(model, own)
    assert index.studies == ("s_good/a",)
    assert set(index.meta["skipped"]) == {"s_nan/a", "s_broken/a"}
    assert "NaN" in index.meta["skipped"]["s_nan/a"]
    with pytest.raises(InputError, match="all 1 studies were left out"):
        embed_store(model, own, ["s_nan/a"])


def test_keys_are_checked_before_any_work(model, store):
    with pytest.raises(StoreError, match="1 of 2 studies are not in"):
        embed_store(model, store, [store.keys()[0], "s_absent/a"])
    with pytest.raises(InputError, match="more than once"):
        embed_store(model, store, [store.keys()[0]] * 2)
    with pytest.raises(InputError, match="no keys"):
        embed_store(model, store, [])


def test_one_study_only_makes_an_index(model, store):
    assert len(embed_store(model, store, store.keys()[:1])) == 4


def test_an_index_of_another_model_or_space_is_refused(model, store, index):
    require_made_by(model, index)
    with pytest.raises(InputError, match="made by another model"):
        require_made_by(tiny_model(seed=1), index)
    features = embed_store(model, store, store.keys()[:2], space="features")
    assert features.rows.shape[1] == model.video_proj.in_features
    with pytest.raises(InputError, match="before the projection"):
        require_made_by(model, features)
    moved = made_index(model, ["a"], ["SAX"], np.eye(1, 24))
    moved.meta["transform"] = {**moved.meta["transform"], "short_side": 24}
    with pytest.raises(InputError, match="another clip transform"):
        require_made_by(model, moved)


def test_the_hash_is_of_the_video_tower_alone(model, store, index):
    """A model whose text tower or head differs still reads the index."""
    same = tiny_model()
    with torch.no_grad():
        same.text_proj.weight.add_(1.0)
    require_made_by(same, index)
    with torch.no_grad():
        same.video_proj.bias.add_(1e-3)
    with pytest.raises(InputError, match="another model"):
        require_made_by(same, index)
