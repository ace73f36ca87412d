"""Sections of reports: headings in lines and in running text, synonyms, and reports that have none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.text.sections import HEADINGS, split_sections


def kinds(report):
    return [section.kind for section in split_sections(report)]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("INDICATION: A\nTECHNIQUE: B\nCOMPARISON: C\nFINDINGS: D\nIMPRESSION: E",
         ["indication", "technique", "comparison", "findings", "impression"]),
        ("Clinical history\n54M\n\nReport\nNormal LV.\n\nOpinion\nNormal.", ["indication", "findings", "impression"]),
        ("INDICATION: Chest pain. FINDINGS: Normal LV. IMPRESSION: Normal.", ["indication", "findings", "impression"]),
        ("**Findings:** Normal LV.\n**Conclusion:** Normal.", ["findings", "impression"]),
        ("The left ventricle is dilated.", ["findings"]),
        ("Protocol:\nCine imaging.\n\nThe LV is dilated.\n\nImpression: DCM", ["technique", "findings", "impression"]),
        ("General Hospital\n\nFindings: Normal LV.", ["other", "findings"]),
        ("63-year-old man with dyspnea.\n\nFindings: Normal LV.", ["indication", "findings"]),
        ("", []),
    ],
)  # fmt: skip
def test_headings_and_their_absence_are_understood(report, expected):
    assert kinds(report) == expected


def test_a_word_of_prose_is_no_heading():
    report = (
        "FINDINGS: There is contrast: good. The findings: as below. The study was limited.\ncontrast reaches the LV."
    )
    assert kinds(report) == ["findings"]


def test_sub_headings_stay_in_their_section():
    sections = split_sections("FINDINGS:\nLeft ventricle: dilated.\nValves: normal.\nCONCLUSION: DCM.")
    assert [s.kind for s in sections] == ["findings", "impression"]
    assert "Valves: normal." in sections[0].text


@pytest.mark.parametrize(("kind", "names"), HEADINGS.items())
def test_every_synonym_names_its_section(kind, names):
    for name in names:
        found = split_sections(f"FINDINGS: Normal LV.\n\n{name.upper()}:\nSome text.")
        assert found[-1].kind == kind
        assert found[-1].text == "Some text." if kind != "findings" else found


@given(
    st.lists(st.sampled_from(["LV is normal.", "FINDINGS:", "Impression: x.", "History", "\n", "\n\n", "a: b", "54M"]))
)
def test_no_text_is_lost(parts):
    report = "\n".join(parts)
    kept = " ".join(f"{s.heading or ''} {s.text}" for s in split_sections(report))
    for word in ("LV is normal.", "54M", "a: b"):
        assert kept.count(word) == report.count(word)
