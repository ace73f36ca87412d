"""Sentences of reports: decimals, titles, lists, headings; random draws in report order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.errors import InputError
from cardiolens.text.sentences import sample_sentences, split_sentences


@pytest.mark.parametrize(
    ("report", "sentences"),
    [
        ("LVEF is 55.2 %. No scar.", ["LVEF is 55.2 %.", "No scar."]),
        ("Reviewed by Dr. Smith at 1.5 T. Normal.", ["Reviewed by Dr. Smith at 1.5 T.", "Normal."]),
        ("1. Dilated LV (EDV 210.5 ml).\n2) No LGE.\n- Mild MR", ["Dilated LV (EDV 210.5 ml).", "No LGE.", "Mild MR"]),
        ("The mid-ventricular wall\nmeasures 12\nmm.", ["The mid-ventricular wall measures 12 mm."]),
        ("Left atrium:\nNormal size.\n\nIMPRESSION: Fine", ["Left atrium: Normal size.", "IMPRESSION: Fine"]),
        ("Normal LV\nNormal RV", ["Normal LV", "Normal RV"]),
        ("***\n---\n", []),
        ("", []),
    ],
)
def test_reports_are_split_where_a_reader_would(report, sentences):
    assert list(split_sentences(report)) == sentences


def test_draws_are_seeded_in_report_order_and_vary():
    report = " ".join(
        f"Finding {word} is normal." for word in ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    )
    all_of_them = list(split_sentences(report))
    draws = [sample_sentences(report, 5, np.random.default_rng(seed)) for seed in range(10)]
    assert len(all_of_them) == 8
    assert draws[3] == sample_sentences(report, 5, np.random.default_rng(3))
    assert len({tuple(draw) for draw in draws}) > 3
    for draw in draws:
        assert len(set(draw)) == 5
        assert draw == sorted(draw, key=all_of_them.index)


def test_fewer_sentences_than_asked_for_are_all_taken():
    assert sample_sentences("One. Two.", 5, np.random.default_rng(0)) == ["One.", "Two."]
    with pytest.raises(InputError, match="at least 1"):
        sample_sentences("One.", 0, np.random.default_rng(0))


@given(st.floats(0, 400).map(lambda x: round(x, 2)), st.sampled_from(["ml", "%", "g/m2", "mm"]))
def test_no_measure_is_torn_apart(value, unit):
    first = f"The value is {value} {unit} in this study."
    assert list(split_sentences(f"{first} Nothing else.")) == [first, "Nothing else."]


@pytest.mark.parametrize(
    ("report", "sentences"),
    [
        ("Mild MR. No effusion. Seen by Mr. Jones.", ["Mild MR.", "No effusion.", "Seen by Mr. Jones."]),
        ("? small thrombus at the apex. No MR.", ["? small thrombus at the apex.", "No MR."]),
        ("Wall 9.5 mm vs. 8 mm before. S/p CABG x3", ["Wall 9.5 mm vs. 8 mm before.", "S/p CABG x3"]),
        ("LV: dilated\nRV: normal\n\n1) DCM\n2) No LGE", ["LV: dilated", "RV: normal", "DCM", "No LGE"]),
    ],
)
def test_prose_of_radiology_survives(report, sentences):
    assert list(split_sentences(report)) == sentences


def test_stanza_is_asked_where_it_is_installed_and_named_where_it_is_not(monkeypatch):
    import sys
    from types import ModuleType, SimpleNamespace

    from cardiolens.text import sentences as module

    monkeypatch.setitem(sys.modules, "stanza", None)
    module._stanza.cache_clear()
    with pytest.raises(InputError, match="pip install stanza"):
        split_sentences("Never split by stanza before.", "stanza")
    asked = []
    fake = ModuleType("stanza")
    fake.Pipeline = lambda *args, **options: (
        asked.append((args, options))
        or (lambda text: SimpleNamespace(sentences=[SimpleNamespace(text=part) for part in text.split("|")]))
    )
    monkeypatch.setitem(sys.modules, "stanza", fake)
    assert split_sentences("One here|two there", "stanza") == ("One here", "two there")
    assert asked[0][1]["download_method"] is None
    module._stanza.cache_clear()
    split_sentences.cache_clear()
