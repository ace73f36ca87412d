"""Looking in an index: by words, or by a study."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from cardiolens.errors import InputError
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.search.embedding import require_made_by
from cardiolens.search.index import EmbeddingIndex
from cardiolens.search.texts import embed_texts, require_text
from cardiolens.study import View

if TYPE_CHECKING:
    from cardiolens.search.nearest import NearestIndex

RankBy = Literal["study", "clip"]
CLIPS_SHOWN = 3


@dataclass(frozen=True)
class ClipHit:
    """A clip of a study found: its plane and cosine similarity to the query."""

    view: View
    plane: int
    score: float


@dataclass(frozen=True)
class Hit:
    """A study found; `clips` are its best ones, best first; `score` is a cosine similarity."""

    rank: int
    key: str
    score: float
    clips: tuple[ClipHit, ...]

    def to_dict(self) -> dict[str, Any]:
        out = asdict(self)
        out["clips"] = [{"view": str(c.view), "plane": c.plane, "score": c.score} for c in self.clips]
        return out


class Hits(list[Hit]):
    """Studies found, best first.

    Attributes:
        how: "exact" where every row was compared; "approximate" where a graph proposed candidates, and the scores and
            the order among these are exact.
        recall: share of the ten truly nearest that the graph finds, measured when it was built; None where exact.
    """

    how: Literal["exact", "approximate"] = "exact"
    recall: float | None = None

    def searched(self) -> dict[str, Any]:
        """How it was looked, for JSON."""
        return {"how": self.how, "recall_at_10": self.recall}


def search(
    model: DualEncoder,
    index: EmbeddingIndex,
    query: str,
    top: int = 10,
    *,
    by: RankBy = "study",
    views: Collection[View] | None = None,
    nearest: NearestIndex | None = None,
) -> Hits:
    """Studies whose cines are nearest to a text, with their best clips.

    Args:
        query: a sentence as a report would have it.
        top: studies wanted; fewer come where the index holds fewer.
        by: "study" ranks by the vector of the whole study (mean over views), "clip" by its single best clip.
        views: look at these views only.
        nearest: graphs of this index (`nearest.NearestIndex.open`), for very many clips; None compares every row.

    Raises:
        InputError: an empty query, an index of another model, or none of the views in it.
        CheckpointError: a model without text tower.
    """
    if not query.strip():
        raise InputError("an empty query finds nothing; say what to look for, as a report would")
    require_text(model)
    require_made_by(model, index)
    return by_vector(index, embed_texts(model, [query])[0], top, by=by, views=views, nearest=nearest)


def similar(
    index: EmbeddingIndex,
    key: str,
    top: int = 10,
    *,
    source: EmbeddingIndex | None = None,
    by: RankBy = "study",
    views: Collection[View] | None = None,
    nearest: NearestIndex | None = None,
) -> Hits:
    """Studies nearest to a study, never itself nor another of the same patient.

    Args:
        key: the study asked for, in `source`.
        source: another index by the same model that holds it, such as that of new studies; None for the same index.
        nearest: graphs of `index`, for very many clips; None compares every row.

    Raises:
        InputError: no such study, no study of another patient, or indexes of two models.
    """
    index.require_clips()
    holder = index if source is None else source
    if any(holder.meta.get(name) != index.meta.get(name) for name in ("model_hash", "transform", "space")):
        raise InputError(
            f"the two indexes are of different models ({holder.meta.get('model')}, {index.meta.get('model')}); "
            "embed both stores with one"
        )
    if key not in holder.clips_of:
        example = f", such as {holder.studies[0]}" if holder.studies else ""
        raise InputError(f"the index has no study {key}; it has {len(holder.studies)}{example}")
    asked = _of_views(holder.take(holder.clips_of[key]), views)
    own = holder.patient(key)
    left_out = {*index.studies_of.get(own, ()), *([key] if key in index.clips_of else ())}
    if len(left_out) == len(index.studies):
        raise InputError(f"the index holds no study of another patient than that of {key}; nothing to compare with")
    vector = asked.study_vectors()[1][0]
    return by_vector(index, vector, top, by=by, views=views, nearest=nearest, without=left_out)


def by_vector(
    index: EmbeddingIndex,
    vector: npt.NDArray[np.float32],
    top: int = 10,
    *,
    by: RankBy = "study",
    views: Collection[View] | None = None,
    nearest: NearestIndex | None = None,
    without: Collection[str] = (),
) -> Hits:
    """Studies nearest to a unit vector of the index's own model; `without` some studies.

    The graphs are not asked for studies by chosen views, whose vectors they do not hold: that is exact.

    Raises:
        InputError: none of the views in the index, or top below 1.
    """
    _check(top, by)
    index.require_clips()
    if nearest is not None and not (views is not None and by == "study"):
        candidates = _candidates(index, nearest, vector, top, by, views, set(without))
        if candidates is not None:
            hits = _ranked(_of_views(candidates, views), vector, top, by)
            hits.how, hits.recall = "approximate", nearest.recall["studies" if by == "study" else "clips"]
            return hits
    if without:
        kept = np.ones(len(index), dtype=bool)
        kept[np.concatenate([index.clips_of[key] for key in without])] = False
        index = index.take(kept)
    return _ranked(_of_views(index, views), vector, top, by)


def _candidates(
    index: EmbeddingIndex,
    nearest: NearestIndex,
    vector: npt.NDArray[np.float32],
    top: int,
    by: RankBy,
    views: Collection[View] | None,
    without: set[str],
) -> EmbeddingIndex | None:
    """All clips of the studies that the graphs propose; None where too few, so that all are to be compared."""
    wanted = 4 * top + 40
    limit = len(index.studies) if by == "study" else len(index)
    count = min(limit, wanted + len(without) if by == "study" else 4 * wanted)
    while True:
        if by == "study":
            keys = [index.studies[i] for i in nearest.studies(vector, count)]
        else:
            found = nearest.clips(vector, count)
            keys = [index.keys[i] for i in found if views is None or index.views[i] in views]
        proposed = [key for key in dict.fromkeys(keys) if key not in without]
        if len(proposed) >= top + 10 or (proposed and count == limit):
            break
        if count >= limit // 8:
            return None
        count *= 2
    return index.take(np.sort(np.concatenate([index.clips_of[key] for key in proposed])))


def _of_views(index: EmbeddingIndex, views: Collection[View] | None) -> EmbeddingIndex:
    if views is None:
        return index
    chosen = np.array([view in views for view in index.views], dtype=bool)
    if not chosen.any():
        there = ", ".join(sorted({str(view) for view in index.views}))
        raise InputError(f"the index holds no clip of {', '.join(map(str, views)) or 'no view'}; it has {there}")
    return index.take(chosen)


def _check(top: int, by: RankBy) -> None:
    if top < 1:
        raise InputError(f"top must be at least 1, got {top}")
    if by not in ("study", "clip"):
        raise InputError(f"studies are ranked by 'study' or by 'clip', not {by!r}")


def _ranked(index: EmbeddingIndex, vector: npt.NDArray[np.float32], top: int, by: RankBy) -> Hits:
    of_clip = index.rows @ vector
    if by == "study":
        of_study = index.vectors_of_studies @ vector
    else:
        of_study = np.full(len(index.studies), -np.inf, dtype=np.float32)
        np.maximum.at(of_study, index.study_of, of_clip)
    best = np.argsort(-of_study, kind="stable")[:top]
    hits = Hits()
    for rank, study in enumerate(best, 1):
        clips = index.clips_of[index.studies[study]]
        clips = clips[np.argsort(-of_clip[clips], kind="stable")][:CLIPS_SHOWN]
        found = tuple(ClipHit(index.views[i], index.planes[i], float(of_clip[i])) for i in clips)
        hits.append(Hit(rank, index.studies[study], float(of_study[study]), found))
    return hits
