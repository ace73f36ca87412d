"""What each sentence claims of the 35 conditions agrees with the heart and with the words of the sentence."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pytest
from heart_corpus import MENTION, corpus, hearts
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.phantom.disease import sample_parameters
from cardiolens.phantom.report import Report, compose_report
from cardiolens.phantom.report.diagnoses import DIAGNOSES, FAMILIAL, PLAIN, RESOLVED
from cardiolens.phantom.report.facts import STATUSES
from cardiolens.phantom.truth import truth_of
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL

NOT_SAID_TO_BE = re.compile(
    r"(?i)\b(?:no|not|without|negative|nothing|excluded?|unlikely|denies|none|never)\b"  # denied
    r"|possible|probable|likely|suspected|suspicious|suggestive|may represent|could be|considered|favou?r"  # hedged
    r"|differential|query|\?|rule out|evaluate|assess for|question|concern"  # asked
    r"|family|\bFH\b|relative|sibling|father|mother|screening"  # of the family
    r"|remote|past|previous history|recovered|treated for"  # once
    r"|for (?:appendicitis|a hernia|a knee injury)"
)
DENIED = re.compile(r"(?i)\b(?:no|not|negative|nothing|denies|none|unlikely)\b(?! mobile)")
SIZES = [name for name, words in DIAGNOSES.items() if words.kind == "size"]


@lru_cache(maxsize=1)
def many() -> dict[str, tuple[Report, ...]]:
    """Forty reports of one heart of each condition."""
    return {
        condition: tuple(compose_report(*hearts()[i], np.random.default_rng([9, i, k])) for k in range(40))
        for i, condition in enumerate(CONDITION_NAMES)
    }


def contradictions(has: set[str], report: Report) -> list[tuple[str, str]]:
    """Claims that the heart speaks against."""
    wrong = []
    for sentence in report.sentences:
        wrong += [(c, sentence.text) for c in (*sentence.asserts, *sentence.describes) if c not in has]
        wrong += [(c, sentence.text) for c in (*sentence.excludes, *sentence.history) if c in has]
        wrong += [(c.condition, sentence.text) for c in sentence.claims if c.status not in STATUSES]
    return wrong


@given(st.integers(0, 10**6), st.sampled_from([None, *CONDITION_NAMES]))
@settings(max_examples=60, deadline=None)
def test_no_claim_contradicts_the_heart(seed: int, condition: str | None) -> None:
    parameters = sample_parameters(np.random.default_rng(seed), condition=condition)
    report = compose_report(parameters, truth_of(parameters), np.random.default_rng([seed, 1]))
    assert not contradictions(set(parameters.conditions), report)
    told = report.of("asserted") | report.of("described") | report.of("hedged")
    assert set(parameters.conditions) <= told, report.text


def test_a_name_of_something_absent_always_stands_with_a_denial_a_doubt_or_another_person() -> None:
    cued = 0
    for parameters, _, report in corpus():
        for sentence in report.sentences:
            for condition, mention in MENTION.items():
                if condition not in parameters.conditions and mention.search(sentence.text):
                    if condition == "other cardiac mass" and re.search("myxoma|thrombus|tumo", sentence.text):
                        continue  # "pedunculated mass, typical of a myxoma"
                    if condition == "other cardiac mass" and "cardiac tumor" in parameters.conditions:
                        continue  # "malignant cardiac mass"
                    if condition == "tetralogy of Fallot" and "tetralogy repair" in parameters.surgery.kinds:
                        continue
                    cued += 1
                    assert NOT_SAID_TO_BE.search(sentence.text), (condition, parameters.conditions, sentence.text)
    assert cued > 150, "mention to exclude must be common"


def test_a_condition_that_is_there_is_never_denied() -> None:
    for parameters, _, report in corpus():
        for sentence in report.sentences:
            for condition in set(parameters.conditions) & set(MENTION):
                if condition in (*sentence.asserts, *sentence.describes):
                    text = re.sub(r"(?i)not (?:dilated|enlarged|in a coronary)|cannot", "", sentence.text)
                    if MENTION[condition].search(text):
                        assert not DENIED.search(text), (condition, sentence.text)


def test_exclusions_hedges_and_family_are_in_the_words() -> None:
    cues = {
        "excluded": r"(?i)\b(?:no|not|without|negative|nothing|excluded|unlikely|denies|none|normal|intact"
        r"|thin|non-dilated|normal-sized|unremarkable|trileaflet|three|opens? well|moderate|trivial|competent"
        r"|within)\b|small",
        "hedged": r"(?i)possib|probable|likely|suspect|suspicious|suggestive|may rep|could be|consider|favou?r|cannot"
        r"|differential|query",
        "family": r"(?i)family|FH|relative|sibling|father|mother",
        "history": r"(?i)history|treated|recovered",
        "queried": r"(?i)evaluate|rule out|query|assess|\?|suspected|possible|question|concern",
    }
    seen = dict.fromkeys(cues, 0)
    for _, _, report in corpus():
        for sentence in report.sentences:
            for claim in sentence.claims:
                if claim.status in cues:
                    seen[claim.status] += 1
                    assert re.search(cues[claim.status], sentence.text), (claim, sentence.text)
    assert min(seen.values()) > 2, seen


@pytest.mark.parametrize("condition", [c for c in CONDITION_NAMES if c != NORMAL])
def test_some_reports_name_a_condition_and_others_only_describe_it(condition: str) -> None:
    told = [
        [s for s in report.sentences if s.section in ("findings", "impression") and MENTION[condition].search(s.text)]
        for report in many()[condition]
    ]
    named = [any(condition in s.asserts for s in sentences) for sentences in told]
    described = [not sentences for sentences in told]
    if condition == "previous surgery":  # wires are told by that name
        assert any(named)
    else:
        assert any(named) and any(described), (sum(named), sum(described))


@pytest.mark.parametrize(
    "condition", [c for c, d in DIAGNOSES.items() if d.kind != "size" and c not in (NORMAL, "previous surgery")]
)
def test_some_reports_hedge_what_is_not_measured(condition: str) -> None:
    hedged = sum(condition in report.of("hedged") for report in many()[condition])
    if condition in ("prosthetic valve", "lipomatous atrial wall"):
        assert hedged == 0
    else:
        assert 0 < hedged < 30


@pytest.mark.parametrize("condition", SIZES)
def test_what_is_measured_is_asserted_in_every_report_and_never_hedged(condition: str) -> None:
    for report in many()[condition]:
        assert condition in report.of("asserted")
        assert condition not in report.of("hedged")


def test_a_normal_heart_is_called_so_and_only_a_normal_one() -> None:
    called = re.compile(r"(?i)(?:normal|unremarkable) (?:cardiac MRI|heart|study|exam)|no significant cardiac")
    for parameters, _, report in corpus():
        impression = [s for s in report.sentences if s.section == "impression"]
        if NORMAL not in parameters.conditions:
            assert not any(called.search(s.text) for s in impression)
    assert sum(any(called.search(s.text) for s in r.sentences) for r in many()[NORMAL]) > 20


def test_mild_and_moderate_valve_defects_are_told_as_such_and_not_labelled() -> None:
    seen = 0
    for parameters, _, report in corpus():
        v = parameters.valves
        for condition, value in (
            ("severe mitral regurgitation", v.mitral_regurgitation),
            ("severe aortic stenosis", v.aortic_stenosis),
        ):
            if 0.1 <= value < 0.65:
                seen += 1
                assert condition not in report.of("asserted") | report.of("described") | report.of("hedged")
                valve = r"mitral|\bMR\b" if "mitral" in condition else r"ao(?:rt|r)i|\bAS\b"
                grade = "mild" if value < 0.35 else "moderate"
                graded = re.compile(rf"(?i){grade}[^.]*(?:{valve})|(?:{valve})[^.]*{grade}")
                assert any(graded.search(s.text) for s in report.sentences), (condition, value, report.text)
    assert seen > 10


def test_every_condition_has_words_and_the_side_tables_know_only_conditions() -> None:
    assert set(DIAGNOSES) == set(CONDITION_NAMES)
    assert set(PLAIN) | set(FAMILIAL) | set(RESOLVED) <= set(CONDITION_NAMES)
    for condition, words in DIAGNOSES.items():
        if condition != NORMAL:
            assert condition.casefold() in words.names[0].casefold()
            assert len(words.described) >= 2
