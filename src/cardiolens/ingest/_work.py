"""One unit, read and written: what a worker process does."""

from __future__ import annotations

import dataclasses
import functools
import logging
import multiprocessing
import os
import re
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiolens.dicom.deid import Pseudonym, Scrubber, pseudonym, pseudonymise
from cardiolens.errors import CardiolensError, NoCineError, ReadError
from cardiolens.ingest._manifest import FAILED, INGESTED, REFUSED, Record
from cardiolens.ingest._sources import Identity, Unit, study_id
from cardiolens.store import StudyStore
from cardiolens.store.atomic import DiskError
from cardiolens.study import Refusal, Study

if TYPE_CHECKING:
    from cardiolens.dicom.read import Examination

_COUNTED = re.compile(r"(\d+) (damaged|duplicate) files? ")
_HARMLESS_NAME = re.compile(r"(im|img|image|slice|i|mr)?[-_ ]?\d{1,4}([-_]\d{1,4})?(\.(dcm|ima|nii|nii\.gz))?", re.I)


@dataclass(frozen=True)
class Job:
    """A unit and all that is needed to bring it into the store.

    Attributes:
        accessions: study UID to the accession's pseudonym.
        reports: study UID to the report.
    """

    unit: Unit
    store: Path
    key: bytes
    source: str
    fingerprint: str
    site: str | None
    accessions: Mapping[str, Pseudonym]
    reports: Mapping[str, str]


def work(job: Job) -> list[Record]:
    """Bring one unit into the store; a record for each study in it.

    Raises:
        DiskError: the disk is full; nothing half-written is left.
    """
    start = time.monotonic()
    records: list[Record] = []

    def done(status: str, identity: Identity | None, **facts: Any) -> None:
        study = None if identity is None else str(study_id(job.unit, identity, job.key))
        seconds = round(time.monotonic() - start, 2)
        facts = {"n_files": len(job.unit.paths), "seconds": seconds, "study": study} | facts
        records.append(Record(status, job.source, job.fingerprint, **facts))

    with _quiet_reader():
        try:
            for examination in _examinations(job.unit):
                identity = job.unit.identity(examination.uid)
                words = _words(job, identity, examination)
                try:
                    done(INGESTED, identity, **_bring_in(job, identity, examination, words))
                except DiskError:
                    raise
                except CardiolensError as error:
                    scrub = Scrubber(words)
                    done(REFUSED, identity, reason=scrub(_reason(error)), **_found(scrub, examination.study))
        except DiskError:
            raise
        except CardiolensError as error:
            only = job.unit.identities[0] if len(job.unit.identities) == 1 else None
            done(REFUSED, only, reason=Scrubber(_words(job, only))(_reason(error)))
        except Exception as error:  # noqa: BLE001 - one study's fault must not stop a thousand; told as "failed"
            where = traceback.extract_tb(error.__traceback__)[-1]
            done(FAILED, None, reason=f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}")
    return records


def _examinations(unit: Unit) -> Iterator[Examination]:
    """The studies in a unit, by its own reader where it has one."""
    from cardiolens import reading
    from cardiolens.dicom.read import Examination

    if unit.reader is None:
        yield from reading.examinations(list(unit.paths), workers=1)
    else:
        yield Examination(unit.reader(unit.paths), (), unit.identities[0].uid, unit.paths[0])


def _bring_in(job: Job, identity: Identity, examination: Examination, words: Mapping[str, str]) -> dict[str, Any]:
    """Write one study; the facts of its record."""
    study = _with_readable_cines(examination.study)
    if not study.cines:
        raise NoCineError("no cine in the study")
    study = dataclasses.replace(
        study,
        patient=identity.patient,
        accession=identity.accession,
        site=job.site or study.site,
        report=job.reports.get(identity.uid),
    )
    clean = pseudonymise(study, job.key, also=words)
    clean = dataclasses.replace(clean, accession=job.accessions[identity.uid])
    store = _store(job.store)
    key = store.write(clean)
    return {
        "key": key,
        "views": {str(cine.view): cine.shape for cine in clean.cines},
        "has_report": clean.report is not None,
        "content_hash": store.hash_of(key),
        **_found(Scrubber({}), clean),
    }


