"""API: the work-list, a study, its pixels."""

from __future__ import annotations

import gzip
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from cardiolens._version import __version__
from cardiolens.errors import InputError
from cardiolens.serve import catalogue, cohort
from cardiolens.serve.desk import Desk
from cardiolens.serve.overlay import attention_told
from cardiolens.serve.telling import NOT_A_DEVICE, study_told
from cardiolens.study import View

router = APIRouter(prefix="/api", tags=["studies"])


def desk_of(request: Request) -> Desk:
    """What the server holds."""
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]


def key_of(folder: str, accession: str, desk: TheDesk) -> str:
    """The key of a study that is there."""
    return desk.key(folder, accession)


TheKey = Annotated[str, Depends(key_of)]


class Listed(BaseModel):
    """What is looked for in the work-list; all that is given must hold."""

    words: str = Field("", max_length=400, description="each word must occur in the key, the site or the conditions")
    label: list[str] = Field([], description="COLUMN:VALUE, repeatable; several values of a column are alternatives")
    between: list[str] = Field([], description="COLUMN:LOW:HIGH, either may be empty; predicted_lvef is a column too")
    view: list[View] = Field([], description="views that must be there")
    report: bool | None = None
    predicted: bool | None = None
    drawn: bool | None = None
    flagged: bool | None = None
    sort: str = "key"
    descending: bool = False

    def query(self) -> catalogue.Query:
        """As the catalogue takes it; `InputError` for a filter of another form."""
        values: dict[str, list[str]] = {}
        for text in self.label:
            name, colon, value = text.partition(":")
            if not colon:
                raise InputError("a label filter is COLUMN:VALUE")
            values.setdefault(name, []).append(value)
        return catalogue.Query(
            self.words,
            tuple((name, tuple(several)) for name, several in values.items()),
            tuple(map(_range, self.between)),
            tuple(view.value for view in self.view),
            self.report,
            self.predicted,
            self.drawn,
            self.flagged,
            self.sort,
            self.descending,
        )


def _range(text: str) -> tuple[str, float | None, float | None]:
    try:
        name, low, high = text.rsplit(":", 2)
        return name, float(low) if low else None, float(high) if high else None
    except ValueError:
        raise InputError("a range is COLUMN:LOW:HIGH with numbers, as in lvef:35:50") from None


@router.get("/about")
def about(desk: TheDesk) -> dict[str, Any]:
    """Version, models, what this server can do."""
    segmenter = getattr(desk.engines.segmenter, "card", None)
    return {
        "version": __version__,
        "disclaimer": NOT_A_DEVICE,
        "store": desk.store.path.name,
        "studies": len(desk.catalogue.keys),
        "looked_at": desk.catalogue.known,
        "trouble": desk.catalogue.trouble,
        "model": {"name": desk.engines.card.full_name, "sha256": desk.engines.reads, "notes": desk.engines.card.notes},
        "segmenter": None if segmenter is None else {"name": segmenter.full_name, "sha256": segmenter.sha256},
        "no_segmenter": desk.engines.no_segmenter,
        "uploads": desk.settings.uploads,
        "upload_bytes": desk.settings.limits.bytes,
        "token": desk.settings.token is not None,
        "index": cohort.index_state(desk),
    }


@router.get("/studies")
def studies(
    desk: TheDesk,
    asked: Annotated[Listed, Query()],
    start: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=catalogue.MOST_ROWS)] = 25,
) -> dict[str, Any]:
    """One page of the work-list."""
    desk.catalogue.refresh(at_once=False)
    rows, total = desk.catalogue.page(asked.query(), start, count)
    there = len(desk.catalogue.keys)
    if desk.catalogue.known < there:
        desk.scan()
    return {"rows": rows, "total": total, "start": start, "studies": there, "looked_at": desk.catalogue.known}


@router.get("/keys")
def keys(desk: TheDesk, asked: Annotated[Listed, Query()]) -> dict[str, Any]:
    """The keys of all studies that fit."""
    return {"keys": desk.catalogue.select(asked.query())}


@router.get("/columns")
def columns(desk: TheDesk) -> dict[str, Any]:
    """Label columns that can be filtered by."""
    return {"columns": desk.catalogue.columns()}


@router.get("/studies/{folder}/{accession}")
def study(key: TheKey, desk: TheDesk) -> dict[str, Any]:
    """A study: cines, report, labels; no pixels and no results."""
    return study_told(desk, key)


@router.get(
    "/studies/{folder}/{accession}/frames/{view}/{plane}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def frames(key: TheKey, view: View, plane: int, desk: TheDesk, request: Request) -> Response:
    """The frames of a plane: bytes (time, row, col).

    `X-Scale: LOW HIGH` gives the grey values of 0 and 255, `X-Window: LOW HIGH` a range that shows the heart well.
    """
    desk.cine_shape(key, view.value)
    content = desk.content(key)
    values, scale = desk.frames.plane(key, content, view.value, plane)
    more = {
        "X-Shape": " ".join(map(str, values.shape)),
        "X-Scale": f"{scale.low:.6g} {scale.high:.6g}",
        "X-Window": f"{scale.window[0]:.6g} {scale.window[1]:.6g}",
    }
    return packed(values.tobytes(), request, f"{content[:24]}-{view.value}-{plane}", more)


@router.get(
    "/studies/{folder}/{accession}/loop/{view}/{plane}",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}},
)
def loop(
    key: TheKey,
    view: View,
    plane: int,
    desk: TheDesk,
    request: Request,
    side: Annotated[int, Query(ge=32, le=256)] = 96,
) -> Response:
    """A small loop: phases side by side in one picture; `X-Frames` says how many."""
    shape = desk.cine_shape(key, view.value)
    plane = shape[0] // 2 if plane < 0 else plane
    tag = f'"{desk.content(key)[:24]}-{view.value}-{plane}-{side}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache"})
    made = desk.frames.loop(key, view.value, plane, side)
    headers = {"X-Frames": str(made.frames), "ETag": tag, "Cache-Control": "private, no-cache"}
    return Response(made.content, media_type="image/webp", headers=headers)


@router.get("/studies/{folder}/{accession}/attention/{view}/{plane}")
def attention(key: TheKey, view: View, plane: int, desk: TheDesk) -> dict[str, Any]:
    """Where the video model looked on a plane: attention rollout on its coarse grid."""
    desk.cine_shape(key, view.value)
    return attention_told(desk, key, view.value, plane)


def packed(content: bytes, request: Request, tag: str, more: dict[str, str]) -> Response:
    """Bytes, compressed where the client takes it, with a tag by which they need not be sent twice."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding", **more}
    if request.headers.get("if-none-match") == f'"{tag}"':
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type="application/octet-stream", headers=headers)
