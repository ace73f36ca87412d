"""What people changed, as a record that only grows: one JSON line a change, with time, what was before and after.

The state of a study is what its lines add up to, so nothing is lost when the server is killed, and any change can be
taken back.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import InputError
from cardiolens.store.atomic import append_whole, disk_errors

log = logging.getLogger(__name__)

Place = tuple[str, int, int]
"""View, plane, phase; the last two from 0."""


@dataclass
class Edited:
    """What stands for one study on the contours of one model.

    Attributes:
        planes: labels (row, col) that a person gave, by place.
        ed, es: phases from 0 that a person chose.
        live: changes in force, oldest first, as stored.
        history: all lines, oldest first.
    """

    planes: dict[Place, npt.NDArray[np.uint8]] = field(default_factory=dict)
    ed: int | None = None
    es: int | None = None
    live: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)


class Journal:
    """The record of all changes of a store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._lines = self._read()

    def edited(self, key: str, content: str, drawn_by: str) -> Edited:
        """What stands for a study with these pixels (`content`), drawn by this model (`drawn_by`)."""
        out = Edited()
        with self._lock:
            own = [
                one for one in self._lines if (one["key"], one["content"], one["drawn_by"]) == (key, content, drawn_by)
            ]
        for line in own:
            out.history.append(line)
            if line["what"] == "undo":
                out.live = [one for one in out.live if one["id"] != line["of"]]
            else:
                out.live.append(line)
        for line in out.live:
            if line["what"] == "contour":
                out.planes[line["view"], line["plane"], line["phase"]] = _unpack(line["after"])
            else:
                setattr(out, line["what"][:2], line["after"])
        return out

    def add(self, key: str, content: str, drawn_by: str, what: str, **facts: Any) -> dict[str, Any]:
        """Append a change and flush it to the disk.

        Raises:
            StoreError: the disk refuses; the change does not stand then.
        """
        with self._lock:
            line: dict[str, Any] = {
                "id": 1 + max((int(one["id"]) for one in self._lines), default=0),
                "time": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
                "key": key,
                "content": content,
                "drawn_by": drawn_by,
                "what": what,
                **facts,
            }
            self._append((json.dumps(line, separators=(",", ":")) + "\n").encode())
            self._lines.append(line)
        return line

    def add_contour(
        self,
        at: Place,
        before: npt.NDArray[np.uint8],
        after: npt.NDArray[np.uint8],
        whose: Mapping[str, str],
        **facts: Any,
    ) -> dict[str, Any]:
        """Append the change of one plane at one phase; `whose` is key, content and drawn_by."""
        if np.array_equal(before, after):
            raise InputError("this changes no pixel")
        view, plane, phase = at
        place = {"view": view, "plane": plane, "phase": phase}
        counts = {"pixels": int((before != after).sum())}
        packed = {"before": _pack(before), "after": _pack(after)}
        facts = {**place, **counts, **facts, **packed}
        return self.add(whose["key"], whose["content"], whose["drawn_by"], "contour", **facts)

    def _append(self, line: bytes) -> None:
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_whole(self.path, line)

    def _read(self) -> list[dict[str, Any]]:
        """Every whole line; half a line that a killed server left at the end is cut off."""
        if not self.path.is_file():
            return []
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            log.warning("%s: the last line is cut off and is left out", self.path)
            with disk_errors(self.path), self.path.open("r+b") as out:
                out.truncate(whole)
        lines = []
        for number, line in enumerate(content[:whole].splitlines(), 1):
            try:
                lines.append(json.loads(line))
            except ValueError:
                log.warning("%s: line %d is damaged and is left out", self.path, number)
        return lines


def told(line: Mapping[str, Any]) -> dict[str, Any]:
    """A change without its pixels, phases and planes from 1, for people."""
    hidden = ("before", "after", "content", "drawn_by") if line["what"] == "contour" else ("content", "drawn_by")
    out = {name: value for name, value in line.items() if name not in hidden}
    return {**out, "words": _words(line)}


def _words(line: Mapping[str, Any]) -> str:
    what = line["what"]
    if what == "undo":
        return f"change {line['of']} taken back"
    if what == "contour":
        where = f"{line['view']} plane {line['plane'] + 1}, phase {line['phase'] + 1}"
        return f"{line['structure']} on {where}: {line['how']}, {line['pixels']} pixels"
    named = ["as found" if line[side] is None else f"phase {line[side] + 1}" for side in ("before", "after")]
    return f"{what[:2].upper()} from {named[0]} to {named[1]}"


def _pack(labels: npt.NDArray[np.uint8]) -> dict[str, Any]:
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(labels).tobytes(), 9)).decode("ascii")
    return {"shape": list(labels.shape), "zlib": packed}


def _unpack(packed: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    rows, cols = packed["shape"]
    content = zlib.decompress(base64.b64decode(packed["zlib"]))
    return np.frombuffer(content, dtype=np.uint8).reshape(rows, cols)
