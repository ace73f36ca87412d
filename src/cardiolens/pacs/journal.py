"""`Entry`: what became of one study in the spool, as a file that survives the process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cardiolens.errors import StoreError
from cardiolens.store.atomic import disk_errors, write_whole

NAME = "state.json"
STATES = {
    "receiving": "images are coming in",
    "waiting": "fewer images than the study announces have come; read as it is when its time is up",
    "reading": "is being read by the model",
    "sending": "results are made and are on their way",
    "sent": "results are in the archive",
    "partly sent": "the archive refused some results every time; they are kept, and --retry sends them again",
    "failed": "no result; the reason stands beside; the images are kept",
}
_WHAT = "a study in the spool of cardiolens node; holds no identifiers"


@dataclass
class Entry:
    """One study.  Nothing in it names the patient.

    Attributes:
        study: pseudonym, the name of its folder.
        state: one of `STATES`.
        images: how many there are; expected: how many the study has by its headers, None where they do not say.
        first, last: when the first and the last image came, seconds since 1970.
        reason: why it failed, or why the results could not be sent yet.
        attempts: of sending; next_try: when the next one is due.
        begun: how often reading was begun; more than twice without an end means that it kills the node.
        remade: how often results were made anew, since what lay on the disk was damaged.
        made: when the results were had.
        results, sent: names of result files, and of those that the archive has taken.
        sums: SHA-256 of each result file as it was written.
        refusals: how often the archive refused a result file; given_up: those that are not sent again, and what was
            said of them.
        read: names of the images that the results were made from.
        summary: figures, for the table of studies.
        notes: what the results say of themselves.
    """

    study: str
    state: str = "receiving"
    images: int = 0
    expected: int | None = None
    first: float = 0.0
    last: float = 0.0
    reason: str = ""
    attempts: int = 0
    next_try: float = 0.0
    begun: int = 0
    remade: int = 0
    made: float | None = None
    results: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    sums: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    given_up: dict[str, str] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    summary: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def save(self, spool: Path) -> None:
        """Write it whole; raises `DiskError` where the disk refuses."""
        path = spool / self.study / NAME
        content = json.dumps({"what": _WHAT, **asdict(self)}, indent=1) + "\n"
        with disk_errors(path):
            write_whole(path, content.encode("utf-8"))

    def to_send(self) -> None:
        """All results that the archive has not taken are to be sent, as if for the first time."""
        self.state, self.reason = "sending", ""
        self.refusals, self.given_up = {}, {}
        self.attempts, self.next_try = 0, 0.0

    def arrived(self, now: float, images: int, expected: int | None) -> None:
        """An image came: what was found before no longer holds for the whole study."""
        self.first = self.first or now
        self.last = now
        self.images = images
        self.expected = expected if expected is not None else self.expected
        if self.state != "receiving":
            self.state, self.reason, self.begun = "receiving", "", 0


def load(folder: Path) -> Entry | None:
    """The entry of a study's folder; None where there is none yet.

    Raises:
        StoreError: a file that is not one of these.
    """
    path = folder / NAME
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}); move that folder away to go on without it") from error
    names = {one.name for one in fields(Entry)}
    if found.get("what") != _WHAT or found.get("state") not in STATES or not isinstance(found.get("study"), str):
        raise StoreError(f"{path} is no journal of cardiolens node; give a new --store")
    return Entry(**{name: value for name, value in found.items() if name in names} | {"study": folder.name})


def entries(spool: Path) -> list[Entry]:
    """Every study of a spool, the latest first; what is not a study's folder is passed over."""
    if not spool.is_dir():
        return []
    folders = [path for path in sorted(spool.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    found = [one for one in map(load, folders) if one is not None]
    for one in found:
        if one.state == "receiving":  # the journal is written when the state changes, not with every image
            images = spool / one.study / "images"
            one.images = sum(path.suffix == ".dcm" for path in images.iterdir()) if images.is_dir() else 0
            one.last = max(one.last, images.stat().st_mtime if images.is_dir() else 0.0)
    return sorted(found, key=lambda one: -one.last)
