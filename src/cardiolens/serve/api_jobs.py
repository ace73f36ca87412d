"""API: long work, and uploads."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, Field

from cardiolens.errors import InputError
from cardiolens.serve.api_studies import TheDesk
from cardiolens.serve.desk import NotFoundError
from cardiolens.serve.jobs import Job
from cardiolens.serve.uploads import receive

_NAMED = 20  # studies of a job that an answer names
_BINARY = {"type": "string", "format": "binary"}

router = APIRouter(prefix="/api", tags=["jobs"])


class Work(BaseModel):
    """What is to be done."""

    kind: Literal["predict", "segment", "embed", "map"]
    keys: list[str] = Field([], max_length=200_000, description="predict, segment: studies")
    method: Literal["", "umap", "tsne", "pca"] = Field("", description="map: how; empty for the best installed")


@router.post("/jobs", status_code=202)
def add(asked: Work, desk: TheDesk) -> dict[str, Any]:
    """Ask for long work; it is done one after the other."""
    if asked.kind in ("predict", "segment"):
        if not asked.keys:
            raise InputError("say which studies: keys")
        absent = [key for key in asked.keys if key not in desk.store]
        if absent:
            raise NotFoundError(f"{len(absent)} of these studies are not in the store")
        if asked.kind == "segment" and desk.engines.segmenter is None:
            raise InputError(desk.engines.no_segmenter)
        return _told(desk.jobs.add(asked.kind, {"keys": asked.keys}))
    return _told(desk.jobs.add(asked.kind, {"method": asked.method} if asked.kind == "map" else {}))


@router.get("/jobs")
def all_jobs(desk: TheDesk, count: Annotated[int, Query(ge=1, le=200)] = 30) -> dict[str, Any]:
    """Jobs, newest first."""
    jobs = desk.jobs.all()
    running = sum(job.state in ("queued", "running") for job in jobs)
    return {"jobs": [_told(job) for job in jobs[:count]], "open": running}


@router.get("/jobs/{name}")
def job(name: str, desk: TheDesk) -> dict[str, Any]:
    """How a job stands: queued, running, done, failed or stopped."""
    found = desk.jobs.get(name)
    if found is None:
        raise NotFoundError("there is no such job")
    return _told(found)


@router.delete("/jobs/{name}")
def stop(name: str, desk: TheDesk) -> dict[str, Any]:
    """Stop a job; what it has done stays."""
    found = desk.jobs.stop(name)
    if found.kind == "upload" and found.state == "stopped":  # it never begins, so nothing else would delete it
        (desk.settings.work / "uploads" / str(found.asked["file"])).unlink(missing_ok=True)
    return _told(found)


@router.post(
    "/uploads",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": {"application/zip": {"schema": _BINARY}}}},
)
async def upload(
    request: Request,
    desk: TheDesk,
    content_type: Annotated[str, Header()] = "",
    content_length: Annotated[int | None, Header()] = None,
) -> dict[str, Any]:
    """Bring in a study: a zip of DICOM files as the body of the request; it becomes a job.

    Identifiers are replaced by pseudonyms before anything is stored, and the archive is deleted afterwards.
    """
    if not desk.settings.uploads:
        raise InputError("this server takes no uploads; it was started with --no-upload")
    folder = desk.settings.work / "uploads"
    path = await receive(request.stream(), content_type, content_length, folder, desk.settings.limits)
    return _told(desk.jobs.add("upload", {"file": path.name}))


def _told(found: Job) -> dict[str, Any]:
    """A job for people: how many studies, and the first names; a page asks for this every few seconds."""
    asked = {name: value for name, value in found.asked.items() if name != "file"}
    return {**vars(found), "asked": _first(asked), "result": _first(found.result)}


def _first(facts: Mapping[str, Any]) -> dict[str, Any]:
    """`keys` and `failed` cut to the first twenty, with `studies` and `failures` saying how many there are."""
    out = dict(facts)
    if "keys" in facts:
        out |= {"studies": len(facts["keys"]), "keys": list(facts["keys"][:_NAMED])}
    if "failed" in facts:
        out |= {"failures": len(facts["failed"]), "failed": dict(islice(facts["failed"].items(), _NAMED))}
    return out
