"""Text to cine and study to study: order, best clips, and never oneself."""

import numpy as np
import pytest
from search_fixtures import made_index, tiny_model

from cardiolens.errors import CheckpointError, InputError
from cardiolens.search import EmbeddingIndex, search, similar
from cardiolens.search.texts import embed_texts
from cardiolens.study import View

TEXT = "The left ventricle is dilated."


@pytest.fixture
def around(model):
    """Studies at falling similarity to the text; "near" has one clip on it and one far off."""
    target = embed_texts(model, [TEXT])[0]
    other = np.random.default_rng(0).normal(size=24)
    other -= (other @ target) * target
    other /= np.linalg.norm(other)

    def at(cosine):
        return cosine * target + np.sqrt(1 - cosine**2) * other

    clips = [
        ("near", "SAX", 1.0),
        ("near", "4CH", -0.2),
        ("even", "SAX", 0.8),
        ("even", "4CH", 0.7),
        ("far", "SAX", 0.1),
    ]
    keys, views, cosines = zip(*clips, strict=True)
    return made_index(model, keys, views, [at(c) for c in cosines], patients={"near": "p", "even": "q", "far": "q"})


def test_studies_are_ranked_by_their_whole_or_by_their_best_clip(model, around):
    by_study = search(model, around, TEXT, top=3)
    assert [hit.key for hit in by_study] == ["even", "near", "far"]
    assert [hit.rank for hit in by_study] == [1, 2, 3]
    by_clip = search(model, around, TEXT, top=2, by="clip")
    assert [hit.key for hit in by_clip] == ["near", "even"]
    assert by_clip[0].score == pytest.approx(1.0, abs=1e-5)
    assert [(c.view, c.plane) for c in by_clip[0].clips] == [(View.SAX, 0), (View.CH4, 1)]
    assert by_clip[0].clips[1].score == pytest.approx(-0.2, abs=1e-5)


def test_views_may_be_chosen(model, around):
    found = search(model, around, TEXT, views=[View.CH4])
    assert [hit.key for hit in found] == ["even", "near"]
    assert {clip.view for hit in found for clip in hit.clips} == {View.CH4}
    with pytest.raises(InputError, match=r"no clip of 3CH; it has 4CH, SAX"):
        search(model, around, TEXT, views=[View.CH3])


def test_more_than_there_are_gives_all(model, around):
    assert len(search(model, around, TEXT, top=99)) == 3


@pytest.mark.parametrize("query", ["", "   "])
def test_an_empty_query_is_refused(model, around, query):
    with pytest.raises(InputError, match="empty query"):
        search(model, around, query)


def test_what_cannot_be_searched_is_refused(model, around):
    with pytest.raises(InputError, match="top must be at least 1"):
        search(model, around, TEXT, top=0)
    with pytest.raises(InputError, match="by 'study' or by 'clip'"):
        search(model, around, TEXT, by="plane")
    with pytest.raises(InputError, match="another model"):
        search(tiny_model(seed=3), around, TEXT)
    with pytest.raises(CheckpointError, match="no text tower"):
        search(tiny_model(text=False), around, TEXT)
    empty = EmbeddingIndex((), (), (), np.zeros((0, 24), np.float32), around.meta)
    with pytest.raises(InputError, match="holds no clip"):
        search(model, empty, TEXT)


def test_a_study_finds_neither_itself_nor_its_patient(model, around):
    assert [hit.key for hit in similar(around, "even")] == ["near"]
    assert {hit.key for hit in similar(around, "near")} == {"even", "far"}


def test_in_a_store_every_study_finds_only_other_patients(index):
    for key in index.studies:
        found = similar(index, key, top=99)
        assert found
        assert index.patient(key) not in {index.patient(hit.key) for hit in found}
        assert len(found) == sum(index.patient(other) != index.patient(key) for other in index.studies)


def test_a_study_of_another_index_finds_what_it_would_find_within_one(index, around):
    key = "s_p0/a0"
    archive = index.select([other for other in index.studies if other != key])
    found = similar(archive, key, source=index.select([key]))
    assert found == similar(index, key)
    assert "s_p0/a4" not in {hit.key for hit in found}
    with pytest.raises(InputError, match="the index has no study"):
        similar(archive, key)
    other = EmbeddingIndex(index.keys, index.views, index.planes, index.rows, {**index.meta, "model_hash": "x"})
    with pytest.raises(InputError, match="different models"):
        similar(archive, key, source=other)


def test_a_study_that_is_not_there_or_alone_is_told(index):
    with pytest.raises(InputError, match="the index has no study s_x/a; it has 5, such as"):
        similar(index, "s_x/a")
    with pytest.raises(InputError, match="no study of another patient"):
        similar(index.select(["s_p0/a0", "s_p0/a4"]), "s_p0/a0")
    with pytest.raises(InputError, match="no study of another patient"):
        similar(index.select(["s_p1/a1"]), "s_p1/a1")
    with pytest.raises(InputError, match="no clip of 2CH"):
        similar(index, "s_p1/a1", views=[View.CH2])
