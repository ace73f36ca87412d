"""The hearts whose reports `label_rules.py` and `report_string_match.py` read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from cardiolens.phantom.disease import sample_parameters
from cardiolens.phantom.heart import HeartParameters
from cardiolens.text.conditions import CONDITION_NAMES


def hearts(count: int, least: int, seed: int) -> Iterator[tuple[HeartParameters, bool]]:
    """Hearts, and whether each was drawn by prevalence.

    Args:
        count: hearts by the default population's prevalence, which come first.
        least: hearts of each condition; of those that are rarer among the first, more are drawn for the condition.
    """
    seen: Counter[str] = Counter()
    for index in range(count):
        parameters = sample_parameters(np.random.default_rng([seed, index]))
        seen.update(parameters.conditions)
        yield parameters, True
    for position, condition in enumerate(CONDITION_NAMES):
        for index in range(max(0, least - seen[condition])):
            yield sample_parameters(np.random.default_rng([seed, position, index]), condition=condition), False
