"""Reports to vectors: nothing lost, those without counted, a model without text tower refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fixtures import REPORTS, small_study, tiny_model

from cardiolens.errors import CheckpointError, InputError, ReportError
from cardiolens.search import embed_reports
from cardiolens.search.texts import chunks, embed_texts
from cardiolens.store import StudyStore


@given(st.lists(st.sampled_from(["a.", "b c.", "d."]), min_size=1, max_size=40), st.integers(1, 9))
def test_every_sentence_is_read_once_in_order_and_at_most_so_many_at_a_time(sentences, size):
    parts = chunks(sentences, size)
    assert " ".join(parts) == " ".join(sentences)
    counts = [part.count(".") for part in parts]
    assert max(counts) <= size
    assert max(counts) - min(counts) <= 1
    assert len(parts) == -(-len(sentences) // size)


def test_a_report_is_the_mean_of_its_parts(model, store):
    found = embed_reports(model, store)
    assert found.without == ("s_p0/a4",)
    assert set(found.keys) == {"s_p0/a0", "s_p1/a1", "s_p2/a2", "s_p3/a3"}
    parts = embed_texts(
        model, ["Normal study. The atria are normal. No effusion.", "No mass. Normal valves. The aorta is normal."]
    )
    mean = parts.mean(0) / np.linalg.norm(parts.mean(0))
    np.testing.assert_allclose(found.rows[found.keys.index("s_p1/a1")], mean, atol=1e-5)


def test_texts_do_not_depend_on_their_neighbours_or_the_mode(model):
    texts = [*REPORTS, "No mass."] * 20
    progress = []
    rows = embed_texts(model, texts, lambda *step: progress.append(step[1:]))
    np.testing.assert_allclose(rows[:5], embed_texts(model.train(), texts[:5]), atol=1e-5)
    assert model.training
    model.eval()
    np.testing.assert_allclose(rows[2], embed_texts(model, [texts[2]])[0], atol=1e-5)
    assert progress == [(64, 100), (100, 100)]


@pytest.mark.parametrize("texts", [[], [""], ["No mass.", "  \n"]])
def test_an_empty_text_is_refused(model, texts):
    with pytest.raises(InputError, match="empty text"):
        embed_texts(model, texts)


def test_a_model_without_text_tower_is_refused_with_a_remedy(store):
    with pytest.raises(CheckpointError, match=r"shad-mvit-tiny has no text tower.*cardiolens pretrain"):
        embed_reports(tiny_model(text=False), store)


def test_a_store_without_any_report_is_an_error(model, tmp_path):
    own = StudyStore(tmp_path / "own", mode="a")
    own.write(small_study(0), key="s_p/a")
    own.write(small_study(1, report=" - \n"), key="s_q/a")
    with pytest.raises(ReportError, match="none of the 2 studies has a report"):
        embed_reports(model, own)
