"""Studies from a DICOMweb server into a folder; stopped and started again, it goes on."""

from __future__ import annotations

import csv
import io
import logging
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from cardiolens.dicom.deid import Scrubber, load_key, pseudonym
from cardiolens.dicom.files import FileRef
from cardiolens.dicom.headers import frames_of
from cardiolens.dicom.kind import refusal
from cardiolens.dicom.series import make_piles
from cardiolens.dicom.tags import Tags
from cardiolens.errors import ReadError
from cardiolens.pacs.web import Series, WebArchive
from cardiolens.store.atomic import DiskError, disk_errors, write_whole

logger = logging.getLogger(__name__)

TABLE = "pulled.csv"
Progress = Callable[[str, int, int], None]
"""Called with what is done now, how many images are done, and of how many."""


@dataclass(frozen=True)
class Pulled:
    """What became of one series, under pseudonyms.

    Attributes:
        images: in the folder now; fresh: of those, fetched by this call.
        why: the reason where it was left out or is not whole, else "".
        failed: whether fetching it again may help.
    """

    study: str
    series: str
    modality: str
    images: int
    fresh: int
    why: str = ""
    failed: bool = False


def filters(
    study: str | None, patient: str | None, accession: str | None, since: str | None, until: str | None
) -> dict[str, str]:
    """What to ask a server for, by DICOM keyword; dates as YYYYMMDD."""
    found = {"StudyInstanceUID": study, "PatientID": patient, "AccessionNumber": accession}
    if since or until:
        found["StudyDate"] = f"{since or ''}-{until or ''}"
    return {name: value for name, value in found.items() if value}


def pull(
    archive: WebArchive,
    out: Path,
    wanted: Mapping[str, str],
    *,
    modality: str | None = "MR",
    only_cines: bool = False,
    limit: int | None = None,
    free_bytes: int = 2 * 2**30,
    attempts: int = 3,
    pause: float = 2.0,
    progress: Progress = lambda what, done, total: None,
) -> list[Pulled]:
    """Fetch every series that matches and is not in the folder yet.

    The images lie in `out` / study / series / instance, named by pseudonyms, and are as the server has them, patient
    included; `pulled.csv` lists the series.  An image that is there already is not fetched again.

    Args:
        wanted: see `filters`; must name something, so that nobody fetches a whole archive by mistake.
        modality: of the series; None for all.
        only_cines: leave out series whose headers say that they are no cine.
        limit: most studies.
        free_bytes: room that must stay on the disk.
        attempts: for a series that breaks off, with `pause` seconds between.

    Raises:
        ReadError: the server cannot be reached, refuses, or has nothing that matches.
        ReadError: or the table of earlier calls is damaged.
        DiskError: no room, or the folder cannot be written; what is there is whole.
    """
    key = load_key()
    progress("asking", 0, 0)
    studies = archive.studies(wanted)[:limit]
    found = [one for study in studies for one in archive.series(study, modality)]
    if not found:
        what = ", ".join(f"{name} {value}" for name, value in wanted.items())
        kind = f" with {modality} series" if modality else ""
        raise ReadError(
            f"{archive.url}: no study{kind} matches {what or 'at all'}; look it up in the archive's own pages"
        )
    with disk_errors(out):
        out.mkdir(mode=0o700, parents=True, exist_ok=True)  # the images name the patients
    total = sum(one.images or 0 for one in found)
    rows: list[Pulled] = []
    done = 0
    for number, series in enumerate(found, start=1):
        names = pseudonym("study", series.study, key), pseudonym("series", series.uid, key)
        shown = f"series {number} of {len(found)}"
        work = _One(archive, series, out.joinpath(*names), key, free_bytes, _counted(progress, shown, done, total))
        progress(shown, done, total)
        rows.append(_pulled(work, names, only_cines, attempts, pause))
        done += series.images or rows[-1].images
        _write_table(out, rows)
    progress("", done, max(done, total))
    return rows


