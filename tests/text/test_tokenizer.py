"""A vocabulary of our own: the same every time, small, and without unknown words."""

import hashlib
import subprocess
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cardiolens.errors import CheckpointError, InputError
from cardiolens.text.tokenizer import SPECIAL, ReportTokenizer

CORPUS = [
    f"The left ventricle is {size}. LVEF is {lvef} %. {atrium} atrial dilatation; {grade} mitral regurgitation."
    for size, lvef, atrium, grade in [
        ("normal", 61, "No", "no"),
        ("mildly dilated", 44.5, "Mild", "trivial"),
        ("severely dilated", 22, "Severe", "moderate"),
        ("hypertrophied", 70.25, "Bi-", "mild"),
    ]
] * 3


@pytest.fixture(scope="module")
def tokenizer():
    return ReportTokenizer.train(CORPUS, vocabulary=400)


def test_two_processes_learn_the_same_vocabulary(tokenizer, tmp_path):
    code = (
        "import hashlib, json, sys\nfrom cardiolens.text.tokenizer import ReportTokenizer\n"
        "found = ReportTokenizer.train(json.loads(sys.stdin.read()), vocabulary=400).vocabulary()\n"
        "print(hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest())"
    )
    import json

    text = json.dumps(CORPUS)
    there = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == hashlib.sha256(repr(sorted(tokenizer.vocabulary().items())).encode()).hexdigest()


def test_size_stays_below_the_limit_and_whole_words_are_learned(tokenizer):
    assert len(tokenizer) <= 400
    assert {"[PAD]", "lvef", "mitral", "dilated"} <= tokenizer.vocabulary().keys()
    assert tokenizer.vocabulary()["[PAD]"] == tokenizer.pad_id == 0


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_no_ascii_report_holds_an_unknown_word(text):
    tokenizer = _shared()
    assume(not any(token in text for token in SPECIAL))  # those are taken for what they name
    assert tokenizer.vocabulary()["[UNK]"] not in tokenizer([text], max_tokens=512).ids


def _shared(_kept=[]):  # noqa: B006 - one tokenizer for all examples
    if not _kept:
        _kept.append(ReportTokenizer.train(CORPUS, vocabulary=400))
    return _kept[0]


def test_texts_are_padded_masked_and_cut_with_count(tokenizer):
    batch = tokenizer(["LVEF is 61 %.", "normal " * 50], max_tokens=10)
    assert batch.ids.shape == batch.mask.shape == (2, 10)
    assert batch.truncated == 1
    assert batch.ids[1, -1] == tokenizer.sep_id
    assert batch.mask[0].sum() == (batch.ids[0] != tokenizer.pad_id).sum() < 10


def test_saved_and_loaded_it_gives_the_same_numbers(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "both")
    tokenizer.save(tmp_path / "words")
    (tmp_path / "words" / "tokenizer.json").unlink()
    text = ["Mildly dilated left ventricle, LVEF 44.5 %."]
    for folder in ("both", "words"):
        loaded = ReportTokenizer.load(tmp_path / folder)
        assert loaded(text, max_tokens=64).ids.tolist() == tokenizer(text, max_tokens=64).ids.tolist()
    assert tokenizer.words(tokenizer(text, max_tokens=64).ids[0]).startswith("mildly dilated left ventricle")


def test_bad_vocabularies_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"vocab\.txt"):
        ReportTokenizer.load(tmp_path)
    (tmp_path / "vocab.txt").write_text("[PAD]\nheart\n")
    with pytest.raises(CheckpointError, match="lacks"):
        ReportTokenizer.load(tmp_path)
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nheart\nheart\n")
    with pytest.raises(CheckpointError, match="twice"):
        ReportTokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not a tokenizer"):
        ReportTokenizer.load(tmp_path)
    with pytest.raises(InputError, match="at least"):
        ReportTokenizer.train(["x"], vocabulary=10)


def test_the_vocabulary_of_the_package_spells_common_words_of_reports_whole():
    tokenizer = ReportTokenizer.of_package()
    words = ["ventricle", "ejection", "pericardial", "effusion", "hypertrophy", "amyloidosis", "stenosis", "lvef"]
    ids = tokenizer([" ".join(words)], max_tokens=64)
    assert int(ids.mask.sum()) == len(words) + 2
    assert tokenizer.words(tokenizer(["Zwölf %"], max_tokens=8).ids[0].tolist())  # anything in English letters is spelt
