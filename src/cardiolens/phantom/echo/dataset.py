"""Phantom echo data sets in EchoNet-Dynamic's layout (Ouyang et al., Nature 2020;580:252).

    write_echonet("echo", 200, seed=1)
    # echo/FileList.csv  echo/VolumeTracings.csv  echo/Videos/0X....avi  echo/truth.csv  echo/truth/0X....json

`FileList.csv` carries the volumes that the tracings give, by discs in this one plane, as EchoNet-Dynamic's do;
`truth.csv` those of the whole heart.  A clip's smaller, end-systolic tracing comes first and the larger one last, as
the data set's own reader takes them.  Clip i depends on the seed and i alone, so a data set can be made on many cores,
go on after a kill, or grow.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from cardiolens._version import __version__
from cardiolens.errors import PhantomError
from cardiolens.phantom.echo.record import TRUTH, VIDEOS, EchoOrder, is_finished, make_clip, read_record
from cardiolens.store.atomic import PART, disk_errors, is_leftover, write_whole

_log = logging.getLogger(__name__)
_MANIFEST = "manifest.json"
_KIND = "cardiolens phantom echo"
_SCHEMA = 1
_MOST = 1_000_000

FILE_LIST = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
TRACINGS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class EchoSet:
    """A finished data set.

    Attributes:
        folder: where it is; names: of its clips, in order.
        made: how many were made by this call; the others were there.
        hash: over tables' rows and videos of all clips; the same for any number of workers and resumes.
    """

    folder: Path
    names: tuple[str, ...]
    made: int
    hash: str


def write_echonet(
    folder: str | Path,
    n: int,
    seed: int,
    *,
    size: int = 112,
    fps: float | None = None,
    condition: str | None = None,
    population: str = "default",
    overlay: bool = False,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> EchoSet:
    """Make a data set of `n` clips, one a patient, or finish one that was begun.

    Args:
        folder: absent, empty, or holding this same data set, complete or not.
        seed: 0 to 999,999.
        size: pixels along an edge, even; EchoNet-Dynamic has 112.
        fps: frames a second; None draws 30 to 80, most about 50.
        condition: every patient has this one; None draws them by prevalence.
        population: whose hearts, by name.
        overlay: burn ECG and text in outside the sector.
        workers: processes; None for one a core, 1 for none but this.
        progress: called with (done, n) at the start and after every clip.

    Raises:
        PhantomError: impossible settings, or a folder that holds something else; before anything is rendered.
        DiskError: the disk is full or refuses; what is there is whole.
    """
    target = Path(folder)
    order = EchoOrder(target, 0, seed, size, fps, condition, population, overlay)
    _check(order, n, workers)
    orders = [EchoOrder(**{**_fields(order), "index": i}) for i in range(n)]
    with disk_errors(target):
        _claim(target, order, n)
        missing = [o for o in orders if not is_finished(o)]
        done = n - len(missing)
        if done:
            _log.info("%s: %d of %d clips are there already", target, done, n)
        if progress:
            progress(done, n)
        for _ in _run(missing, workers if workers is not None else os.cpu_count() or 1):
            done += 1
            if progress:
                progress(done, n)
        _sweep(target)  # again: a process just killed may have looked alive at the start
        digest = _write_tables(target, orders)
        _write_manifest(target, order, n, digest)
    return EchoSet(target, tuple(o.name for o in orders), len(missing), digest)


def _fields(order: EchoOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__dataclass_fields__}


def _check(order: EchoOrder, n: int, workers: int | None) -> None:
    from cardiolens.phantom.disease import check_condition, find_population

    if not 1 <= n <= _MOST:
        raise PhantomError(f"an echo data set has 1 to {_MOST} clips, got n = {n}")
    if not 0 <= order.seed < _MOST:
        raise PhantomError(f"seed must be 0 to {_MOST - 1}, got {order.seed}")
    if not 64 <= order.size <= 800 or order.size % 2:
        raise PhantomError(f"size must be an even number of pixels, 64 to 800, got {order.size}")
    if order.fps is not None and not 15.0 <= order.fps <= 200.0:
        raise PhantomError(f"fps must be 15 to 200, got {order.fps:g}")
    if workers is not None and workers < 1:
        raise PhantomError(f"workers must be at least 1, got {workers}")
    check_condition(order.condition)
    find_population(order.population)


def _claim(folder: Path, order: EchoOrder, n: int) -> None:
    """Take the folder for this data set, or refuse it; clear away what a killed run left."""
    manifest = folder / _MANIFEST
    if manifest.is_file():
        try:
            found = json.loads(manifest.read_text(encoding="utf-8"))
            kind, theirs, there = found["kind"], dict(found["config"]), int(found["n"])
        except (ValueError, KeyError, TypeError) as error:
            raise PhantomError(f"{manifest}: is no manifest of a phantom ({error}); name a new folder") from error
        if kind != _KIND:
            raise PhantomError(f"{folder} holds another thing, a {kind}; name a new folder")
        mine = _identity(order)
        differing = [f"{k} {theirs.get(k)!r} (asked: {mine[k]!r})" for k in mine if theirs.get(k) != mine[k]]
        if differing:
            raise PhantomError(f"{folder} holds another data set: {', '.join(differing)}; name a new folder")
        if n < there:
            raise PhantomError(f"{folder} is a data set of {there} clips, {n} were asked for; name a new folder")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PhantomError(f"{folder} is not an empty folder and holds no phantom echo; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    _write_manifest(folder, order, n, None)
    _sweep(folder)


def _sweep(folder: Path) -> None:
    """Clear away what a killed run left; not what one that is still going is writing."""
    for place in (folder, folder / VIDEOS, folder / TRUTH):
        for part in place.glob(f".*{PART}"):
            if is_leftover(part):
                part.unlink(missing_ok=True)


def _identity(order: EchoOrder) -> dict[str, Any]:
    """What a second call must repeat; the version too, since another version may draw other hearts."""
    config = {k: v for k, v in asdict(order).items() if k not in ("folder", "index")}
    return {**config, "cardiolens": __version__, "schema": _SCHEMA}


def _write_manifest(folder: Path, order: EchoOrder, n: int, digest: str | None) -> None:
    """`manifest.json`: configuration, number of clips, and the content hash once complete (null until then)."""
    manifest = {"kind": _KIND, "config": _identity(order), "n": n, "sha256": digest}
    write_whole(folder / _MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def _run(orders: list[EchoOrder], workers: int) -> Iterator[str]:
    """Make the clips, in this process or in several; the first failure stops all."""
    if workers == 1 or len(orders) < 2:
        yield from map(make_clip, orders)
        return
    context = get_context("spawn")  # safe beside threads and the same on every system
    with ProcessPoolExecutor(min(workers, len(orders)), mp_context=context) as pool:
        futures = [pool.submit(make_clip, order) for order in orders]
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


def _write_tables(folder: Path, orders: Sequence[EchoOrder]) -> str:
    """`VolumeTracings.csv`, `truth.csv` and, last, `FileList.csv`; gives the hash over all clips."""
    records = [read_record(order) for order in orders]
    lines = [
        (f"{r['row']['FileName']}.avi", *line, tracing["frame"])
        for r in records
        for tracing in r["tracings"]
        for line in tracing["lines"]
    ]
    _write_csv(folder / "VolumeTracings.csv", TRACINGS, lines)
    truth = [_truth_row(r) for r in records]
    _write_csv(folder / "truth.csv", tuple(truth[0]), [tuple(row.values()) for row in truth])
    _write_csv(folder / "FileList.csv", FILE_LIST, [tuple(r["row"][name] for name in FILE_LIST) for r in records])
    digest = sha256()
    for r in records:
        digest.update(json.dumps([r["row"], r["tracings"], r["video_sha256"]], sort_keys=True).encode())
    return digest.hexdigest()


def _truth_row(record: dict[str, Any]) -> dict[str, Any]:
    """The whole heart's figures, which the plane's discs only estimate."""
    t = record["truth"]
    return {
        "FileName": record["row"]["FileName"],
        "EF": t["lvef_pct"],
        "ESV": t["esv_ml"],
        "EDV": t["edv_ml"],
        "LVMass": t["lv_mass_g"],
        "RVEF": t["rvef_pct"],
        "Frame_ED": record["tracings"][1]["frame"],
        "Frame_ES": record["tracings"][0]["frame"],
        "mm_per_pixel": record["mm_per_pixel"],
        "heart_rate": t["heart_rate"],
        "sex": t["sex"],
        "age": t["age"],
        "conditions": ";".join(t["conditions"]),
    }


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())
