"""The table of embeddings as Parquet, a row a clip: what other tools read, and what scales; needs pyarrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cardiolens.errors import InputError
from cardiolens.store.atomic import disk_errors, replacing

if TYPE_CHECKING:
    from cardiolens.search.index import EmbeddingIndex

SUFFIX = ".parquet"
_FORMAT = "cardiolens-embeddings-1"
_HEAD = b"cardiolens"
_ROWS = 65_536  # of a row group


def write_parquet(index: EmbeddingIndex, path: Path) -> None:
    """Columns `key, patient, content, view, plane, vector`; the provenance (model, its hash, ...) in the file's schema.

    Raises:
        InputError: pyarrow is not installed.
        StoreError: the disk refuses; an earlier file stays as it was.
    """
    pa, pq = _arrow()
    width = index.rows.shape[1]
    flat = pa.array(np.ascontiguousarray(index.rows, dtype=np.float32).reshape(-1))

    def by_study(values: list[str | None]) -> Any:
        return pa.array(values, pa.string()).take(pa.array(index.study_of.astype(np.int64)))

    columns = {
        "key": by_study(list(index.studies)),
        "patient": by_study([index.patients.get(key) for key in index.studies]),
        "content": by_study([index.contents.get(key) for key in index.studies]),
        "view": pa.array([str(view) for view in index.views], pa.string()),
        "plane": pa.array(np.array(index.planes, dtype=np.int32)),
        "vector": pa.FixedSizeListArray.from_arrays(flat, width),
    }
    head = {"format": _FORMAT, "meta": dict(index.meta), "mark": index.mark}
    table = pa.table(columns).replace_schema_metadata({_HEAD: json.dumps(head).encode()})
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            pq.write_table(table, temporary, row_group_size=_ROWS, use_dictionary=["key", "patient", "content", "view"])


def read_parquet(path: Path) -> EmbeddingIndex:
    """The table as an index.

    Raises:
        InputError: pyarrow is not installed, or the file is cut off or of another kind.
    """
    from cardiolens.search.index import VIEWS, EmbeddingIndex

    pa, pq = _arrow()
    try:
        head = _head(path)
        table = pq.read_table(path)
        rows = np.empty((len(table), table["vector"].type.list_size), dtype=np.float32)
        at = 0
        for chunk in table["vector"].chunks:
            rows[at : at + len(chunk)] = chunk.flatten().to_numpy().reshape(-1, rows.shape[1])
            at += len(chunk)
        keys = table["key"].to_pylist()
        view_of = {str(view): view for view in VIEWS}
        first = {key: at for at, key in reversed(list(enumerate(keys)))}
        of = {name: table[name].take(pa.array(list(first.values()), pa.int64())).to_pylist() for name in _BY_STUDY}
        by_study = {
            name: {key: value for key, value in zip(first, of[name], strict=True) if value is not None}
            for name in _BY_STUDY
        }
        return EmbeddingIndex(
            tuple(keys),
            tuple(view_of[view] for view in table["view"].to_pylist()),
            tuple(table["plane"].to_pylist()),
            rows,
            head["meta"],
            by_study["patient"],
            by_study["content"],
        )
    except (pa.ArrowException, OSError, AttributeError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not a table of embeddings by cardiolens, or cut off ({error}); copy it again, or make another "
            "with: cardiolens embed"
        ) from error


def mark_of(path: Path) -> str:
    """What `EmbeddingIndex.mark` was of the table that lies there; the vectors are not read."""
    return str(_head(path)["mark"])


_BY_STUDY = ("patient", "content")


def _head(path: Path) -> dict[str, Any]:
    _, pq = _arrow()
    found = (pq.read_schema(path).metadata or {}).get(_HEAD)
    if found is None:
        raise ValueError("its schema does not name cardiolens")
    head: dict[str, Any] = json.loads(found)
    if head["format"] != _FORMAT:
        raise ValueError(f"format {head['format']!r}, this version reads {_FORMAT!r}")
    return head


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            "Parquet needs pyarrow: pip install 'cardiolens[scale]'; or name the index .safetensors instead"
        ) from error
    return pyarrow, pyarrow.parquet
