"""Cohorts of phantom patients on disk, as DICOM or straight in a study store, with their truth beside them.

    make_cohort("cohort", 100, seed=1)                       # DICOM, truth, masks, reports.csv, truth.csv
    make_cohort("train.store", 1000, seed=2, format="store", site=("referral", "biobank"), crop_mm=220)

Patient i depends on the seed and i alone, so a cohort can be made on many cores, go on after a kill, or grow.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Literal

from cardiolens.errors import PhantomError
from cardiolens.phantom.cohort.config import MOST_SEEDS, CohortConfig
from cardiolens.phantom.cohort.order import StudyOrder
from cardiolens.phantom.cohort.study import is_finished, make_study
from cardiolens.phantom.cohort.tables import write_tables
from cardiolens.store.atomic import PART, is_leftover, write_whole

_log = logging.getLogger(__name__)
_MANIFEST = "manifest.json"

CohortFormat = Literal["dicom", "store"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Cohort:
    """A finished cohort.

    Attributes:
        folder: where it is.
        studies: its study names, in order.
        made: how many were made by this call; the others were there.
        hash: over the content of all studies, pixels included; the same for any number of workers and resumes.
    """

    folder: Path
    studies: tuple[str, ...]
    made: int
    hash: str


def make_cohort(
    out: str | Path,
    n: int,
    seed: int,
    *,
    format: CohortFormat = "dicom",
    site: str | Sequence[str] = "default",
    style: str | None = None,
    matrix: int | Sequence[int] | None = None,
    phases: int | None = None,
    sax_planes: int | None = None,
    condition: str | None = None,
    masks: bool | None = None,
    crop_mm: float | None = None,
    sessions: int = 1,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Cohort:
    """Make a cohort of `n` patients, or finish one that was begun.

    Args:
        out: folder; absent, empty, or holding this same cohort, complete or not.
        site, style, matrix, phases, sax_planes, condition, crop_mm, sessions: see `CohortConfig`.
        masks: write masks; None for with DICOM only.
        workers: processes; None for one a core, 1 for none but this.
        progress: called with (done, n) at the start and after every study.

    Raises:
        PhantomError: impossible settings, an unknown site or condition, or a folder that holds something else; before
            anything is rendered.
    """
    config = CohortConfig(
        seed=seed,
        format=format,
        site=(site,) if isinstance(site, str) else tuple(site),
        style=style,
        matrix=() if matrix is None else (matrix,) if isinstance(matrix, int) else tuple(matrix),
        phases=phases,
        sax_planes=sax_planes,
        condition=condition,
        masks=format == "dicom" if masks is None else masks,
        crop_mm=crop_mm,
        sessions=sessions,
    )
    if not 1 <= n <= MOST_SEEDS:
        raise PhantomError(f"a cohort has 1 to {MOST_SEEDS} patients, got n = {n}")
    if workers is not None and workers < 1:
        raise PhantomError(f"workers must be at least 1, got {workers}")
    folder = Path(out)
    _claim(folder, config, n)
    orders = [StudyOrder(folder, config, index, session) for index in range(n) for session in range(sessions)]
    missing = [order for order in orders if not is_finished(order)]
    total = len(orders)
    done = total - len(missing)
    if done:
        _log.info("%s: %d of %d studies are there already", folder, done, total)
    if progress:
        progress(done, total)
    for _ in _run(missing, workers if workers is not None else os.cpu_count() or 1):
        done += 1
        if progress:
            progress(done, total)
    _sweep(folder)  # again: a process just killed may have looked alive at the start
    digest = write_tables(folder, orders)
    _write_manifest(folder, config, n, digest)
    return Cohort(folder, tuple(order.name for order in orders), len(missing), digest)


def _claim(folder: Path, config: CohortConfig, n: int) -> None:
    """Take the folder for this cohort, or refuse it; clear away what a killed run left."""
    manifest = folder / _MANIFEST
    if manifest.is_file():
        try:
            found = json.loads(manifest.read_text(encoding="utf-8"))
            theirs, n_there = dict(found["config"]), int(found["n"])
        except (ValueError, KeyError, TypeError) as error:
            raise PhantomError(
                f"{manifest}: is not the manifest of a phantom cohort ({error}); name a new folder"
            ) from error
        mine = config.identity()
        differing = [
            f"{key} {theirs.get(key)!r} (asked: {mine[key]!r})" for key in mine if theirs.get(key) != mine[key]
        ]
        if differing:
            raise PhantomError(f"{folder} holds another cohort: {', '.join(differing)}; name a new folder")
        if n < n_there:
            raise PhantomError(f"{folder} is a cohort of {n_there} patients, {n} were asked for; name a new folder")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PhantomError(f"{folder} is not an empty folder and holds no phantom cohort; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    _write_manifest(folder, config, n, None)
    _sweep(folder)


def _sweep(folder: Path) -> None:
    """Clear away what a killed run left; not what one that is still going is writing."""
    for place in (folder, folder / "truth"):
        for part in place.glob(f".*{PART}"):
            if part.is_dir() and is_leftover(part):
                shutil.rmtree(part, ignore_errors=True)


def _write_manifest(folder: Path, config: CohortConfig, n: int, digest: str | None) -> None:
    """`manifest.json`: configuration, number of studies, and the content hash once complete (null until then)."""
    manifest = {"kind": "cardiolens phantom cohort", "config": config.identity(), "n": n, "sha256": digest}
    write_whole(folder / _MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def _run(orders: list[StudyOrder], workers: int) -> Iterator[str]:
    """Make the studies, in this process or in several; the first failure stops all."""
    if workers == 1 or len(orders) < 2:
        yield from map(make_study, orders)
        return
    # spawned, not forked: safe beside threads (BLAS, progress bar) and the same on every system
    context = get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(orders)), mp_context=context, initializer=_end_with_parent) as pool:
        futures = {pool.submit(make_study, order): order for order in orders}
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
