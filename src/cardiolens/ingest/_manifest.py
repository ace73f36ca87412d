"""`manifest.json` beside the studies: what came in, what was refused and why.  Holds no identifier but pseudonyms."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cardiolens._version import __version__
from cardiolens.errors import StoreError
from cardiolens.store.atomic import disk_errors, write_whole

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
INGESTED, REFUSED, FAILED = "ingested", "refused", "failed"
_SAVE_SHARE = 20  # save again once this many times the last saving has passed, so that saving takes 5 % at most


@dataclass(frozen=True)
class Record:
    """One study that was found.

    Attributes:
        status: "ingested", "refused" (for the reason) or "failed" (a fault of the program, please report it).
        source: keyed hash of where it lay.
        fingerprint: keyed hash of its files, report and site; a rerun skips what has not changed.
        study: keyed hash of its study UID.
        key: in the store; None unless ingested.
        reason: why it is not in the store.
        views: view to (slice, time, row, col).
        refused: series that were not used: series, reason, n_files.
        notes: what the reader found and did, in the study and in each view.
        n_files: files that belong to it, or members of its archive where it came in one.
        n_damaged: files left out as truncated or corrupt.
        n_duplicates: files left out as copies.
        has_report: whether a report was stored with it.
        content_hash: as in the store.
        seconds: that it took.
    """

    status: str
    source: str
    fingerprint: str
    study: str | None = None
    key: str | None = None
    reason: str | None = None
    views: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    refused: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    n_files: int = 0
    n_damaged: int = 0
    n_duplicates: int = 0
    has_report: bool = False
    content_hash: str | None = None
    seconds: float = 0.0


class Manifest:
    """The records of a store, of this run and those before."""

    def __init__(self, path: Path, records: list[Record]):
        self.path = path
        self.records = records
        self.run: dict[str, Any] = {}
        self._next_save = 0.0

    def put(self, fingerprint: str, source: str, records: list[Record]) -> list[str]:
        """Take the records of one source, in place of what was known of it and of the same keys.

        Returns:
            Keys under which the same studies lay before and lie no longer (the site was renamed, say).
        """
        keys = {record.key for record in records if record.key}
        came = {record.study for record in records if record.key}
        kept, moved = [], []
        for old in self.records:
            if old.source != source and old.fingerprint != fingerprint and (old.key is None or old.key not in keys):
                kept.append(old)
            elif old.key is not None and old.key not in keys and old.study in came:
                moved.append(old.key)
        self.records = kept + records
        if time.monotonic() >= self._next_save:
            self.save()
        return moved

    def save(self) -> None:
        """Write the manifest whole.  Raises `StoreError` when the disk is full."""
        start = time.monotonic()
        with disk_errors(self.path):
            text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"
            write_whole(self.path, text.encode("utf-8", "replace"))
        end = time.monotonic()
        self._next_save = end + _SAVE_SHARE * (end - start)

    def totals(self) -> dict[str, int]:
        """Counts over all records."""
        came = [record for record in self.records if record.status == INGESTED]
        return {
            "studies": len(self.records),
            "ingested": len(came),
            "refused": sum(record.status == REFUSED for record in self.records),
            "failed": sum(record.status == FAILED for record in self.records),
            "with_report": sum(record.has_report for record in came),
            "without_report": sum(not record.has_report for record in came),
            "series_refused": sum(len(record.refused) for record in self.records),
            "files": sum(record.n_files for record in self.records),
            "files_damaged": sum(record.n_damaged for record in self.records),
            "files_duplicate": sum(record.n_duplicates for record in self.records),
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": "cardiolens-manifest",
            "schema_version": MANIFEST_VERSION,
            "written_by": f"cardiolens {__version__}",
            "written_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "totals": self.totals(),
            "last_run": self.run,
            "studies": [asdict(record) for record in sorted(self.records, key=_order)],
        }


def _order(record: Record) -> tuple[str, str, str]:
    return (record.status, record.key or "", record.source)


def read_manifest(store: str | Path) -> Manifest:
    """The manifest of a store; empty where there is none.

    Raises:
        StoreError: a manifest that cannot be read, or of a newer version.
    """
    path = Path(store) / MANIFEST
    if not path.exists():
        return Manifest(path, [])
    known = {each.name for each in fields(Record)}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["schema_version"] > MANIFEST_VERSION:
            raise StoreError(f"{path}: of a newer cardiolens (version {said['schema_version']}); update cardiolens")
        records = [
            Record(**{name: _tuples(value) for name, value in study.items() if name in known})
            for study in said["studies"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: damaged ({error!r}); move it away and ingest again, which reads all anew") from error
    return Manifest(path, records)


def _tuples(value: Any) -> Any:
    """JSON's lists back as tuples, one level into mappings."""
    if isinstance(value, list):
        return tuple(value)
    return {name: _tuples(inner) for name, inner in value.items()} if isinstance(value, dict) else value
