"""External validation in one call: a model, a store, perhaps a baseline; every figure and table, and one page."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiolens._version import __version__
from cardiolens.datasets.splits import Split
from cardiolens.errors import ReadError, StatsError, TrainingError
from cardiolens.store import StudyStore
from cardiolens.store.atomic import disk_errors, write_whole
from cardiolens.validation.cohort import Cohort, Progress, gather, read_labels
from cardiolens.validation.request import Case, Settings
from cardiolens.validation.seen import check_seen

if TYPE_CHECKING:
    from cardiolens.validation.readings import Reader
    from cardiolens.validation.sections import Section

log = logging.getLogger(__name__)

PAGE, SUMMARY = "index.html", "validation.json"


@dataclass(frozen=True, eq=False)
class Validation:
    """What was made: the case, the sections, where the page is, and every file written."""

    case: Case
    sections: tuple[Section, ...]
    page: Path
    written: tuple[Path, ...]
    provenance: dict[str, Any]


def validate(
    model: str,
    store: StudyStore,
    out: Path,
    *,
    against: str | None = None,
    split: Path | None = None,
    part: str = "test",
    labels: Path | None = None,
    checkpoints: Path | None = None,
    include_seen: bool = False,
    settings: Settings | None = None,
    device: str = "cpu",
    progress: Progress = lambda what, done, total: None,
) -> Validation:
    """Measure a model on a store.

    Writes `tables/*.csv`, `figures/*.png` and `.svg`, `index.html` and `validation.json` into `out`; what the encoders
    made of every clip is kept in `out/features`, so that a call after a stop goes on.

    Args:
        model: model folder, the folder of an `each` run, or a name of `cardiolens models`.
        against: another one, or "random" for the same network with random weights.
        split, part: a split file and which part of it; None takes every study of the store.
        labels: CSV with a column `key`; None takes the store's own.
        checkpoints: folder of a sweep (`cardiolens finetune --sweep`), for the figures by epoch of pretraining.
        include_seen: measure even on studies that the model may have learned from; said on the page.

    Raises:
        CheckpointError: no model, random weights, or patients that a model has learned from.
        TrainingError: a split that does not fit.
        ReportError: labels that are none.
        ReadError: not one study could be read.
    """
    from cardiolens.validation.checkpoints import checkpoint_section, open_sweep
    from cardiolens.validation.readings import RANDOM, open_reader, random_reader, read_studies

    settings = settings or Settings()
    if out.exists() and not out.is_dir():
        raise StatsError(f"{out}: is a file; --out names a folder")
    reader = open_reader(model, device)
    base = None
    if against is not None:
        base = random_reader(reader, settings.seed, device) if against == RANDOM else open_reader(against, device)
    parts = Split.load(split) if split is not None else None
    sweep = open_sweep(checkpoints, device) if checkpoints is not None else {}
    readers = [reader, *([base] if base is not None else []), *sweep.values()]
    keys = list(parts[part]) if parts is not None else store.keys()
    if parts is not None and (missing := [key for key in keys if key not in store]):
        raise TrainingError(
            f"{split}: {len(missing)} studies of part '{part}' are not in {store.path}, first {missing[0]}"
        )
    warnings, compared = check_seen(readers, keys, store.hash(), parts, include_seen=include_seen)
    cohort = gather(store, keys, read_labels(labels, store), progress)
    if not cohort.keys:
        raise ReadError(f"{store.path}: no study with a cine among {len(keys)}; check with cardiolens views")
    readings = read_studies(reader, store, cohort.keys, out, progress)
    if not readings.keys:
        raise ReadError(f"not one of {len(cohort.keys)} studies could be read; the first: {readings.refused[0].reason}")
    _flag_by_origin(reader, cohort, readings)
    baseline = read_studies(base, store, readings.keys, out, progress) if base is not None else None
    case = Case(settings, store, cohort, reader, readings, base, baseline, out)
    sections = make_sections(case, progress)
    if sweep:
        sections.append(checkpoint_section(case, sweep, progress))
    provenance = _provenance(case, parts, split, part, labels, device) | {"seen before": "; ".join(compared)}
    return _write(case, sections, [*_synthetic(cohort), *warnings], provenance)


def make_sections(case: Case, progress: Progress = lambda what, done, total: None) -> list[Section]:
    """Every part of the page, in order."""
    from cardiolens.validation.conditions import condition_section
    from cardiolens.validation.groups import subgroup_section
    from cardiolens.validation.language import language_section
    from cardiolens.validation.looks import attention_section
    from cardiolens.validation.lvef import lvef_section
    from cardiolens.validation.maps import map_section
    from cardiolens.validation.people import cohort_section

    makers: tuple[Callable[[Case], Section], ...] = (
        cohort_section,
        lvef_section,
        condition_section,
        partial(subgroup_section, progress=progress),
        attention_section,
        map_section,
        language_section,
    )
    sections = []
    for number, make in enumerate(makers):
        progress("figures and tables", number, len(makers))
        sections.append(make(case))
    progress("figures and tables", len(makers), len(makers))
    return sections


def _flag_by_origin(reader: Reader, cohort: Cohort, readings: Any) -> None:
    """A model that learned from one manufacturer alone, as its card says, is out of its domain with any other."""
    only = (reader.main.card.domain or {}).get("manufacturer")
    if only is not None and len(readings.domain):
        other = cohort.studies.loc[list(readings.domain.index), "vendor"] != only
        readings.domain["out_of_domain"] = readings.domain["out_of_domain"].astype(bool) | other


def _synthetic(cohort: Cohort) -> list[str]:
    if not cohort.n_synthetic:
        return []
    n = f"{cohort.n_synthetic:,} of {len(cohort.keys):,}"
    return [f"Synthetic data: {n} studies were drawn by a computer phantom. No figure here says anything of patients."]


def _provenance(
    case: Case, parts: Split | None, split: Path | None, part: str, labels: Path | None, device: str
) -> dict[str, Any]:
    """What was computed from what; file names without their folders."""
    contents = "".join(f"{key}\0{case.store.hash_of(key)}\n" for key in case.readings.keys)
    table = labels if labels is not None else case.store.path / "labels.csv"
    found: dict[str, Any] = {
        "cardiolens": __version__,
        "model": case.reader.title,
        "model sha256": case.reader.sha256,
        "model made by": json.dumps([_brief(model.card.provenance) for model in case.reader.models[:1]]),
        "baseline": case.base_reader.title if case.base_reader else "none",
        "baseline sha256": case.base_reader.sha256 if case.base_reader else "",
        "store": case.store.path.name,
        "store hash": case.store.hash(),
        "studies read": len(case.readings.keys),
        "hash of the studies read": hashlib.sha256(contents.encode()).hexdigest(),
        "split": split.name if split else "none: every study of the store",
        "split hash, part": f"{parts.hash}, {part}" if parts else "",
        "labels": table.name if table.is_file() else "none",
        "labels sha256": hashlib.sha256(table.read_bytes()).hexdigest() if table.is_file() else "",
        "planes": "all",
        "settings": json.dumps(asdict(case.settings)),
        "device": device,
    }
    return found


def _brief(provenance: dict[str, Any]) -> dict[str, Any]:
    return {
        name: provenance[name]
        for name in ("recipe", "recipe_hash", "data_hash", "split_hash", "created")
        if name in provenance
    }


def _write(case: Case, sections: Sequence[Section], warnings: Sequence[str], provenance: dict[str, Any]) -> Validation:
    """All files, the page last, so that a page is never older than what it shows."""
    from cardiolens.validation.page import page
    from cardiolens.validation.sections import Section, Table, save_sections

    readings = case.readings
    predictions = readings.values.join(readings.conditions)
    if len(readings.domain):
        predictions = predictions.join(readings.domain)
    frame = predictions.rename_axis("key").reset_index()
    every = Section(
        "predictions",
        "Every prediction",
        tables=[Table("predictions", "What the model said of every study", frame, frame[:0])],
    )
    every.words.append("All files lie beside this page: tables/ as CSV, figures/ as PNG and SVG.")
    shown = [*sections, every]
    written = save_sections(shown, case.out)
    title = f"Validation of {case.reader.title} on {case.store.path.name}"
    against = f" · against {case.base_reader.title}" if case.base_reader else ""
    patients = case.cohort.studies.loc[readings.keys, "patient"].nunique()
    meta = f"{len(readings.keys):,} studies, {patients:,} patients{against}"
    summary = {
        "provenance": provenance,
        "warnings": list(warnings),
        "notes": {section.name: section.notes for section in shown},
        "files": [str(path.relative_to(case.out)) for path in written],
    }
    with disk_errors(case.out / PAGE):
        write_whole(case.out / SUMMARY, (json.dumps(summary, indent=1) + "\n").encode())
        write_whole(case.out / PAGE, page(title, meta, warnings, shown, provenance).encode())
    return Validation(case, tuple(shown), case.out / PAGE, tuple(written), provenance)
