"""`EmbeddingIndex`: a unit vector a clip, with where it came from; one safetensors file, written whole."""

from __future__ import annotations

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
from cardiolens.store.atomic import disk_errors, write_whole
from cardiolens.study import View

Rows = npt.NDArray[np.float32]
StudyPooling = Literal["views", "clips"]
Progress = Callable[[str, int, int], None]
"""Called with what was done last, how many are done and how many there are."""

_FORMAT = "cardiolens-index-1"
_VIEWS = tuple(View)
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
        lengths = np.linalg.norm(self.rows.astype(np.float64), axis=1)
        wrong = int((~(np.abs(lengths - 1.0) < _UNIT)).sum())  # NaN is wrong too
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
        view = np.array([_VIEWS.index(view) for view in self.views], dtype=np.intp)
        group = self.study_of * len(_VIEWS) + view
        in_group = np.bincount(group, minlength=len(self.studies) * len(_VIEWS)).reshape(-1, len(_VIEWS))
        if pooling == "clips":
            share: npt.NDArray[np.float64] = 1.0 / in_group.sum(1)[self.study_of]
            return share
        n_views = (in_group > 0).sum(1)
        weight: npt.NDArray[np.float64] = 1.0 / (in_group[self.study_of, view] * n_views[self.study_of])
        return weight

    def pooled(self, values: npt.NDArray[Any], pooling: StudyPooling = "views") -> npt.NDArray[np.float64]:
        """Weighted mean over the clips of each study: (clip, ...) -> (study, ...), in the order of `studies`."""
        values = np.asarray(values, dtype=np.float64)
        weight = self.weights(pooling).reshape(-1, *[1] * (values.ndim - 1))
        out = np.zeros((len(self.studies), *values.shape[1:]))
        np.add.at(out, self.study_of, values * weight)
        return out

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
        kept = {self.keys[i] for i in chosen}
        return EmbeddingIndex(
            tuple(self.keys[i] for i in chosen),
            tuple(self.views[i] for i in chosen),
            tuple(self.planes[i] for i in chosen),
            self.rows[chosen],
            self.meta,
            {key: value for key, value in self.patients.items() if key in kept},
            {key: value for key, value in self.contents.items() if key in kept},
        )

    # --- on disk -------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the file whole, in place of an earlier one.

        Raises:
            StoreError: the disk refuses.
        """
        path = Path(path)
        head = {
            "format": _FORMAT,
            "studies": self.studies,
            "patients": [self.patients.get(key) for key in self.studies],
            "contents": [self.contents.get(key) for key in self.studies],
            "meta": dict(self.meta),
        }
        tensors: dict[str, npt.NDArray[Any]] = {
            "rows": np.ascontiguousarray(self.rows, dtype=np.float32),
            "study": self.study_of.astype(np.int64),
            "view": np.array([_VIEWS.index(view) for view in self.views], dtype=np.int64),
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
    by_study = {
        name: {key: value for key, value in zip(studies, head[name], strict=True) if value is not None}
        for name in ("patients", "contents")
    }
    return EmbeddingIndex(
        tuple(studies[i] for i in tensors["study"]),
        tuple(_VIEWS[i] for i in tensors["view"]),
        tuple(int(plane) for plane in tensors["plane"]),
        tensors["rows"],
        head["meta"],
        by_study["patients"],
        by_study["contents"],
    )
