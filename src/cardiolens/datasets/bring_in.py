"""A copy of a data set into a store: studies by `cardiolens.ingest`, labels, masks, official split, what was left out.

STORE/labels.csv                     the data set's labels, beside those that were there
STORE/splits/NAME_official.json      the publisher's split, where there is one
STORE/datasets/NAME.json             what came in and what did not; no identifier of a private set
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiolens._version import __version__
from cardiolens.datasets.catalogue import DATASETS, find_dataset
from cardiolens.datasets.drawn import annotate_cases
from cardiolens.datasets.layout import NO_OPTIONS, PARTS, Case, Dataset, Found, Label, Options, Remark, tally
from cardiolens.datasets.splits import Split
from cardiolens.dicom.deid import load_key, pseudonym
from cardiolens.errors import InputError, ReportError
from cardiolens.ingest import MANIFEST, IngestResult, Progress, ingest_units, read_manifest, study_id
from cardiolens.store import StudyStore, site_part
from cardiolens.store.atomic import disk_errors, write_whole

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_SHORT_AXIS = "SAX"


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        dataset: which.
        result: of `ingest`.
        keys: case name to store key, of those that are in the store.
        found: what the copy holds, skipped cases and remarks included.
        removed: keys of withdrawn patients that were taken out of the store.
        no_sax: keys of studies without a short axis.
        split: file of the official split, or None.
        masked: keys of studies that have the set's masks beside them.
        unmasked: why others have none, where the set publishes masks.
    """

    dataset: str
    result: IngestResult
    keys: Mapping[str, str]
    found: Found
    removed: tuple[str, ...]
    no_sax: tuple[str, ...]
    split: Path | None
    masked: tuple[str, ...] = ()
    unmasked: tuple[Remark, ...] = ()


