"""Everything a running server holds: the store, what is known of it, models, results, changes, jobs."""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cardiolens.contours import Correction, SegmentResult, segment_study
from cardiolens.errors import InputError, StoreError
from cardiolens.io.masks import encode_masks
from cardiolens.segmentation import Segmentation
from cardiolens.serve.alone import Alone
from cardiolens.serve.catalogue import Catalogue
from cardiolens.serve.changes import Edited, Journal
from cardiolens.serve.engines import Engines
from cardiolens.serve.frames import Frames
from cardiolens.serve.jobs import ENDED, Jobs
from cardiolens.serve.packing import Kept
from cardiolens.serve.regions import brush_region, grown, polygon_region, region_of, with_region
from cardiolens.serve.results import Reading, Results, safely
from cardiolens.serve.settings import Settings
from cardiolens.store import StudyStore
from cardiolens.store.atomic import disk_errors, write_whole
from cardiolens.study import Study, View

if TYPE_CHECKING:
    from cardiolens.search import EmbeddingIndex

log = logging.getLogger(__name__)

_NOT_READ = "Not read yet."
_NOT_DRAWN = "Not drawn yet."
_MOST_OPEN = 4  # studies whose contours are held


class NotFoundError(InputError):
    """No study, view, plane or job of that name."""


class ReplacedError(InputError):
    """The study has other images or data than those that were looked at."""


