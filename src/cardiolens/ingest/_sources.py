"""Which studies lie under the given paths, told from a glance at each file's identifiers; no pixel is read."""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cardiolens.dicom.deid import Pseudonym, pseudonym
from cardiolens.errors import ReadError

if TYPE_CHECKING:
    from cardiolens.study import Study

_NIFTI = (".nii", ".nii.gz")
# patient, accession, study UID, patient name; what lies behind the study UID is not parsed
_TAGS = (0x00100020, 0x00080050, 0x0020000D, 0x00100010)
_LAST_TAG = 0x0020000D
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_CHUNK = 500  # files a task

log = logging.getLogger(__name__)

Peek = tuple[str, str, str, str]  # patient, accession, study UID, patient name


@dataclass(frozen=True)
class Identity:
    """Identifiers of one study, as found.  `patient` and `accession` stand in for each other, then the study UID.

    An identifier that is a `Pseudonym`, such as the case names of public data sets, is kept as it is.
    """

    uid: str
    patient: str
    accession: str
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Unit:
    """What is read in one go: the files of one study, or one archive.

    Attributes:
        paths: files; for an archive, the archive.
        identities: of the studies inside, by study UID.
        reader: gives the one study in `paths`, for input whose layout says more than its files do (see
            `cardiolens.datasets`); a function that can be pickled.  None: `cardiolens.reading` finds what is there.
        settings: what else decides what `reader` gives; another one makes a rerun read the files again.
    """

    paths: tuple[str, ...]
    identities: tuple[Identity, ...]
    reader: Callable[[Sequence[str]], Study] | None = None
    settings: str = ""

    def identity(self, uid: str) -> Identity:
        """Of the study with this UID; of the only one when it lost its UID."""
        for identity in self.identities:
            if identity.uid == uid:
                return identity
        return self.identities[0]

    def fingerprint(self, key: bytes, *also: str) -> str:
        """Keyed hash of names, sizes and times of the files, and of what else decides the result."""
        digest = hmac.new(key, digestmod=hashlib.sha256)
        top = os.path.commonpath([str(Path(path).parent) for path in self.paths])
        for path in self.paths:
            status = Path(path).stat()
            line = f"{os.path.relpath(path, top)}\0{status.st_size}\0{status.st_mtime_ns}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        for text in (*([self.settings] if self.settings else []), *also):
            digest.update(f"{len(text)}\0{text}".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:32]


def study_id(unit: Unit, identity: Identity, key: bytes) -> Pseudonym:
    """What the manifest calls a study: keyed hash of its UID, or of where it lies when it has none."""
    return pseudonym("study", identity.uid, key) if identity.uid else source_id(unit, key)


def source_id(unit: Unit, key: bytes) -> Pseudonym:
    """Keyed hash of where the files lie."""
    return pseudonym("path", "\0".join(sorted(str(Path(path).absolute()) for path in unit.paths)), key)


@dataclass
class _Group:
    paths: list[str] = field(default_factory=list)
    peeks: list[Peek] = field(default_factory=list)


def find_units(
    sources: Sequence[str | Path], pool: Executor | None = None, seen: Callable[[int], None] = lambda files: None
) -> list[Unit]:
    """Studies under the sources: DICOM files by study UID wherever they lie, NIfTI by folder, archives one by one.

    A file that tells no study (damaged, not DICOM) goes with the study that its folder mostly holds.

    Args:
        pool: for many files; None to look at them here.
        seen: told how many files have been looked at.

    Raises:
        ReadError: a path that does not exist, or nothing to read.
    """
    from cardiolens.dicom.files import list_files

    refs, archives = list_files([str(source) for source in sources])
    paths = [ref.path for ref in refs]
    nifti = [path for path in paths if path.lower().endswith(_NIFTI)]
    plain = [path for path in paths if not path.lower().endswith(_NIFTI)]
    chunks = [plain[start : start + _CHUNK] for start in range(0, len(plain), _CHUNK)]
    peeks: list[Peek | None] = []
    for found in (pool.map if pool is not None and len(chunks) > 1 else map)(peek_files, chunks):
        peeks += found
        seen(len(peeks))
    units = list(_dicom_units(plain, peeks))
    units += [_archive_unit(path) for path in archives]
    units += _nifti_units(nifti)
    if not units:
        listed = ", ".join(map(str, sources))
        raise ReadError(
            f"{listed}: {len(paths)} files, none of them DICOM or NIfTI; give the folder that holds the scans"
        )
    return units


