"""What pages and figures do not show of a person, though the store may hold it.

Ages over 89 identify and are shown as one (45 CFR 164.514(b)(2)(i)(C)); columns that name a person are not offered.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

OLDEST = 90.0
"""Stands for this age and any above."""
NOT_OFFERED = ("patient", "session", "accession", "key")
"""Columns of a table of labels that say who somebody is, not what is known of a heart."""
_AGE = "age"


def shown_age(years: float | None) -> float | None:
    """An age as it may be shown: as it is, or `OLDEST`; None where it is not known."""
    if years is None or math.isnan(years):
        return None
    return OLDEST if round(min(years, OLDEST)) >= OLDEST else years


def age_words(years: float | None) -> str:
    """An age in words; empty where it is not known."""
    age = shown_age(years)
    if age is None:
        return ""
    return f"{OLDEST:.0f} years or over" if age == OLDEST else f"{age:.0f} years"


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """A table of labels as it may be shown: without the columns not offered, ages capped; the table stays as it is."""
    out: pd.DataFrame = table.drop(columns=[name for name in NOT_OFFERED if name in table.columns])
    if _AGE in out.columns:
        out[_AGE] = out[_AGE].map(_shown_label)
    return out


def _shown_label(value: Any) -> Any:
    """An age from a table, which may be no number."""
    try:
        years = float(value)
    except (TypeError, ValueError):
        return value
    return value if (years < OLDEST and round(years) < OLDEST) or math.isnan(years) else OLDEST
