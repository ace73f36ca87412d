"""Long work in the background: one worker, a file a job; what a killed server had begun goes on at the next start."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from cardiolens.errors import CardiolensError, InputError
from cardiolens.store.atomic import disk_errors, write_whole

log = logging.getLogger(__name__)

State = Literal["queued", "running", "done", "failed", "stopped"]
ENDED = ("done", "failed", "stopped")
_MOST_KEPT = 200
_MOST_QUEUED = 1000
_FEW = 2  # studies for which a job goes before those of many


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        kind: what is done: "predict", "segment", "embed", "map" or "upload".
        asked: with what.
        state, message: how it stands, in words a person understands.
        done, total: progress; total 0 where it is not known.
        result: what came of it.
        created, ended: UTC.
    """

    id: str
    kind: str
    asked: Mapping[str, Any]
    state: State = "queued"
    message: str = "Waiting"
    done: int = 0
    total: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    ended: str = ""


class Stopped(Exception):  # noqa: N818 - not an error
    """Raised inside a job that a person stopped."""


Tell = Callable[[str, int, int], None]
Worker = Callable[[Mapping[str, Any], Tell], tuple[str, Mapping[str, Any]]]
"""Does a job: what was asked, where progress is told; gives a message and the result."""


class Jobs:
    """The queue and its one worker; a job over a study or two is done in the midst of one over many."""

    def __init__(self, folder: Path, workers: Mapping[str, Worker]) -> None:
        self.folder, self.workers = folder, workers
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._stopping: set[str] = set()
        self._closed = self._passing = False
        self._thread: threading.Thread | None = None
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._read()

    # --- for the pages -------------------------------------------------------------------------------------------

    def add(self, kind: str, asked: Mapping[str, Any]) -> Job:
        """Put a job into the queue; one that asks for the same and has not begun is not doubled.

        Raises:
            InputError: no such kind of work, or too much of it.
            StoreError: the disk refuses.
        """
        if kind not in self.workers:
            raise InputError(f"no work called {kind!r}; there is {', '.join(self.workers)}")
        with self._changed:
            waiting = [job for job in self._jobs.values() if job.state == "queued"]
            same = [job for job in waiting if job.kind == kind and dict(job.asked) == dict(asked)]
            if same:
                return same[0]
            if len(waiting) >= _MOST_QUEUED:
                raise InputError(f"{len(waiting)} jobs are waiting; let some of them end first")
            job = Job(f"{time.time_ns():x}-{secrets.token_hex(3)}", kind, dict(asked), created=_now())
            self._write(job)
            self._jobs[job.id] = job
            self._drop_old()
            self._changed.notify_all()
        return job

    def get(self, name: str) -> Job | None:
        """A job by its id."""
        return self._jobs.get(name)

    def all(self) -> list[Job]:
        """Every job, newest first."""
        with self._changed:
            return sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)

    def stop(self, name: str) -> Job:
        """Take a job out of the queue, or stop it at its next step; what it has done stays.

        Raises:
            InputError: no such job, or one that has ended.
        """
        with self._changed:
            job = self._jobs.get(name)
            if job is None or job.state in ENDED:
                raise InputError("there is no such job, or it has ended")
            if job.state == "queued":
                return self._put(replace(job, state="stopped", message="Stopped before it began", ended=_now()))
            self._stopping.add(name)
            return job

    # --- the worker ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the worker."""
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="cardiolens-jobs", daemon=True)
        self._thread.start()

    def close(self, seconds: float = 5.0) -> None:
        """Let the worker end after its next step; what was under way is queued again at the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(seconds)

    def wait(self, name: str, seconds: float = 60.0) -> Job:
        """Wait until a job has ended; the job as it then is."""
        end = time.monotonic() + seconds
        with self._changed:
            while self._jobs[name].state not in ENDED and time.monotonic() < end:
                self._changed.wait(max(0.01, end - time.monotonic()))
            return self._jobs[name]

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._waiting():
                    self._changed.wait()
                if self._closed:
                    return
                job = self._put(replace(self._waiting()[0], state="running", message="Started"))
            try:
                self._do(job)
            except Closing:
                return

    def _do(self, job: Job) -> None:
        def tell(message: str, done: int, total: int) -> None:
            with self._changed:
                if self._closed:
                    raise Closing
                if job.id in self._stopping:
                    raise Stopped
                now = self._jobs[job.id]
                self._jobs[job.id] = replace(now, message=message or now.message, done=done, total=total)
            self._let_past(job)

        try:
            message, result = self.workers[job.kind](job.asked, tell)
            ended: dict[str, Any] = {"state": "done", "message": message, "result": dict(result)}
        except Stopped:
            ended = {"state": "stopped", "message": "Stopped; what was done is kept"}
        except CardiolensError as error:
            log.warning("job %s failed: %s", job.kind, error)
            ended = {"state": "failed", "message": str(error)}
        except MemoryError:
            ended = {"state": "failed", "message": "Not enough memory for this; close other programs and try again"}
        except Closing:
            raise
        except Exception:  # the worker must outlive any job
            log.exception("job %s failed", job.kind)
            ended = {
                "state": "failed",
                "message": "A fault of the program; the server's log says which. Please report it.",
            }
        with self._changed:
            now = self._jobs[job.id]
            self._stopping.discard(job.id)
            self._put(replace(now, **ended, ended=_now()))

    def _let_past(self, job: Job) -> None:
        """Do what a person waits for in the midst of a job over many studies."""
        if self._passing or _short(job):
            return
        with self._changed:
            first = next(filter(_short, self._waiting()), None)
            if first is None:
                return
            first = self._put(replace(first, state="running", message="Started"))
        self._passing = True
        try:
            self._do(first)
        finally:
            self._passing = False

    def _waiting(self) -> list[Job]:
        return sorted((job for job in self._jobs.values() if job.state == "queued"), key=lambda job: job.id)

    # --- files ---------------------------------------------------------------------------------------------------

    def _put(self, job: Job) -> Job:
        """Keep a job as it now is; on a full disk it stands in memory alone."""
        self._jobs[job.id] = job
        try:
            self._write(job)
        except CardiolensError as error:
            log.warning("a job's state is not kept: %s", error)
        self._changed.notify_all()
        return job

    def _write(self, job: Job) -> None:
        path = self.folder / f"{job.id}.json"
        with disk_errors(path):
            write_whole(path, json.dumps(asdict(job)).encode())

    def _read(self) -> None:
        """Jobs of an earlier server; those that had not ended wait again."""
        names = {one.name for one in fields(Job)}
        for path in sorted(self.folder.glob("*.json")):
            try:
                plain = json.loads(path.read_text(encoding="utf-8"))
                job = Job(**{name: value for name, value in plain.items() if name in names})
            except (OSError, ValueError, TypeError):
                log.warning("%s: not a job; left out", path)
                continue
            if job.state == "running":
                job = replace(job, state="queued", message="Waiting; the server was stopped while it ran", done=0)
            self._jobs[job.id] = job

    def _drop_old(self) -> None:
        ended = sorted((job for job in self._jobs.values() if job.state in ENDED), key=lambda job: job.id)
        for job in ended[: max(0, len(ended) - _MOST_KEPT)]:
            del self._jobs[job.id]
            with contextlib.suppress(OSError):
                (self.folder / f"{job.id}.json").unlink(missing_ok=True)


class Closing(Exception):  # noqa: N818 - not an error
    """The server ends; the job stays as it is on disk and waits for the next start."""


def _short(job: Job) -> bool:
    """Whether a person is likely to wait for it: an upload, or work on a study or two."""
    return job.kind == "upload" or 0 < len(job.asked.get("keys", ())) <= _FEW


def _now() -> str:
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
