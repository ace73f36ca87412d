"""Reports tokenised once: the same tokens as at each step, one file, and never another vocabulary's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.errors import InputError, ReportError
from cardiolens.text.sentences import sample_sentences
from cardiolens.text.token_store import TokenStore, pad_tokens
from cardiolens.text.tokenizer import ReportTokenizer

REPORTS = {
    "a": "LVEF is 55.2 %. No scar. Normal LV size. Mild MR. No effusion. Trivial TR. Normal aorta.",
    "b": "Dilated LV (EDV 210.5 ml). No LGE.",
}
TOKENIZER = ReportTokenizer.train(REPORTS.values(), vocabulary=300)
STORE = TokenStore.build(REPORTS, TOKENIZER)


@given(st.sampled_from(sorted(REPORTS)), st.integers(1, 8), st.integers(0, 1000), st.integers(3, 40))
def test_a_draw_is_what_tokenising_the_drawn_sentences_gives(key, n, seed, max_tokens):
    sentences = sample_sentences(REPORTS[key], n, np.random.default_rng(seed))
    expected = TOKENIZER([" ".join(sentences)], max_tokens=max_tokens)
    drawn = STORE.draw(key, n, np.random.default_rng(seed))
    found = pad_tokens([drawn], TOKENIZER, max_tokens=max_tokens)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.mask, expected.mask)
    assert found.truncated == expected.truncated


def test_a_batch_is_padded_as_the_tokenizer_pads():
    rows = [STORE.draw(key, 9, np.random.default_rng(0)) for key in REPORTS]
    texts = [" ".join(sample_sentences(text, 9, np.random.default_rng(0))) for text in REPORTS.values()]
    np.testing.assert_array_equal(pad_tokens(rows, TOKENIZER, max_tokens=64).ids, TOKENIZER(texts, max_tokens=64).ids)


def test_the_file_gives_back_what_went_in(tmp_path):
    STORE.save(tmp_path / "tokens.npz")
    back = TokenStore.load(tmp_path / "tokens.npz", TOKENIZER)
    assert back.keys == STORE.keys
    assert [back.n_sentences(key) for key in back.keys] == [7, 2]
    assert back.reports_sha256 == STORE.reports_sha256
    for key in REPORTS:
        rngs = (np.random.default_rng(3), np.random.default_rng(3))
        np.testing.assert_array_equal(back.draw(key, 2, rngs[0]), STORE.draw(key, 2, rngs[1]))


def test_faults_are_named(tmp_path):
    STORE.save(tmp_path / "tokens.npz")
    with pytest.raises(ReportError, match="another vocabulary"):
        TokenStore.load(tmp_path / "tokens.npz", ReportTokenizer.train(["other words"], vocabulary=250))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(ReportError, match="not a file of tokens"):
        TokenStore.load(tmp_path / "bad.npz", TOKENIZER)
    with pytest.raises(ReportError, match="report of x holds no sentence"):
        TokenStore.build({"x": "***"}, TOKENIZER)
    with pytest.raises(InputError, match="no report of z"):
        STORE.draw("z", 1, np.random.default_rng(0))
