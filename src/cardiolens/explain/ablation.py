"""What becomes of a prediction when a view is hidden from the model, or shown alone.

The head weighs whatever clips are left anew.  It was trained on whole bags, so a change tells what this model makes of
the other views, not what is in them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cardiolens.errors import ReportError, StatsError
from cardiolens.explain.bags import StudyClips, outputs_of, pool
from cardiolens.stats import weighted
from cardiolens.stats.bootstrap import bootstrap
from cardiolens.stats.inputs import FloatArray
from cardiolens.study import View

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder

log = logging.getLogger(__name__)

Kind = Literal["regression", "classification"]
LEAST = 5
"""Patients of a group (with a condition, or without) that limits need: a bootstrap of fewer says little of others."""
ABLATIONS: tuple[tuple[str, View], ...] = tuple((what, view) for what in ("without", "only") for view in View)
"""("without", view) and ("only", view) for each view; in the tables a column "without_SAX", "only_SAX", ..."""


def ablate(model: DualEncoder, head: str, studies: Sequence[StudyClips]) -> pd.DataFrame:
    """Predictions from all views, without each and from each alone.

    Returns:
        A row a study and output: `key`, `head`, `output`, `views`, `all`, then a column an ablation; NaN where the
        study does not hold the view, or holds no other that could be left.
    """
    columns = {"all": pool(model, head, studies)}
    outputs = outputs_of(model)[head]
    for what, view in ABLATIONS:
        keep = [view] if what == "only" else [other for other in View if other != view]
        said = pool(model, head, studies, keep)
        columns[f"{what}_{view}"] = [
            answer if view in one.views else None for one, answer in zip(studies, said, strict=True)
        ]
    rows = []
    for number, one in enumerate(studies):
        for place, output in enumerate(outputs):
            row: dict[str, object] = {"key": one.key, "head": head, "output": output}
            row["views"] = " ".join(str(view) for view in View if view in one.views)
            for column, answers in columns.items():
                answer = answers[number]
                row[column] = np.nan if answer is None else answer.output[place]
            rows.append(row)
    names = ["key", "head", "output", "views", *columns]
    table: pd.DataFrame = pd.DataFrame(rows, columns=names)
    return table


def ablation_effects(
    predictions: pd.DataFrame,
    labels: pd.DataFrame,
    patients: pd.Series,
    kinds: dict[str, Kind],
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """How much worse or better each ablation makes the model, on studies that hold the view and another one.

    Args:
        predictions: of `ablate`, of one or more heads.
        labels: a row a key, a column an output; NaN where not known.
        patients: key to patient, for the bootstrap.
        kinds: head to what it is; MAE for a regression, AUROC for a classification.

    Returns:
        A row an output and ablation: `metric` of the full bags and of the ablated ones on the same studies, `change`
        (ablated minus full) with limits from a paired bootstrap by patient, where there are `LEAST` of each class; a
        `note` where something is missing.
    """
    rows = []
    for (head, output), table in predictions.groupby(["head", "output"], sort=False):
        kind: Kind = kinds[str(head)]
        known = _labels(labels, str(output), kind)
        if known is None:
            log.warning("%s: labels.csv has no column %s, so the ablation of it cannot be measured", head, output)
            continue
        for what, view in ABLATIONS:
            column = f"{what}_{view}"
            both = table[list(dict.fromkeys(["key", "all", column, f"without_{view}"]))].dropna()
            both = both.assign(label=known.reindex(both["key"]).to_numpy()).dropna()
            row = {"head": head, "output": output, "ablation": what, "view": str(view), "n": len(both)}
            whose = patients.reindex(both["key"]).to_numpy()
            row |= {"n_patients": len(set(whose)), "metric": "mae" if kind == "regression" else "auroc"}
            row["n_positive"] = None if kind == "regression" else int(both["label"].sum())
            full, less, truth = (both[c].to_numpy(float) for c in ("all", column, "label"))
            rows.append(row | _effect(kind, truth, full, less, whose.tolist(), n_resamples, level, seed))
    effects: pd.DataFrame = pd.DataFrame(rows, columns=_EFFECT_COLUMNS)
    return effects


_EFFECT_COLUMNS = [
    *("head", "output", "ablation", "view", "n", "n_patients", "n_positive", "metric", "full", "ablated", "change"),
    *("low", "high", "level", "note"),
]


def _labels(labels: pd.DataFrame, output: str, kind: Kind) -> pd.Series | None:
    if output not in labels.columns:
        return None
    try:
        values = labels[output].astype(float)
    except ValueError as error:
        raise ReportError(f"labels.csv, column {output}: not numbers ({error})") from error
    if kind == "classification" and not values.dropna().isin([0.0, 1.0]).all():
        raise ReportError(f"labels.csv, column {output}: a condition is 0, 1 or empty")
    return values


def _effect(
    kind: Kind,
    truth: FloatArray,
    full: FloatArray,
    less: FloatArray,
    whose: list[str],
    n_resamples: int,
    level: float,
    seed: int,
) -> dict[str, object]:
    """Metric of both, and their difference with limits; NaN and a note where it cannot be computed."""
    nothing: dict[str, object] = dict.fromkeys(("full", "ablated", "change", "low", "high"), np.nan)
    nothing["level"] = level
    metric: Callable[..., FloatArray] = weighted.mae if kind == "regression" else _area
    if not len(truth):
        return nothing | {"note": "no study holds this view and another one"}
    if kind == "classification" and len(set(truth)) < 2:
        return nothing | {"note": f"all {len(truth)} studies are {'positive' if truth[0] else 'negative'}"}
    even = np.ones(len(truth))
    found: dict[str, object] = nothing | {
        "full": float(metric(full, truth, even)),
        "ablated": float(metric(less, truth, even)),
        "note": "",
    }
    found["change"] = float(metric(less, truth, even)) - float(metric(full, truth, even))
    groups = [truth > 0.5, truth <= 0.5] if kind == "classification" else [np.ones(len(truth), dtype=bool)]
    fewest = min(len({whose[i] for i in np.flatnonzero(group)}) for group in groups)
    if fewest < LEAST:
        return found | {"note": f"no limits: {fewest} patients in a group, {LEAST} needed"}
    try:
        limits = bootstrap(
            lambda a, b, y, w: metric(b, y, w) - metric(a, y, w),
            full,
            less,
            truth,
            patients=whose,
            n_resamples=n_resamples,
            level=level,
            seed=seed,
            vectorized=True,
        )
    except StatsError as error:
        return found | {"note": f"no limits: {error}"}
    return found | {"low": limits.low, "high": limits.high}


def _area(scores: FloatArray, truth: FloatArray, weights: FloatArray) -> FloatArray:
    return weighted.auroc(truth > 0.5, scores, weights)
