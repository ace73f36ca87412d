"""API: what is known of a study, changes by people, the report and the numbers."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel, Field

from cardiolens.html.parts import page_parts
from cardiolens.serve.api_studies import Listed, TheDesk, TheKey, packed
from cardiolens.serve.changes import told
from cardiolens.serve.desk import Desk, NotFoundError
from cardiolens.serve.export import numbers_csv, to_pdf
from cardiolens.serve.telling import reading_told, report_made
from cardiolens.study import View

router = APIRouter(prefix="/api", tags=["readings"])

_SEEN = Field("", max_length=64, description="`content` of the study as it was looked at; refused where it is another")
Line = Annotated[list[tuple[float, float]], Field(max_length=20_000)]


class PhaseChange(BaseModel):
    """End-diastole or end-systole moved; None for the phase gives back the one found."""

    which: Literal["ed", "es"]
    phase: int | None = Field(None, ge=0)
    reader: str = Field("", max_length=64, description="who changes it")
    content: str = _SEEN


class ContourChange(BaseModel):
    """One structure on one plane at one phase."""

    view: View
    plane: int = Field(ge=0)
    phase: int = Field(ge=0)
    structure: str = Field(max_length=40)
    how: Literal["line", "brush", "erase", "move", "clear", "copy", "model"]
    lines: list[Line] = Field([], max_length=50, description="line: closed lines of (column, row)")
    points: Line = Field([], description="brush, erase: the stroke, (column, row)")
    radius: float = Field(3.0, gt=0, le=200, description="brush, erase: pixels")
    pixels: int = Field(1, ge=-10, le=10, description="move: outwards, negative for inwards")
    source: int = Field(0, ge=0, description="copy: phase to copy from")
    reader: str = Field("", max_length=64, description="who changes it")
    content: str = _SEEN

    def edit(self) -> dict[str, Any]:
        """As the desk takes it."""
        fields = {"lines": self.lines, "points": self.points, "radius": self.radius, "pixels": self.pixels}
        return {"how": self.how, **fields, "phase": self.source}


class Undo(BaseModel):
    """Take back the last change that stands."""

    reader: str = Field("", max_length=64)
    content: str = _SEEN


@router.get("/studies/{folder}/{accession}/reading")
def reading(key: TheKey, desk: TheDesk) -> dict[str, Any]:
    """What is known of a study now: LVEF of each method, conditions, attention, contours, changes."""
    return _now(desk, key)


@router.get(
    "/studies/{folder}/{accession}/labels/{view}/{plane}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def labels(key: TheKey, view: View, plane: int, desk: TheDesk, request: Request) -> Response:
    """The contours of a plane as labels: bytes (time, row, col); 1 LV cavity, 2 LV myocardium, 3 RV, 4 LA, 5 RA."""
    found = desk.labels(key, view.value)
    if not 0 <= plane < len(found):
        raise NotFoundError(f"{view.value} has planes 1 to {len(found)}, not {plane + 1}")
    content = found[plane].tobytes()
    return packed(content, request, hashlib.sha256(content).hexdigest()[:24], {"X-Plane": str(plane)})


@router.get("/studies/{folder}/{accession}/changes")
def changes(key: TheKey, desk: TheDesk) -> dict[str, Any]:
    """Every change of a study, oldest first, and the ids of those that stand."""
    edited = desk.edited(key)
    return {"changes": [told(line) for line in edited.history], "live": [line["id"] for line in edited.live]}


@router.post("/studies/{folder}/{accession}/changes/phase")
def change_phase(key: TheKey, asked: PhaseChange, desk: TheDesk) -> dict[str, Any]:
    """Move end-diastole or end-systole; everything is measured anew and the change is recorded."""
    desk.set_phase(key, asked.which, asked.phase, asked.reader, seen=asked.content)
    return _now(desk, key)


@router.post("/studies/{folder}/{accession}/changes/contour")
def change_contour(key: TheKey, asked: ContourChange, desk: TheDesk) -> dict[str, Any]:
    """Change a contour; everything is measured anew and the change is recorded."""
    at = (asked.view.value, asked.plane, asked.phase)
    desk.set_contour(key, at, asked.structure, asked.edit(), asked.reader, seen=asked.content)
    return _now(desk, key)


@router.post("/studies/{folder}/{accession}/changes/undo")
def undo(key: TheKey, asked: Undo, desk: TheDesk) -> dict[str, Any]:
    """Take back the last change that stands."""
    desk.undo(key, asked.reader, seen=asked.content)
    return _now(desk, key)


@router.get("/studies/{folder}/{accession}/report.html", response_class=HTMLResponse)
def report_html(key: TheKey, desk: TheDesk, save: bool = False) -> Response:
    """The report as one page that opens anywhere."""
    parts = page_parts()
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        f"style-src '{parts['css_hash']}'; script-src '{parts['js_hash']}'"
    )
    headers = {"Content-Security-Policy": policy}
    if save:
        headers["Content-Disposition"] = _attachment(key, "html")
    return HTMLResponse(report_made(desk, key, desk.store.read(key), desk.reading(key)), headers=headers)


@router.get(
    "/studies/{folder}/{accession}/report.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
def report_pdf(key: TheKey, desk: TheDesk) -> Response:
    """The report as PDF, where the server has a Chromium; 501 says so where it has none."""
    content = to_pdf(report_made(desk, key, desk.store.read(key), desk.reading(key)))
    return Response(content, media_type="application/pdf", headers={"Content-Disposition": _attachment(key, "pdf")})


@router.get(
    "/studies/{folder}/{accession}/numbers.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
)
def numbers(key: TheKey, desk: TheDesk) -> Response:
    """Every figure of a study as a table of one row."""
    content = b"".join(numbers_csv(desk, [key]))
    return Response(content, media_type="text/csv", headers={"Content-Disposition": _attachment(key, "csv")})


@router.get("/numbers.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
def all_numbers(desk: TheDesk, asked: Annotated[Listed, Query()]) -> Response:
    """Every figure of the studies that fit, a row a study."""
    keys = desk.catalogue.select(asked.query())
    headers = {"Content-Disposition": 'attachment; filename="cardiolens.csv"'}
    return StreamingResponse(numbers_csv(desk, keys), media_type="text/csv", headers=headers)


def _now(desk: Desk, key: str) -> dict[str, Any]:
    return reading_told(desk, key, desk.reading(key))


def _attachment(key: str, ending: str) -> str:
    """Content-Disposition with the key as name, whatever characters it has (RFC 6266)."""
    return f"attachment; filename*=UTF-8''{quote(key.replace('/', '__'), safe='')}.{ending}"