def import_dataset(
    name: str,
    folder: str | Path,
    store: str | Path,
    options: Options = NO_OPTIONS,
    *,
    site: str | None = None,
    workers: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Imported:
    """Bring a copy of a data set into a store.  A rerun goes on where it stopped and reads only what has changed.

    Args:
        name: key of `catalogue.DATASETS`.
        folder: where the data set was unpacked.
        options: tables and lists beside it.
        site: for sets whose studies keep their own: in place of what the headers say.

    Raises:
        InputError: no such data set, one without cines, or an option that it does not take.
        ReadError: nothing of it in the folder.
        ReportError: a table that does not fit, or labels in the store for studies that it does not hold.
        StoreError: the store cannot be written; what is in it is whole.
    """
    dataset = find_dataset(name)
    if not dataset.cines:
        raise InputError(
            f"{name} holds no cines, which is what a store takes; it is read where it lies, by "
            f"cardiolens.datasets.{name}"
        )
    found = dataset.look_through(folder, options, lambda n: progress("looking", n, 0))
    opened = StudyStore(store, mode="a")
    _require_fitting_labels(opened)
    where = site if dataset.own_site else dataset.name
    removed = _withdraw(opened, found.withdrawn, where)
    result = ingest_units(found.units, store, reports=found.reports, workers=workers, site=where, progress=progress)
    keys = _keys(found.cases, result)
    _write_labels(opened, {keys[case.name]: case.labels for case in found.cases if case.name in keys})
    split = _write_split(opened, dataset, found.cases, keys)
    no_sax = tuple(sorted(r.key for r in result.records if r.key and _SHORT_AXIS not in r.views))
    masked = annotate_cases(opened, dataset, found.cases, keys, lambda n, total: progress("masks", n, total))
    imported = Imported(name, result, keys, found, removed, no_sax, split, *masked)
    _write_summary(opened, dataset, imported)
    return imported


def _require_fitting_labels(store: StudyStore) -> None:
    """Raise before any work where `labels.csv` could not be written at the end."""
    unknown = store.labels().index.difference(store.keys())
    if len(unknown):
        raise ReportError(
            f"{store.path / 'labels.csv'}: {len(unknown)} rows are of studies that the store does not hold (first "
            f"{unknown[0]}); take them out and import again"
        )


def _withdraw(store: StudyStore, names: frozenset[str], site: str | None) -> tuple[str, ...]:
    """Take the studies of these patients or accessions out of store, labels and manifest.

    Args:
        site: that they are of; None for every site that is not a data set's own name.
    """
    if not names:
        return ()
    key = load_key()
    known = {str(pseudonym(kind, who, key)) for who in names for kind in ("patient", "accession")}
    if site is not None:
        known |= names  # case names of public sets stand in keys as they are

    others = {dataset.name for dataset in DATASETS.values() if not dataset.own_site}

    def of_site(where: str) -> bool:
        return where not in others if site is None else where == site_part(site)

    gone = tuple(
        each
        for each in store
        if not known.isdisjoint(_names(each)) and of_site(each.partition("/")[0].rpartition("_")[0])
    )
    if not gone:
        return ()
    labels = store.labels()
    if len(labels):
        store.write_labels(labels.drop(index=[each for each in gone if each in labels.index]))
    for each in gone:
        store.remove(each)
    manifest = read_manifest(store.path)
    manifest.records = [record for record in manifest.records if record.key not in gone]
    if (store.path / MANIFEST).exists():
        manifest.save()
    log.info("%d studies of withdrawn patients taken out of %s", len(gone), store.path)
    return gone


def _names(key: str) -> tuple[str, str]:
    """Patient and accession in a store key."""
    folder, _, accession = key.partition("/")
    return folder.rpartition("_")[2], accession


def _keys(cases: Sequence[Case], result: IngestResult) -> dict[str, str]:
    """Case to key, of the cases that came in."""
    secret = load_key()
    at = {record.study: record.key for record in result.records if record.key and record.study}
    found = {case.name: at.get(str(study_id(case.unit, case.identity, secret))) for case in cases}
    return {name: key for name, key in found.items() if key is not None}


def _write_labels(store: StudyStore, labels: Mapping[str, Mapping[str, Label]]) -> None:
    """Put these labels into `labels.csv`: other rows and other columns stay as they are."""
    import pandas as pd

    new = pd.DataFrame.from_dict({key: dict(row) for key, row in labels.items()}, orient="index", dtype=object)
    if not new.shape[0] or not new.shape[1]:
        return
    old = store.labels()
    both: pd.DataFrame = old.astype(object).reindex(old.index.union(new.index))
    for column in new.columns:
        if column not in both:
            both[column] = None
        both.loc[new.index, column] = new[column]
    store.write_labels(_tidy(both))


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers written as such in columns that hold nothing else."""
    import pandas as pd

    out: pd.DataFrame = table.copy()
    for column in out.columns:
        numbers = pd.to_numeric(out[column], errors="coerce")
        same = numbers.notna() == out[column].notna()
        if same.all() and numbers.notna().any() and (numbers.dropna() % 1 == 0).all():
            out[column] = numbers.astype("Int64")
    return out


def _write_split(store: StudyStore, dataset: Dataset, cases: Sequence[Case], keys: Mapping[str, str]) -> Path | None:
    """The publisher's split of the studies that are in the store."""
    parts = {
        part: tuple(sorted(keys[case.name] for case in cases if case.part == part and case.name in keys))
        for part in PARTS
    }
    parts = {part: found for part, found in parts.items() if found}
    if not parts:
        return None
    path = store.path / "splits" / f"{dataset.name}_official.json"
    about = {"plan": f"{dataset.name}_official", "dataset": dataset.title, "parts_are": dataset.official_split}
    Split(parts, about).save(path)
    return path


def _write_summary(store: StudyStore, dataset: Dataset, imported: Imported) -> None:
    """What came in and what did not, for people and for the cohort's flow chart."""
    found = imported.found
    summary: dict[str, Any] = {
        "schema": "cardiolens-import",
        "schema_version": 1,
        "dataset": dataset.name,
        "title": dataset.title,
        "licence": dataset.licence,
        "source": dataset.source,
        "citation": dataset.citation,
        "written_by": f"cardiolens {__version__}",
        "written_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cases": len(found.cases),
        "in_store": len(imported.keys),
        "refused": sum(record.status != "ingested" for record in imported.result.records),
        "without_short_axis": len(imported.no_sax),
        "with_masks": len(imported.masked),
        "without_masks": tally(imported.unmasked),
        "withdrawn_and_removed": len(imported.removed),
        "skipped": tally(found.skipped),
        "remarks": tally(found.remarks),
        "labels": dict(dataset.labels),
    }
    if dataset.public_names:
        summary["skipped_cases"] = {remark.case: remark.what for remark in found.skipped}
    path = store.path / "datasets" / f"{dataset.name}.json"
    with disk_errors(path):
        write_whole(path, (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode())
