"""Time to an event: Cox's proportional hazards and Kaplan-Meier curves, by lifelines.

Cox, J R Stat Soc B 34:187 (1972); proportionality by the test of Grambsch & Therneau, Biometrika 81:515 (1994); C-index
of Harrell et al., JAMA 247:2543 (1982); Kaplan & Meier, J Am Stat Assoc 53:457 (1958); log-rank test.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from cardiolens.errors import StatsError
from cardiolens.stats.covariates import Design, design, require_full_rank
from cardiolens.stats.inputs import FloatArray, fraction

log = logging.getLogger(__name__)
_FEWEST_EVENTS = 5


@dataclass(frozen=True)
class Hazard:
    """Hazard ratio of one unit of a term (or of a group against its reference).

    `log_ratio` with its standard error; `ph_p_value` is small where the hazards are not proportional over time.
    """

    term: str
    ratio: float
    low: float
    high: float
    log_ratio: float
    standard_error: float
    p_value: float
    ph_p_value: float


@dataclass(frozen=True)
class CoxModel:
    """A fitted model.

    Attributes:
        exposure: hazards of the exposure; `hazards` of every term.
        c_index: of the model on its own data, 0.5 is chance.
        notes: doubts: hazards that are not proportional, few events a term.
    """

    exposure: tuple[Hazard, ...]
    hazards: tuple[Hazard, ...]
    c_index: float
    n: int
    n_events: int
    dropped: Mapping[str, int]
    references: Mapping[str, str]
    notes: tuple[str, ...]
    level: float

    def __getitem__(self, term: str) -> Hazard:
        for hazard in self.hazards:
            if hazard.term == term:
                return hazard
        raise KeyError(f"{term!r}; the terms are {', '.join(h.term for h in self.hazards)}")


@dataclass(frozen=True, eq=False)
class SurvivalCurve:
    """Share without the event over time in one group.  Arrays (step,); `n_at_risk` at each of these times."""

    group: str
    times: FloatArray
    share: FloatArray
    low: FloatArray
    high: FloatArray
    n_at_risk: FloatArray
    n: int
    n_events: int


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """Curves by group, and the log-rank test that they are one (NaN for a single group)."""

    curves: tuple[SurvivalCurve, ...]
    log_rank_p: float
    dropped: Mapping[str, int] = field(default_factory=dict)


def cox(
    table: pd.DataFrame,
    *,
    time: str,
    event: str,
    exposure: str,
    adjust: Sequence[str] = (),
    references: Mapping[str, str] | None = None,
    horizon: float | None = None,
    level: float = 0.95,
) -> CoxModel:
    """Proportional hazards of the event by `exposure`, adjusted for `adjust`.

    Args:
        time, event: columns: time to the event or to the end of follow-up; 1 where the event took place.
        horizon: later events count as not having taken place (follow-up cut there), as in survival at 5 years.

    Raises:
        StatsError: missing or constant columns, times of 0 or less, too few events, a group in which everybody or
            nobody has the event (no finite estimate), a fit that does not settle.
    """
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning

    fraction(level, "level")
    made = _followed(table, time, event, exposure, adjust, references, horizon)
    frame, events = made.frame, int(made.frame[event].sum())
    if events < _FEWEST_EVENTS:
        raise StatsError(
            f"{events} events in {len(frame)} usable rows; a Cox model needs {_FEWEST_EVENTS} at the least"
        )
    require_full_rank(frame, made.terms)
    _no_separation(made, time, event)
    centre, spread = frame[list(made.terms)].mean(), frame[list(made.terms)].std(ddof=0)
    scaled = (frame[list(made.terms)] - centre) / spread
    scaled.columns = pd.Index([f"x{i}" for i in range(len(made.terms))])
    scaled[["__time", "__event"]] = frame[[time, event]].to_numpy()
    fitter = CoxPHFitter(alpha=1.0 - level)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            fitter.fit(scaled, duration_col="__time", event_col="__event")
    except (ConvergenceError, ConvergenceWarning, np.linalg.LinAlgError) as error:
        raise StatsError(
            f"the Cox model does not settle: with {events} events, some combination of "
            f"{', '.join(made.terms)} tells events apart without error, or columns nearly give each other; "
            f"leave one out "
            f"({str(error).splitlines()[0][:160]})"
        ) from error
    hazards = _hazards(fitter, scaled, made.terms, spread.to_numpy())
    mine = tuple(h for h in hazards if h.term in made.exposure_terms)
    notes = _notes(hazards, events, len(made.terms))
    return CoxModel(
        mine, hazards, float(fitter.concordance_index_), len(frame), events, dict(made.dropped),
        dict(made.references), notes, level,
    )  # fmt: skip


def kaplan_meier(
    table: pd.DataFrame,
    *,
    time: str,
    event: str,
    group: str | None = None,
    cuts: Sequence[float] = (),
    level: float = 0.95,
) -> KaplanMeier:
    """Curves by group.

    Args:
        group: column of groups; a numeric one is cut at `cuts`, or at its tertiles where it has more than six values.

    Raises:
        StatsError: missing columns, times of 0 or less, no usable row.
    """
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import multivariate_logrank_test

    fraction(level, "level")
    names = [time, event, *([group] if group else [])]
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise StatsError(
            f"no column {', '.join(map(repr, missing))} in the table; it has {', '.join(map(repr, table.columns))}"
        )
    marked = table.assign(__row=np.arange(len(table), dtype=np.float64))
    made = design(marked, outcomes=[time, event], binary=[event], exposure="__row", adjust=())
    _positive(made.frame[time], time)
    rows = made.frame["__row"].to_numpy().astype(int)
    labels = (
        pd.Series("all", index=made.frame.index) if group is None else _groups(table[group].iloc[rows], group, cuts)
    )
    known = labels.notna().to_numpy()
    dropped = dict(made.dropped)
    if not known.all():
        dropped[f"no {group}"] = int((~known).sum())
    frame, labels = made.frame[known], labels[known]
    curves = []
    for name in _in_order(labels):
        part = frame[(labels == name).to_numpy()]
        fitter = KaplanMeierFitter(alpha=1.0 - level).fit(part[time], part[event])
        limits = fitter.confidence_interval_survival_function_.to_numpy()
        times = fitter.survival_function_.index.to_numpy(dtype=np.float64)
        at_risk = np.array([(part[time] >= t).sum() for t in times], dtype=np.float64)
        curves.append(
            SurvivalCurve(
                str(name), times, fitter.survival_function_.to_numpy()[:, 0], limits[:, 0], limits[:, 1], at_risk,
                len(part), int(part[event].sum()),
            )
        )  # fmt: skip
    p = float("nan")
    if len(curves) > 1 and frame[event].sum() > 0:
        p = float(multivariate_logrank_test(frame[time], labels.to_numpy(), frame[event]).p_value)
    return KaplanMeier(tuple(curves), p, dropped)


def _followed(
    table: pd.DataFrame,
    time: str,
    event: str,
    exposure: str,
    adjust: Sequence[str],
    references: Mapping[str, str] | None,
    horizon: float | None,
) -> Design:
    made = design(
        table, outcomes=[time, event], binary=[event], exposure=exposure, adjust=adjust, references=references
    )
    _positive(made.frame[time], time)
    if horizon is not None:
        if not horizon > 0:
            raise StatsError(f"horizon must be above 0, got {horizon:g}")
        late = made.frame[time] > horizon
        made.frame.loc[late, event] = 0.0
        made.frame.loc[late, time] = horizon
    return made


def _positive(times: pd.Series, name: str) -> None:
    wrong = int((times <= 0).sum())
    if wrong:
        raise StatsError(
            f"column {name!r}: {wrong} of {len(times)} times are 0 or less; time runs from the scan onwards"
        )


def _no_separation(made: Design, time: str, event: str) -> None:
    """`StatsError` for a group in which nobody has the event, or all who have it are."""
    happened = made.frame[event] == 1
    for term in made.terms:
        column = made.frame[term]
        if column.nunique() != 2:
            continue
        low, high = sorted(column.unique())
        for value in (low, high):
            if not (happened & (column == value)).any():
                other = f"{int((column == value).sum())} rows with {term} = {value:g}"
                raise StatsError(
                    f"no event among {other}: the hazard ratio of {term!r} has no finite estimate (separation); "
                    "leave it out or join groups"
                )


def _hazards(fitter: object, scaled: pd.DataFrame, terms: Sequence[str], spread: FloatArray) -> tuple[Hazard, ...]:
    """Back on the scale of the columns."""
    from lifelines.statistics import proportional_hazard_test

    summary: pd.DataFrame = fitter.summary  # type: ignore[attr-defined]
    tested = proportional_hazard_test(fitter, scaled, time_transform="rank").summary["p"]
    lows, highs = summary.filter(regex="^coef lower").iloc[:, 0], summary.filter(regex="^coef upper").iloc[:, 0]
    out = []
    for i, term in enumerate(terms):
        row, unit = f"x{i}", float(spread[i])
        low, middle, high = (float(v[row]) / unit for v in (lows, summary["coef"], highs))
        out.append(
            Hazard(
                term, float(np.exp(middle)), float(np.exp(low)), float(np.exp(high)), middle,
                float(summary["se(coef)"][row]) / unit, float(summary["p"][row]), float(tested[row]),
            )
        )  # fmt: skip
    return tuple(out)


def _notes(hazards: Sequence[Hazard], events: int, n_terms: int) -> tuple[str, ...]:
    notes = [
        f"hazards of {h.term!r} are not proportional over time (p = {h.ph_p_value:.2g}): its ratio is an average"
        for h in hazards
        if h.ph_p_value < 0.05 / len(hazards)
    ]
    if events < 10 * n_terms:
        notes.append(f"{events} events for {n_terms} terms; ten a term are usual, so limits may be too narrow")
    return tuple(notes)


def _groups(column: pd.Series, name: str, cuts: Sequence[float]) -> pd.Series[str]:
    """Groups as text: as they are, or a numeric column cut."""
    numeric = pd.to_numeric(column, errors="coerce")
    is_number = bool(numeric.notna().any()) and int(numeric.isna().sum()) <= int(column.isna().sum())
    if not cuts and (not is_number or numeric.nunique() <= 6):
        words_of = [np.nan if pd.isna(v) or not str(v).strip() else str(v).strip() for v in column]
        as_they_are: pd.Series[str] = pd.Series(words_of, index=column.index, dtype=object)
        return as_they_are
    if not is_number:
        raise StatsError(f"column {name!r} holds text and cannot be cut at {list(cuts)}")
    edges = sorted({float(c) for c in cuts}) if cuts else sorted(set(np.quantile(numeric.dropna(), [1 / 3, 2 / 3])))
    words = [f"{name} < {edges[0]:.4g}"]
    words += [f"{name} {low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    words.append(f"{name} >= {edges[-1]:.4g}")
    at = np.searchsorted(edges, numeric.to_numpy(), side="right")
    cut: pd.Series[str] = pd.Series(
        [words[i] if known else np.nan for i, known in zip(at, numeric.notna(), strict=True)],
        index=column.index, dtype=object, name="__order:" + "|".join(words),
    )  # fmt: skip
    return cut


def _in_order(labels: pd.Series) -> list[str]:
    """Cut groups from low to high, others by name."""
    words = str(labels.name).removeprefix("__order:").split("|")
    there = [str(word) for word in labels.unique()]
    return sorted(there, key=lambda word: (words.index(word), "") if word in words else (len(words), word))