def _counted(progress: Progress, what: str, before: int, total: int) -> Callable[[int], None]:
    return lambda images: progress(what, before + images, total)


@dataclass
class _One:
    """Fetches one series."""

    archive: WebArchive
    series: Series
    folder: Path
    key: bytes
    free_bytes: int
    progress: Callable[[int], None]
    fresh: int = 0

    def have(self) -> set[str]:
        return {path.stem for path in self.folder.glob("*.dcm")}

    def is_cine(self) -> bool:
        """By its headers, as reading would decide by the files."""
        headers = self.archive.headers(self.series)
        frames = [frame for one in headers for frame in frames_of(FileRef(self.series.uid), one)]
        return any(refusal(pile) is None for pile in make_piles(frames, lambda frame: None)) if frames else False

    def fetch(self) -> None:
        """Every image that is not there yet."""
        have = self.have()
        listed = self.archive.instances(self.series)
        missing = [uid for uid in listed if pseudonym("instance", uid, self.key) not in have]
        if not missing and listed:
            return
        self.progress(len(have))
        whole = not have  # one stream is faster, single requests repeat nothing
        for image in self.archive.images(self.series, None if whole else missing):
            self._keep(image)
            self.progress(len(have) + self.fresh)
        lost = len([uid for uid in listed if pseudonym("instance", uid, self.key) not in self.have()])
        if lost:
            raise ReadError(f"the server sent {len(listed) - lost} of {len(listed)} images")

    def _keep(self, image: Dataset) -> None:
        uid = Tags(image).text("SOPInstanceUID")
        if not uid:
            raise ReadError("an image came without SOPInstanceUID")
        name = pseudonym("instance", uid, self.key)
        content = _encoded(image)
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.folder).free - len(content) < self.free_bytes:
                raise DiskError(
                    f"{self.free_bytes / 2**30:.1f} GiB must stay free on the disk of {self.folder.parents[1]}; make "
                    "room, or lower --min-free, and run again to go on"
                )
            write_whole(self.folder / f"{name}.dcm", content)
        self.fresh += 1


def _pulled(work: _One, names: tuple[str, str], only_cines: bool, attempts: int, pause: float) -> Pulled:
    """Fetch with some patience; what cannot be had is a row with its reason."""
    why = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * attempt)
        try:
            if only_cines and not work.is_cine():
                return Pulled(*names, work.series.modality, len(work.have()), 0, "no cine by its headers")
            work.fetch()
            return Pulled(*names, work.series.modality, len(work.have()), work.fresh)
        except ReadError as error:
            why = Scrubber({})(str(error))
            logger.warning("series %s, attempt %d: %s", names[1], attempt + 1, why)
    return Pulled(*names, work.series.modality, len(work.have()), work.fresh, why, failed=True)


def _encoded(image: Dataset) -> bytes:
    """The image as a DICOM file."""
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that the scanner wrote and nobody changes here
            image.save_as(buffer, enforce_file_format=True)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ReadError(f"an image came that is no whole DICOM file ({error})") from error
    return buffer.getvalue()


def _write_table(out: Path, rows: list[Pulled]) -> None:
    """One row a series; rows of earlier calls stay."""
    path = out / TABLE
    fields = ["study", "series", "modality", "images", "why"]
    table: dict[str, dict[str, str]] = {}
    if path.is_file():
        try:
            with path.open(newline="", encoding="utf-8") as earlier:
                table = {row["series"]: row for row in csv.DictReader(earlier) if set(fields) <= set(row)}
        except (OSError, ValueError, csv.Error) as error:
            raise ReadError(f"{path} cannot be read ({error}); move it away and run again") from error
    for row in rows:
        table[row.series] = {name: str(getattr(row, name)) for name in fields}
    target = io.StringIO()
    writer = csv.DictWriter(target, fields, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(table.values())
    with disk_errors(path):
        write_whole(path, target.getvalue().encode("utf-8"))
