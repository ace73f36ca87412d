"""The application: one process that serves pages and an API over a store.  Needs the extra `cardiolens[serve]`.

>>> from cardiolens.serve import Settings, make_app
>>> app = make_app(Settings(Path("cohort")))                         # doctest: +SKIP
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from cardiolens.errors import InputError
from cardiolens.serve.settings import Settings, UploadLimits

if TYPE_CHECKING:
    from fastapi import FastAPI

    from cardiolens.serve.engines import Engines

__all__ = ["Settings", "UploadLimits", "make_app", "require_serve"]

_NEEDED = ("fastapi", "uvicorn", "python_multipart")


def require_serve() -> None:
    """`InputError` where the packages of the extra are not installed."""
    absent = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise InputError(f"the application needs {' and '.join(absent)}: pip install 'cardiolens[serve]'")


def make_app(settings: Settings, engines: Engines | None = None) -> FastAPI:
    """The ASGI application.

    Args:
        engines: the models; None loads those that the settings name.

    Raises:
        InputError: the extra is not installed, or no token for an address beyond loopback.
        StoreError: no store there, or the folder of work cannot be written.
        CheckpointError: a model that is missing or damaged.
    """
    require_serve()
    from cardiolens.serve.app import build

    app: Any = build(settings, engines)
    return app  # type: ignore[no-any-return]
