"""One study as one HDF5 file: what lies where, and the hash over it.

Layout, schema version 1::

    /                   attributes schema, schema_version, content_hash, written_by
    /study              JSON: patient, accession, site, sex, age, notes, refused, and what is not pixels of each cine
    /report             UTF-8 text; absent when there is no report
    /SAX/frames         (slice, time, row, col), native dtype
    /SAX/slice_positions_mm, /SAX/trigger_times_ms, /SAX/affine      float64; each absent when unknown
    /2CH/…, /3CH/…, /4CH/…

Frames are chunked one frame a chunk, byte-shuffled, gzip level 1, with a checksum a chunk.  One frame a chunk, because
a clip is some frames of one plane; gzip, because every HDF5 reader has it (``benchmarks/store_read.py`` measures).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from cardiolens._version import __version__
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import StoreError
from cardiolens.study import Cine, LazyFrames, Refusal, Study, View

SCHEMA = "cardiolens-study"
SCHEMA_VERSION = 1
_GEOMETRY = ("slice_positions_mm", "trigger_times_ms", "affine")
_STORABLE_KINDS = "biufc"


def encode(study: Study) -> tuple[bytes, str]:
    """The study as the bytes of an HDF5 file, and its content hash.

    Made in memory, so that a full disk meets one plain write and not HDF5's own flushing.

    Raises:
        StoreError: a value that HDF5 or JSON cannot hold exactly.
    """
    facts = _facts_of(study)
    frames = {str(cine.view): _storable(cine) for cine in study.cines}
    content = _hash(facts, study.report, _arrays(study, frames))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs.update(schema=SCHEMA, schema_version=SCHEMA_VERSION, content_hash=content, written_by=__version__)
        file.create_dataset("study", data=facts, dtype=h5py.string_dtype("utf-8"))
        if study.report is not None:
            _check_text(study.report)
            file.create_dataset("report", data=study.report, dtype=h5py.string_dtype("utf-8"))
        for name, array in _arrays(study, frames):
            if name.endswith("/frames"):
                options = {"chunks": (1, 1, *array.shape[2:]), "shuffle": True, "fletcher32": True}
                file.create_dataset(name, data=array, compression="gzip", compression_opts=1, **options)
            else:
                file.create_dataset(name, data=array)
    return buffer.getvalue(), content


def require_schema(file: h5py.File, where: str) -> None:
    """Raise `StoreError` unless the file is of a schema that this version reads."""
    schema, version = file.attrs.get("schema"), file.attrs.get("schema_version")
    if schema != SCHEMA:
        raise StoreError(f"{where}: unknown kind of study file {schema!r}; this is cardiolens {__version__}")
    if not isinstance(version, (int, np.integer)) or int(version) < 1:
        raise StoreError(f"{where}: schema version {version!r} is not a version; ingest the study again")
    if int(version) > SCHEMA_VERSION:
        raise StoreError(
            f"{where}: written with schema version {version}, and this cardiolens {__version__} reads up to "
            f"{SCHEMA_VERSION}; update cardiolens"
        )


def is_study_file(file: h5py.File) -> bool:
    """Whether the file says that it is one of ours, of whatever version."""
    return "schema" in file.attrs


def facts(file: h5py.File) -> dict[str, Any]:
    """What /study says."""
    loaded: dict[str, Any] = json.loads(file["study"][()])
    return loaded


def report_of(file: h5py.File) -> str | None:
    return str(file["report"].asstr()[()]) if "report" in file else None


def shapes(file: h5py.File) -> dict[View, tuple[int, int, int, int]]:
    """(slice, time, row, col) of each view, without reading pixels."""
    return {view: tuple(file[view.value]["frames"].shape) for view in View if view.value in file}


def decode(file: h5py.File, frames: dict[View, LazyFrames]) -> Study:
    """The study, its pixels given as `frames`."""
    said = facts(file)
    cines = []
    for cine in said["cines"]:
        group = file[cine["view"]]
        geometry = {name: group[name][()] if name in group else None for name in _GEOMETRY}
        cines.append(
            Cine(
                view=View(cine["view"]),
                frames=frames[View(cine["view"])],
                source=cine["source"],
                spacing_mm=None if cine["spacing_mm"] is None else tuple(cine["spacing_mm"]),
                attributes=cine["attributes"],
                notes=tuple(cine["notes"]),
                **geometry,
            )
        )
    return Study(
        cines=tuple(cines),
        patient=None if said["patient"] is None else Pseudonym(said["patient"]),
        accession=None if said["accession"] is None else Pseudonym(said["accession"]),
        site=said["site"],
        sex=said["sex"],
        age=said["age"],
        report=report_of(file),
        refused=tuple(Refusal(*refusal) for refusal in said["refused"]),
        notes=tuple(said["notes"]),
    )


def recompute_hash(file: h5py.File) -> str:
    """The content hash of what the file holds now; equals its attribute unless it was damaged or changed."""

    def arrays() -> Iterator[tuple[str, npt.NDArray[Any]]]:
        for view in View:
            for name in ("frames", *_GEOMETRY):
                if f"{view.value}/{name}" in file:
                    yield f"{view.value}/{name}", file[f"{view.value}/{name}"][()]

    return _hash(file["study"].asstr()[()], report_of(file), arrays())


def _facts_of(study: Study) -> str:
    """Everything but arrays and report, as canonical JSON (ASCII, sorted keys; floats round-trip exactly)."""
    said = {
        "patient": study.patient,
        "accession": study.accession,
        "site": study.site,
        "sex": study.sex,
        "age": _plain(study.age, "age"),
        "notes": list(study.notes),
        "refused": [[refusal.series, refusal.reason, refusal.n_files] for refusal in study.refused],
        "cines": [
            {
                "view": cine.view.value,
                "source": cine.source,
                "spacing_mm": None if cine.spacing_mm is None else list(cine.spacing_mm),
                "attributes": {
                    str(name): _plain(value, f"{cine.source}: attribute {name}")
                    for name, value in cine.attributes.items()
                },
                "notes": list(cine.notes),
            }
            for cine in study.cines
        ],
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def _plain(value: object, where: str) -> str | float | int | None:
    """A number or a text as plain Python, so that it reads back as the same value."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (str, int, float)):
        return str(value) if isinstance(value, str) else value
    raise StoreError(f"{where} is a {type(value).__name__}; the store holds texts and numbers")


