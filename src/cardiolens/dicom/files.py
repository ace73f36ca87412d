"""Where bytes come from: folders of any nesting, single files, zip and tar archives.

Nothing is ever unpacked to disk, so a member name with `..` in it can do no harm: it is only a label.  Archives are
bounded in members and in total size, and an archive inside an archive is not opened.
"""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from cardiolens.errors import ReadError

log = logging.getLogger(__name__)

MAX_MEMBERS = 200_000
MAX_TOTAL_BYTES = 32 * 2**30
MAX_MEMBER_BYTES = 4 * 2**30

_TAR_NAME = re.compile(r"\.(tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))$", re.IGNORECASE)
_COMPRESSED: dict[bytes, Callable[[str], object]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZ": bz2.BZ2File,
    b"\xfd7": lzma.LZMAFile,
}

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, order=True)
class FileRef:
    """One file, on disk or inside an archive.  Plain strings, so it travels between processes."""

    path: str
    member: str | None = None

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.path if self.member is None else f"{self.path}:{self.member}"

    @property
    def short_name(self) -> str:
        """The last part of the name, for notes."""
        return Path(self.member or self.path).name


def natural_key(ref: FileRef) -> list[tuple[int, int, str]]:
    """Sort key by which `img2` comes before `img10`."""
    parts = re.split(r"(\d+)", ref.name)
    return [(1, int(part), "") if part.isascii() and part.isdigit() else (0, 0, part) for part in parts]


def is_archive(path: str) -> bool:
    """Whether a file is a zip or tar, by content and, for compressed tar, by name."""
    if _TAR_NAME.search(path):
        return True
    with Path(path).open("rb") as file:
        start = file.read(512)
    if start[128:132] == b"DICM":  # the preamble may hold anything
        return False
    return start[:4] in (b"PK\x03\x04", b"PK\x05\x06") or start[257:262] == b"ustar"


def list_files(paths: Sequence[PathLike]) -> tuple[list[FileRef], list[str]]:
    """Plain files and archives under `paths`, in natural order.

    Raises:
        ReadError: a path that does not exist.
    """
    plain: dict[str, FileRef] = {}
    archives: dict[str, None] = {}
    for path in (os.fspath(path) for path in paths):
        if not Path(path).exists():
            raise ReadError(f"{path}: no such file or folder")
        for name in _walk(path):
            if not Path(name).is_file():  # a broken link, a socket
                log.info("%s: not a readable file, left out", name)
            elif is_archive(name):
                archives[name] = None
            else:
                plain.setdefault(os.path.realpath(name), FileRef(name))
    return sorted(plain.values(), key=natural_key), sorted(archives)


def _walk(path: str) -> Iterator[str]:
    if not Path(path).is_dir():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (str(Path(folder) / name) for name in names)


def archive_contents(path: str, wanted: Iterable[str] | None = None) -> Iterator[tuple[FileRef, bytes]]:
    """Members of an archive with their bytes, in the archive's order; only `wanted` ones when given.

    Raises:
        ReadError: an archive that is damaged, encrypted, or larger than the bounds at the top of this file.
    """
    names = None if wanted is None else frozenset(wanted)
    try:
        reader = _zip_contents if zipfile.is_zipfile(path) else _tar_contents
        yield from reader(path, names)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ReadError(f"{path}: damaged archive ({error}); download or pack it again") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted; a compression that Python lacks
        raise ReadError(f"{path}: cannot unpack ({error}); unpack it by hand and give the folder") from error


def _zip_contents(path: str, wanted: frozenset[str] | None) -> Iterator[tuple[FileRef, bytes]]:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        bounds = _Bounds(path)
        for info in members.values():
            bounds.add(info.file_size)
        for name, info in members.items():
            if wanted is None or name in wanted:
                with archive.open(info) as file:  # gives no more than info.file_size bytes, whatever the stream holds
                    yield FileRef(path, name), file.read()


def _tar_contents(path: str, wanted: frozenset[str] | None) -> Iterator[tuple[FileRef, bytes]]:
    left = None if wanted is None else set(wanted)
    with _decompressed(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        bounds = _Bounds(path)
        for member in archive:
            if not member.isfile():  # links and devices are never followed
                continue
            bounds.add(member.size)
            if left is None or member.name in left:
                file = archive.extractfile(member)
                if file is None:
                    continue
                content = file.read()
                if len(content) < member.size:
                    raise EOFError("it ends early")
                yield FileRef(path, member.name), content
                if left is not None:
                    left.discard(member.name)
                    if not left:
                        return


@contextmanager
def _decompressed(path: str) -> Iterator[IO[bytes]]:
    with Path(path).open("rb") as file:
        opener = _COMPRESSED.get(file.read(2))
    raw = cast("BinaryIO", opener(path) if opener else io.BufferedReader(io.FileIO(path)))
    with raw, _BoundedStream(raw, path) as stream:
        yield cast("IO[bytes]", stream)


class _Bounds:
    """Counts members and bytes of an archive and raises at the limits."""

    def __init__(self, path: str) -> None:
        self.path, self.members, self.total = path, 0, 0

    def add(self, size: int) -> None:
        self.members += 1
        self.total += size
        if self.members > MAX_MEMBERS:
            raise ReadError(f"{self.path}: more than {MAX_MEMBERS} members; unpack it and give one study at a time")
        if size > MAX_MEMBER_BYTES or self.total > MAX_TOTAL_BYTES:
            raise ReadError(
                f"{self.path}: unpacks to more than {MAX_TOTAL_BYTES // 2**30} GiB (or one file to more than "
                f"{MAX_MEMBER_BYTES // 2**30} GiB), which no cardiac study does; unpack it by hand if you trust it"
            )


class _BoundedStream(io.RawIOBase):
    """A decompressing stream that refuses a single read larger than a member may be (a forged tar header asks so)."""

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self._stream, self._path = stream, path

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or size > MAX_MEMBER_BYTES:
            raise ReadError(f"{self._path}: forged sizes in the archive; unpack it by hand if you trust it")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence == 0 and offset > 2 * MAX_TOTAL_BYTES:
            raise ReadError(f"{self._path}: forged sizes in the archive; unpack it by hand if you trust it")
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def open_files(refs: Iterable[FileRef]) -> Iterator[tuple[FileRef, BinaryIO]]:
    """Each file once, opened for reading; members of one archive in one pass over it.

    Raises:
        ReadError: a file that has gone, or an archive that lost a member since it was listed.
    """
    inside: dict[str, list[str]] = {}
    for ref in dict.fromkeys(refs):
        if ref.member is not None:
            inside.setdefault(ref.path, []).append(ref.member)
            continue
        try:
            stream = io.BufferedReader(io.FileIO(ref.path))
        except OSError as error:
            raise ReadError(f"{ref.name}: cannot be opened any more ({error.strerror})") from error
        with stream:
            yield ref, stream
    for path, members in inside.items():
        missing = set(members)
        for ref, content in archive_contents(path, members):
            missing.discard(cast("str", ref.member))
            yield ref, io.BytesIO(content)
        if missing:
            raise ReadError(f"{path}: {sorted(missing)[0]} is no longer in the archive")
