"""Agreement of two tables of labels: kappa, precision and recall by hand, and what cannot be compared."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from cardiolens.errors import ReportError
from cardiolens.text.agreement import cohen_kappa, compare, compare_files, markdown, write_comparison


def table(**states):
    return {study: {"amyloidosis": state} for study, state in states.items()}


def test_counts_precision_and_recall_are_of_present():
    a = table(s1="present", s2="present", s3="absent", s4="uncertain", s5="not mentioned")
    b = table(s1="present", s2="absent", s3="absent", s4="present", s5="absent", s6="present")
    (found,) = compare(a, b)
    assert (found.n, found.a, found.b, found.both) == (5, 2, 2, 1)
    assert (found.precision, found.recall, found.same) == (0.5, 0.5, 0.4)
    assert found.kappa == pytest.approx((4 / 5 - 1 / 5 - (4 + 9) / 25) / (1 - 13 / 25))


def test_what_has_no_case_is_empty_and_not_nought():
    (found,) = compare(table(a="absent", b="absent"), table(a="absent", b="not mentioned"))
    assert all(math.isnan(value) for value in (found.kappa, found.precision, found.recall))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=2))
def test_kappa_is_that_of_scikit_learn(pairs):
    ours = cohen_kappa(pairs)
    if len({x for pair in pairs for x in pair}) == 1:
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)), abs=1e-12)


def test_tables_of_other_reports_are_refused():
    with pytest.raises(ReportError, match="no study in common"):
        compare(table(a="present"), table(b="present"))


@pytest.fixture
def files(tmp_path):
    a, b, sheet = (tmp_path / name for name in ("a.csv", "b.csv", "hand.csv"))
    a.write_text("accession,amyloidosis,sarcoidosis\n1,present,absent\n2,absent,uncertain\n", encoding="utf-8")
    b.write_text("accession,amyloidosis,sarcoidosis\n1,1,0\n2,1,\n3,0,0\n", encoding="utf-8")
    sheet.write_text("accession;amyloidosis\n1;present\n2;absent\n", encoding="utf-8")
    return a, b, sheet


def test_words_and_numbers_are_compared_and_each_with_the_sheet(files, tmp_path):
    found, record = compare_files(*files)
    assert len(found) == 3
    by_hand = found["A: b.csv (second), B: hand.csv (by hand)"]
    assert [(x.condition, x.a, x.b, x.precision) for x in by_hand] == [("amyloidosis", 2, 1, 0.5)]
    assert record["config"]["compared"] == {"only in the first": 0, "only in the second": 1}
    page, rows = write_comparison(tmp_path / "agreement", found, record)
    text = page.read_text(encoding="utf-8")
    assert text == markdown(found, record)
    assert all(entry in text for entry in record["config"]["inputs"].values())
    assert record["cardiolens"] in rows.read_text(encoding="utf-8")
    assert len(rows.read_text(encoding="utf-8").splitlines()) == 1 + 2 + 1 + 1


def test_two_files_of_one_name_are_kept_apart(files, tmp_path):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "a.csv"
    twin.write_text(files[1].read_text(encoding="utf-8"), encoding="utf-8")
    found, record = compare_files(files[0], twin, files[2])
    assert len(found) == 3
    assert len(set(record["config"]["inputs"].values())) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("accession,amyloidosis\n1,perhaps\n", "row 2, amyloidosis.*'perhaps'"),
        ("accession,amyloidosis\n1,1\n1,0\n", "row 3.*twice"),
        ("accession,gout\n1,1\n", "no column of a condition"),
        ("name,amyloidosis\n1,1\n", "needs one of the columns"),
        ("accession,amyloidosis\n1\n", "1 fields where the header has 2"),
    ],
)
def test_a_table_that_is_none_of_labels_says_why(files, tmp_path, content, message):
    bad = tmp_path / "bad.csv"
    bad.write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=message):
        compare_files(files[0], bad)
