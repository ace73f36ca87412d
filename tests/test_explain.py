"""Attention gathered by view."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.attention import view_attention
from cardiolens.study import View


def test_shares_and_relative_weights_by_hand():
    rows = view_attention([0.1, 0.6, 0.1, 0.2], [View.SAX, View.CH4, View.SAX, View.CH2])
    assert [(row.view, row.clips) for row in rows] == [(View.SAX, 2), (View.CH2, 1), (View.CH4, 1)]
    assert [row.share for row in rows] == pytest.approx([0.2, 0.2, 0.6])
    assert [row.relative for row in rows] == pytest.approx([0.4, 0.8, 2.4])


@given(st.lists(st.tuples(st.floats(0.01, 10), st.sampled_from(list(View))), min_size=1, max_size=30))
def test_shares_add_up_and_relative_weights_average_to_one(clips):
    total = sum(weight for weight, _ in clips)
    rows = view_attention([weight / total for weight, _ in clips], [view for _, view in clips])
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert sum(row.relative * row.clips for row in rows) / len(clips) == pytest.approx(1)
    assert sum(row.clips for row in rows) == len(clips)


@pytest.mark.parametrize(("weights", "views"), [([], []), ([1.0], [View.SAX, View.SAX])])
def test_one_weight_a_clip_is_needed(weights, views):
    with pytest.raises(ValueError, match="one weight a clip"):
        view_attention(weights, views)