def peek_files(paths: Sequence[str]) -> list[Peek | None]:
    """The identifiers of each file, or None where it tells none."""
    found: list[Peek | None] = []
    for path in paths:
        try:
            with Path(path).open("rb") as stream:
                found.append(_peek(stream))
        except OSError:  # the reader will name it
            found.append(None)
    return found


def _peek(stream: BinaryIO) -> Peek | None:
    from pydicom.filereader import read_partial

    from cardiolens.dicom.integrity import DamagedFile, check_deflated
    from cardiolens.dicom.tags import Tags

    start = stream.read(1024)
    if start[128:132] != b"DICM" and not (start[:1] in (b"\x02", b"\x08") and start[1:2] == b"\0"):
        return None
    try:
        if _DEFLATED in start:
            check_deflated(stream)
        stream.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about broken values, which the reader notes
            dataset = read_partial(
                stream, stop_when=lambda tag, vr, length: tag > _LAST_TAG, specific_tags=list(_TAGS), force=True
            )
            tags = Tags(dataset)
            patient, accession, uid, name = (tags.text((tag >> 16, tag & 0xFFFF)) for tag in _TAGS)
    except DamagedFile:
        return None
    except Exception as error:  # noqa: BLE001 - a damaged file makes the parser raise anything; the reader will name it
        log.debug("no identifiers: %s", type(error).__name__)
        return None
    return (patient, accession, uid, name) if patient or accession or uid else None


def _dicom_units(paths: Sequence[str], peeks: Sequence[Peek | None]) -> Iterator[Unit]:
    by_folder: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)  # (study, patient)
    uids = {peek[2] for peek in peeks if peek is not None and peek[2]}
    for path, peek in zip(paths, peeks, strict=True):
        if peek is not None and peek[2]:
            by_folder[str(Path(path).parent)][peek[2], peek[0]] += 1
    groups: dict[str, _Group] = defaultdict(_Group)
    for path, peek in zip(paths, peeks, strict=True):
        uid = peek[2] if peek is not None else ""
        if not uid:
            uid = _guess(peek, path, by_folder[str(Path(path).parent)], uids)
        if uid:
            groups[uid].paths.append(path)
            if peek is not None:
                groups[uid].peeks.append(peek)
    for uid, group in groups.items():
        yield Unit(tuple(group.paths), (_identity(uid.partition("\0")[0], group.peeks),))


def _guess(peek: Peek | None, path: str, around: Counter[tuple[str, str]], uids: set[str]) -> str:
    """The study of a file that does not tell it: that of its folder, unless it names another patient."""
    folder = str(Path(path).parent)
    if peek is not None:
        around = Counter({study: count for study, count in around.items() if peek[0] in ("", study[1])})
        return around.most_common(1)[0][0][0] if around else f"\0{folder}\0{peek[0]}"
    if around:
        return around.most_common(1)[0][0][0]
    return next(iter(uids)) if len(uids) == 1 else ""


def _identity(uid: str, peeks: Sequence[Peek]) -> Identity:
    patient, accession = (next((peek[index] for peek in peeks if peek[index]), "") for index in (0, 1))
    fallback = uid or patient
    return Identity(uid, patient or accession or uid, accession or fallback, frozenset(p[3] for p in peeks if p[3]))


def _archive_unit(path: str) -> Unit:
    """An archive; a damaged one still is a unit, so that reading it gives the reason."""
    from cardiolens.dicom.files import archive_contents

    by_uid: dict[str, list[Peek]] = defaultdict(list)
    try:
        for _, content in archive_contents(path):
            peek = _peek(io.BytesIO(content))
            if peek is not None:
                by_uid[peek[2]].append(peek)
    except ReadError:
        by_uid.clear()
    identities = tuple(_identity(uid, peeks) for uid, peeks in by_uid.items())
    return Unit((path,), identities or (_named(path),))


def _nifti_units(paths: Sequence[str]) -> list[Unit]:
    """NIfTI names no patient: a lone file goes by its name, several in a folder by the folder's."""
    folders: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folders[str(Path(path).parent)].append(path)
    units = []
    for folder, files in folders.items():
        units.append(Unit(tuple(files), (_named(files[0] if len(files) == 1 else folder),)))
    return units


def _named(path: str) -> Identity:
    name = Path(path).absolute().name
    for suffix in (".gz", ".nii", ".zip", ".tgz", ".tar"):
        name = name[: -len(suffix)] if name.lower().endswith(suffix) and len(name) > len(suffix) else name
    return Identity("", name, name)
