"""`Spool`: images as they came, a folder a study, each file written whole before the sender is told that it is kept.

Folders and files are named by pseudonyms.  The images themselves are as sent, with the patient in them, because results
must carry the patient back to the archive; so the spool is readable by its owner only, and images are deleted once the
results are in the archive, unless they are to be kept.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from cardiolens.dicom.deid import load_key, pseudonym
from cardiolens.errors import StoreError
from cardiolens.pacs.journal import Entry, load
from cardiolens.store.atomic import disk_errors, is_leftover, write_whole

logger = logging.getLogger(__name__)

IMAGES, RESULTS = "images", "results"
_LOCK = ".node.lock"
_OWN = re.compile(r"[a-z2-7]{16}")  # pseudonyms


class SpoolFull(StoreError):  # noqa: N818 - a state, told to the sender as "out of resources"
    """No room, or more images or studies than allowed."""


class Spool:
    """The folder, and the journal of every study in it; safe to call from several threads.

    Attributes:
        path: the folder.
        entries: by study.
        lock: held while an entry is changed.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_images: int = 20_000,
        max_studies: int = 1_000,
        free_bytes: int = 2 * 2**30,
        key: bytes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or make the folder and take up what an earlier process left.

        Args:
            max_images: of one study; max_studies: waiting for results at once.
            free_bytes: room that must be left on the disk.
            key: of the pseudonyms; None for the user's own.

        Raises:
            StoreError: the folder is that of another running node, holds something else, or cannot be written.
        """
        self.path, self.key, self._clock = path, key or load_key(), clock
        self.max_images, self.max_studies, self.free_bytes = max_images, max_studies, free_bytes
        self.lock = threading.RLock()
        self.entries: dict[str, Entry] = {}
        self._names: dict[str, set[str]] = {}
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        strange = [one.name for one in path.iterdir() if not (_OWN.fullmatch(one.name) or one.name.startswith("."))]
        if strange:
            raise StoreError(f"{path} holds {strange[0]}, which no node has put there; give a new folder as --store")
        self._handle = _claimed(path / _LOCK)
        for folder in sorted(one for one in path.iterdir() if _OWN.fullmatch(one.name)):
            self._take_up(folder)

    def close(self) -> None:
        """Let another process have the folder."""
        self._handle.close()

    def keep(self, study_uid: str, instance_uid: str, content: bytes, expected: int | None = None) -> str:
        """Write one image; when this returns, it survives a crash.  An image sent twice is kept once.

        Args:
            content: a DICOM file.
            expected: images of the study by its header.

        Returns:
            The study's pseudonym.

        Raises:
            SpoolFull: a limit is reached; nothing is written.
            StoreError: the disk refuses; nothing is left behind.
        """
        study = pseudonym("study", study_uid, self.key)
        name = pseudonym("instance", instance_uid, self.key) + ".dcm"
        with self.lock:
            self._check_room(study, name, len(content))
            folder = self.path / study
            with disk_errors(folder):
                folder.mkdir(mode=0o700, exist_ok=True)
                write_whole(folder / IMAGES / name, content)
            names = self._names.setdefault(study, set())
            names.add(name)
            entry = self.entries.setdefault(study, Entry(study))
            known = entry.state
            entry.arrived(self._clock(), len(names), expected if expected and expected > 0 else None)
            if known != "receiving" or len(names) == 1:
                entry.save(self.path)
        return study

    def _check_room(self, study: str, name: str, size: int) -> None:
        names = self._names.get(study, set())
        if name not in names and len(names) >= self.max_images:
            raise SpoolFull(f"study {study} has {self.max_images} images, the most that --max-images allows")
        if study not in self.entries:
            open_ = sum(one.state not in ("sent", "partly sent", "failed") for one in self.entries.values())
            if open_ >= self.max_studies:
                raise SpoolFull(f"{open_} studies wait for results already, the most that are taken at once")
        free = shutil.disk_usage(self.path).free
        if free - size < self.free_bytes:
            raise SpoolFull(f"{free / 2**30:.1f} GiB are free on the disk of the spool; {self.free_bytes / 2**30:.1f} "
                            "must stay free (--min-free)")  # fmt: skip

    def images(self, study: str) -> list[str]:
        """Names of the images that are there."""
        return sorted(self._names.get(study, ()))

    def folder(self, study: str, what: str) -> Path:
        """Where images or results of a study lie."""
        return self.path / study / what

    def write_results(self, entry: Entry, files: Mapping[str, bytes]) -> None:
        """Replace the results of a study; the journal is not touched."""
        folder = self.folder(entry.study, RESULTS)
        with disk_errors(folder):
            for name, content in files.items():
                write_whole(folder / name, content)
            for path in folder.iterdir():
                if path.name not in files:
                    path.unlink()

    def forget(self, entry: Entry, *, results: bool) -> None:
        """Delete the images of a study, and its results; the journal stays and holds no identifiers.

        Raises:
            StoreError: the disk refuses; some of them are still there.
        """
        images = self.folder(entry.study, IMAGES)
        try:
            for folder in (images, self.folder(entry.study, RESULTS)) if results else (images,):
                if folder.is_dir():
                    shutil.rmtree(folder)
        except OSError as error:
            raise StoreError(f"could not be deleted from the spool: {error.strerror or error}") from error
        finally:
            self._names[entry.study] = {path.name for path in images.glob("*.dcm")}

    def _take_up(self, folder: Path) -> None:
        """What an earlier process left of a study."""
        try:
            entry = load(folder)
        except StoreError as error:
            logger.error("%s", error)
            return
        for path in (*folder.glob(".*"), *folder.glob(f"{IMAGES}/.*"), *folder.glob(f"{RESULTS}/.*")):
            if is_leftover(path):
                path.unlink(missing_ok=True)
        names = {path.name for path in folder.glob(f"{IMAGES}/*.dcm")}
        if entry is None and not names:
            with suppress(OSError):
                folder.rmdir()
            return
        if entry is None:  # killed between the first image and its journal
            entry = Entry(folder.name, first=self._clock(), last=self._clock())
        self._names[folder.name] = names
        self.entries[folder.name] = entry
        if entry.state in ("receiving", "waiting", "reading"):
            entry.images = len(names)
            entry.last = max(entry.last, _latest(folder / IMAGES))
            entry.state = "receiving"
        entry.save(self.path)


def _latest(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


class _Handle:
    def __init__(self, number: int) -> None:
        self._number = number

    def close(self) -> None:
        if self._number >= 0:
            os.close(self._number)
            self._number = -1


def _claimed(path: Path) -> _Handle:
    """A lock that ends with the process, however it ends."""
    with disk_errors(path):
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        import fcntl
    except ImportError:  # Windows: the port tells two nodes apart
        return _Handle(number)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(number)
        raise StoreError(
            f"{path.parent} is the spool of a node that runs already; stop it or give another --store"
        ) from error
    return _Handle(number)


def is_running(spool: Path) -> bool | None:
    """Whether a node has this spool now; None where the system cannot tell."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        number = os.open(spool / _LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(number)
    return False
