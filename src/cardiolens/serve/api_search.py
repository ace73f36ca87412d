"""API: studies by words and by likeness, scores of a phrase, the cohort."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cardiolens.errors import InputError
from cardiolens.search import EmbeddingIndex, Hit, Prompts, load_prompts, search, similar, zero_shot
from cardiolens.serve import cohort
from cardiolens.serve.api_studies import Listed, TheDesk, TheKey
from cardiolens.serve.desk import Desk, NotFoundError
from cardiolens.serve.telling import NOT_A_DEVICE
from cardiolens.study import View

router = APIRouter(prefix="/api", tags=["search"])

Top = Annotated[int, Query(ge=1, le=100)]
_MOST_POINTS = 20_000


class Phrase(BaseModel):
    """A finding in words, for a score of every study."""

    phrase: str = Field(min_length=1, max_length=400)
    against: str = Field("", max_length=400, description="what speaks against it; empty for a neutral sentence")


_NEUTRAL = ("Normal cardiac MRI.", "No abnormality is seen.")


@router.get("/search")
def by_words(
    desk: TheDesk,
    q: Annotated[str, Query(max_length=400, description="a finding, as a report would say it")],
    top: Top = 12,
    by: Literal["study", "clip"] = "study",
    view: Annotated[list[View], Query()] = [],  # noqa: B006 - FastAPI copies it
) -> dict[str, Any]:
    """Studies whose cines are nearest to a text."""
    index = _index(desk)
    with desk.engines.lock:
        hits = search(desk.engines.model, index, q, top, by=by, views=view or None)
    return _hits(desk, index, hits)


@router.get("/studies/{folder}/{accession}/similar")
def by_study(key: TheKey, desk: TheDesk, top: Top = 6) -> dict[str, Any]:
    """Studies of other patients whose cines are nearest to those of a study."""
    index = _index(desk)
    return _hits(desk, index, similar(index, key, top))


@router.post("/zeroshot")
def zeroshot(asked: Phrase, desk: TheDesk) -> dict[str, Any]:
    """How much the cines of every study speak for a phrase; a score ranks and is no probability."""
    index = _index(desk)
    negative = (asked.against,) if asked.against.strip() else _NEUTRAL
    with desk.engines.lock:
        table = zero_shot(desk.engines.model, index, {"phrase": Prompts((asked.phrase,), negative)})
    scores = table["phrase"]
    scores = scores[[key in desk.store for key in scores.index]].sort_values(ascending=False)
    counts, edges = np.histogram(scores.to_numpy(float), bins=24)
    return {
        "scores": [{"key": str(key), "score": round(float(score), 5)} for key, score in scores.items()],
        "histogram": {"counts": counts.tolist(), "edges": np.round(edges, 5).tolist()},
        "against": list(negative),
        "disclaimer": NOT_A_DEVICE,
    }


@router.get("/phrases")
def phrases() -> dict[str, Any]:
    """Sentences to begin with, those that the package asks for each of its conditions."""
    return {"phrases": [prompts.positive[0] for prompts in load_prompts().values()]}


@router.get("/cohort/columns")
def cohort_columns(desk: TheDesk) -> dict[str, Any]:
    """What the cohort can be coloured and divided by."""
    return {"columns": cohort.names_of(desk), "index": cohort.index_state(desk), "method": cohort.default_method()}


@router.get("/cohort/map")
def cohort_map(desk: TheDesk, method: Literal["", "umap", "tsne", "pca"] = "") -> dict[str, Any]:
    """Places of the studies on the map, where it is laid out (a job of kind "map" does so)."""
    found = cohort.kept_places(desk, method)
    if found is None:
        return {"there": False, "method": method or cohort.default_method(), "index": cohort.index_state(desk)}
    places = [(key, at) for key, at in zip(found["keys"], found["places"], strict=True) if key in desk.store]
    chosen = places[:: max(1, -(-len(places) // _MOST_POINTS))]
    return {
        "there": True,
        "method": found["method"],
        "method_words": found["method_words"],
        "keys": [key for key, _ in chosen],
        "places": [at for _, at in chosen],
        "studies": len(places),
    }


class Columns(BaseModel):
    """A column of some studies."""

    name: str = Field(max_length=120)
    keys: list[str] = Field([], max_length=200_000, description="studies; none for all of the store")


@router.post("/cohort/column")
def cohort_column(asked: Columns, desk: TheDesk) -> dict[str, Any]:
    """A column, a value a study, with its distribution."""
    absent = sum(key not in desk.store for key in asked.keys)
    if absent:
        raise NotFoundError(f"{absent} of these studies are not in the store")
    return {**cohort.column(desk, asked.name, asked.keys or desk.catalogue.keys), "disclaimer": NOT_A_DEVICE}


@router.get("/cohort/subgroups")
def cohort_subgroups(
    desk: TheDesk, by: Annotated[str, Query(max_length=120)], asked: Annotated[Listed, Query()]
) -> dict[str, Any]:
    """A row a subgroup: LVEF as labelled and as predicted, and how far apart."""
    return {**cohort.subgroups(desk, by, desk.catalogue.select(asked.query())), "disclaimer": NOT_A_DEVICE}


def _index(desk: Desk) -> EmbeddingIndex:
    """The index without studies that are no longer in the store."""
    index = cohort.index_of(desk)
    there = [key for key in index.studies if key in desk.store]
    if not there:
        raise InputError("none of the embedded studies is in the store any more; make the index again")
    return index if len(there) == len(index.studies) else index.select(there)


def _hits(desk: Desk, index: EmbeddingIndex, hits: list[Hit]) -> dict[str, Any]:
    rows = [{**hit.to_dict(), **{"study": desk.catalogue.row(hit.key)}} for hit in hits]
    return {"hits": rows, "searched": len(index.studies), "disclaimer": NOT_A_DEVICE}
