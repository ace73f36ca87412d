"""Many p-values at once: corrected so that a finding among 35 conditions is not one by chance.

Sources: Holm, Scandinavian Journal of Statistics 6:65 (1979), holds the chance of even one false finding; Benjamini &
Hochberg, Journal of the Royal Statistical Society B 57:289 (1995), holds the expected share of false ones among the
findings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import false_discovery_control

from cardiolens.errors import StatsError
from cardiolens.stats.inputs import FloatArray, fraction


@dataclass(frozen=True)
class AdjustedP:
    """A p-value as found and as corrected; `found` where the corrected one is at most alpha.

    NaN in, NaN out: a test that could not be done is not counted among those corrected for.
    """

    name: str
    p_value: float
    adjusted: float
    found: bool


def adjust_p_values(
    p_values: Mapping[str, float], method: Literal["holm", "benjamini-hochberg"] = "holm", *, alpha: float = 0.05
) -> dict[str, AdjustedP]:
    """Corrected p-values under the names of the tests, in their order.

    Raises StatsError for an unknown method or a p-value outside [0, 1].

    >>> round(adjust_p_values({"amyloidosis": 0.01, "sarcoidosis": 0.03})["amyloidosis"].adjusted, 3)
    0.02
    """
    fraction(alpha, "alpha")
    if method not in ("holm", "benjamini-hochberg"):
        raise StatsError(f"unknown method {method!r}; known: holm, benjamini-hochberg")
    wrong = [f"{name} {p:g}" for name, p in p_values.items() if not math.isnan(p) and not 0 <= p <= 1]
    if wrong:
        raise StatsError(f"p-values lie in [0, 1]; found {', '.join(wrong[:5])}")
    known = [name for name, p in p_values.items() if not math.isnan(p)]
    raw = np.array([p_values[name] for name in known], dtype=np.float64)
    corrected = dict(zip(known, (_holm(raw) if method == "holm" else _hochberg(raw)).tolist(), strict=True))
    return {
        name: AdjustedP(name, p, corrected.get(name, math.nan), corrected.get(name, math.nan) <= alpha)
        for name, p in p_values.items()
    }


def _holm(p: FloatArray) -> FloatArray:
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    out = np.empty_like(p)
    out[order] = stepped
    return out


def _hochberg(p: FloatArray) -> FloatArray:
    return np.asarray(false_discovery_control(p, method="bh"), dtype=np.float64) if p.size else p
