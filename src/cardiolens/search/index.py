"""`EmbeddingIndex`: a unit vector a clip, with where it came from; one safetensors or Parquet file, written whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cardiolens.errors import InputError
from cardiolens.search.parquet import SUFFIX, mark_of, read_parquet, write_parquet
from cardiolens.store.atomic import disk_errors, write_whole
from cardiolens.study import View

Rows = npt.NDArray[np.float32]
StudyPooling = Literal["views", "clips"]
Progress = Callable[[str, int, int], None]
"""Called with what was done last, how many are done and how many there are."""

_FORMAT = "cardiolens-index-1"
VIEWS = tuple(View)
_COLUMNS = 64
_UNIT = 1e-3  # how far the length of a row may lie from 1


@dataclass(frozen=True, eq=False)
class EmbeddingIndex:
    """Vectors of clips, the clips of a study behind one another.

    Attributes:
        keys: (clip,) the study of each clip.
        views, planes: (clip,) where in the study.
        rows: (clip, 512) float32 of unit length.
        meta: provenance: hashes of model and store, transform, space ("embedding" or "features"), skipped studies.
        patients: study to patient; a study that is absent is its own patient.
        contents: study to the content hash that it had.
    """

    keys: tuple[str, ...]
    views: tuple[View, ...]
    planes: tuple[int, ...]
    rows: Rows
    meta: Mapping[str, Any] = field(default_factory=dict)
    patients: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape, n = np.shape(self.rows), len(self.keys)
        if len(shape) != 2 or not shape[0] == n == len(self.views) == len(self.planes):
            raise InputError(
                f"an index needs as many rows as clips: {n} keys, {len(self.views)} views, {len(self.planes)} planes, "
                f"rows {shape}"
            )
        if n and min(self.planes) < 0:
            raise InputError("a plane has a number below 0")
        squares = np.einsum("ij,ij->i", self.rows, self.rows, dtype=np.float64)
        wrong = int((~(np.abs(np.sqrt(squares) - 1.0) < _UNIT)).sum())  # NaN is wrong too
        if wrong:
            raise InputError(f"{wrong} of {n} rows are not of unit length; divide each by its length")
        for key in ("views", "planes", "keys"):
            object.__setattr__(self, key, tuple(getattr(self, key)))

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def studies(self) -> tuple[str, ...]:
        """Every study once, in the order of the rows."""
        return tuple(dict.fromkeys(self.keys))

    @cached_property
    def study_of(self) -> npt.NDArray[np.intp]:
        """(clip,) place of each clip's study in `studies`."""
        places = {key: i for i, key in enumerate(self.studies)}
        return np.array([places[key] for key in self.keys], dtype=np.intp)

    @cached_property
    def clips_of(self) -> Mapping[str, npt.NDArray[np.intp]]:
        """Study to the numbers of its clips."""
        order = np.argsort(self.study_of, kind="stable")
        ends = np.cumsum(np.bincount(self.study_of, minlength=len(self.studies)))
        return dict(zip(self.studies, np.split(order, ends[:-1]), strict=True)) if self.keys else {}

    @cached_property
    def studies_of(self) -> Mapping[str, tuple[str, ...]]:
        """Patient to the studies."""
        found: dict[str, list[str]] = {}
        for key in self.studies:
            found.setdefault(self.patient(key), []).append(key)
        return {patient: tuple(keys) for patient, keys in found.items()}

    @cached_property
    def vectors_of_studies(self) -> Rows:
        """(study, 512) of unit length, as `study_vectors` gives them; computed once."""
        return self.study_vectors()[1]

    @cached_property
    def signatures(self) -> Mapping[str, str]:
        """Study to a hash over its clips: their views, planes and vectors."""
        found = {}
        for key, clips in self.clips_of.items():
            places = " ".join(f"{self.views[i]}:{self.planes[i]}" for i in clips)
            digest = hashlib.blake2b(places.encode(), digest_size=12)
            digest.update(np.ascontiguousarray(self.rows[clips]).data)
            found[key] = digest.hexdigest()
        return found

    @cached_property
    def mark(self) -> str:
        """Hash over everything that is searched, in its order: an index of nearest neighbours belongs to one mark."""
        digest = hashlib.blake2b(digest_size=16)
        for key, signature in self.signatures.items():
            digest.update(f"{key}\0{signature}\n".encode())
        return digest.hexdigest()

    def patient(self, key: str) -> str:
        """The patient of a study."""
        return self.patients.get(key, key)

    def require_clips(self) -> None:
        """`InputError` where there is nothing to look in."""
        if not self.keys:
            raise InputError(
                "the index holds no clip; embed a store first: cardiolens embed STORE --model M --out INDEX"
            )

    def weights(self, pooling: StudyPooling = "views") -> npt.NDArray[np.float64]:
        """(clip,) weight of each clip in its study, summing to 1: every view alike, or every clip alike."""
        if pooling not in ("views", "clips"):
            raise InputError(f"a study is pooled over its 'views' or its 'clips', not {pooling!r}")
        view = np.array([VIEWS.index(view) for view in self.views], dtype=np.intp)
        group = self.study_of * len(VIEWS) + view
        in_group = np.bincount(group, minlength=len(self.studies) * len(VIEWS)).reshape(-1, len(VIEWS))
        if pooling == "clips":
            share: npt.NDArray[np.float64] = 1.0 / in_group.sum(1)[self.study_of]
            return share
        n_views = (in_group > 0).sum(1)
        weight: npt.NDArray[np.float64] = 1.0 / (in_group[self.study_of, view] * n_views[self.study_of])
        return weight

    def pooled(self, values: npt.NDArray[Any], pooling: StudyPooling = "views") -> npt.NDArray[np.float64]:
        """Weighted mean over the clips of each study: (clip, ...) -> (study, ...), in the order of `studies`."""
        from scipy.sparse import csr_array

        clips = np.arange(len(self))
        mean = csr_array((self.weights(pooling), (self.study_of, clips)), shape=(len(self.studies), len(self)))
        flat = np.asarray(values).reshape(len(self), -1)
        out = np.empty((len(self.studies), flat.shape[1]))
        for start in range(0, flat.shape[1], _COLUMNS):  # a part at a time: in float64 a million clips take 4 GB
            part = slice(start, start + _COLUMNS)
            out[:, part] = mean @ flat[:, part].astype(np.float64)
        return out.reshape(len(self.studies), *np.shape(values)[1:])

    def study_vectors(self, pooling: StudyPooling = "views") -> tuple[tuple[str, ...], Rows]:
        """Studies and their vectors (study, 512) of unit length: the mean of the clips of each view, then of the views.

        So a stack of ten planes does not outvote the long-axis views; `pooling="clips"` takes the plain mean.
        """
        mean = self.pooled(self.rows, pooling)
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        return self.studies, (mean / np.maximum(length, 1e-12)).astype(np.float32)

    def select(self, keys: Iterable[str]) -> EmbeddingIndex:
        """The clips of some studies, in the order of the index; a key that is not there is an `InputError`."""
        wanted = set(keys)
        absent = sorted(wanted.difference(self.clips_of))
        if absent:
            raise InputError(f"{len(absent)} studies are not in the index, first {absent[0]}")
        return self.take(np.array([key in wanted for key in self.keys], dtype=bool))

    def take(self, clips: npt.NDArray[Any]) -> EmbeddingIndex:
        """Some clips, by a mask or by numbers."""
        chosen = np.arange(len(self))[clips]
        kept = dict.fromkeys(self.keys[i] for i in chosen)
        return EmbeddingIndex(
            tuple(self.keys[i] for i in chosen),
            tuple(self.views[i] for i in chosen),
            tuple(self.planes[i] for i in chosen),
            self.rows[chosen],
            self.meta,
            {key: self.patients[key] for key in kept if key in self.patients},
            {key: self.contents[key] for key in kept if key in self.contents},
        )

    # --- on disk -------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the file whole, in place of an earlier one; a name that ends in .parquet makes a Parquet table.

        Raises:
            StoreError: the disk refuses.
            InputError: Parquet, and pyarrow is not installed.
        """
        path = Path(path)
        if path.suffix == SUFFIX:
            write_parquet(self, path)
            return path
        head = {
            "format": _FORMAT,
            "studies": self.studies,
            "patients": [self.patients.get(key) for key in self.studies],
            "contents": [self.contents.get(key) for key in self.studies],
            "meta": dict(self.meta),
            "mark": self.mark,
        }
        tensors: dict[str, npt.NDArray[Any]] = {
            "rows": np.ascontiguousarray(self.rows, dtype=np.float32),
            "study": self.study_of.astype(np.int64),
            "view": np.array([VIEWS.index(view) for view in self.views], dtype=np.int64),
            "plane": np.array(self.planes, dtype=np.int64),
        }
        with disk_errors(path):
            write_whole(path, save(tensors, {"index": json.dumps(head)}))
        return path

    @classmethod
    def load(cls, path: str | Path) -> EmbeddingIndex:
        """Read the file.

        Raises:
            InputError: no such file, cut off, or of another kind.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"no index at {path}; make one with: cardiolens embed STORE --model M --out {path}")
        if path.suffix == SUFFIX:
            return read_parquet(path)
        try:
            with safe_open(path, framework="np") as file:
                head = json.loads((file.metadata() or {})["index"])
                tensors = {name: file.get_tensor(name) for name in ("rows", "study", "view", "plane")}
            if head["format"] != _FORMAT:
                raise InputError(f"{path}: an index of format {head['format']!r}, this version reads {_FORMAT!r}")
            return _from_parts(head, tensors)
        except (SafetensorError, OSError, KeyError, ValueError, IndexError, TypeError) as error:
            if isinstance(error, InputError):
                raise InputError(f"{path}: {error}") from error
            raise InputError(
                f"{path}: not an index of cardiolens, or cut off ({error}); copy it again, or make another with: "
                "cardiolens embed"
            ) from error


def _from_parts(head: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> EmbeddingIndex:
    studies: list[str] = head["studies"]
    if len(tensors["study"]) and not 0 <= tensors["study"].min() <= tensors["study"].max() < len(studies):
        raise ValueError("its rows name studies that it does not list")
    if len(tensors["view"]) and not 0 <= tensors["view"].min() <= tensors["view"].max() < len(VIEWS):
        raise ValueError("its rows name views that there are not")
    by_study = {
        name: {key: value for key, value in zip(studies, head[name], strict=True) if value is not None}
        for name in ("patients", "contents")
    }
    return EmbeddingIndex(
        tuple(studies[i] for i in tensors["study"]),
        tuple(VIEWS[i] for i in tensors["view"]),
        tuple(int(plane) for plane in tensors["plane"]),
        tensors["rows"],
        head["meta"],
        by_study["patients"],
        by_study["contents"],
    )


def mark_at(path: Path) -> str | None:
    """The `mark` of the index in a file, without its vectors; None of a file of an earlier version."""
    if path.suffix == SUFFIX:
        return mark_of(path)
    with safe_open(path, framework="np") as file:
        found = json.loads((file.metadata() or {})["index"]).get("mark")
    return None if found is None else str(found)
