"""Embeddings at work: an index of clips, zero-shot scores, study-report retrieval, text to cine, maps.

>>> from cardiolens.search import embed_store, search, zero_shot
>>> index = embed_store(model, store)                                        # doctest: +SKIP
>>> search(model, index, "severely dilated left ventricle", top=5)           # doctest: +SKIP
>>> zero_shot(model, index)                                                  # doctest: +SKIP
"""

from cardiolens.search.embedding import embed_store, require_made_by
from cardiolens.search.index import EmbeddingIndex
from cardiolens.search.maps import neighbour_share, project, view_mixing
from cardiolens.search.nearest import NearestIndex, update_nearest
from cardiolens.search.prompts import Prompts, load_prompts
from cardiolens.search.queries import ClipHit, Hit, Hits, by_vector, search, similar
from cardiolens.search.ranks import Direction, Retrieval, retrieval, retrieve_reports
from cardiolens.search.texts import ReportVectors, embed_reports
from cardiolens.search.zeroshot import zero_shot, zero_shot_auroc

__all__ = [
    "ClipHit",
    "Direction",
    "EmbeddingIndex",
    "Hit",
    "Hits",
    "NearestIndex",
    "Prompts",
    "ReportVectors",
    "Retrieval",
    "by_vector",
    "embed_reports",
    "embed_store",
    "load_prompts",
    "neighbour_share",
    "project",
    "require_made_by",
    "retrieval",
    "retrieve_reports",
    "search",
    "similar",
    "update_nearest",
    "view_mixing",
    "zero_shot",
    "zero_shot_auroc",
]
