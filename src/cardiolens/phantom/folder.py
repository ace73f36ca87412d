"""Folders that are filled one piece at a time: taken or refused, resumed after a kill, filled by several processes."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart.parts import check_whole
from cardiolens.store.atomic import PART, is_leftover, write_whole

Progress = Callable[[int, int], None]
Order = TypeVar("Order")
_MANIFEST = "manifest.json"
_MOST_WORKERS = 1024


@dataclass(frozen=True)
class Kind:
    """What a folder holds.

    Attributes:
        name: in its manifest; noun, unit: in messages, "cohort" of "patients".
    """

    name: str
    noun: str
    unit: str


def check_counts(n: int, most: int, kind: Kind, workers: int | None) -> None:
    """Raise `PhantomError` unless there are 1 to `most` units, made by 1 process or more."""
    check_whole(f"n, the number of {kind.unit},", n, 1, most)
    if workers is not None:
        check_whole("workers", workers, 1, _MOST_WORKERS)


def claim(folder: Path, kind: Kind, config: Mapping[str, Any], n: int, **more: Any) -> None:
    """Take a folder that is absent, empty, or holds the same with at most `n` units, and say so in its manifest.

    Args:
        config: what a second call must repeat; `more` stands in the manifest as well.

    Raises:
        PhantomError: it holds something else, which stays untouched.
    """
    manifest = folder / _MANIFEST
    article = "an" if kind.noun[0] in "aeiou" else "a"
    if manifest.is_file():
        theirs, there = _read_manifest(manifest, kind)
        mine = json.loads(json.dumps(config))
        differing = [f"{k} {theirs.get(k)!r} (asked: {mine[k]!r})" for k in mine if theirs.get(k) != mine[k]]
        if differing:
            raise PhantomError(f"{folder} holds another {kind.noun}: {', '.join(differing)}; name a new folder")
        if n < there:
            raise PhantomError(
                f"{folder} is {article} {kind.noun} of {there} {kind.unit}, {n} were asked for; name a new folder"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PhantomError(f"{folder} is not an empty folder and holds no phantom {kind.noun}; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, kind, config, n, None, **more)


def _read_manifest(path: Path, kind: Kind) -> tuple[dict[str, Any], int]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        name, config, n = found["kind"], dict(found["config"]), int(found["n"])
    except (ValueError, KeyError, TypeError) as error:
        raise PhantomError(
            f"{path}: is not the manifest of a phantom {kind.noun} ({error}); name a new folder"
        ) from error
    if name != kind.name:
        raise PhantomError(f"{path.parent} holds another thing, a {name}; name a new folder")
    return config, n


def write_manifest(
    folder: Path, kind: Kind, config: Mapping[str, Any], n: int, digest: str | None, **more: Any
) -> None:
    """`manifest.json`: configuration, number of units, and the content hash once complete (null until then)."""
    manifest = {"kind": kind.name, **more, "config": config, "n": n, "sha256": digest}
    write_whole(folder / _MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def sweep(*places: Path) -> None:
    """Clear away what a killed run left in these folders; not what one that is still going is writing."""
    for place in places:
        for part in place.glob(f".*{PART}"):
            if not is_leftover(part):
                continue
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)


def make_all(
    make: Callable[[Order], str], orders: Sequence[Order], workers: int | None, progress: Progress | None, total: int
) -> None:
    """Make the pieces that are missing out of `total`, in this process or in several; the first failure stops all.

    Args:
        workers: processes; None for one a core, 1 for none but this.
        progress: called with (done, total) at the start and after every piece.
    """
    done = total - len(orders)
    if progress:
        progress(done, total)
    for _ in _made(make, orders, workers or os.cpu_count() or 1):
        done += 1
        if progress:
            progress(done, total)


def _made(make: Callable[[Order], str], orders: Sequence[Order], workers: int) -> Iterator[str]:
    if workers == 1 or len(orders) < 2:
        yield from map(make, orders)
        return
    # spawned, not forked: safe beside threads (BLAS, progress bar) and the same on every system
    context = get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(orders)), mp_context=context, initializer=_end_with_parent) as pool:
        futures = [pool.submit(make, order) for order in orders]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise PhantomError(
                "a worker process died, most likely for want of memory; run the same command again with fewer workers"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """In a worker: leave when the main process is gone, so that a killed run is over and does not write on."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def read_record(path: Path, whole: str) -> dict[str, Any]:
    """The record of a finished piece; `whole` is what to remove to have it made again.

    Raises:
        PhantomError: it is missing or damaged.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PhantomError(
            f"{path}: cannot be read ({error}); remove {whole} and run the same command again"
        ) from error
    return record


def plain(value: Any, digits: int) -> Any:
    """Arrays, tuples and NumPy numbers as JSON's own kinds, floats rounded to `digits`, None for what is not finite."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), digits)
    if isinstance(value, Mapping):
        return {str(k): plain(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, digits) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item(), digits)
    if isinstance(value, float):
        return round(value, digits) if np.isfinite(value) else None
    return value
