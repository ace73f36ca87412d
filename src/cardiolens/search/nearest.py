"""Approximate nearest neighbours among very many clips and studies: graphs (HNSW, Malkov and Yashunin 2018) by usearch.

They lie in a folder beside the index file, belong to one state of it, and only propose candidates: these are ranked
exactly.  An update adds, replaces and removes studies; a build that is killed goes on where it last wrote.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import InputError
from cardiolens.search.index import EmbeddingIndex, Progress, Rows, mark_at
from cardiolens.store.atomic import disk_errors, is_leftover, replacing, write_whole

log = logging.getLogger(__name__)

EXACT_UP_TO = 100_000
"""Clips up to which every row is compared: some 50 ms on one core."""
_FORMAT = "cardiolens-nearest-1"
_SAVE_EVERY_S = 120.0
_BATCH = 8192
_WORN = 0.3  # share of rows taken out since the last whole build, from which it is built anew
_ASKED, _AT, _SEED = 200, 10, 0
_KINDS = ("clips", "studies")
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GraphSettings:
    """Of the graphs: neighbours a node, breadth while building and while searching."""

    connectivity: int = 24
    expansion_add: int = 128
    expansion_search: int = 192


def folder_of(path: Path) -> Path:
    """Where the graphs of an index file lie."""
    return path.with_name(path.name + ".ann")


class NearestIndex:
    """The graphs of one index, opened from its folder; `clips` and `studies` give places in the index."""

    def __init__(self, index: EmbeddingIndex, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.recall: Mapping[str, float] = manifest["recall"]
        self._graphs = {kind: _restored(folder / manifest["files"][kind], view=True) for kind in _KINDS}
        held = {key: clips for key, (_, _, clips) in manifest["studies"].items()}
        sizes = {"clips": len(index), "studies": len(index.studies)}
        if held != {key: len(clips) for key, clips in index.clips_of.items()} or any(
            (len(self._graphs[kind]), self._graphs[kind].ndim) != (sizes[kind], index.rows.shape[1]) for kind in _KINDS
        ):
            raise InputError(f"{folder} does not hold the clips of its index; delete that folder, embed makes another")
        first = np.array([manifest["studies"][key][1] for key in index.studies], dtype=np.int64)
        numbers = np.empty(len(index), dtype=np.int64)
        for number, clips in zip(first, index.clips_of.values(), strict=True):
            numbers[clips] = np.arange(number, number + len(clips))
        self._order = {"clips": np.argsort(numbers), "studies": np.argsort(first)}
        self._numbers = {"clips": np.sort(numbers), "studies": np.sort(first)}

    @classmethod
    def open(cls, index: EmbeddingIndex, path: Path) -> NearestIndex | None:
        """The graphs of the index that was loaded from `path`; None where there are none, or only of another state.

        Raises:
            InputError: there are some, and usearch is not installed, or a file is damaged.
        """
        folder = folder_of(path)
        manifest = _manifest(folder)
        if manifest is None or manifest["mark"] is None or manifest["mark"] != mark_at(path):
            if manifest is not None:
                log.warning("%s is not of this state of the index; run the same `cardiolens embed` again", folder)
            return None
        return cls(index, folder, manifest)

    def clips(self, vector: Rows, count: int) -> Places:
        """Places in the index of about the `count` clips nearest to a unit vector, best first."""
        return self._places("clips", vector, count)

    def studies(self, vector: Rows, count: int) -> Places:
        """Places in `index.studies` of the studies nearest by their own vector."""
        return self._places("studies", vector, count)

    def _places(self, kind: str, vector: Rows, count: int) -> Places:
        found = self._graphs[kind].search(vector, min(count, len(self._graphs[kind]))).keys.astype(np.int64)
        places: Places = self._order[kind][np.searchsorted(self._numbers[kind], found)]
        return places


def update_nearest(
    index: EmbeddingIndex,
    path: Path,
    *,
    settings: GraphSettings | None = None,
    progress: Progress | None = None,
    save_every_s: float = _SAVE_EVERY_S,
) -> dict[str, int]:
    """Bring the graphs beside an index file to the state of that index.

    Args:
        index: as saved at `path`.
        settings: of the graphs; others than before, or another model, build them anew.
        progress: called after each batch with studies done and to do.
        save_every_s: how much work a kill may lose.

    Returns:
        How many studies were added (changed ones too), removed and kept.

    Raises:
        InputError: usearch is not installed.
        StoreError: the disk refuses.
    """
    chosen = settings or GraphSettings()
    folder = folder_of(path)
    build = _Build(index, folder, chosen)
    gone = build.remove()
    new = [key for key in index.studies if key not in build.held]
    kept = len(build.held)
    if not gone and not new and build.mark == index.mark:
        return {"added": 0, "removed": 0, "kept": kept}
    build.mark = None
    saved = time.monotonic()
    for done in build.add(new):
        if progress is not None:
            progress("", done, len(new))
        if time.monotonic() - saved > save_every_s:
            build.save()
            saved = time.monotonic()
    build.mark = index.mark
    build.measure()
    build.save()
    return {"added": len(new), "removed": gone, "kept": kept}


class _Build:
    """The graphs while they change: `held` is study to (signature, first number, clips)."""

    def __init__(self, index: EmbeddingIndex, folder: Path, settings: GraphSettings) -> None:
        self.index, self.folder, self.settings = index, folder, settings
        self.head = {
            "format": _FORMAT,
            "settings": asdict(settings),
            "width": index.rows.shape[1],
            **{name: index.meta.get(name) for name in ("model", "model_hash", "transform", "space")},
        }
        self.held: dict[str, tuple[str, int, int]] = {}
        self.mark: str | None = None
        self.recall: dict[str, float] = {}
        self.next, self.generation, self.taken_out = 0, 0, 0
        earlier = _manifest(folder)
        if earlier is None:
            self._blank()
            return
        self.generation = earlier["generation"]
        held = {key: (str(s), int(f), int(n)) for key, (s, f, n) in earlier["studies"].items()}
        stale = [key for key, one in held.items() if index.signatures.get(key) != one[0]]
        worn = earlier["taken_out"] + sum(held[key][2] for key in stale)
        if any(earlier.get(name) != value for name, value in self.head.items()) or worn > _WORN * max(len(index), 1):
            self._blank()
            return
        self.held, self.mark, self.recall = held, earlier["mark"], earlier["recall"]
        self.next, self.taken_out = earlier["next"], earlier["taken_out"]
        self.graphs = {kind: _restored(folder / earlier["files"][kind]) for kind in _KINDS}

    def _blank(self) -> None:
        usearch = _usearch()
        self.graphs = {
            kind: usearch.Index(ndim=self.head["width"], metric="ip", dtype="f16", **asdict(self.settings))
            for kind in _KINDS
        }

    def remove(self) -> int:
        """Take out what is gone or has changed; how many studies."""
        stale = [key for key, one in self.held.items() if self.index.signatures.get(key) != one[0]]
        for key in stale:
            _, first, count = self.held.pop(key)
            self.graphs["clips"].remove(np.arange(first, first + count, dtype=np.uint64))
            self.graphs["studies"].remove(first)
            self.taken_out += count
        return len(stale)

    def add(self, keys: list[str]) -> Iterator[int]:
        """Add studies a batch at a time; yields how many are in."""
        clips_of, place = self.index.clips_of, {key: i for i, key in enumerate(self.index.studies)}
        threads = 1 if len(self.index) <= EXACT_UP_TO else 0  # many threads (0) build another graph each time
        start = 0
        while start < len(keys):
            stop, clips = start, 0
            while stop < len(keys) and clips < _BATCH:
                clips += len(clips_of[keys[stop]])
                stop += 1
            part = keys[start:stop]
            counts = [len(clips_of[key]) for key in part]
            first = self.next + np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
            numbers = np.arange(self.next, self.next + clips, dtype=np.uint64)
            vectors = self.index.rows[np.concatenate([clips_of[key] for key in part])]
            self.graphs["clips"].add(numbers, vectors, threads=threads)
            rows = self.index.vectors_of_studies[[place[key] for key in part]]
            self.graphs["studies"].add(first.astype(np.uint64), rows, threads=threads)
            for key, number, count in zip(part, first.tolist(), counts, strict=True):
                self.held[key] = (self.index.signatures[key], number, count)
            self.next += clips
            start = stop
            yield start

    def numbers(self, kind: str) -> Places:
        """The number of each clip, or study, of the index."""
        if kind == "studies":
            return np.array([self.held[key][1] for key in self.index.studies], dtype=np.int64)
        numbers = np.empty(len(self.index), dtype=np.int64)
        for key, clips in self.index.clips_of.items():
            numbers[clips] = np.arange(self.held[key][1], self.held[key][1] + len(clips))
        return numbers

    def measure(self) -> None:
        """Recall at 10 against the exact search, by rows of the index as queries; each finds the others, not itself."""
        for kind, rows in (("clips", self.index.rows), ("studies", self.index.vectors_of_studies)):
            picked = np.random.default_rng(_SEED).permutation(len(rows))[:_ASKED]
            count = min(_AT, len(rows) - 1)
            if not count:  # one row, and nothing else to find
                self.recall[kind] = 1.0
                continue
            numbers = self.numbers(kind)
            found = self.graphs[kind].search(rows[picked], count + 1).keys.astype(np.int64).reshape(len(picked), -1)
            best = numbers[exact_nearest(rows, rows[picked], count + 1)]
            hits = [
                len(set(_others(b, own, count)) & set(_others(f, own, count)))
                for b, f, own in zip(best, found, numbers[picked].tolist(), strict=True)
            ]
            self.recall[kind] = round(sum(hits) / (count * len(picked)), 4)

    def save(self) -> None:
        """Write the graphs under new names, then what tells their names, then delete the old ones."""
        self.generation += 1
        files = {kind: f"{kind}-{self.generation}.usearch" for kind in _KINDS}
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for kind, name in files.items():
                with replacing(self.folder / name) as temporary:
                    self.graphs[kind].save(str(temporary))
            fields = {
                **self.head,
                "mark": self.mark,
                "generation": self.generation,
                "next": self.next,
                "taken_out": self.taken_out,
                "recall": self.recall,
                "files": files,
                "studies": self.held,
            }
            write_whole(self.folder / "nearest.json", json.dumps(fields).encode())
            for old in self.folder.iterdir():
                if (old.suffix == ".usearch" and old.name not in files.values()) or is_leftover(old):
                    old.unlink(missing_ok=True)


def _others(numbers: Places, own: int, count: int) -> list[int]:
    """The first so many of a row's neighbours that are not the row itself."""
    return [number for number in numbers.tolist() if number != own][:count]


