"""The pages: files that the browser fills from the API, and the page that asks for the token."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.params import Form
from fastapi.responses import FileResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from cardiolens.serve.guard import COOKIE, SESSION_SECONDS, Sessions, address_of, cookie_of

router = APIRouter(include_in_schema=False)

_STATIC = Path(str(resources.files("cardiolens.serve"))) / "static"


def mount_static(app: FastAPI) -> None:
    """Serve style, scripts and the icon."""
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")


def _page(name: str) -> FileResponse:
    return FileResponse(_STATIC / f"{name}.html", media_type="text/html")


@router.get("/")
def worklist() -> Response:
    """The work-list."""
    return _page("worklist")


@router.get("/study/{folder}/{accession}")
def study(folder: str, accession: str) -> Response:
    """A study; the page asks the API whether it is there."""
    return _page("study")


@router.get("/search")
def search() -> Response:
    """Search by words."""
    return _page("search")


@router.get("/cohort")
def cohort() -> Response:
    """The cohort."""
    return _page("cohort")


@router.get("/upload")
def upload() -> Response:
    """Upload of a study."""
    return _page("upload")


@router.get("/jobs")
def jobs() -> Response:
    """Long work."""
    return _page("jobs")


@router.get("/docs")
def docs() -> Response:
    """The API, told from its own description."""
    return _page("docs")


@router.get("/favicon.ico")
def icon() -> Response:
    """The icon."""
    return FileResponse(_STATIC / "icon.svg", media_type="image/svg+xml")


@router.get("/login")
def login(request: Request) -> Response:
    """The page that asks for the token."""
    sessions: Sessions = request.app.state.sessions
    return _page("login") if sessions.needed else RedirectResponse("/", 303)


@router.post("/login")
def let_in(
    request: Request,
    token: Annotated[str, Form(max_length=512)] = "",
    next: Annotated[str, Form(max_length=1024)] = "/",
) -> Response:
    """A session for the right token."""
    sessions: Sessions = request.app.state.sessions
    whose = address_of(request.client)
    if sessions.too_many(whose):
        return RedirectResponse(f"/login?wait=1&next={quote(_own(next))}", 303)
    if not sessions.right(token.strip()):
        sessions.failed(whose)
        return RedirectResponse(f"/login?wrong=1&next={quote(_own(next))}", 303)
    answer = RedirectResponse(_own(next), 303)
    secure = request.app.state.desk.settings.secure
    answer.set_cookie(
        COOKIE, sessions.start(), max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=secure, path="/"
    )
    return answer


@router.post("/logout")
def logout(request: Request) -> Response:
    """End the session."""
    sessions: Sessions = request.app.state.sessions
    session = cookie_of(request.headers.get("cookie", ""))
    if session:
        sessions.end(session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path="/")
    return answer


def _own(path: str) -> str:
    """A path of this server; anything else becomes the first page."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and not any(ord(c) < 33 for c in path)
    return path if plain else "/"
