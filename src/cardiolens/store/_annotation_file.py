"""Masks and landmarks of one study, in a file beside it: ``<accession>.masks``, which is HDF5.

Beside and not within, so that a study's own file and hash stay what they are when masks come, change or go.  Layout,
schema version 1::

    /                   attributes schema, schema_version, study_hash, content_hash, written_by
    /SAX/…, /2CH/…      attributes phases, structures, ed, es (absent when unknown), source
    /SAX/labels         (slice, phase, row, col) uint8; absent when there are landmarks alone
    /SAX/landmarks/mitral_1, …     (slice, phase, 2) float64, row and column
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping

import h5py
import numpy as np

from cardiolens._version import __version__
from cardiolens.annotation import Annotation
from cardiolens.errors import StoreError
from cardiolens.study import Study, View

SCHEMA = "cardiolens-masks"
SCHEMA_VERSION = 1


def encode(annotations: Mapping[View, Annotation], study: Study, study_hash: str) -> bytes:
    """The bytes of the file.

    Raises:
        StoreError: a view, plane or phase that the study does not have.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for view, drawn in sorted(annotations.items()):
            _check(view, drawn, study)
            group = file.create_group(view.value)
            group.attrs.update(phases=drawn.phases, structures=list(drawn.structures), source=drawn.source)
            group.attrs.update({name: value for name in ("ed", "es") if (value := getattr(drawn, name)) is not None})
            if drawn.labels is not None:
                chunks = (1, 1, *drawn.labels.shape[2:])
                group.create_dataset("labels", data=drawn.labels, chunks=chunks, compression="gzip", fletcher32=True)
            for name, points in sorted(drawn.landmarks.items()):
                group.create_dataset(f"landmarks/{name}", data=points)
        content = hash_of(annotations)
        head = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "study_hash": study_hash, "content_hash": content}
        file.attrs.update(head, written_by=__version__)
    return buffer.getvalue()


def decode(file: h5py.File, study_hash: str, where: str) -> dict[View, Annotation]:
    """What the file holds.

    Raises:
        StoreError: of another schema, or made for other pixels than the study has now.
    """
    if file.attrs.get("schema") != SCHEMA or int(file.attrs.get("schema_version", 0)) != SCHEMA_VERSION:
        raise StoreError(f"{where}: masks of another schema; this is cardiolens {__version__}; write them again")
    if file.attrs["study_hash"] != study_hash:
        raise StoreError(f"{where}: the study has changed since its masks were written; write them again")
    return {view: _annotation(file[view.value]) for view in View if view.value in file}


def hash_of(annotations: Mapping[View, Annotation]) -> str:
    """SHA-256 over all that was drawn."""
    digest = hashlib.sha256()
    for view, drawn in sorted(annotations.items()):
        said = f"{view.value}\0{drawn.phases}\0{drawn.structures}\0{drawn.ed}\0{drawn.es}\0{drawn.source}\0"
        digest.update(said.encode())
        if drawn.labels is not None:
            digest.update(f"{drawn.labels.shape}".encode() + np.ascontiguousarray(drawn.labels).tobytes())
        for name, points in sorted(drawn.landmarks.items()):
            digest.update(f"{name}{points.shape}".encode() + np.ascontiguousarray(points).tobytes())
    return digest.hexdigest()


def _annotation(group: h5py.Group) -> Annotation:
    said = group.attrs
    ed, es = (int(said[name]) if name in said else None for name in ("ed", "es"))
    return Annotation(
        phases=tuple(int(phase) for phase in said["phases"]),
        labels=group["labels"][()] if "labels" in group else None,
        structures=tuple(str(name) for name in said["structures"]),
        ed=ed,
        es=es,
        landmarks={name: points[()] for name, points in group["landmarks"].items()} if "landmarks" in group else {},
        source=str(said["source"]),
    )


def _check(view: View, drawn: Annotation, study: Study) -> None:
    if view not in study.views:
        raise StoreError(f"masks of {view}, and the study has {', '.join(map(str, study.views))}")
    slices, phases, rows, cols = study.cine(view).shape
    beyond = [at for at in (*drawn.phases, drawn.ed or 0, drawn.es or 0) if not 0 <= at < phases]
    if beyond:
        raise StoreError(f"{view}: masks of phase {beyond[0]}; the cine has 0 to {phases - 1}")
    shapes = [points.shape[:1] for points in drawn.landmarks.values()]
    if drawn.labels is not None and drawn.labels.shape != (slices, len(drawn.phases), rows, cols):
        raise StoreError(
            f"{view}: masks of shape {drawn.labels.shape}; the cine has {slices} planes of {rows} x {cols}"
        )
    if any(shape != (slices,) for shape in shapes):
        raise StoreError(f"{view}: landmarks of {shapes[0][0]} planes; the cine has {slices}")
