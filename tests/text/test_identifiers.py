"""The check for identifiers: kinds and counts, never values."""

import pytest

from cardiolens.text.identifiers import check_identifiers, find_identifiers

CASES = [
    ("Patient DOB: 04/05/1961.", "date of birth"),
    ("Born on 4 May 1961 in Ghent.", "date of birth"),
    ("MRN: 00412345", "record number"),
    ("Medical record number 77-1234-9.", "record number"),
    ("Accession #: AB1234567", "accession number"),
    ("SSN 123-45-6789", "social security number"),
    ("Call (650) 555-1234 with questions.", "telephone number"),
    ("Tel: +44 20 7946 0958", "telephone number"),
    ("Contact j.doe@hospital.org", "e-mail address"),
    ("Discussed with Dr. Okafor by telephone.", "name after a title"),
    ("Findings told to Mr. J. O'Neill.", "name after a title"),
    ("Patient name: Jane", "name after a label"),
    ("Electronically signed by Smith, Jane", "name after a label"),
    ("Compared with the study of 12 March 2020.", "date"),
    ("Scan of 2020-03-12.", "date"),
    ("A 94-year-old woman.", "age over 89"),
    ("See https://pacs.hospital.org/x?id=3", "web address"),
]


@pytest.mark.parametrize(("text", "kind"), CASES)
def test_each_kind_is_found_once(text, kind):
    assert find_identifiers(text) == {kind: 1}


@pytest.mark.parametrize(
    "text",
    [
        "LVEF 55 %, EDV 182.5 ml, ESV 80/m2, wall 9-11 mm at 1.5 T.",
        "Severe MR. The regurgitant fraction is 55%.",
        "A 54-year-old man with dyspnea, NYHA 2-3.",
        "T1 1020 ms (native), ECV 26 %; Qp:Qs 1.9; 25 phases, 8 mm slices.",
    ],
)
def test_plain_findings_hold_none(text):
    assert not find_identifiers(text)


def test_sums_are_by_kind_and_hold_no_value():
    total, studies = check_identifiers(
        [("a", "DOB 01/02/1950, Dr. Who."), ("b", "Normal LV."), ("c", "Dr. Who again.")]
    )
    assert total == {"date of birth": 1, "name after a title": 2}
    assert set(studies) == {"a", "c"}
    assert "Who" not in repr((total, studies))
    assert "1950" not in repr((total, studies))