class Desk:
    """What the pages work on.

    Raises:
        StoreError: no store there; the folder of work cannot be written, or another server works in it.
        CheckpointError: a model that is missing or damaged.
    """

    def __init__(self, settings: Settings, engines: Engines | None = None) -> None:
        from cardiolens.serve.engines import load_engines
        from cardiolens.serve.work import workers_of

        self.settings = settings
        self.store = StudyStore(settings.store)
        work = settings.work
        self._alone = Alone(work)
        with disk_errors(work):
            for name in ("results", "uploads"):
                (work / name).mkdir(exist_ok=True)
        self.engines = engines or load_engines(settings.model, settings.segmenter)
        self.results = Results(work / "results", self.engines)
        self.catalogue = Catalogue(self.store, work / "studies.json", self.results)
        self.journal = Journal(work / "changes.jsonl")
        self.frames = Frames(self.store)
        self.jobs = Jobs(work / "jobs", workers_of(self))
        self.index_held: tuple[int, EmbeddingIndex] | None = None
        self._open: OrderedDict[tuple[str, str, int], SegmentResult] = OrderedDict()
        self._editing = threading.RLock()

    def start(self) -> None:
        """Begin what goes on in the background."""
        self._sweep()
        self.jobs.start()
        self.scan()

    def _sweep(self) -> None:
        """Delete archives that no open job asks for: a killed server left them, and they hold patients' names."""
        wanted = {str(job.asked.get("file")) for job in self.jobs.all() if job.state not in ENDED}
        for path in (self.settings.work / "uploads").iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in wanted:
                path.unlink(missing_ok=True)

    def scan(self) -> None:
        """Look at the studies that are not known yet, beside everything else."""
        threading.Thread(target=self.catalogue.scan, name="cardiolens-scan", daemon=True).start()

    def close(self) -> None:
        """End it; what was under way goes on at the next start."""
        self.catalogue.stop()
        self.jobs.close()
        self.store.close()
        self._alone.close()

    # --- studies -------------------------------------------------------------------------------------------------

    def key(self, folder: str, accession: str) -> str:
        """The key of a study that is there; `NotFoundError` otherwise, whatever the parts hold."""
        key = f"{folder}/{accession}"
        if key not in self.store:
            raise NotFoundError("there is no such study in this store; it may have been taken out")
        return key

    def content(self, key: str) -> str:
        """Hash of a study's content.

        Raises:
            StoreError: the study's file is damaged.
        """
        facts = self.catalogue.facts(key)
        if not facts["content"]:
            raise StoreError(str(facts.get("trouble") or f"{key} cannot be read"))
        return str(facts["content"])

    def unchanged(self, key: str, content: str) -> None:
        """Raises `ReplacedError` where a study no longer has that content; an empty one is not asked about."""
        if content and self.content(key) != content:
            raise ReplacedError(
                f"{key} has been replaced in the store by other images or data; load the page again and look at it anew"
            )

    def cine_shape(self, key: str, view: str) -> list[int]:
        """(slice, time, row, col) of a view; `NotFoundError` where the study has no such view."""
        shapes = self.catalogue.facts(key)["views"]
        if view not in shapes:
            raise NotFoundError(f"this study has no {view}; it has {', '.join(shapes) or 'no cine'}")
        return list(shapes[view])

    # --- readings ------------------------------------------------------------------------------------------------

    def reading(self, key: str) -> Reading:
        """What is known of a study now; computes nothing that takes long."""
        content = self.content(key)
        prediction, why = safely(lambda: self.results.prediction(content))
        contours, why_not = safely(lambda: self.contours(key))
        waiting = _NOT_DRAWN if self.engines.segmenter is not None else self.engines.no_segmenter
        return Reading(
            prediction,
            contours,
            "" if prediction else why or _NOT_READ,
            "" if contours else why_not or waiting,
        )

    def contours(self, key: str) -> SegmentResult | None:
        """Contours and figures of a study with the changes of people; None where it is not drawn yet."""
        content = self.content(key)
        edited = self.journal.edited(key, content, str(self.engines.draws))
        last = edited.history[-1]["id"] if edited.history else 0
        with self._editing:
            if (key, content, last) in self._open:
                return self._open[key, content, last]
            study = self.store.read(key)
            kept = self.results.drawn(study, content)
            if kept is None:
                return None
            result = self._measured(key, study, content, kept, edited)
            self.unchanged(key, content)  # the pixels are read when they are used
            self._open[key, content, last] = result
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        return result

    def edited(self, key: str) -> Edited:
        """What people changed in a study."""
        return self.journal.edited(key, self.content(key), str(self.engines.draws))

    def _measured(self, key: str, study: Study, content: str, kept: Kept, edited: Edited) -> SegmentResult:
        corrections = [
            self._correction(key, one, content, edited)
            for one in kept.segmentations
            if any(view == str(one.view) for view, *_ in edited.planes)
        ]
        return segment_study(study, kept, corrections=corrections, ed=edited.ed, es=edited.es)

    def _correction(self, key: str, drawn: Segmentation, content: str, edited: Edited) -> Correction:
        """The mask file of a view with the planes that people changed; it lies beside the results, one a key."""
        labels = drawn.labels.copy()
        for (view, plane, phase), own in edited.planes.items():
            if view == str(drawn.view):
                labels[plane, phase] = own
        packed = encode_masks(Segmentation(drawn.cine, labels, drawn.structures, None, drawn.source))
        path = self.results.path(
            content, f"corrected_{hashlib.sha256(key.encode()).hexdigest()[:16]}_{drawn.view}.nii.gz"
        )
        with disk_errors(path):
            write_whole(path, packed)
        return Correction(drawn.view, path, None, hashlib.sha256(packed).hexdigest())

    # --- changes -------------------------------------------------------------------------------------------------

    def labels(self, key: str, view: str) -> npt.NDArray[np.uint8]:
        """(slice, time, row, col) as they now stand; `NotFoundError` where nothing is drawn."""
        result = self.contours(key)
        found = result.segmentation(view) if result else None
        if found is None:
            raise NotFoundError(f"nothing is drawn on {view} of this study")
        return found.labels

    def set_phase(self, key: str, which: str, phase: int | None, reader: str, *, seen: str = "") -> None:
        """Choose end-diastole ("ed") or end-systole ("es"), from 0; None gives back the phase found.

        Args:
            seen: content of the study that it was chosen on; `ReplacedError` where it is another now.
        """
        with self._editing:
            self.unchanged(key, seen)
            result, edited = self._changeable(key), self.edited(key)
            phases = self.cine_shape(key, View.SAX.value)[1]
            if phase is not None and not 0 <= phase < phases:
                raise InputError(f"the short axis has phases 1 to {phases}, not {phase + 1}")
            both = [edited.ed, edited.es]
            both[which == "es"] = phase
            chosen = [one if one is not None else getattr(result.before or result.measures, name)
                      for one, name in zip(both, ("ed_phase", "es_phase"), strict=True)]  # fmt: skip
            if chosen[0] == chosen[1] and chosen[0] is not None:
                raise InputError("end-diastole and end-systole cannot be the same phase")
            before = getattr(edited, which)
            if before == phase:
                raise InputError(f"{which.upper()} is at that phase already")
            self._record(key, f"{which}_phase", before=before, after=phase, reader=reader)

    def set_contour(
        self,
        key: str,
        at: tuple[str, int, int],
        structure: str,
        edit: Mapping[str, Any],
        reader: str,
        *,
        seen: str = "",
    ) -> None:
        """Change one structure on one plane at one phase.

        Args:
            at: view, plane, phase, from 0.
            edit: {"how": "line", "lines": ...}, {"how": "brush" or "erase", "points": ..., "radius": ...},
                {"how": "move", "pixels": ...}, {"how": "clear"}, {"how": "copy", "phase": ...} (every structure), or
                {"how": "model"} (as the model drew it, every structure).
            seen: as for `set_phase`.
        """
        view, plane, phase = at
        with self._editing:
            self.unchanged(key, seen)
            result = self._changeable(key)
            found = result.segmentation(view)
            if found is None:
                raise NotFoundError(f"nothing is drawn on {view} of this study")
            if not (0 <= plane < found.labels.shape[0] and 0 <= phase < found.labels.shape[1]):
                raise NotFoundError(f"{view} has no plane {plane + 1} at phase {phase + 1}")
            if structure not in found.structures:
                raise InputError(f"{structure!r} is not drawn on {view}; there is {', '.join(found.structures)}")
            before = found.labels[plane, phase]
            after = self._edit(key, found, at, structure, edit)
            whose = {"key": key, "content": self.content(key), "drawn_by": str(self.engines.draws)}
            line = self.journal.add_contour(
                at, before, after, whose, structure=structure, how=str(edit["how"]), reader=reader
            )
            self._settle(key, line)

    def _edit(
        self, key: str, found: Segmentation, at: tuple[str, int, int], structure: str, edit: Mapping[str, Any]
    ) -> npt.NDArray[np.uint8]:
        view, plane, phase = at
        labels = np.asarray(found.labels[plane, phase])
        shape = (labels.shape[0], labels.shape[1])
        own, how = region_of(labels, structure), edit["how"]
        if how == "line":
            return with_region(labels, structure, polygon_region(edit["lines"], shape))
        if how in ("brush", "erase"):
            stroke = brush_region(edit["points"], float(edit["radius"]), shape)
            return with_region(labels, structure, own | stroke if how == "brush" else own & ~stroke)
        if how == "move":
            return with_region(labels, structure, grown(own, int(edit["pixels"])))
        if how == "clear":
            return with_region(labels, structure, np.zeros(shape, dtype=bool))
        if how == "copy":
            source = int(edit["phase"])
            if not 0 <= source < found.labels.shape[1]:
                raise InputError(f"there is no phase {source + 1} to copy from")
            return np.asarray(found.labels[plane, source])
        if how == "model":
            kept = self.results.drawn(self.store.read(key), self.content(key))
            drawn = next((one for one in kept.segmentations if one.view == view), None) if kept else None
            if drawn is None:
                raise NotFoundError(f"the model has drawn nothing on {view}")
            return np.asarray(drawn.labels[plane, phase])
        raise InputError(f"no edit called {how!r}")

    def undo(self, key: str, reader: str, *, seen: str = "") -> None:
        """Take back the last change that stands; `InputError` where there is none; `seen` as for `set_phase`."""
        with self._editing:
            self.unchanged(key, seen)
            live = self.edited(key).live
            if not live:
                raise InputError("there is no change to take back")
            self._record(key, "undo", of=live[-1]["id"], reader=reader)

    def _changeable(self, key: str) -> SegmentResult:
        result = self.contours(key)
        if result is None:
            raise InputError("nothing is drawn on this study yet; draw its contours first")
        return result

    def _record(self, key: str, what: str, **facts: Any) -> None:
        line = self.journal.add(key, self.content(key), str(self.engines.draws), what, **facts)
        self._settle(key, line)

    def _settle(self, key: str, line: Mapping[str, Any]) -> None:
        """Measure anew; a change after which nothing can be measured is taken back, and the reason is told."""
        try:
            result = self.contours(key)
        except Exception:  # a fault of the program too: else the study could not be opened any more
            if line["what"] != "undo":
                self.journal.add(
                    key,
                    self.content(key),
                    str(self.engines.draws),
                    "undo",
                    of=line["id"],
                    reader="",
                    why="not measurable",
                )
            raise
        if result is not None:
            self.results.put_contours(key, self.content(key), result)

    # --- files ---------------------------------------------------------------------------------------------------

    @property
    def index_path(self) -> Path:
        """The index of embeddings by this model."""
        return self.settings.work / f"embeddings-{self.engines.video}.index"
