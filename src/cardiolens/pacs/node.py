"""`Node`: takes studies in, reads those that are complete, sends the results, and goes on after a kill."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cardiolens.dicom.deid import Scrubber
from cardiolens.errors import CardiolensError, StoreError
from cardiolens.pacs.journal import Entry
from cardiolens.pacs.send import Peer, RefusedError, SendError, send
from cardiolens.pacs.spool import IMAGES, RESULTS, Spool

if TYPE_CHECKING:
    from cardiolens.pacs.work import Work

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 600.0  # seconds between tries to send
_MOST_REFUSALS = 150  # tries of an object that the archive refuses: about a day
_DOUBLINGS = 10  # more would overflow after a week, and the pause is at its longest before
_CAUSES = 5  # of an error that are logged
_MOST_REMADE = 2
_MOST_BEGUN = 3  # a study that ended the process so often is not begun again


class ReaderLike(Protocol):
    """Makes results from the images of one study in a folder."""

    def __call__(self, folder: Path, made: dt.datetime, comments: Sequence[str] = ()) -> Work: ...


@dataclass(frozen=True)
class Settings:
    """How the node behaves.

    Attributes:
        aet: own title, with which it calls the archive.
        to: where results go.
        quiet: seconds without a new image after which a study counts as complete.
        stall: seconds that an incomplete study is waited for, where its headers announce more images than came.
        keep: keep images and results once they are sent.
    """

    aet: str
    to: Peer
    quiet: float = 30.0
    stall: float = 300.0
    keep: bool = False


class Node:
    """Everything but the receiving: that is `scp.Service`, which fills the same spool."""

    def __init__(
        self,
        spool: Spool,
        reader: ReaderLike,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        progress: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        """Take a spool and what reads its studies; `progress` is called when something happens to a study."""
        self.spool, self.reader, self.settings = spool, reader, settings
        self._clock, self._progress = clock, progress

    def run(self, stop: threading.Event, pause: float = 0.5) -> None:
        """Go on until told to stop; a study that is being read is finished first."""
        while not stop.is_set():
            try:
                busy = self.step()
            except StoreError as error:  # the disk refuses the journal; the state before is on it
                logger.error("%s", error)
                stop.wait(_FIRST_PAUSE)
                continue
            if not busy:
                stop.wait(pause)

    def step(self) -> bool:
        """Do what is due for one study; False where nothing is."""
        now = self._clock()
        with self.spool.lock:
            known = sorted(self.spool.entries.values(), key=lambda entry: entry.last)
            ready = [entry for entry in known if self._is_ready(entry, now)]
            due = [entry for entry in known if entry.state == "sending" and entry.next_try <= now]
        if due:
            self._send(due[0])
            return True
        if ready:
            self._read(ready[0])
            return True
        return False

    def retry(self) -> int:
        """Let every failed study be read again, and what an archive refused be sent again; how many there are."""
        open_ = [entry for entry in self.spool.entries.values() if entry.state in ("failed", "partly sent")]
        for entry in open_:
            if entry.state == "failed":
                entry.state, entry.reason, entry.begun, entry.remade = "receiving", "", 0, 0
            else:
                entry.to_send()
            self._saved(entry)
        return len(open_)

    def _is_ready(self, entry: Entry, now: float) -> bool:
        """Whether a study is complete, or has been waited for long enough."""
        if entry.state not in ("receiving", "waiting"):
            return False
        if entry.expected is not None and entry.images >= entry.expected:
            return True
        silent = now - entry.last
        if silent < self.settings.quiet:
            return False
        if entry.expected is None or silent >= self.settings.stall:
            return True
        if entry.state != "waiting":
            entry.state = "waiting"
            entry.reason = f"{entry.images} of {entry.expected} images came"
            self._saved(entry)
            logger.warning("study %s stalls: %s", entry.study, entry.reason)
        return False

    def _read(self, entry: Entry) -> None:
        """Make the results of one study."""
        with self.spool.lock:
            images = self.spool.images(entry.study)
            lost = sorted(set(entry.read) - set(images))
            entry.begun += 1
            entry.state, entry.made = "reading", self._clock()
            self._saved(entry)
        if lost:
            said = (f"{len(images)} images came after the study was done and its {len(entry.read)} images deleted; "
                    "send the whole study again")  # fmt: skip
            return self._failed(entry, said)
        if entry.begun > _MOST_BEGUN:
            return self._failed(
                entry, f"the node ended {_MOST_BEGUN} times while it read this study; --retry begins anew"
            )
        short = entry.expected is not None and len(images) < entry.expected
        comments = [f"Incomplete: {len(images)} of {entry.expected} images of the study came."] if short else []
        made = dt.datetime.fromtimestamp(int(entry.made or 0)).astimezone()
        try:
            work = self.reader(self.spool.folder(entry.study, IMAGES), made, comments)
        except CardiolensError as error:
            return self._failed(entry, str(error), images)
        except Exception as error:  # noqa: BLE001 - one study must not end the service; the log has where it was
            logger.error("study %s: %s", entry.study, _where(error))
            return self._failed(entry, f"unexpected {type(error).__name__}, see the log", images)
        self._made(entry, work, images)
        return None

    def _made(self, entry: Entry, work: Work, images: list[str]) -> None:
        """Write results, unless more images came meanwhile."""
        with self.spool.lock:
            if entry.state != "reading":
                logger.info("study %s: more images came while it was read; it is read again", entry.study)
                return
            try:
                self.spool.write_results(entry, work.results.files)
            except CardiolensError as error:
                self._failed(entry, str(error), images)
                return
            entry.to_send()
            entry.results, entry.sent, entry.begun = list(work.results.files), [], 0
            entry.sums = {name: hashlib.sha256(content).hexdigest() for name, content in work.results.files.items()}
            entry.read, entry.summary, entry.notes = images, work.summary, list(work.results.notes)
            self._saved(entry)

    def _send(self, entry: Entry) -> None:
        """Send what the archive has not taken yet; later again where it does not, and a refused object not for ever."""
        settings = self.settings
        left = [name for name in entry.results if name not in entry.sent and name not in entry.given_up]

        def stored(path: Path) -> None:
            entry.sent.append(path.name)
            entry.save(self.spool.path)

        folder = self.spool.folder(entry.study, RESULTS)
        damaged = [name for name in left if name in entry.sums and entry.sums[name] != _sum_of(folder / name)]
        if damaged:
            with self.spool.lock:
                return self._made_anew(entry, damaged)
        try:
            send([folder / name for name in left], settings.to, calling=settings.aet, stored=stored)
        except (SendError, OSError) as error:
            with self.spool.lock:
                if not self._is_over(entry, error):
                    return self._later(entry, error)
        with self.spool.lock:
            if entry.state == "sending":  # else more images came meanwhile
                self._ended(entry)
        return None

    def _made_anew(self, entry: Entry, damaged: Sequence[str]) -> None:
        """Results are missing or damaged on the disk: read the study once more, and not for ever."""
        if entry.state != "sending":
            return None  # more images came meanwhile; it is read again
        if not self.spool.images(entry.study):  # deleted when the rest was sent
            for name in damaged:
                entry.given_up[name] = f"{name} is damaged on the disk; send the whole study again"
            if set(entry.results) <= {*entry.sent, *entry.given_up}:
                return self._ended(entry)
            self._saved(entry)
            return None
        entry.remade += 1
        if entry.remade > _MOST_REMADE:
            return self._failed(entry, "results are damaged on the disk of the spool, again and again")
        entry.state, entry.begun, entry.reason = "receiving", 0, "a result was damaged on the disk; read again"
        self._saved(entry)
        logger.warning("study %s: %s", entry.study, entry.reason)
        return None

    def _is_over(self, entry: Entry, error: Exception) -> bool:
        """Count what was refused and give up what was refused too often; True where nothing is left to be sent."""
        if not isinstance(error, RefusedError):
            return False
        for name, why in error.objects.items():
            entry.refusals[name] = entry.refusals.get(name, 0) + 1
            if entry.refusals[name] >= _MOST_REFUSALS:
                entry.given_up[name] = f"{why}, {entry.refusals[name]} times"
        return set(entry.results) <= {*entry.sent, *entry.given_up}

    def _later(self, entry: Entry, error: Exception) -> None:
        pause = min(_FIRST_PAUSE * 2 ** min(entry.attempts, _DOUBLINGS), _LONGEST_PAUSE)
        entry.attempts += 1
        entry.next_try = self._clock() + pause
        entry.reason = self._clean(entry, str(error))
        self._saved(entry)
        logger.warning("study %s not sent, again in %.0f s: %s", entry.study, pause, entry.reason)

    def _ended(self, entry: Entry) -> None:
        """Everything is in the archive, or was refused too often; results that were refused are kept."""
        entry.state = "partly sent" if entry.given_up else "sent"
        entry.reason = self._clean(entry, "; ".join(entry.given_up.values()))
        if not self.settings.keep:
            try:
                self.spool.forget(entry, results=not entry.given_up)
            except StoreError as error:
                entry.reason = self._clean(entry, "; ".join(filter(None, [entry.reason, f"images {error}"])))
                logger.error("study %s: images %s", entry.study, error)
        self._saved(entry)
        log_ = logger.warning if entry.given_up else logger.info
        log_("study %s: %d of %d results sent", entry.study, len(entry.sent), len(entry.results))

    def _failed(self, entry: Entry, reason: str, images: Sequence[str] = ()) -> None:
        with self.spool.lock:
            if images and entry.state != "reading":
                return  # more images came; it is read again
            entry.state, entry.reason = "failed", self._clean(entry, reason)
            self._saved(entry)
        logger.error("study %s: no result: %s", entry.study, entry.reason)

    def _clean(self, entry: Entry, reason: str) -> str:
        """Without the spool's path and without UIDs, since it is shown and logged."""
        return Scrubber({str(self.spool.path / entry.study): "", str(self.spool.path): ""})(reason)[:2000]

    def _saved(self, entry: Entry) -> None:
        entry.save(self.spool.path)
        self._progress(entry)


def _where(error: BaseException) -> str:
    """Type and frames of an error and of what caused it; not its words, which may hold values of the images."""
    said: list[str] = []
    one: BaseException | None = error
    while one is not None and len(said) < _CAUSES:
        frames = traceback.extract_tb(one.__traceback__)
        said.append(
            " < ".join(
                [type(one).__name__, *(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))]
            )
        )
        one = one.__cause__ or one.__context__
    return "; after ".join(said)


def _sum_of(path: Path) -> str:
    """SHA-256 of a file; empty where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
