"""Looking in an index: by words, or by a study."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cardiolens.errors import InputError
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.search.embedding import require_made_by
from cardiolens.search.index import EmbeddingIndex
from cardiolens.search.texts import embed_texts, require_text
from cardiolens.study import View

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


def search(
    model: DualEncoder,
    index: EmbeddingIndex,
    query: str,
    top: int = 10,
    *,
    by: RankBy = "study",
    views: Collection[View] | None = None,
) -> list[Hit]:
    """Studies whose cines are nearest to a text, with their best clips.

    Args:
        query: a sentence as a report would have it.
        top: studies wanted; fewer come where the index holds fewer.
        by: "study" ranks by the vector of the whole study (mean over views), "clip" by its single best clip.
        views: look at these views only.

    Raises:
        InputError: an empty query, an index of another model, or none of the views in it.
        CheckpointError: a model without text tower.
    """
    if not query.strip():
        raise InputError("an empty query finds nothing; say what to look for, as a report would")
    require_text(model)
    require_made_by(model, index)
    looked_in = _of_views(index, views)
    return _ranked(looked_in, embed_texts(model, [query])[0], top, by)


def similar(
    index: EmbeddingIndex,
    key: str,
    top: int = 10,
    *,
    source: EmbeddingIndex | None = None,
    by: RankBy = "study",
    views: Collection[View] | None = None,
) -> list[Hit]:
    """Studies nearest to a study, never itself nor another of the same patient.

    Args:
        key: the study asked for, in `source`.
        source: another index by the same model that holds it, such as that of new studies; None for the same index.

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
    asked = _of_views(holder.select([key]), views)
    vector = asked.study_vectors()[1][0]
    own = holder.patient(key)
    others = np.array([index.patient(k) != own and k != key for k in index.keys], dtype=bool)
    if not others.any():
        raise InputError(f"the index holds no study of another patient than that of {key}; nothing to compare with")
    return _ranked(_of_views(index.take(others), views), vector, top, by)


def _of_views(index: EmbeddingIndex, views: Collection[View] | None) -> EmbeddingIndex:
    if views is None:
        return index
    chosen = np.array([view in views for view in index.views], dtype=bool)
    if not chosen.any():
        there = ", ".join(sorted({str(view) for view in index.views}))
        raise InputError(f"the index holds no clip of {', '.join(map(str, views)) or 'no view'}; it has {there}")
    return index.take(chosen)


def _ranked(index: EmbeddingIndex, vector: npt.NDArray[np.float32], top: int, by: RankBy) -> list[Hit]:
    if top < 1:
        raise InputError(f"top must be at least 1, got {top}")
    if by not in ("study", "clip"):
        raise InputError(f"studies are ranked by 'study' or by 'clip', not {by!r}")
    of_clip = index.rows @ vector
    if by == "study":
        of_study = index.study_vectors()[1] @ vector
    else:
        of_study = np.full(len(index.studies), -np.inf, dtype=np.float32)
        np.maximum.at(of_study, index.study_of, of_clip)
    best = np.argsort(-of_study, kind="stable")[:top]
    hits = []
    for rank, study in enumerate(best, 1):
        clips = index.clips_of[index.studies[study]]
        clips = clips[np.argsort(-of_clip[clips], kind="stable")][:CLIPS_SHOWN]
        found = tuple(ClipHit(index.views[i], index.planes[i], float(of_clip[i])) for i in clips)
        hits.append(Hit(rank, index.studies[study], float(of_study[study]), found))
    return hits
