"""Slips of dictation: some words suffer, the meaning does not."""

from __future__ import annotations

import re

import numpy as np
from heart_corpus import corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.phantom.report import phrases
from cardiolens.phantom.report.layout import spelled
from cardiolens.phantom.report.slips import DOUBLED, HOMOPHONES, TYPOS, slip

SAFE = re.compile(
    r"(?i)\b(?:no|not|without|cannot|left|right|lv|rv|la|ra|mild\w*|moderate\w*|severe\w*|marked\w*|large|small|normal"
    r"|reduced|preserved|possible|probable|suspected|family|history|excluded|negative|nothing|non|anterior|inferior"
    r"|septal|lateral|anteroseptal|inferoseptal|inferolateral|anterolateral|apex)\b|\d+(?:\.\d+)?"
)


def all_sentences() -> list[str]:
    return sorted({s.text for _, _, report in corpus() for s in report.sentences})


@given(st.integers(0, 10**6), st.data())
@settings(max_examples=60, deadline=None)
def test_a_slip_keeps_numbers_sides_denials_and_grades(seed: int, data: st.DataObject) -> None:
    sentence = data.draw(st.sampled_from(all_sentences()))
    slipped = slip(sentence, np.random.default_rng(seed))
    assert [w.lower() for w in SAFE.findall(slipped)] == [w.lower() for w in SAFE.findall(sentence)]
    assert slip(sentence, np.random.default_rng(seed)) == slipped


def test_no_word_that_carries_meaning_alone_is_listed() -> None:
    listed = [*TYPOS, *HOMOPHONES, *DOUBLED]
    assert not [word for word in listed if SAFE.fullmatch(word)]
    known = {word for words in TYPOS.values() for word in words}
    assert not known & {w.lower() for words in phrases.FUNCTION_IS.values() for w in words}


def test_slips_happen_and_not_everywhere() -> None:
    typos = {word for words in (*TYPOS.values(), *HOMOPHONES.values()) for word in words}
    typo = re.compile(rf"\b(?:{'|'.join(typos)})\b| period\.", re.IGNORECASE)
    touched = [bool(typo.search(report.text)) for _, _, report in corpus()]
    assert 0.05 < np.mean(touched) < 0.6


def test_british_spelling_leaves_numbers_alone() -> None:
    text = "Ischemic tumor with edema, dilation 12 mm, RVEF 45%."
    assert spelled(text) == "Ischaemic tumour with oedema, dilatation 12 mm, RVEF 45%."