def exact_nearest(rows: Rows, queries: Rows, count: int, block: int = 65_536) -> Places:
    """(query, count) places of the nearest rows by comparing all, best first."""
    best = np.full((len(queries), count), -np.inf, dtype=np.float32)
    place = np.zeros((len(queries), count), dtype=np.int64)
    for start in range(0, len(rows), block):
        scores = np.concatenate([best, queries @ rows[start : start + block].T], axis=1)
        own = np.arange(start, start + scores.shape[1] - count)
        places = np.concatenate([place, np.broadcast_to(own, (len(queries), len(own)))], axis=1)
        top = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        best, place = np.take_along_axis(scores, top, 1), np.take_along_axis(places, top, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    ordered: Places = np.take_along_axis(place, order, 1)
    return ordered


def _manifest(folder: Path) -> dict[str, Any] | None:
    path = folder / "nearest.json"
    if not path.is_file():
        return None
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if fields["format"] != _FORMAT:
            raise ValueError(f"format {fields['format']!r}")
        _check(fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete the folder {folder}, embed makes another") from error
    return fields


def _check(fields: Mapping[str, Any]) -> None:
    """Raises where a manifest is not as `_Build.save` writes it; a name in it never leads out of its folder."""
    for kind in _KINDS:
        if not re.fullmatch(rf"{kind}-\d+\.usearch", fields["files"][kind]):
            raise ValueError(f"a graph is not called {fields['files'][kind]!r}")
        if not fields["recall"] and fields["mark"] is None:
            continue  # half built
        if not 0.0 <= fields["recall"][kind] <= 1.0:
            raise ValueError("recall is no share")
    if not (fields["mark"] is None or isinstance(fields["mark"], str)):
        raise ValueError("its mark is no text")
    counts = [fields[name] for name in ("generation", "next", "taken_out")]
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("a count is no number")
    for signature, first, clips in fields["studies"].values():
        if not (
            isinstance(signature, str) and type(first) is type(clips) is int and 0 <= first < first + clips <= counts[1]
        ):
            raise ValueError("the clips of a study are no numbers that were given")


def _restored(path: Path, *, view: bool = False) -> Any:
    """A graph from its file; `view` leaves it on disk and reads what a search touches."""
    usearch = _usearch()
    try:
        graph = usearch.Index.restore(str(path), view=view) if path.is_file() else None
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); delete its folder, embed makes another") from error
    if graph is None:
        raise InputError(f"{path} is missing or damaged; delete its folder, embed makes another")
    return graph


def installed() -> bool:
    """Whether usearch can be imported."""
    import importlib.util

    return importlib.util.find_spec("usearch") is not None


def _usearch() -> Any:
    try:
        import usearch.index
    except ImportError as error:
        raise InputError(
            "an approximate index needs usearch: pip install 'cardiolens[scale]'; or search with --exact"
        ) from error
    return usearch.index
