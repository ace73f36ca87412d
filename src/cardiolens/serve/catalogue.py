"""What the work-list knows of every study, without reading a pixel; looked up in the background, kept on disk."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cardiolens.errors import CardiolensError, InputError, ReportError
from cardiolens.privacy import shown, shown_age
from cardiolens.serve.results import Results
from cardiolens.store import StudyStore
from cardiolens.store.atomic import disk_errors, write_whole

log = logging.getLogger(__name__)

_KEEP_EVERY = 30.0  # seconds between writings of the list while it is made
_SEE_EVERY = 5.0  # seconds between looks at the folder
_TRAITS = ("sex", "age", "site")
_MOST_VALUES = 40
MOST_ROWS = 200


@dataclass(frozen=True)
class Query:
    """What is looked for in the work-list; all that is given must hold.

    Attributes:
        words: each must occur in the key or the labels.
        columns: (label column, values allowed).
        ranges: (label column, least, most); "lvef" and "predicted_lvef" are such.
        views: that must be there.
        report, predicted, drawn, flagged: whether there is one; None for either.
        sort, descending: "key", "age", "lvef" or a label column.
    """

    words: str = ""
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ranges: tuple[tuple[str, float | None, float | None], ...] = ()
    views: tuple[str, ...] = ()
    report: bool | None = None
    predicted: bool | None = None
    drawn: bool | None = None
    flagged: bool | None = None
    sort: str = "key"
    descending: bool = False


class Catalogue:
    """Facts of the studies of a store: views, sex, age, whether there is a report; by the stamp of each file."""

    def __init__(self, store: StudyStore, path: Path, results: Results) -> None:
        self.store, self.path, self.results = store, path, results
        self._facts: dict[str, dict[str, Any]] = self._kept()
        self._keys: list[str] = []
        self._labels = pd.DataFrame()
        self._labels_stamp = -1
        self.trouble = ""
        self._seen = 0.0
        self._again = threading.Lock()
        self._stop = threading.Event()
        self.refresh()

    # --- finding -------------------------------------------------------------------------------------------------

    def refresh(self, *, at_once: bool = True) -> None:
        """See which studies there are now, and read the labels if they changed; every few seconds unless at once."""
        if not at_once and time.monotonic() - self._seen < _SEE_EVERY:
            return
        self._keys = self.store.keys()
        self._seen = time.monotonic()
        path = self.store.path / "labels.csv"
        stamp = path.stat().st_mtime_ns if path.is_file() else 0
        if stamp != self._labels_stamp:
            try:
                # infinite is no figure, and JSON has no word for it
                self._labels, self.trouble = shown(self.store.labels()).replace([math.inf, -math.inf], math.nan), ""
            except ReportError as error:
                self._labels, self.trouble = pd.DataFrame(), f"labels.csv is left out: {error}"
            self._labels_stamp = stamp

    def scan(self) -> None:
        """Look at every study that is not known yet; meant for a thread of its own."""
        if not self._again.acquire(blocking=False):
            return
        try:
            kept, looked = time.monotonic(), False
            for key in list(self._keys):
                if self._stop.is_set():
                    break
                if key not in self._facts:
                    self.facts(key)
                    looked = True
                if time.monotonic() - kept > _KEEP_EVERY:
                    self.keep()
                    kept = time.monotonic()
            if looked:
                self.keep()
        finally:
            self._again.release()

    def stop(self) -> None:
        """Let a running `scan` end."""
        self._stop.set()

    @property
    def known(self) -> int:
        """How many of the studies were looked at."""
        return sum(key in self._facts for key in self._keys)

    @property
    def keys(self) -> list[str]:
        """Every study, sorted."""
        return self._keys

    @property
    def labels(self) -> pd.DataFrame:
        """The labels of the store as they may be shown, indexed by key."""
        found: pd.DataFrame = self._labels
        return found

    def facts(self, key: str, *, fresh: bool = False) -> dict[str, Any]:
        """Of one study; `trouble` says why a damaged one cannot be read."""
        found = self._facts.get(key)
        if found is not None and not fresh and found["stamp"] == self._stamp(key):
            return found
        try:
            info = self.store.info(key)
            found = {
                "views": {view: list(shape) for view, shape in info["views"].items()},
                "has_report": info["has_report"],
                "content": info["content_hash"],
                **{name: info[name] for name in _TRAITS},
            }
        except CardiolensError as error:
            found = {"views": {}, "has_report": False, "content": "", "trouble": str(error)}
            found |= dict.fromkeys(_TRAITS)
        found["stamp"] = self._stamp(key)
        self._facts[key] = found
        return found

    def _stamp(self, key: str) -> list[int]:
        try:
            status = (self.store.path / f"{key}.h5").stat()
        except OSError:
            return [0, 0]
        return [status.st_mtime_ns, status.st_size]

    def keep(self) -> None:
        """Write what is known, so that the next start need not look again; a disk that refuses is logged."""
        try:
            with disk_errors(self.path):
                write_whole(self.path, json.dumps(dict(self._facts)).encode())
        except CardiolensError as error:
            log.warning("the work-list is not kept: %s", error)

    def _kept(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    # --- rows ----------------------------------------------------------------------------------------------------

    def page(self, query: Query, start: int, count: int) -> tuple[list[dict[str, Any]], int]:
        """Rows of one page, and how many there are in all."""
        if not 1 <= count <= MOST_ROWS or start < 0:
            raise InputError(f"a page has 1 to {MOST_ROWS} rows and starts at 0 or later")
        found = self.select(query)
        return [self.row(key) for key in found[start : start + count]], len(found)

    def select(self, query: Query) -> list[str]:
        """Keys that fit, in the order asked for."""
        asked = [*(one[0] for one in query.columns), *(one[0] for one in query.ranges)]
        unknown = [name for name in asked if not self._sortable(name)]
        if unknown or not self._sortable(query.sort):
            raise InputError(f"no column {(unknown or [query.sort])[0]!r} among the labels")
        tests = list(self._tests(query))
        found = [key for key in self._keys if all(test(key) for test in tests)]
        if query.sort != "key":
            valued = [(self.value(key, query.sort), key) for key in found]
            there = [one for one in valued if one[0] is not None]
            numeric = all(isinstance(value, int | float) for value, _ in there)
            there.sort(key=lambda one: one[0] if numeric else str(one[0]).lower(), reverse=query.descending)
            return [key for _, key in there] + [key for value, key in valued if value is None]
        return found[::-1] if query.descending else found

    def row(self, key: str) -> dict[str, Any]:
        """What the work-list shows of a study."""
        facts = self.facts(key)
        short = self.results.short(key, facts["content"])
        return {
            "key": key,
            **{name: self.value(key, name) for name in _TRAITS},
            "views": facts["views"],
            "has_report": facts["has_report"],
            "trouble": facts.get("trouble", ""),
            "label_lvef": self.value(key, "lvef"),
            "conditions": self._conditions(key),
            "result": {name: value for name, value in short.items() if name not in ("probability", "score")},
        }

    def value(self, key: str, name: str) -> Any:
        """A label, a trait of the study, or a predicted figure; None where it is not known."""
        if name == "key":
            return key
        if name.startswith("predicted_") or name.startswith("contour_"):
            short = self.results.short(key, self._facts.get(key, {}).get("content", ""))
            return short.get("lvef") if name == "predicted_lvef" else short.get(name)
        if name in self._labels.columns and key in self._labels.index:
            value = self._labels.at[key, name]
            if not pd.isna(value):
                return value.item() if hasattr(value, "item") else value
        trait = self._facts.get(key, {}).get(name) if name in _TRAITS else None
        return shown_age(trait) if name == "age" else trait

    def columns(self) -> list[dict[str, Any]]:
        """Label columns that can be filtered by: numbers with their range, others with their values."""
        out: list[dict[str, Any]] = []
        own = self._labels.reindex(self._keys) if len(self._labels.columns) else self._labels
        for name in map(str, own.columns):
            column = own[name].dropna()
            if not len(column):
                continue
            if pd.api.types.is_numeric_dtype(column) and column.nunique() > 2:
                out.append({"name": name, "kind": "number", "low": float(column.min()), "high": float(column.max())})
            elif column.nunique() <= _MOST_VALUES:
                counts = column.map(_text).value_counts()
                out.append({"name": name, "kind": "values", "values": {str(k): int(n) for k, n in counts.items()}})
        return out

    def _conditions(self, key: str) -> list[str]:
        value = self.value(key, "conditions")
        return [part.strip() for part in str(value).split(";") if part.strip()] if value is not None else []

    def _sortable(self, name: str) -> bool:
        known = ("key", *_TRAITS, "lvef", "predicted_lvef", "contour_lvef")
        return name in known or name in self._labels.columns

    def _tests(self, query: Query) -> Iterator[Callable[[str], bool]]:
        if query.words.strip():
            words = query.words.lower().split()
            yield lambda key: all(word in self._searched(key) for word in words)
        for name, values in query.columns:
            yield lambda key, n=name, v=values: _text(self.value(key, n)) in v  # type: ignore[misc]
        for name, low, high in query.ranges:
            yield lambda key, n=name, a=low, b=high: _within(self.value(key, n), a, b)  # type: ignore[misc]
        if query.views:
            yield lambda key: set(query.views) <= set(self.facts(key)["views"])
        if query.report is not None:
            yield lambda key: self.facts(key)["has_report"] is query.report
        wanted: Sequence[tuple[bool | None, Callable[[dict[str, Any]], bool]]] = (
            (query.predicted, lambda short: "flagged" in short),
            (query.drawn, lambda short: "contour_worst" in short),
            (query.flagged, lambda short: bool(short.get("flagged"))),
        )
        for answer, there in wanted:
            if answer is not None:
                yield lambda key, a=answer, t=there: t(self.results.short(key, self.facts(key)["content"])) is a  # type: ignore[misc]

    def _searched(self, key: str) -> str:
        return f"{key} {self.value(key, 'conditions') or ''} {self.value(key, 'site') or ''}".lower()


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _within(value: Any, low: float | None, high: float | None) -> bool:
    if not isinstance(value, int | float):
        return False
    return (low is None or value >= low) and (high is None or value <= high)
