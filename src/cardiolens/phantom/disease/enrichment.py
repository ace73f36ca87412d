"""Enriched cohorts: every condition often enough to be measured, however rare it is.

Most conditions come along with others (amyloid brings a thick wall and large atria), so they are not all dealt alike:
`SHARES` are such that of 577 patients dealt, each condition is expected in 20 or more.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from cardiolens.text.conditions import CONDITION_NAMES

_COMES_ALONG: Mapping[str, int] = MappingProxyType(
    {
        "aortic dilation": 4,
        "bicuspid aortic valve": 14,
        "cardiac thrombus": 21,
        "hypertrophic cardiomyopathy": 8,
        "ischemic cardiomyopathy": 14,
        "left atrial dilation": 4,
        "left ventricular dilation": 4,
        "left ventricular hypertrophy": 4,
        "non-ischemic cardiomyopathy": 10,
        "previous surgery": 4,
        "pulmonary artery dilation": 4,
        "pulmonary hypertension": 17,
        "pulmonary stenosis": 8,
        "right atrial dilation": 4,
        "right ventricular dilation": 4,
        "right ventricular hypertrophy": 4,
        "severe mitral regurgitation": 20,
        "systolic anterior motion": 22,
        "tetralogy of Fallot": 28,
        "ventricular septal defect": 19,
    }
)
SHARES: Mapping[str, int] = MappingProxyType({name: _COMES_ALONG.get(name, 24) for name in CONDITION_NAMES})
"""Condition to how many of 577 patients are dealt it; a linear programme over what was drawn, rounded up by hand."""

_BOUNDS = np.cumsum(list(SHARES.values())) / sum(SHARES.values())
_GOLDEN = 0.5 * (5.0**0.5 - 1.0)


def dealt_condition(seed: int, index: int, share: float) -> str | None:
    """The condition that patient `index` of the cohort is given; None for one drawn as at the site.

    Any run of patients holds nearly the same mixture, so a cohort may grow: dealt by a golden-ratio sequence.

    Args:
        share: of the patients that are given one, 0 to 1.
    """
    place = (np.random.default_rng([seed, 7]).random() + index * _GOLDEN) % 1.0
    if place >= share:
        return None
    return CONDITION_NAMES[int(np.searchsorted(_BOUNDS, place / share, side="right"))]