@functools.lru_cache(maxsize=1)
def _store(path: Path) -> StudyStore:
    """Opened once a process."""
    return StudyStore(path, mode="a")


def _found(scrub: Scrubber, study: Study) -> dict[str, Any]:
    """Refusals, notes and counts, for the manifest."""
    counts = {what: int(number) for note in study.notes for number, what in _COUNTED.findall(note)}
    return {
        "refused": tuple(
            {"series": scrub(refusal.series), "reason": scrub(refusal.reason), "n_files": refusal.n_files}
            for refusal in study.refused
        ),
        "notes": tuple(scrub(note) for note in study.notes)
        + tuple(f"{cine.view}: {scrub(note)}" for cine in study.cines for note in cine.notes),
        "n_damaged": counts.get("damaged", 0),
        "n_duplicates": counts.get("duplicate", 0),
    }


def _with_readable_cines(study: Study) -> Study:
    """The study with its pixels read; a cine whose pixels are corrupt becomes a refusal."""
    cines, refused = [], list(study.refused)
    for cine in study.cines:
        try:
            _ = cine.frames
        except ReadError as error:
            refused.append(Refusal(cine.source, str(error)))
        else:
            cines.append(cine)
    if study.cines and not cines:
        raise ReadError("; ".join(f"{refusal.series}: {refusal.reason}" for refusal in refused[len(study.refused) :]))
    return dataclasses.replace(study, cines=tuple(cines), refused=tuple(refused))


def _reason(error: CardiolensError) -> str:
    return " ".join(str(error).split())


def _words(job: Job, identity: Identity | None, examination: Examination | None = None) -> dict[str, str]:
    """All that must not be repeated in notes and reasons, and what stands for it."""
    words = _path_words(job)
    study = None if examination is None else examination.study
    raw = {study.patient, study.accession} if study is not None else set()
    for each in job.unit.identities if identity is None else (identity,):
        words |= _name_words(each)
        raw |= {each.patient, each.accession, each.uid}
    secret = (text.strip() for text in raw if text and not isinstance(text, Pseudonym))
    return words | {text: "[identifier]" for text in secret if text}


def _path_words(job: Job) -> dict[str, str]:
    """Where the files lie, which may name the patient: paths go, file names stay only where they are just numbers."""
    words: dict[str, str] = {}
    for path in job.unit.paths:
        name = Path(path).name
        tag = name if _HARMLESS_NAME.fullmatch(name) else f"file-{pseudonym('path', name, job.key)[:8]}"
        words[path] = words[str(Path(path).absolute())] = tag
        if tag != name:
            words[name] = tag
        words[str(Path(path).parent)] = words[str(Path(path).parent.absolute())] = "[folder]"
    return {word: new for word, new in words.items() if len(word) > 3}


def _name_words(identity: Identity) -> dict[str, str]:
    """The patient's full name as DICOM and reports write it; single words are left, for many are plain words too."""
    words: dict[str, str] = {}
    for name in identity.names:
        words[name] = "[name]"
        for group in name.split("="):
            family, *given = [part.strip() for part in group.split("^") if part.strip()]
            if given:
                for text in (f"{family}, {given[0]}", f"{family} {given[0]}", f"{given[0]} {family}"):
                    words[text] = "[name]"
    return words


@contextmanager
def _quiet_reader() -> Iterator[None]:
    """Keep the reader's warnings, which name files, off the screen: they are notes of the study as well."""
    loggers = [logging.getLogger("cardiolens.dicom"), logging.getLogger("cardiolens.io")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def start_worker() -> None:
    """Run first in each worker process: end when the parent is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
