"""Cohorts of phantom patients on disk, as DICOM or straight in a study store, with their truth beside them.

    make_cohort("cohort", 100, seed=1)                       # DICOM, truth, masks, reports.csv, truth.csv
    make_cohort("train.store", 1000, seed=2, format="store", site=("referral", "biobank"), crop_mm=220)

Patient i depends on the seed and i alone, so a cohort can be made on many cores, go on after a kill, or grow.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cardiolens.phantom.cohort.config import MOST_SEEDS, CohortConfig
from cardiolens.phantom.cohort.order import StudyOrder
from cardiolens.phantom.cohort.study import is_finished, make_study
from cardiolens.phantom.cohort.tables import write_tables
from cardiolens.phantom.folder import Kind, Progress, check_counts, claim, make_all, sweep, write_manifest

_log = logging.getLogger(__name__)
_KIND = Kind("cardiolens phantom cohort", "cohort", "patients")

CohortFormat = Literal["dicom", "store"]


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
    enrich: float = 0.0,
    masks: bool | None = None,
    crop_mm: float | None = None,
    sessions: int = 1,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Cohort:
    """Make a cohort of `n` patients, or finish one that was begun.

    Args:
        out: folder; absent, empty, or holding this same cohort, complete or not.
        site, style, matrix, phases, sax_planes, condition, enrich, crop_mm, sessions: see `CohortConfig`.
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
        enrich=enrich,
        masks=format == "dicom" if masks is None else masks,
        crop_mm=crop_mm,
        sessions=sessions,
    )
    check_counts(n, MOST_SEEDS, _KIND, workers)
    folder = Path(out)
    places = (folder, folder / "truth")
    claim(folder, _KIND, config.identity(), n)
    sweep(*places)
    orders = [StudyOrder(folder, config, index, session) for index in range(n) for session in range(sessions)]
    missing = [order for order in orders if not is_finished(order)]
    if len(missing) < len(orders):
        _log.info("%s: %d of %d studies are there already", folder, len(orders) - len(missing), len(orders))
    make_all(make_study, missing, workers, progress, len(orders))
    sweep(*places)  # again: a process just killed may have looked alive at the start
    digest = write_tables(folder, orders)
    write_manifest(folder, _KIND, config.identity(), n, digest)
    return Cohort(folder, tuple(order.name for order in orders), len(missing), digest)
