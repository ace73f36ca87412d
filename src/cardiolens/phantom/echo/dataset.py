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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from cardiolens._version import __version__
from cardiolens.errors import PhantomError
from cardiolens.phantom.echo.record import TRUTH, VIDEOS, EchoOrder, is_finished, make_clip, record_of
from cardiolens.phantom.folder import Kind, Progress, check_counts, claim, make_all, sweep, write_manifest
from cardiolens.phantom.heart.parts import check_whole
from cardiolens.store.atomic import disk_errors, write_whole

_log = logging.getLogger(__name__)
_KIND = Kind("cardiolens phantom echo", "data set", "clips")
_SCHEMA = 1
_MOST = 1_000_000

FILE_LIST = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
TRACINGS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")


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
    orders = [replace(order, index=i) for i in range(n)]
    places = (target, target / VIDEOS, target / TRUTH)
    with disk_errors(target):
        claim(target, _KIND, _identity(order), n)
        sweep(*places)
        missing = [o for o in orders if not is_finished(o)]
        if len(missing) < n:
            _log.info("%s: %d of %d clips are there already", target, n - len(missing), n)
        make_all(make_clip, missing, workers, progress, n)
        sweep(*places)  # again: a process just killed may have looked alive at the start
        digest = _write_tables(target, orders)
        write_manifest(target, _KIND, _identity(order), n, digest)
    return EchoSet(target, tuple(o.name for o in orders), len(missing), digest)


def _check(order: EchoOrder, n: int, workers: int | None) -> None:
    from cardiolens.phantom.disease import check_condition, find_population

    check_counts(n, _MOST, _KIND, workers)
    check_whole("seed", order.seed, 0, _MOST - 1)
    check_whole("size", order.size, 64, 800)
    if order.size % 2:
        raise PhantomError(f"size must be an even number of pixels, got {order.size}")
    if order.fps is not None and not 15.0 <= order.fps <= 200.0:
        raise PhantomError(f"fps must be 15 to 200, got {order.fps:g}")
    check_condition(order.condition)
    find_population(order.population)


def _identity(order: EchoOrder) -> dict[str, Any]:
    """What a second call must repeat; the version too, since another version may draw other hearts."""
    config = {k: v for k, v in asdict(order).items() if k not in ("folder", "index")}
    return {**config, "cardiolens": __version__, "schema": _SCHEMA}


def _write_tables(folder: Path, orders: Sequence[EchoOrder]) -> str:
    """`VolumeTracings.csv`, `truth.csv` and, last, `FileList.csv`; gives the hash over all clips."""
    records = [record_of(order) for order in orders]
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
