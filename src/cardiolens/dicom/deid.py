"""Pseudonyms: patient and examination identifiers replaced by keyed hashes before anything is written.

A pseudonym is the HMAC-SHA256 (RFC 2104, FIPS 180-4) of the identifier, cut to 80 bits and written in base32.  With the
same key the same patient gets the same pseudonym in every run; without the key neither can be had from the other.

The key is, in this order:

1. the environment variable ``CARDIOLENS_KEY`` (any text of at least 16 characters), for clusters and containers;
2. the file named by ``CARDIOLENS_KEY_FILE``;
3. ``cardiolens/key`` in the user's configuration folder (``$XDG_CONFIG_HOME``, else ``~/.config``; ``%APPDATA%`` on
   Windows), made on first use, readable by its owner only.

It never lies in a store, so a store can be handed on.  Keep a copy: with another key the same patients get other
pseudonyms, and studies ingested before and after cannot be joined.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from cardiolens.errors import StoreError
from cardiolens.study import Cine, Refusal, Study

log = logging.getLogger(__name__)

KEY_VARIABLE = "CARDIOLENS_KEY"
KEY_FILE_VARIABLE = "CARDIOLENS_KEY_FILE"
_MIN_KEY_CHARACTERS = 16
_PSEUDONYM_BYTES = 10  # 80 bits: 16 base32 characters; a clash among a million patients has a chance below 1e-12
_SHORTEST_SCRUBBED = 3  # shorter identifiers ("7") identify nobody in free text and are part of every number
_SHORTEST_ANYWHERE = 5  # shorter ones are replaced only as words of their own
_UID = re.compile(r"(?<![\w.])[0-2](?:\.\d+){5,}(?![\w.]*\d)")


class Pseudonym(str):
    """An identifier that is a pseudonym already; plain text never is, whatever it looks like."""

    __slots__ = ()


def key_file() -> Path:
    """Where the key file is or would be; nothing is read or made."""
    if named := os.environ.get(KEY_FILE_VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "win32" and os.environ.get("APPDATA"):
        return Path(os.environ["APPDATA"]) / "cardiolens" / "key"
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "cardiolens" / "key"


def load_key(*, create: bool = True) -> bytes:
    """The secret key of this user.

    Args:
        create: make the key file if there is none.

    Raises:
        StoreError: a key too short, a key file that others can read, or no key and `create` is False.
    """
    if (given := os.environ.get(KEY_VARIABLE)) is not None:
        return _checked(given, f"the environment variable {KEY_VARIABLE}")
    path = key_file()
    if not path.exists():
        if not create:
            raise StoreError(f"no pseudonymisation key: neither {KEY_VARIABLE} is set nor {path} exists")
        _make_key_file(path)
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StoreError(f"the key file {path} can be read by other users; run: chmod 600 {path}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read the key file {path}: {error}; or set {KEY_VARIABLE}") from error
    return _checked(text, f"the key file {path}")


def _checked(text: str, where: str) -> bytes:
    key = text.strip()
    if len(key) < _MIN_KEY_CHARACTERS:
        raise StoreError(f"{where} holds {len(key)} characters; a key needs at least {_MIN_KEY_CHARACTERS}")
    return key.encode("utf-8")


def _make_key_file(path: Path) -> None:
    """Write a new random key, whole or not at all, and never over another process's key."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(secrets.token_hex(32) + "\n")
                out.flush()
                os.fsync(out.fileno())
            try:
                os.link(temporary, path)
            except FileExistsError:
                return
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the key file {path}: {error}; or set {KEY_VARIABLE}") from error
    log.warning("made a new pseudonymisation key in %s; keep a copy, and never give it away with the data", path)


