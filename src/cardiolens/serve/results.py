"""Results kept on disk by what was read and by which model: a killed server finds them again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardiolens.conditions import ConditionFinding
from cardiolens.contours import SegmentResult, segment_study
from cardiolens.errors import CardiolensError, InputError, StoreError
from cardiolens.findings import Prediction
from cardiolens.serve.engines import Engines
from cardiolens.serve.packing import Kept, pack_contours, pack_prediction, unpack_contours, unpack_prediction
from cardiolens.store.atomic import append_whole, disk_errors, write_whole
from cardiolens.study import Study

log = logging.getLogger(__name__)

_NORMAL = "normal"  # a label among the conditions, and no finding
_MOST_LINES = 4  # of a study, on the average, before the file is written anew
_Whose = tuple[str, str]  # key and content of a study; key "" for what every study of that content has
Progress = Callable[[str, int, int], None]
Check = Callable[[], None]


class Results:
    """Predictions and contours of the studies of one store, by content of the study and hash of the model.

    What people change belongs to one study: it is kept by its key as well, for another key may have the same content.
    """

    def __init__(self, folder: Path, engines: Engines) -> None:
        self.folder, self.engines = folder, engines
        self._lock = threading.Lock()
        self._short = self._read_short()

    # --- predictions ---------------------------------------------------------------------------------------------

    def prediction(self, content: str) -> Prediction | None:
        """The kept prediction of a study by this model; None where there is none."""
        path = self._path(content, self.engines.reads, "prediction.npz")
        return unpack_prediction(path.read_bytes()) if path.is_file() else None

    def predict(self, study: Study, content: str, check: Check = lambda: None) -> Prediction:
        """The kept prediction, else a new one, which is kept.

        Args:
            check: raises where the study no longer has that content; asked before anything is kept.
        """
        found = None
        with contextlib.suppress(StoreError):  # damaged: made anew
            found = self.prediction(content)
        if found is None:
            with self.engines.lock:
                found = self.engines.predictor(study)
            check()
            self._write(self._path(content, self.engines.reads, "prediction.npz"), pack_prediction(found))
        self._put_short(("", content), _short_prediction(found))
        return found

    # --- contours ------------------------------------------------------------------------------------------------

    def drawn(self, study: Study, content: str) -> Kept | None:
        """What the segmenter drew on a study, as kept; None where it has not drawn yet, or there is none."""
        if self.engines.draws is None:
            return None
        path = self._path(content, self.engines.draws, "contours.npz")
        return unpack_contours(path.read_bytes(), study) if path.is_file() else None

    def draw(self, study: Study, content: str, progress: Progress, check: Check = lambda: None) -> SegmentResult:
        """Draw a study, unless it is drawn, and keep it; the result is without the changes of people.

        Args:
            check: as for `predict`.
        """
        segmenter = self.engines.segmenter
        if segmenter is None:
            raise InputError(self.engines.no_segmenter)
        kept = None
        with contextlib.suppress(StoreError):  # damaged: drawn anew
            kept = self.drawn(study, content)
        result = segment_study(study, kept if kept is not None else segmenter, progress=progress)
        check()
        if kept is None:
            packed = pack_contours(result.segmentations, result.skipped, segmenter)
            self._write(self._path(content, str(self.engines.draws), "contours.npz"), packed)
        return result

    def put_contours(self, key: str, content: str, result: SegmentResult) -> None:
        """Keep the figures of a study's contours, corrected or not, for the work-list."""
        measures = result.measures
        self._put_short(
            (key, content),
            {"contour_lvef": measures.lvef_pct, "contour_worst": result.worst, "corrected": bool(result.changes)},
        )

    # --- short figures for the work-list ---------------------------------------------------------------------------

    def short(self, key: str, content: str) -> dict[str, Any]:
        """What the work-list shows of the results of a study; empty where there are none."""
        return {**self._short.get(("", content), {}), **self._short.get((key, content), {})}

    def _short_path(self) -> Path:
        both = f"{self.engines.reads} {self.engines.draws}"
        return self.folder / f"short-{hashlib.sha256(both.encode()).hexdigest()[:16]}.jsonl"

    def _read_short(self) -> dict[_Whose, dict[str, Any]]:
        """The lines added up; written anew where a killed server left half a line, or most are outdated."""
        path = self._short_path()
        if not path.is_file():
            return {}
        found: dict[_Whose, dict[str, Any]] = {}
        content = path.read_bytes()
        lines = content.splitlines()
        damaged = bool(content) and not content.endswith(b"\n")
        for line in lines:
            try:
                one = json.loads(line)
                found.setdefault((str(one["key"]), str(one["content"])), {}).update(one["facts"])
            except (ValueError, KeyError, TypeError):
                damaged = True
        if damaged or len(lines) > _MOST_LINES * len(found):
            if damaged:
                log.warning("%s: damaged lines are left out; reading those studies again brings them back", path)
            self._write(path, b"".join(_short_line(whose, facts) for whose, facts in found.items()))
        return found

    def _put_short(self, whose: _Whose, facts: dict[str, Any]) -> None:
        """Add a line; what it says can be made anew from the results, so it is not flushed to the disk."""
        with self._lock:
            old = self._short.get(whose, {})
            if {**old, **facts} == old:
                return
            path = self._short_path()
            with disk_errors(path):
                append_whole(path, _short_line(whose, facts), flush=False)
            self._short[whose] = {**old, **facts}

    # --- files -----------------------------------------------------------------------------------------------------

    def path(self, content: str, name: str) -> Path:
        """Where something made of a study by the segmenter lies."""
        return self._path(content, str(self.engines.draws), name)

    def _path(self, content: str, model: str, name: str) -> Path:
        return self.folder / content[:2] / content / model[:32] / name

    def _write(self, path: Path, content: bytes) -> None:
        with disk_errors(path):
            write_whole(path, content)


def _short_line(whose: _Whose, facts: dict[str, Any]) -> bytes:
    return json.dumps({"key": whose[0], "content": whose[1], "facts": facts}, separators=(",", ":")).encode() + b"\n"


def _short_prediction(prediction: Prediction) -> dict[str, Any]:
    interval = prediction.interval
    return {
        "lvef": prediction.lvef_pct,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "out_of_domain": prediction.out_of_domain,
        "flagged": [one.words for one in sorted(prediction.flagged, key=_probability) if one.name != _NORMAL],
        "probability": {one.name: one.probability for one in prediction.conditions if one.probability is not None},
        "score": {one.name: one.score for one in prediction.conditions},
    }


def _probability(finding: ConditionFinding) -> float:
    """To sort by, the likeliest first."""
    return -(finding.probability or 0.0)


@dataclass(frozen=True)
class Reading:
    """What is known of one study: either may be absent, for the reason given."""

    prediction: Prediction | None
    contours: SegmentResult | None
    no_prediction: str = ""
    no_contours: str = ""


def safely(make: Callable[[], Any]) -> tuple[Any, str]:
    """A result, or None and the reason."""
    try:
        return make(), ""
    except CardiolensError as error:
        return None, str(error)
