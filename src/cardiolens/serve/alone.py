"""One server a folder of work: two would write over each other."""

from __future__ import annotations

import os
from pathlib import Path

from cardiolens.errors import StoreError
from cardiolens.store.atomic import disk_errors


class Alone:
    """Holds a folder for this process until closed, or until the process ends in any way.

    Raises:
        StoreError: another server works in it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._held: int | None = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        if os.name != "posix":
            return
        import fcntl

        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StoreError(f"another server works in {folder}; stop it, or give another --out") from None
        except OSError:
            return  # a file system without locks

    def close(self) -> None:
        """Let the folder go."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
