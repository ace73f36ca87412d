"""Association of a figure with a trait, adjusted for others: ordinary least squares, as CineMA (Fu et al. 2025, 2.6).

Standard errors are White's HC3 (MacKinnon & White, J Econometrics 29:305, 1985) unless the classical ones are asked
for: heart figures spread more in the sick than in the well.  Fitted by statsmodels.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cardiolens.errors import StatsError
from cardiolens.stats.covariates import design, require_full_rank
from cardiolens.stats.inputs import fraction


@dataclass(frozen=True)
class Coefficient:
    """Change of the outcome for one unit of a term (or in a group against its reference), with limits."""

    term: str
    estimate: float
    low: float
    high: float
    standard_error: float
    p_value: float


@dataclass(frozen=True)
class Association:
    """One outcome on one exposure.

    Attributes:
        coefficients: of every term; `exposure` those of the exposure alone.
        intercept: outcome where every term is 0.
        r_squared: share of variance explained.
        n, dropped, references: rows used; rows left out by reason; group to the level compared with.
    """

    outcome: str
    exposure: tuple[Coefficient, ...]
    coefficients: tuple[Coefficient, ...]
    intercept: float
    r_squared: float
    n: int
    dropped: Mapping[str, int]
    references: Mapping[str, str]
    robust: bool
    level: float

    def __getitem__(self, term: str) -> Coefficient:
        for coefficient in self.coefficients:
            if coefficient.term == term:
                return coefficient
        raise KeyError(f"{term!r}; the terms are {', '.join(c.term for c in self.coefficients)}")


def associate(
    table: pd.DataFrame,
    *,
    outcome: str,
    exposure: str,
    adjust: Sequence[str] = (),
    references: Mapping[str, str] | None = None,
    robust: bool = True,
    level: float = 0.95,
) -> Association:
    """Least squares of `outcome` on `exposure` and `adjust`.

    Args:
        table: one row a subject; numbers, or groups as text.
        references: group to its reference level; the commonest by default.
        robust: HC3 standard errors.

    Raises:
        StatsError: missing or constant columns, columns that give each other, too few rows.
    """
    import statsmodels.api as sm

    fraction(level, "level")
    made = design(table, outcomes=[outcome], exposure=exposure, adjust=adjust, references=references)
    n, k = len(made.frame), len(made.terms) + 1
    if n < max(2 * k, k + 5):
        told = "; ".join(f"{reason}: {count}" for reason, count in made.dropped.items())
        raise StatsError(f"{outcome}: {n} usable rows for {k} coefficients are too few{f' ({told})' if told else ''}")
    if made.frame[outcome].nunique() < 2:
        raise StatsError(f"{outcome}: has one value only in the usable rows")
    require_full_rank(made.frame, made.terms)
    matrix = np.c_[np.ones(n), made.frame[list(made.terms)].to_numpy()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # HC3 of a row that a term alone fits; checked below
        fitted = sm.OLS(made.frame[outcome].to_numpy(), matrix).fit(cov_type="HC3" if robust else "nonrobust")
        limits = np.asarray(fitted.conf_int(1.0 - level))
    if not np.isfinite(np.asarray(fitted.bse)).all():
        rare = [t for t in made.terms if min((made.frame[t] == v).sum() for v in made.frame[t].unique()) == 1]
        raise StatsError(
            f"{outcome}: robust errors cannot be had, since single rows alone make up "
            f"{', '.join(rare[:5]) or 'a term'}; leave it out, or take classical errors"
        )
    found = tuple(
        Coefficient(
            term,
            float(fitted.params[i]),
            float(limits[i, 0]),
            float(limits[i, 1]),
            float(fitted.bse[i]),
            float(fitted.pvalues[i]),
        )
        for i, term in enumerate(made.terms, start=1)
    )
    mine = tuple(c for c in found if c.term in made.exposure_terms)
    return Association(
        outcome, mine, found, float(fitted.params[0]), float(fitted.rsquared), n, dict(made.dropped),
        dict(made.references), robust, level,
    )  # fmt: skip
