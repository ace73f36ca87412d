"""One export: cases each placed whole, by one process or several, with a manifest that says they are synthetic.

    folder/
      manifest.json        what was asked, and the content hash once complete (null until then)
      README.md            that nobody is in it, whose layout it follows, and what of the layout is a guess
      truth/<case>.json    parameters and true figures; written last, so a case with a record is whole
      <root>/              what the real distribution unpacks to, and nothing else

A case is made in a hidden folder, then renamed into place.  A run that is killed leaves at most that hidden folder, or
files of one case without its record; the next run clears the one and makes the other again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cardiolens._version import __version__
from cardiolens.errors import PhantomError
from cardiolens.phantom.exports.scan import Scan
from cardiolens.phantom.folder import (
    Kind,
    Progress,
    check_counts,
    claim,
    make_all,
    read_record,
    sweep,
    write_manifest,
)
from cardiolens.phantom.heart.parts import check_whole
from cardiolens.store.atomic import temporary_beside, write_whole

_log = logging.getLogger(__name__)
_KIND = Kind("cardiolens phantom export", "export", "cases")
_README, _TRUTH = "README.md", "truth"
_SCHEMA = 1
_MOST_SEEDS = 1_000_000
_STREAMS = {"heart": 0, "scan": 1, "table": 2}

Record = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One case to make: the `index`-th of an export, which depends on `seed` and `index` alone.

    Attributes:
        part: folder to write into; what lies in it afterwards goes under the export's root.
    """

    index: int
    seed: int
    scan: Scan
    part: Path

    def rng(self, stream: str) -> np.random.Generator:
        """Random numbers of this case alone: "heart", "scan" or "table"."""
        return np.random.default_rng([self.seed, self.index, _STREAMS[stream], 77])


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How one data set is laid out.

    Attributes:
        name: key in `EXPORTS`; title: as the data set is called.
        root: folder that the real distribution unpacks to.
        capacity: cases in the real set, beyond which its numbering ends.
        scan: protocol of its images.
        source: where the layout is told; unverified: what of it is a guess.
        case_name: of case i, also the name of its record.
        write: makes one case under `Case.part` and gives its record, truth included.
        tables: from all records, path under the root -> content, for what is one file over all cases.
    """

    name: str
    title: str
    root: str
    capacity: int
    scan: Scan
    source: str
    unverified: str
    case_name: Callable[[int], str]
    write: Callable[[Case], Record]
    tables: Callable[[Sequence[Record]], Mapping[str, bytes]] = field(default=lambda records: {})


@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes:
        folder: where it is; root: the part of it that looks like the real distribution.
        cases: names, in order; made: how many this call made, the others were there.
        hash: over the content of all cases.
    """

    folder: Path
    root: Path
    cases: tuple[str, ...]
    made: int
    hash: str


def build(
    layout: Layout,
    folder: str | Path,
    n: int,
    seed: int,
    *,
    workers: int | None = 1,
    progress: Progress | None = None,
    scan: Scan | None = None,
) -> Export:
    """Make an export of `n` cases, or finish one that was begun.

    Args:
        folder: absent, empty, or holding this same export, complete or not.
        workers: processes; 1 for none but this, None for one a core.  The bytes are the same for any number.
        progress: called with (done, n) at the start and after every case.
        scan: None for the data set's own protocol.

    Raises:
        PhantomError: impossible settings, more cases than the real set numbers, or a folder that holds something else;
            before anything is rendered.
    """
    check_whole("seed", seed, 0, _MOST_SEEDS - 1)
    check_counts(n, _MOST_SEEDS, _KIND, workers)
    if n > layout.capacity:
        raise PhantomError(f"{layout.title} numbers {layout.capacity} cases, so n must be 1 to that, got {n}")
    out, protocol = Path(folder), scan or layout.scan
    identity = {"dataset": layout.name, "seed": seed, "scan": asdict(protocol), **_version()}
    claim(out, _KIND, identity, n, **_told(layout))
    sweep(out, out / _TRUTH)
    write_whole(out / _README, _readme(layout, identity).encode())
    orders = [
        _Order(out, layout.root, layout.case_name(index), index, seed, protocol, layout.write) for index in range(n)
    ]
    missing = [order for order in orders if not order.record.is_file()]
    make_all(_make, missing, workers, progress, n)
    sweep(out, out / _TRUTH)  # again: a process just killed may have looked alive at the start
    records = [read_record(order.record, "it") for order in orders]
    for path, content in layout.tables(records).items():
        write_whole(out / layout.root / path, content)
    digest = hashlib.sha256("\n".join(f"{r['case']} {r['sha256']}" for r in records).encode()).hexdigest()
    write_manifest(out, _KIND, identity, n, digest, **_told(layout))
    if len(missing) < n:
        _log.info("%s: %d of %d cases were there already", out, n - len(missing), n)
    return Export(out, out / layout.root, tuple(r["case"] for r in records), len(missing), digest)


