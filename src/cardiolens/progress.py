"""A bar over long work, on the error stream, so that what is printed can be piped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Sequence[Item], title: str) -> Iterable[Item]:
    """The items, one after the other; with a bar where the error stream is a terminal."""
    from rich.console import Console
    from rich.progress import track as tracked

    quiet = not sys.stderr.isatty()
    return tracked(items, title, console=Console(stderr=True), transient=True, disable=quiet)
