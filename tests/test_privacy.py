"""What is not shown of a person: ages over 89, columns that name somebody."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.privacy import age_words, shown, shown_age


@pytest.mark.parametrize(
    ("age", "words"),
    [(None, ""), (math.nan, ""), (0.4, "0 years"), (54.6, "55 years"), (89.0, "89 years"), (89.4, "89 years"),
     (89.6, "90 years or over"), (90.0, "90 years or over"), (103.2, "90 years or over"),
     (math.inf, "90 years or over")],
)  # fmt: skip
def test_ages_over_89_are_one(age, words):
    assert age_words(age) == words


@given(st.floats(0, 130))
def test_no_age_over_89_is_told_from_another(age):
    assert shown_age(age) == (90.0 if round(age) > 89 else age)


def test_a_table_is_shown_without_names_and_with_ages_capped():
    table = pd.DataFrame(
        {"patient": ["p", "q", "r"], "accession": [1, 2, 3], "session": [1, 1, 1], "age": [54, 97, None],
         "lvef": [61.0, 35.0, 48.0]},
        index=pd.Index(["a", "b", "c"], name="key"),
    )  # fmt: skip
    out = shown(table)
    assert list(out.columns) == ["age", "lvef"] and list(out["age"].fillna(-1)) == [54, 90, -1]
    assert list(table["age"].fillna(-1)) == [54, 97, -1]
    words = shown(pd.DataFrame({"age": ["97", "unknown", "30"]}))
    assert list(words["age"]) == [90.0, "unknown", "30"]
    assert shown(pd.DataFrame({"lvef": [1.0]})).columns.tolist() == ["lvef"]
