"""The run: find, check, hand out to worker processes, keep the manifest."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cardiolens.dicom.deid import Pseudonym, load_key, pseudonym
from cardiolens.errors import ReadError, StoreError
from cardiolens.ingest._manifest import FAILED, INGESTED, REFUSED, Manifest, Record, read_manifest
from cardiolens.ingest._reports import match_reports
from cardiolens.ingest._sources import Identity, Unit, find_units, source_id, study_id
from cardiolens.ingest._work import Job, start_worker, work
from cardiolens.store import StudyStore

log = logging.getLogger(__name__)

_WORKER_BYTES = 1_500_000_000  # a study of 15 planes x 50 phases at 512 x 512, thrice, and the interpreter
_SKIPPED = "skipped"

Progress = Callable[[str, int, int], None]
"""Called with what is going on ("looking", "ingesting"), how many are done, and of how many (0: not known)."""


@dataclass(frozen=True)
class IngestResult:
    """What a run did.

    Attributes:
        records: of the studies under the given sources, those left as they were included.
        counts: of this run: ingested, skipped, refused, failed.
        manifest: of the whole store, as written to ``manifest.json``.
    """

    records: tuple[Record, ...]
    counts: dict[str, int]
    manifest: dict[str, Any]

    @property
    def in_store(self) -> int:
        """Studies of the given sources that are in the store now."""
        return self.counts[INGESTED] + self.counts[_SKIPPED]


def ingest(
    sources: Sequence[str | Path],
    store: str | Path,
    *,
    reports: str | Path | None = None,
    workers: int | None = None,
    site: str | None = None,
    ignore_unknown_reports: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> IngestResult:
    """Bring every study under the sources into the store.

    Args:
        sources: folders, archives, DICOM or NIfTI files.
        store: folder; made where absent.
        reports: CSV with accession (or patient) and report; see `match_reports`.
        workers: processes; by default as many as cores and memory allow.
        site: institution, in place of what the headers say.
        ignore_unknown_reports: leave out reports of studies that are not among the sources.
        progress: told what is going on.

    Raises:
        ReadError: a source that does not exist, or nothing in them to read.
        ReportError: a table of reports that does not fit; before any work.
        StoreError: no store can be made or the disk is full; what is in the store is whole, and a rerun goes on.
    """
    if not sources:
        raise ReadError("nothing to ingest: give folders, archives or files")
    with _pool(_checked(workers)) as pool:
        units = find_units(sources, pool, lambda seen: progress("looking", seen, 0))
    texts = {}
    if reports is not None:
        identities = [identity for unit in units for identity in unit.identities]
        texts = match_reports(Path(reports), identities, ignore_unknown=ignore_unknown_reports)
    return ingest_units(units, store, reports=texts, workers=workers, site=site, progress=progress)


def ingest_units(
    units: Sequence[Unit],
    store: str | Path,
    *,
    reports: Mapping[Identity, str] = MappingProxyType({}),
    workers: int | None = None,
    site: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> IngestResult:
    """Bring in studies whose files are known already; the rest is as in `ingest`."""
    count = _checked(workers)
    started = time.monotonic()
    with _pool(count) as pool:
        opened = StudyStore(store, mode="a")
        manifest = read_manifest(store)
        jobs = _jobs(units, Path(store).absolute(), load_key(), site, reports, manifest)
        todo = [job for job in jobs if not _done(job, manifest)]
        progress("ingesting", len(jobs) - len(todo), len(jobs))
        with _kept(manifest):
            fresh: list[Record] = []
            for done, (job, records) in enumerate(_results(todo, pool, count), start=len(jobs) - len(todo) + 1):
                for moved in manifest.put(job.fingerprint, job.source, records):
                    opened.remove(moved)
                fresh += records
                progress("ingesting", done, len(jobs))
            counts = Counter(record.status for record in fresh)
            wanted = {job.fingerprint for job in jobs}
            old = [r for r in manifest.records if r.fingerprint in wanted and not any(r is new for new in fresh)]
            counts[_SKIPPED] = len(old)
            manifest.run = {name: counts[name] for name in (INGESTED, _SKIPPED, REFUSED, FAILED)}
            manifest.run["seconds"] = round(time.monotonic() - started, 1)
    opened.clear_leftovers()  # again: a process just killed may have looked alive at the start
    told = {name: counts[name] for name in (INGESTED, _SKIPPED, REFUSED, FAILED)}
    return IngestResult((*old, *fresh), told, manifest.to_dict())


def _checked(workers: int | None) -> int:
    count = workers if workers is not None else default_workers()
    if count < 1:
        raise StoreError(f"{count} workers; at least 1 is needed")
    return count


def default_workers() -> int:
    """As many processes as cores and as free memory holds studies."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not a POSIX system
        return cores
    return max(1, min(cores, free // _WORKER_BYTES))


def _jobs(
    units: Iterable[Unit], store: Path, key: bytes, site: str | None, texts: Mapping[Identity, str], manifest: Manifest
) -> list[Job]:
    """A job for each unit, with the accession's pseudonym settled.

    Two studies of one patient may carry the same accession (or none): the second goes by accession and study UID.  A
    study that is in the store keeps its key.
    """
    taken = {
        tuple(record.key.rpartition("_")[2].split("/")): record.study or record.source
        for record in manifest.records
        if record.key
    }
    jobs = []
    for unit in sorted(units, key=lambda unit: (unit.identities[0].uid, unit.paths[0])):
        accessions: dict[str, Pseudonym] = {}
        reports = {identity.uid: texts[identity] for identity in unit.identities if identity in texts}
        source = source_id(unit, key)
        for identity in unit.identities:
            study = study_id(unit, identity, key)
            patient, accession = _pseudonyms(identity, key)
            other = pseudonym("accession", f"{identity.accession}\0{study}", key)
            if taken.get((patient, other)) == study or taken.get((patient, accession), study) != study:
                accession = other
            taken[patient, accession] = study
            accessions[identity.uid] = accession
        also = [site or "", *(f"{uid}\0{text}" for uid, text in sorted(reports.items())), *sorted(accessions.values())]
        jobs.append(Job(unit, store, key, source, unit.fingerprint(key, *also), site, accessions, reports))
    return jobs


def _pseudonyms(identity: Identity, key: bytes) -> tuple[Pseudonym, Pseudonym]:
    """Of patient and accession."""
    patient, accession = identity.patient, identity.accession
    return (
        patient if isinstance(patient, Pseudonym) else pseudonym("patient", patient, key),
        accession if isinstance(accession, Pseudonym) else pseudonym("accession", accession, key),
    )


def _done(job: Job, manifest: Manifest) -> bool:
    """Whether every study of this unit is in the store as it would be written now."""
    known = [record for record in manifest.records if record.fingerprint == job.fingerprint]
    return bool(known) and all(
        record.status == INGESTED and record.key and (job.store / f"{record.key}.h5").is_file() for record in known
    )


def _results(jobs: Sequence[Job], pool: ProcessPoolExecutor | None, workers: int) -> Iterator[tuple[Job, list[Record]]]:
    """Each job with its records, as they come; a few jobs are handed out at a time.

    A worker that the system kills (most often for memory) takes the pool with it: the jobs that were out are then done
    one by one, each in a process of its own, the one that dies again is refused by name, and the others go on.
    """
    if pool is None:
        yield from ((job, work(job)) for job in jobs)
        return
    waiting = list(reversed(jobs))
    running: dict[Future[list[Record]], Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                running[pool.submit(work, waiting[-1])] = waiting[-1]
                waiting.pop()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                records = future.result()
                yield running.pop(future), records
    except BrokenProcessPool:
        for job in running.values():
            yield job, _alone(job)
        with _processes(workers) as fresh:
            yield from _results(waiting[::-1], fresh, workers)
    finally:
        for future in running:
            future.cancel()


def _alone(job: Job) -> list[Record]:
    """One job in a process of its own."""
    with _processes(1) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            reason = "the process that read it was killed, most likely for want of memory; try again with --workers 1"
            return [Record(FAILED, job.source, job.fingerprint, reason=reason, n_files=len(job.unit.paths))]


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """Worker processes; None where one is enough, which is this one."""
    if workers == 1:
        yield None
        return
    with _processes(workers) as pool:
        yield pool


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Started afresh and not forked: threads and libraries do not survive a fork."""
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _kept(manifest: Manifest) -> Iterator[None]:
    """Write the manifest at the end, however the run ends."""
    try:
        yield
    except BaseException:
        with suppress(StoreError):  # a full disk: the cause is told, and the last manifest stands
            manifest.save()
        raise
    manifest.save()
