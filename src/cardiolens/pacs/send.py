"""C-STORE as a user: DICOM files to an archive."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom

from cardiolens.errors import CardiolensError, InputError

_PEER = re.compile(r"(?P<aet>[^@\\]{1,16})@(?P<host>\[[0-9a-fA-F:.]+\]|[^:@/\\\s]+):(?P<port>\d{1,5})")
_SECONDS = 30.0
_WARNINGS = range(0xB000, 0xC000)


class SendError(CardiolensError):
    """The archive could not be reached, or did not take an object; sending again may help."""


class RefusedError(SendError):
    """The archive answers, and does not take some objects; the others are stored.

    Attributes:
        objects: name of a file to what was said of it.
    """

    def __init__(self, objects: Mapping[str, str]) -> None:
        super().__init__("; ".join(objects.values()))
        self.objects = objects


@dataclass(frozen=True)
class Peer:
    """An archive: AE title, host and port."""

    aet: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.aet}@{self.host}:{self.port}"


def peer(text: str) -> Peer:
    """`AET@host:port` as an archive; raises `InputError` for anything else."""
    found = _PEER.fullmatch(text.strip())
    if not found or not 0 < int(found["port"]) < 65536 or not found["aet"].strip():
        raise InputError(f"{text!r}: an archive is AET@host:port, such as ORTHANC@127.0.0.1:4242")
    return Peer(ae_title(found["aet"]), found["host"].strip("[]"), int(found["port"]))


def ae_title(text: str) -> str:
    """An application entity title, or `InputError` (PS3.5 6.2: up to 16 characters, no backslash, not all space)."""
    title = text.strip()
    if not title or len(title) > 16 or "\\" in title or not title.isascii() or not title.isprintable():
        raise InputError(f"{text!r} is no AE title: 1 to 16 plain characters, without a backslash")
    return title


def send(
    files: Sequence[Path],
    to: Peer,
    *,
    calling: str,
    stored: Callable[[Path], None] = lambda path: None,
    seconds: float = _SECONDS,
) -> None:
    """Store files in an archive over one association.

    Args:
        stored: called after each file that the archive has taken, so that it need not be sent again.
        seconds: to wait for an answer.

    Raises:
        RefusedError: files not taken; the others are stored.
        SendError: not reached, association refused or lost; it may have taken some files.
    """
    from pynetdicom import AE

    if not files:
        return
    entity = AE(ae_title=calling)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = seconds
    for sop_class, syntax in sorted({_context(path) for path in files}):
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate(to.host, to.port, ae_title=to.aet)
    try:
        if not association.is_established:
            if association.rejected_contexts:  # it answered, and takes none of these classes
                raise RefusedError({path.name: _not_taken(path, to) for path in files})
            raise SendError(_why_not(association, to))
        refused = {}
        for path in files:
            why_not = _store(association, path, to)
            if why_not:
                refused[path.name] = why_not
            else:
                stored(path)
        if refused:
            raise RefusedError(refused)
    finally:
        if association.is_established:
            association.release()
        entity.shutdown()


def _store(association: object, path: Path, to: Peer) -> str:
    """Send one file; empty where it was taken, else why not.  `SendError` where there was no answer."""
    try:
        answer = association.send_c_store(path)  # type: ignore[attr-defined]
    except ValueError:  # no presentation context for its class
        return _not_taken(path, to)
    except (RuntimeError, OSError) as error:
        raise SendError(f"{path.stem} could not be sent to {to}: {error}") from error
    if "Status" not in answer:
        raise SendError(f"{to} gave no answer to {path.stem}; the connection was lost or timed out")
    if answer.Status == 0 or answer.Status in _WARNINGS:
        return ""
    # its ErrorComment is left out: free text that may name the patient, and this is logged and shown
    return f"{to} refused {path.stem} with status 0x{answer.Status:04X}{_meaning(answer.Status)}"


def _not_taken(path: Path, to: Peer) -> str:
    return f"{to} does not take objects such as {path.stem}"


def _meaning(status: int) -> str:
    """What the standard says of a status of storage (PS3.4 B.2.3, PS3.7 C), in brackets."""
    from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

    words = STORAGE_SERVICE_CLASS_STATUS.get(status, ("", ""))[1]
    return f" ({words})" if words else ""


def _context(path: Path) -> tuple[str, str]:
    meta = pydicom.dcmread(path, stop_before_pixels=True).file_meta
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def _why_not(association: object, to: Peer) -> str:
    """Why there is no association, as far as the other side said."""
    if getattr(association, "is_rejected", False):
        primitive = getattr(getattr(association, "acceptor", None), "primitive", None)
        said = getattr(primitive, "reason_str", "") or "no reason given"
        return f"{to} refuses the association ({said}); both AE titles must be known there"
    if getattr(association, "is_aborted", False):
        return f"{to} cannot be reached or broke off; is it running, and are host and port right?"
    return f"{to} cannot be reached; is it running, and are host and port right?"
