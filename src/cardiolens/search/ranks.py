"""Study <-> report retrieval: how high the right one stands among all.

A tie counts against the model: the right one is placed behind every other of the same similarity, so that equal vectors
for everything earn nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from cardiolens.errors import InputError
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.search.embedding import require_made_by
from cardiolens.search.index import EmbeddingIndex, Progress
from cardiolens.search.texts import SENTENCES, ReportVectors, embed_reports, require_text
from cardiolens.stats import Proportion, proportion
from cardiolens.store import StudyStore

AT = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class Direction:
    """One direction of retrieval.

    Attributes:
        recall: k to the share of queries whose own counterpart is among the first k, with Wilson limits.
        median_rank: 1 is best; with limits from the order of the ranks (exact binomial, 95 % or `level`).
        ranks: (query,) in the order given.
    """

    recall: Mapping[int, Proportion]
    median_rank: float
    median_low: float
    median_high: float
    ranks: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Both directions among `n` pairs.

    Attributes:
        chance: k to the recall that a random order gives; chance_median: its median rank.
        tied: pairs whose counterpart shares its similarity with another, in either direction.
    """

    n: int
    study_to_report: Direction
    report_to_study: Direction
    chance: Mapping[int, float]
    chance_median: float
    tied: int
    level: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON; the ranks of the single queries are left out."""
        out: dict[str, Any] = {"n": self.n, "level": self.level, "tied": self.tied}
        for name, found in (("study_to_report", self.study_to_report), ("report_to_study", self.report_to_study)):
            recall = {str(k): {"value": p.value, "low": p.low, "high": p.high} for k, p in found.recall.items()}
            median = {"value": found.median_rank, "low": found.median_low, "high": found.median_high}
            out[name] = {"recall": recall, "median_rank": median}
        out["chance"] = {"recall": {str(k): v for k, v in self.chance.items()}, "median_rank": self.chance_median}
        return out


def retrieval(video: npt.ArrayLike, text: npt.ArrayLike, *, at: Sequence[int] = AT, level: float = 0.95) -> Retrieval:
    """Rank every report for every study, and every study for every report.

    Args:
        video, text: (n, width) of unit length; row i of one belongs to row i of the other.

    Raises:
        InputError: shapes that do not match, NaN, or fewer than two pairs.
    """
    studies, reports = (np.asarray(rows, dtype=np.float64) for rows in (video, text))
    if studies.ndim != 2 or studies.shape != reports.shape:
        raise InputError(f"retrieval needs a report for each study, row by row: got {studies.shape}, {reports.shape}")
    n = len(studies)
    if n < 2:
        raise InputError(f"retrieval needs two or more studies with a report, got {n}")
    if not (np.isfinite(studies).all() and np.isfinite(reports).all()):
        raise InputError("retrieval: the vectors hold NaN")
    forward, backward = _ranks(studies, reports), _ranks(reports, studies)
    return Retrieval(
        n,
        _direction(forward[0], at, level),
        _direction(backward[0], at, level),
        {k: min(k, n) / n for k in at},
        (n + 1) / 2,
        int((forward[1] | backward[1]).sum()),
        level,
    )


def retrieve_reports(
    model: DualEncoder,
    index: EmbeddingIndex,
    store: StudyStore,
    *,
    sentences: int = SENTENCES,
    level: float = 0.95,
    progress: Progress | None = None,
) -> tuple[Retrieval, ReportVectors]:
    """The studies of an index against their own reports; those without one stand in `ReportVectors.without`.

    Raises:
        InputError: an index of another model, studies that the store does not hold, or fewer than two reports.
    """
    require_text(model)
    require_made_by(model, index)
    absent = [key for key in index.studies if key not in store]
    if absent:
        raise InputError(f"{len(absent)} studies of the index are not in {store.path}, first {absent[0]}")
    reports = embed_reports(model, store, index.studies, sentences=sentences, progress=progress)
    keys, vectors = index.study_vectors()
    places = {key: i for i, key in enumerate(keys)}
    return retrieval(vectors[[places[key] for key in reports.keys]], reports.rows, level=level), reports


def _ranks(
    queries: npt.NDArray[np.float64], among: npt.NDArray[np.float64], block: int = 1024
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(query,) rank of its own counterpart, and whether another is as similar."""
    ranks = np.empty(len(queries), dtype=np.int64)
    tied = np.empty(len(queries), dtype=bool)
    for start in range(0, len(queries), block):
        similarity = queries[start : start + block] @ among.T
        own = similarity[np.arange(len(similarity)), start + np.arange(len(similarity))][:, None]
        near = np.abs(similarity - own) <= 1e-9  # rounding of the product breaks true ties
        ranks[start : start + block] = ((similarity > own) | near).sum(1)
        tied[start : start + block] = near.sum(1) > 1
    return ranks, tied


def _direction(ranks: npt.NDArray[np.int64], at: Sequence[int], level: float) -> Direction:
    n, ordered = len(ranks), np.sort(ranks)
    low = int(binom.ppf((1 - level) / 2, n, 0.5))
    return Direction(
        {k: proportion(int((ranks <= k).sum()), n, level=level) for k in at},
        float(np.median(ranks)),
        float(ordered[max(low - 1, 0)]),
        float(ordered[min(n - low, n - 1)]),
        ranks,
    )