def _check_text(report: str) -> None:
    try:
        report.encode("utf-8")
    except UnicodeEncodeError as error:
        raise StoreError(f"the report is not valid Unicode ({error.reason}); save it as UTF-8") from error
    if "\0" in report:
        raise StoreError("the report holds a NUL character; save it as plain UTF-8 text")


def _storable(cine: Cine) -> npt.NDArray[Any]:
    frames = cine.frames
    if frames.dtype.kind not in _STORABLE_KINDS:
        raise StoreError(f"{cine.source}: frames of dtype {frames.dtype} cannot be stored; numbers are needed")
    return frames


def _arrays(study: Study, frames: dict[str, npt.NDArray[Any]]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for cine in study.cines:
        yield f"{cine.view}/frames", frames[str(cine.view)]
        for name in _GEOMETRY:
            if getattr(cine, name) is not None:
                yield f"{cine.view}/{name}", getattr(cine, name)


def _hash(facts: str, report: str | None, arrays: Iterator[tuple[str, npt.NDArray[Any]]]) -> str:
    """SHA-256 over facts, report and arrays, each with its name, type and size in front."""
    digest = hashlib.sha256()

    def add(name: str, data: Any, size: int) -> None:
        digest.update(f"{name}\0{size}\0".encode())
        digest.update(data)

    encoded = facts.encode("ascii")
    add("study", encoded, len(encoded))
    if report is not None:
        text = report.encode("utf-8", "surrogatepass")
        add("report", text, len(text))
    for name, array in arrays:
        plain = np.ascontiguousarray(array)
        add(f"{name}\0{plain.dtype.str}\0{plain.shape}", plain.reshape(-1).view(np.uint8).data, plain.nbytes)
    return digest.hexdigest()