def split_of(index: int, shares: Mapping[str, int]) -> tuple[str, int]:
    """Which split case `index` falls into and its place in it, so that any number of cases keeps the shares."""
    total, counts = sum(shares.values()), dict.fromkeys(shares, 0)
    chosen = ""
    for i in range(index + 1):
        chosen = max(shares, key=lambda name: shares[name] * (i + 1) / total - counts[name])
        counts[chosen] += 1
    return chosen, counts[chosen] - 1


def csv_bytes(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A comma-separated table; None is an empty field."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(header)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return text.getvalue().encode()


@dataclass(frozen=True)
class _Order:
    """Case `index`, called `name`, for `root` in `out`; what a worker process is sent."""

    out: Path
    root: str
    name: str
    index: int
    seed: int
    scan: Scan
    write: Callable[[Case], Record]

    @property
    def record(self) -> Path:
        return self.out / _TRUTH / f"{self.name}.json"


def _make(order: _Order) -> str:
    part = temporary_beside(order.out / order.name)
    part.mkdir()
    try:
        record = order.write(Case(order.index, order.seed, order.scan, part))
        files = sorted(path for path in part.rglob("*") if path.is_file())
        digest = hashlib.sha256()
        for path in files:
            digest.update(f"{path.relative_to(part).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        whole = {"case": order.name, **record, "synthetic": True, "sha256": digest.hexdigest()}
        text = json.dumps(whole, indent=1, sort_keys=True, default=_plain) + "\n"
        _place(part, order.out / order.root)
        write_whole(order.record, text.encode())
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return order.name


def _place(source: Path, target: Path) -> None:
    """Rename everything below `source` to the same path below `target`; whole folders where they are new."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.rename(target)
        except OSError:
            if not (source.is_dir() and target.is_dir()):
                raise  # else another process has made the folder since
        else:
            return
    for child in sorted(source.iterdir()):
        if child.is_dir():
            _place(child, target / child.name)
        else:
            child.replace(target / child.name)


def _version() -> dict[str, Any]:
    """Another version may draw other hearts, so it is part of what a second call must repeat."""
    return {"cardiolens": __version__, "schema": _SCHEMA}


def _told(layout: Layout) -> dict[str, Any]:
    """What the manifest says beside what was asked."""
    return {
        "synthetic": True,
        "note": f"Rendered phantom hearts in the layout of {layout.title}. No person was imaged.",
        "layout": {"title": layout.title, "root": layout.root, "source": layout.source},
    }


def _readme(layout: Layout, identity: Record) -> str:
    return (
        f"# Synthetic hearts in the layout of {layout.title}\n\n"
        "**Everything here is synthetic.** A computer program rendered it; no person was imaged, and no image, label\n"
        f"or figure was taken from {layout.title}. Use it to test readers and pipelines. Do not pass it on as that\n"
        "data set, and do not report results on it as results on that data set.\n\n"
        f"- `{layout.root}/` looks like what the real distribution unpacks to.\n"
        "- `truth/` holds the parameters and the true figures of every case; the real set has nothing like it.\n"
        "- `manifest.json` says how it was made.\n\n"
        f"Made by cardiolens {identity['cardiolens']}, seed {identity['seed']}.\n\n"
        f"Layout after: {layout.source}\n\n"
        f"Not verified against the real files: {layout.unverified}\n"
    )


def _plain(value: Any) -> Any:
    """What JSON does not know: NumPy's numbers and arrays."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot go into a record")