def pseudonym(kind: str, identifier: str, key: bytes) -> Pseudonym:
    """The pseudonym of one identifier: 16 characters a-z, 2-7.

    Args:
        kind: "patient", "accession" or "path": the same number as two kinds gives two pseudonyms.
        identifier: as found; space around it, which DICOM pads with, does not count.
        key: secret, from `load_key`.
    """
    digest = hmac.new(key, f"{kind}\0{identifier.strip()}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return Pseudonym(base64.b32encode(digest[:_PSEUDONYM_BYTES]).decode("ascii").lower())


def pseudonymise(study: Study, key: bytes, *, also: Mapping[str, str] | None = None) -> Study:
    """A study whose identifiers are pseudonyms and whose texts do not repeat the raw ones.

    Patient and accession become `Pseudonym`; each stands in for the other where one is missing.  Notes, sources,
    refusals, attributes and the report lose every occurrence of the raw identifiers, of DICOM UIDs (the report keeps
    those) and of the strings in `also`.  Other names, dates and addresses that a report may hold are *not* found: give
    reports that are already free of them.

    Args:
        study: pixels stay unread.
        key: secret, from `load_key`.
        also: further text to replace, with what; e.g. folder names that may be patient names.

    Raises:
        StoreError: the study carries neither a patient nor an accession.
    """
    patient, accession = study.patient or study.accession, study.accession or study.patient
    if not (patient and patient.strip() and accession and accession.strip()):
        raise StoreError("the study carries neither a patient identifier nor an accession; give it one before storing")
    new_patient = patient if isinstance(patient, Pseudonym) else pseudonym("patient", patient, key)
    new_accession = accession if isinstance(accession, Pseudonym) else pseudonym("accession", accession, key)
    return relabel(study, new_patient, new_accession, also=also)


def relabel(study: Study, patient: Pseudonym, accession: Pseudonym, *, also: Mapping[str, str] | None = None) -> Study:
    """The study under given pseudonyms, its texts free of the raw identifiers that it carried (see `pseudonymise`)."""
    words = dict(also or {})
    for raw, new, name in ((study.accession, accession, "accession"), (study.patient, patient, "patient")):
        if raw is not None and not isinstance(raw, Pseudonym):
            words[raw.strip()] = f"[{name} {new}]"
    scrubber = Scrubber(words)
    return dataclasses.replace(
        study,
        cines=tuple(_scrubbed_cine(cine, scrubber) for cine in study.cines),
        patient=patient,
        accession=accession,
        site=None if study.site is None else scrubber(study.site),
        report=None if study.report is None else scrubber(study.report, uids=False),
        refused=tuple(
            Refusal(scrubber(refusal.series), scrubber(refusal.reason), refusal.n_files) for refusal in study.refused
        ),
        notes=tuple(scrubber(note) for note in study.notes),
    )


def _scrubbed_cine(cine: Cine, scrubber: Scrubber) -> Cine:
    """The cine with clean texts; `LazyFrames` stay lazy."""
    return Cine(
        view=cine.view,
        frames=cine.__dict__["_frames"],
        source=scrubber(cine.source),
        spacing_mm=cine.spacing_mm,
        slice_positions_mm=cine.slice_positions_mm,
        trigger_times_ms=cine.trigger_times_ms,
        affine=cine.affine,
        attributes={
            name: scrubber(value) if isinstance(value, str) else value for name, value in cine.attributes.items()
        },
        notes=tuple(scrubber(note) for note in cine.notes),
    )


class Scrubber:
    """Replaces known identifiers in free text, longest first, whatever their case.

    Identifiers under three characters are left alone, those under five are replaced only as words of their own.
    """

    def __init__(self, words: Mapping[str, str]):
        kept = {word: new for word, new in words.items() if len(word) >= _SHORTEST_SCRUBBED}
        self._new = {word.lower(): new for word, new in kept.items()}
        self._pattern = _alternatives(kept)

    def __call__(self, text: str, *, uids: bool = True) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(lambda match: self._new.get(match.group(0).lower(), "[identifier]"), text)
        return _UID.sub("[uid]", text) if uids else text


def _alternatives(words: Iterable[str]) -> re.Pattern[str] | None:
    parts = [
        re.escape(word) if len(word) >= _SHORTEST_ANYWHERE else rf"(?<![^\W_]){re.escape(word)}(?![^\W_])"
        for word in sorted(words, key=lambda word: (-len(word), word))
    ]
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None
