"""Where the pooling over clips looks in studies with and without a condition (Shad et al., fig. 4e).

Their heat map shows the relative attention of each view for each disease, with and without it.  Relative here: mean
weight of a view's clips over the weight that each clip of the study would have if all were equal; 1 is neutral.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from cardiolens.attention import view_attention
from cardiolens.errors import ReportError, StatsError
from cardiolens.explain.ablation import LEAST
from cardiolens.explain.bags import Pooled, StudyClips, pool
from cardiolens.stats import weighted
from cardiolens.stats.bootstrap import bootstrap
from cardiolens.stats.inputs import FloatArray
from cardiolens.study import View
from cardiolens.text.conditions import CONDITIONS

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder

_LOW_LVEF = 40.0
GROUPS = ("with", "without", "difference")
_COLUMNS = ["head", "condition", "view", "group", "n", "n_patients", "relative", "low", "high", "level", "note"]


def attention_table(model: DualEncoder, head: str, studies: Sequence[StudyClips]) -> pd.DataFrame:
    """A row a study and view: `key`, `head`, `view`, `clips`, `share`, `relative`; see `ViewAttention`."""
    rows = []
    for one, said in zip(studies, pool(model, head, studies), strict=True):
        for row in view_attention(cast(Pooled, said).attention, one.views):
            rows.append((one.key, head, str(row.view), row.clips, row.share, row.relative))
    columns = ["key", "head", "view", "clips", "share", "relative"]
    table: pd.DataFrame = pd.DataFrame(rows, columns=columns)
    return table


def groups_of(labels: pd.DataFrame, own: Sequence[str] = ()) -> pd.DataFrame:
    """What studies are told apart by: a column of 0, 1 and NaN each.

    Args:
        labels: a row a key.
        own: conditions that the head predicts; without any, every condition there is and LVEF below 40 %.

    Raises:
        ReportError: no such column at all, or values other than 0, 1 and empty.
    """
    known = [name for name in own or [c.column for c in CONDITIONS] if name in labels.columns]
    groups: pd.DataFrame = pd.DataFrame(index=labels.index)
    for name in known:
        try:
            groups[name] = labels[name].astype(float)
        except ValueError as error:
            raise ReportError(f"labels.csv, column {name}: a condition is 0, 1 or empty ({error})") from error
        if not groups[name].dropna().isin([0.0, 1.0]).all():
            raise ReportError(f"labels.csv, column {name}: a condition is 0, 1 or empty")
    if not own and "lvef" in labels.columns:
        lvef = pd.to_numeric(labels["lvef"], errors="coerce")
        groups["lvef_below_40"] = (lvef < _LOW_LVEF).astype(float).where(lvef.notna())
    if groups.columns.empty:
        wanted = ", ".join(list(own)[:3]) or "one of the 35 conditions, or lvef"
        raise ReportError(f"labels.csv has no column for {wanted}; `cardiolens label` makes them from reports")
    return groups


def attention_by_condition(
    attention: pd.DataFrame,
    groups: pd.DataFrame,
    patients: pd.Series,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean relative attention of each view, with and without each condition, and the difference.

    Args:
        attention: of `attention_table`, of one head.
        groups: of `groups_of`, a row a key.
        patients: key to patient, for the bootstrap.

    Returns:
        A row a condition, view and group, in the order of `GROUPS`; limits by bootstrap over patients, not corrected
        for the number of rows; NaN and a `note` where a group has fewer than `LEAST` patients.
    """
    rows = []
    for condition in groups.columns:
        for view in View:
            part = attention[attention["view"] == str(view)]
            part = part.assign(has=groups[condition].reindex(part["key"]).to_numpy()).dropna(subset=["has"])
            for group in GROUPS:
                chosen = part if group == "difference" else part[part["has"] == float(group == "with")]
                whose = patients.reindex(chosen["key"]).to_numpy()
                row = {"head": attention["head"].iat[0] if len(attention) else "", "condition": condition}
                row |= {"view": str(view), "group": group, "n": len(chosen), "n_patients": len(set(whose))}
                values, has = (chosen[column].to_numpy(float) for column in ("relative", "has"))
                rows.append(row | _mean(group, values, has, whose.tolist(), n_resamples, level, seed))
    table: pd.DataFrame = pd.DataFrame(rows, columns=_COLUMNS)
    return table


def _mean(
    group: str, values: FloatArray, has: FloatArray, whose: list[str], n_resamples: int, level: float, seed: int
) -> dict[str, object]:
    found: dict[str, object] = {"relative": np.nan, "low": np.nan, "high": np.nan, "level": level, "note": ""}
    if not len(values):
        return found | {"note": "no study"}
    if group == "difference" and not 0 < has.sum() < len(has):
        return found | {"note": "one group is empty"}
    columns = (values, has) if group == "difference" else (values,)
    metric: Callable[..., FloatArray] = _difference if group == "difference" else weighted.mean
    found["relative"] = float(metric(*columns, np.ones(len(values))))
    groups = (has > 0.5, has <= 0.5) if group == "difference" else (np.ones(len(has), dtype=bool),)
    fewest = min(len({whose[i] for i in np.flatnonzero(chosen)}) for chosen in groups)
    if fewest < LEAST:
        return found | {"note": f"no limits: {fewest} patients in a group, {LEAST} needed"}
    try:
        limits = bootstrap(
            metric, *columns, patients=whose, n_resamples=n_resamples, level=level, seed=seed, vectorized=True
        )
    except StatsError as error:
        return found | {"note": f"no limits: {error}"}
    return found | {"low": limits.low, "high": limits.high}


def _difference(values: FloatArray, has: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean with minus mean without; NaN where a resample lacks one of them."""
    means = []
    for chosen in (has, 1.0 - has):
        count = np.asarray(weights @ chosen)
        total = np.asarray(weights @ (chosen * values))
        means.append(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))
    return np.asarray(means[0] - means[1])
