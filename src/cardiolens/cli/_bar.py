"""A bar for work that is counted, on the error stream, so that what is printed can be piped."""

import sys
from collections.abc import Callable


class Bar:
    """A bar while it is entered; called with what is done, how many are done, and of how many.

    Args:
        title: what stands before it; shown: whether there is one at all.
        words: what is done, as the caller names it, to what stands before the bar; None keeps the title.
    """

    def __init__(self, title: str, *, shown: bool = True, words: "Callable[[str], str] | None" = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        seen = shown and sys.stderr.isatty()
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not seen)
        self._task = self._bar.add_task(title, total=None)
        self._words = words

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        described = self._words(what) if self._words else None  # None leaves it as it is
        self._bar.update(self._task, completed=done, total=total or None, description=described)
