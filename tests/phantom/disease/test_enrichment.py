"""What patients of an enriched cohort are given."""

from collections import Counter

import numpy as np
import pytest

from cardiolens.phantom.disease import dealt_condition, sample_parameters
from cardiolens.phantom.disease.enrichment import SHARES
from cardiolens.text.conditions import CONDITION_NAMES


@pytest.mark.parametrize("start", [0, 1234])
def test_any_run_of_patients_holds_the_mixture(start):
    total = sum(SHARES.values())
    dealt = Counter(dealt_condition(5, index, 1.0) for index in range(start, start + total))
    assert set(dealt) == set(CONDITION_NAMES)
    assert all(abs(dealt[name] - SHARES[name]) <= 3 for name in CONDITION_NAMES)


def test_the_share_of_the_patients_is_given_one():
    dealt = [dealt_condition(3, index, 0.4) for index in range(1000)]
    assert sum(one is not None for one in dealt) == pytest.approx(400, abs=5)
    assert all(dealt_condition(3, index, 0.0) is None for index in range(100))


def test_another_seed_deals_otherwise():
    assert [dealt_condition(1, i, 1.0) for i in range(20)] != [dealt_condition(2, i, 1.0) for i in range(20)]


def test_every_condition_is_found_in_20_of_577():
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    for index in range(sum(SHARES.values())):
        found.update(sample_parameters(rng, condition=dealt_condition(0, index, 1.0)).conditions)
    assert min(found[name] for name in CONDITION_NAMES) >= 18  # 20 expected of the rarest
