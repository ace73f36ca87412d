"""Conditions told without a trained head: by which sentences a clip is nearer to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cardiolens.errors import InputError, StatsError
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.search.embedding import require_made_by
from cardiolens.search.index import EmbeddingIndex, Rows, StudyPooling
from cardiolens.search.prompts import Prompts, load_prompts
from cardiolens.search.texts import embed_texts, require_text

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def zero_shot(
    model: DualEncoder,
    index: EmbeddingIndex,
    prompts: Mapping[str, Prompts] | None = None,
    *,
    pooling: StudyPooling = "views",
) -> pd.DataFrame:
    """Scores of every study for every condition; the higher, the more it speaks for it; no probabilities.

    A clip's score is its similarity to the mean vector of the positive sentences minus that to the mean of the
    negative ones (both made of unit length; Radford et al. 2021 on ensembles of prompts).  A study's is the mean over
    the clips of each view, then over its views.

    Args:
        prompts: condition to sentences; those of the package for None.
        pooling: "views", every view of a study weighs alike, or "clips".

    Returns:
        study (key) x condition, the columns named as in labels.csv.

    Raises:
        InputError: an index of another model; CheckpointError: a model without text tower.
    """
    import pandas as pd

    chosen = load_prompts() if prompts is None else prompts
    if not chosen:
        raise InputError("zero-shot: no condition to score")
    require_text(model)
    require_made_by(model, index)
    scores = index.pooled(index.rows.astype(np.float64) @ directions(model, chosen).T, pooling)
    table: pd.DataFrame = pd.DataFrame(scores, index=pd.Index(index.studies, name="key"), columns=list(chosen))
    return table


def directions(model: DualEncoder, prompts: Mapping[str, Prompts]) -> Rows:
    """(condition, 512): mean positive minus mean negative sentence, each of the means of unit length."""
    texts = dict.fromkeys(text for p in prompts.values() for text in (*p.positive, *p.negative))
    rows = dict(zip(texts, embed_texts(model, list(texts)), strict=True))

    def mean(sentences: tuple[str, ...]) -> Rows:
        total: Rows = np.sum([rows[text] for text in sentences], axis=0)
        total /= np.float32(max(float(np.linalg.norm(total)), 1e-12))
        return total

    return np.stack([mean(p.positive) - mean(p.negative) for p in prompts.values()])


def zero_shot_auroc(scores: pd.DataFrame, labels: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """AUROC with DeLong limits per condition, against columns of 0, 1 and empty.

    Returns:
        a row a condition: n, positive, auroc, low, high, and `not_computed` with the reason where there is no AUROC
        (no such column, one class only).

    Raises:
        StatsError: labels for none of the studies, or a label other than 0, 1 and empty.
    """
    import pandas as pd

    from cardiolens.stats import auroc

    if not scores.index.intersection(labels.index).size:
        raise StatsError("the labels name none of the studies scored; both go by the keys of the store")
    rows: list[dict[str, object]] = []
    for name in scores.columns:
        row: dict[str, object] = {"condition": name, "n": 0, "positive": 0}
        rows.append(row)
        if name not in labels.columns:
            row["not_computed"] = "no such column among the labels"
            continue
        truth = pd.to_numeric(labels[name], errors="coerce").reindex(scores.index)
        odd = labels[name].reindex(scores.index).notna() & ~truth.isin([0, 1])
        if odd.any():
            raise StatsError(f"column {name}: a condition is 0, 1 or empty, {scores.index[odd][0]} has another value")
        known = truth.notna()
        row |= {"n": int(known.sum()), "positive": int(truth[known].sum())}
        try:
            found = auroc(truth[known].to_numpy(int), scores.loc[known, name].to_numpy(), level=level)
            row |= {"auroc": found.auc, "low": found.low, "high": found.high}
        except StatsError as error:
            row["not_computed"] = str(error)
    columns = ["condition", "n", "positive", "auroc", "low", "high", "not_computed"]
    table: pd.DataFrame = pd.DataFrame(rows, columns=columns).set_index("condition")
    missing = int(table["auroc"].isna().sum())
    if missing:
        log.info("%d of %d conditions have no AUROC", missing, len(table))
    return table
