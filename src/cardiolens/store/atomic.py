"""Files written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cardiolens.errors import StoreError

PART = ".part"
_NAME = re.compile(rf"\.([0-9a-f]{{8}})-(\d+)-[0-9a-f]+{re.escape(PART)}")
_FOREIGN_LEFTOVER_SECONDS = 86_400
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}


class DiskError(StoreError):
    """The disk is full or refuses to be written; what is in the store is whole."""


def write_whole(path: Path, content: bytes) -> None:
    """Write to a temporary file in the same folder, flush it to disk, rename it; the folder is made if absent.

    Raises:
        OSError: nothing is left behind, and an earlier file of that name is as it was.
    """
    made = not path.parent.is_dir()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        with temporary.open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        if made:
            with suppress(OSError):  # another writer may have put a file there
                path.parent.rmdir()
        raise
    _flush_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside a file, for other writers: at the end it is flushed to disk and takes the file's name.

    Raises:
        OSError: nothing is left behind, and an earlier file of that name is as it was.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def append_whole(path: Path, content: bytes, *, flush: bool = True) -> None:
    """Append to a file that is made if absent, all or nothing while the process lives.

    Args:
        flush: to the disk, so that it survives a crash of the machine.

    Raises:
        OSError: the file is as it was; half a line would spoil the next.
    """
    with path.open("ab") as out:
        start = out.tell()
        try:
            out.write(content)
            out.flush()
            if flush:
                os.fsync(out.fileno())
        except OSError:
            os.ftruncate(out.fileno(), start)
            raise


def temporary_beside(path: Path) -> Path:
    """A name in the same folder for what is being written; `is_leftover` tells from it whether the writer is gone."""
    return path.parent / f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}{PART}"


def is_leftover(path: Path) -> bool:
    """Whether the process that wrote this temporary file or folder is gone."""
    found = _NAME.search(path.name)
    if found is None:
        return False
    if found.group(1) == _host() and sys.platform != "win32":
        return not _alive(int(found.group(2)))
    try:
        return time.time() - path.stat().st_mtime > _FOREIGN_LEFTOVER_SECONDS
    except FileNotFoundError:
        return False


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into `DiskError`, saying which file and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskError(
                f"no room on the disk for {path} ({error.strerror}); the store is whole; free some and run again"
            ) from error
        raise DiskError(f"cannot write {path}: {error.strerror or error}") from error


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets folders be flushed."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse; the file itself is safe
            os.fsync(handle)
    finally:
        os.close(handle)
