"""Archives from strangers: looked through before anything in them is read as an image, and never unpacked to disk."""

from __future__ import annotations

import re
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from cardiolens.errors import ReadError
from cardiolens.serve.settings import MiB, UploadLimits
from cardiolens.store.atomic import DiskError, disk_errors

TYPES = ("application/zip", "application/x-zip-compressed")
_NESTED = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|gz|bz2|xz|7z|rar|zst)$", re.IGNORECASE)
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd")
_SPARE = 512 * MiB  # of the disk that stay free
_LOOK_EVERY = 16 * MiB  # written between looks at the disk
_DIRECTORY_BYTES, _PER_MEMBER = 5, 512  # place in the end record of a zip; bytes that a member's entry may take


class TooLargeError(ReadError):
    """An upload beyond the limits of size."""


class WrongTypeError(ReadError):
    """An upload that is no zip archive."""


async def receive(
    chunks: AsyncIterator[bytes], content_type: str, length: int | None, folder: Path, limits: UploadLimits
) -> Path:
    """Write an upload to a file of our own naming.

    Args:
        chunks: the body of the request.
        content_type, length: as the client says; None where it does not.

    Raises:
        WrongTypeError: not said to be a zip archive, or none by its first bytes.
        TooLargeError: more than the limits allow.
        DiskError: no room on the disk.  Nothing is left behind in any of these cases.
    """
    if content_type.split(";", maxsplit=1)[0].strip().lower() not in TYPES:
        raise WrongTypeError("a study is uploaded as a zip archive (content type application/zip)")
    if length is not None and length > limits.bytes:
        raise TooLargeError(f"the archive has {length // MiB} MiB; at most {limits.bytes // MiB} MiB are taken")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if (length or 0) > free - _SPARE:
        raise DiskError(f"no room on the server's disk for {(length or 0) // MiB} MiB; free some and upload again")
    path, size, looked = folder / f"{secrets.token_hex(12)}.zip", 0, 0
    try:
        with disk_errors(path), path.open("xb") as out:
            async for chunk in chunks:
                size += len(chunk)
                if size > limits.bytes:
                    raise TooLargeError(f"the archive is larger than the {limits.bytes // MiB} MiB that are taken")
                if size - looked > _LOOK_EVERY:  # others upload too, and the length may not be told
                    looked = size
                    if shutil.disk_usage(folder).free < _SPARE:
                        raise DiskError("no room on the server's disk for more; free some and upload again")
                out.write(chunk)
        await run_in_threadpool(inspect, path, limits)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def inspect(path: Path, limits: UploadLimits) -> int:
    """Look through a zip archive; the number of files in it.

    Raises:
        WrongTypeError: not a zip archive, or a damaged one.
        TooLargeError: too many files, too large unpacked, or packed suspiciously well.
        ReadError: names that lead out of the archive, links, encryption, archives within.
    """
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            raise WrongTypeError(
                "this is not a zip archive that holds files, whatever its name says; pack the DICOM folder"
            )
    try:
        _check_directory(path, limits)
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            _check_sizes(members, path.stat().st_size, limits)
            _check_names(archive.infolist())
            for info in members:
                with archive.open(info) as file:
                    if file.read(8).startswith(_PACKED):
                        raise ReadError(_nested(info.filename))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise WrongTypeError(f"the archive is damaged ({error}); pack it again") from error
    except (NotImplementedError, RuntimeError) as error:  # a compression that Python lacks
        raise ReadError(f"the archive cannot be unpacked ({error}); pack it as an ordinary zip") from error
    return len(members)


def _check_directory(path: Path, limits: UploadLimits) -> None:
    """Bound the list of members before it is read: an archive of nothing but names would fill the memory."""
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is not None and end[_DIRECTORY_BYTES] > _PER_MEMBER * (limits.members + 1):
        raise TooLargeError(f"the archive lists too many files or too long names; at most {limits.members} are taken")


def _check_sizes(members: list[zipfile.ZipInfo], packed: int, limits: UploadLimits) -> None:
    if not members:
        raise ReadError("the archive holds no file")
    if len(members) > limits.members:
        raise TooLargeError(f"the archive holds {len(members)} files; at most {limits.members} are taken")
    total = sum(info.file_size for info in members)
    if total > limits.unpacked or max(info.file_size for info in members) > limits.member:
        raise TooLargeError(
            f"the archive unpacks to {total // MiB} MiB; at most {limits.unpacked // MiB} MiB, and "
            f"{limits.member // MiB} MiB a file, are taken"
        )
    dense = any(i.file_size > MiB and i.file_size > limits.ratio * max(i.compress_size, 1) for i in members)
    if dense or (total > MiB and total > limits.ratio * packed):
        raise TooLargeError(f"the archive unpacks to more than {limits.ratio:g} times its size, which no images do")


def _check_names(members: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for info in members:
        name = info.filename
        parts = re.split(r"[/\\]", name)
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in info.orig_filename:
            raise ReadError(f"the archive holds a name that leads out of it ({name[:80]!r}); pack the folder anew")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ReadError(f"the archive holds a link or a device ({name[:80]!r}); pack the files themselves")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA may ask for gigabytes
            raise ReadError("the archive is packed in an uncommon way; pack it as an ordinary zip")
        if info.flag_bits & 1:
            raise ReadError("the archive is encrypted; pack it without a password")
        if name in seen:
            raise ReadError(f"the archive holds {name[:80]!r} twice; pack the folder anew")
        seen.add(name)
        if _NESTED.search(name) and not name.lower().endswith(".nii.gz"):
            raise ReadError(_nested(name))


def _nested(name: str) -> str:
    return f"the archive holds another archive ({name[:80]!r}); unpack it first, and pack the images alone"
