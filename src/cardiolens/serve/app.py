"""The ASGI application: pages, API, errors in words, the guard around it all."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cardiolens._version import __version__
from cardiolens.addresses import is_loopback
from cardiolens.errors import CardiolensError, CheckpointError, InputError
from cardiolens.serve import api_jobs, api_reading, api_search, api_studies, pages
from cardiolens.serve.desk import Desk, NotFoundError, ReplacedError
from cardiolens.serve.engines import Engines
from cardiolens.serve.export import NoBrowserError
from cardiolens.serve.guard import Guard, Sessions
from cardiolens.serve.settings import Settings
from cardiolens.serve.uploads import TooLargeError, WrongTypeError
from cardiolens.store.atomic import DiskError

log = logging.getLogger(__name__)

_ABOUT = """The studies of a store over HTTP, as the pages use it.

Research use only, not a medical device.  A key of a study is `FOLDER/ACCESSION`, as in the store.  Planes and phases
count from 0.  Every error is `{"error": "words"}`.  Long work is a job: ask for it with `POST /api/jobs`, and look at
`GET /api/jobs/ID` until its state is `done`, `failed` or `stopped`.
"""
_STATUS: tuple[tuple[type[CardiolensError], int], ...] = (
    (NotFoundError, 404),
    (ReplacedError, 409),
    (TooLargeError, 413),
    (WrongTypeError, 415),
    (NoBrowserError, 501),
    (DiskError, 507),
    (CheckpointError, 503),
    (InputError, 422),
)
_SHORTEST_TOKEN = 16


def build(settings: Settings, engines: Engines | None = None) -> FastAPI:
    """See `cardiolens.serve.make_app`."""
    if settings.token is None and not is_loopback(settings.host):
        raise InputError(f"{settings.host} can be reached from other machines, which needs a token")
    if settings.token is not None and len(settings.token) < _SHORTEST_TOKEN:
        raise InputError(f"a token needs {_SHORTEST_TOKEN} characters or more, so that it cannot be guessed")
    desk = Desk(settings, engines)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        desk.start()
        try:
            yield
        finally:
            desk.close()

    app = FastAPI(
        title="cardiolens",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=life,
    )
    sessions = Sessions(settings.token)
    app.state.desk, app.state.sessions = desk, sessions
    for module in (api_studies, api_reading, api_search, api_jobs, pages):
        app.include_router(module.router)
    pages.mount_static(app)
    app.add_exception_handler(CardiolensError, _told)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _fault)
    app.add_middleware(Guard, settings=settings, sessions=sessions)
    return app


async def _told(request: Request, error: Exception) -> JSONResponse:
    """An error that a person can mend."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 400)
    return JSONResponse({"error": str(error)}, status)


async def _plain(request: Request, error: Exception) -> JSONResponse:
    found: Any = error
    words = {404: "there is no such page", 405: "this cannot be done here"}.get(found.status_code, str(found.detail))
    return JSONResponse({"error": words}, found.status_code, headers=getattr(found, "headers", None))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """What was sent does not fit; names the field, never repeats the value."""
    found: Any = error
    words = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in found.errors()[:5])
    return JSONResponse({"error": f"not understood: {words}"}, 422)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    log.error("fault", exc_info=error)
    return JSONResponse({"error": "a fault of the program; the server's log says which"}, 500)
