"""Cohorts of phantom patients on disk, as DICOM or straight in a study store, with their truth beside them.

    make_cohort("cohort", 100, seed=1)                       # DICOM, truth, masks, reports.csv, truth.csv
    make_cohort("train.store", 1000, seed=2, format="store")  # no DICOM between

Study i depends on the seed and i alone, so a cohort can be made on many cores, go on after a kill, or grow.
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
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Literal

from cardiolens._version import __version__
from cardiolens.errors import PhantomError
from cardiolens.phantom.cohort.study import StudyOrder, is_finished, make_study
from cardiolens.phantom.cohort.tables import write_tables
from cardiolens.phantom.dicom.styles import STYLES
from cardiolens.phantom.heart import CONDITIONS
from cardiolens.store.atomic import PART, is_leftover, write_whole

_log = logging.getLogger(__name__)
_MANIFEST = "manifest.json"
_SCHEMA = 1
_MOST_SEEDS = 1_000_000
_FEWEST_PHASES = 8  # what the DICOM reader takes for a cine

CohortFormat = Literal["dicom", "store"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CohortConfig:
    """What makes a cohort this cohort and no other; the number of studies is not part of it.

    Attributes:
        seed: 0 to 999,999.
        format: "dicom" or "store".
        style: DICOM layout, see `phantom.dicom`; of no effect on a store.
        matrix: pixels along an edge; of several, study i has the (i mod their number)-th, as sites differ.
        phases, sax_planes: frames a beat, planes of the short-axis stack.
        condition: every patient has this one; None draws them by prevalence.
        masks: write masks as NIfTI beside each DICOM study.
    """

    seed: int
    format: str = "dicom"
    style: str = "siemens"
    matrix: tuple[int, ...] = (256,)
    phases: int = 25
    sax_planes: int = 12
    condition: str | None = None
    masks: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.seed < _MOST_SEEDS:
            raise PhantomError(f"seed must be 0 to {_MOST_SEEDS - 1}, got {self.seed}")
        if self.format not in ("dicom", "store"):
            raise PhantomError(f'format must be "dicom" or "store", got {self.format!r}')
        if self.style not in STYLES:
            raise PhantomError(f"unknown DICOM style {self.style!r}; choose one of {', '.join(STYLES)}")
        if self.condition is not None and self.condition not in CONDITIONS:
            raise PhantomError(f"unknown condition {self.condition!r}; known are {', '.join(CONDITIONS)}")
        if not self.matrix or not all(32 <= edge <= 1024 for edge in self.matrix):
            raise PhantomError(f"matrix must be 32 to 1024, got {', '.join(map(str, self.matrix)) or 'none'}")
        for name, low, high in (("phases", _FEWEST_PHASES, 100), ("sax_planes", 1, 40)):
            if not low <= getattr(self, name) <= high:
                raise PhantomError(f"{name} must be {low} to {high}, got {getattr(self, name)}")


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
    style: str = "siemens",
    matrix: int | Sequence[int] = 256,
    phases: int = 25,
    sax_planes: int = 12,
    condition: str | None = None,
    masks: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Cohort:
    """Make a cohort of `n` patients, or finish one that was begun.

    Args:
        out: folder; absent, empty, or holding this same cohort, complete or not.
        workers: processes; None for one a core, 1 for none but this.
        progress: called with (done, n) at the start and after every study.

    Raises:
        PhantomError: impossible settings, or a folder that holds something else; before anything is rendered.
    """
    edges = (matrix,) if isinstance(matrix, int) else tuple(matrix)
    config = CohortConfig(seed, format, style, edges, phases, sax_planes, condition, masks and format == "dicom")
    if not 1 <= n <= _MOST_SEEDS:
        raise PhantomError(f"a cohort has 1 to {_MOST_SEEDS} studies, got n = {n}")
    if workers is not None and workers < 1:
        raise PhantomError(f"workers must be at least 1, got {workers}")
    folder = Path(out)
    _claim(folder, config, n)
    orders = [
        StudyOrder(folder, index, **{**asdict(config), "matrix": edges[index % len(edges)]}) for index in range(n)
    ]
    missing = [order for order in orders if not is_finished(order)]
    done = n - len(missing)
    if done:
        _log.info("%s: %d of %d studies are there already", folder, done, n)
    if progress:
        progress(done, n)
    for _ in _run(missing, workers if workers is not None else os.cpu_count() or 1):
        done += 1
        if progress:
            progress(done, n)
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
        mine = _identity(config)
        differing = [
            f"{key} {theirs.get(key)!r} (asked: {mine[key]!r})" for key in mine if theirs.get(key) != mine[key]
        ]
        if differing:
            raise PhantomError(f"{folder} holds another cohort: {', '.join(differing)}; name a new folder")
        if n < n_there:
            raise PhantomError(f"{folder} is a cohort of {n_there} studies, {n} were asked for; name a new folder")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PhantomError(f"{folder} is not an empty folder and holds no phantom cohort; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    _write_manifest(folder, config, n, None)
    _sweep(folder)


def _sweep(folder: Path) -> None:
    """Clear away what a killed run left; not what one that is still going is writing."""
    for part in folder.glob(f".*{PART}"):
        if is_leftover(part):
            shutil.rmtree(part, ignore_errors=True)


def _identity(config: CohortConfig) -> dict[str, Any]:
    """What a second call must repeat; the version too, since another version may draw other hearts."""
    return {**asdict(config), "matrix": list(config.matrix), "cardiolens": __version__, "schema": _SCHEMA}


def _write_manifest(folder: Path, config: CohortConfig, n: int, digest: str | None) -> None:
    """`manifest.json`: configuration, number of studies, and the content hash once complete (null until then)."""
    manifest = {"kind": "cardiolens phantom cohort", "config": _identity(config), "n": n, "sha256": digest}
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
