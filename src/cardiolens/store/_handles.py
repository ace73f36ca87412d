"""Open HDF5 files of one process: opened on first use, a few kept open, none handed to a child.

HDF5 keeps open files in a table of the process; a forked child that inherits one reads through the parent's.  So open
files are closed before a fork (they are reopened on next use), and an object that comes by pickle has none.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from cardiolens.errors import StoreError

_KEPT_OPEN = 16


class Handles:
    """Files open for reading.  Safe under threads, fork and spawn."""

    def __init__(self, kept_open: int = _KEPT_OPEN):
        self._kept_open = kept_open
        self._start()
        _ALL.add(self)

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._files: OrderedDict[Path, tuple[tuple[int, int], h5py.File]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"kept_open": self._kept_open}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["kept_open"])  # type: ignore[misc]

    @contextmanager
    def reading(self, path: Path) -> Iterator[h5py.File]:
        """The open file, to be used within the `with` only.

        A file replaced since it was opened (another inode or time) is opened anew.

        Raises:
            StoreError: the file cannot be opened or what is read from it is damaged.
        """
        if self._pid != os.getpid():  # forked behind Python's back; the inherited files are the parent's
            self._start()
        with self._lock:
            try:
                yield self._open(path)
            except (OSError, KeyError, RuntimeError) as error:
                self.close(path)
                if isinstance(error, FileNotFoundError):
                    raise
                raise StoreError(f"{path}: damaged or not a study file ({error}); ingest the study again") from error

    def _open(self, path: Path) -> h5py.File:
        status = path.stat()
        stamp = (status.st_ino, status.st_mtime_ns)
        if path in self._files:
            if self._files[path][0] == stamp:
                self._files.move_to_end(path)
                return self._files[path][1]
            self.close(path)
        # Files are never changed in place, so no lock is needed, and read-only or network folders work.
        file = h5py.File(path, "r", locking=False)
        self._files[path] = (stamp, file)
        while len(self._files) > self._kept_open:
            self._files.popitem(last=False)[1][1].close()
        return file

    def close(self, path: Path | None = None) -> None:
        """Close one file, or all."""
        with self._lock:
            for each in [path] if path is not None else list(self._files):
                if each in self._files:
                    self._files.pop(each)[1].close()

    def before_fork(self) -> None:
        self._lock.acquire()
        self.close()

    def after_fork(self) -> None:
        self._pid = os.getpid()
        self._lock.release()


_ALL: weakref.WeakSet[Handles] = weakref.WeakSet()
_FORKING = threading.local()  # of the forking thread, which is also the child's only thread


def _before_fork() -> None:
    _FORKING.handles = list(_ALL)
    for handles in _FORKING.handles:
        handles.before_fork()


def _after_fork() -> None:
    for handles in _FORKING.__dict__.pop("handles", []):
        handles.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
