"""Search among very many clips: time of a query and recall against the size of the index, exact against graphs.

    python benchmarks/search_index.py [--clips 10000 100000 1000000] [--queries 30] [--write]

Vectors are made up, of width 512 and clustered as embeddings of clips are: hearts of some 200 kinds, studies of 13
clips around their own centre, and the gap between texts and clips.  A text query is a vector beyond that gap; a study
query is a study of the index.  Both ways answer the same queries in one run, `search.queries.by_vector` whole, opened
before.  Then one study of a hundred is changed, one of a hundred taken out and one of a hundred added, and the update
is set against building all anew.  Wall time; the graphs are built on the cores that the machine has.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import usearch

from cardiolens.search import EmbeddingIndex, NearestIndex, by_vector, similar, update_nearest
from cardiolens.search.nearest import EXACT_UP_TO, folder_of
from cardiolens.study import View

TABLE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "search_index.md"
WIDTH, PLANES, KINDS = 512, 13, 200
VIEWS = (*[View.SAX] * 10, View.CH2, View.CH3, View.CH4)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class World:
    """Kinds of hearts, views, and where texts lie."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.middle = unit(self.rng.normal(size=WIDTH)).astype(np.float32)
        self.gap = unit(self.rng.normal(size=WIDTH)).astype(np.float32)
        self.kinds = self._around(KINDS, 0.9)
        self.views = {view: self._around(1, 0.5)[0] for view in View}

    def _around(self, count: int, scale: float) -> np.ndarray:
        return (scale * unit(self.rng.normal(size=(count, WIDTH)))).astype(np.float32)

    def study(self) -> np.ndarray:
        """(clip, 512): one heart in 13 planes."""
        own = self.middle + self.kinds[self.rng.integers(KINDS)] + self._around(1, 0.6)
        views = np.stack([self.views[view] for view in VIEWS])
        return unit(own + views + self._around(PLANES, 0.4)).astype(np.float32)

    def text(self) -> np.ndarray:
        """A query beyond the gap."""
        return unit(self.middle + 0.7 * self.gap + 0.9 * self.kinds[self.rng.integers(KINDS)] + self._around(1, 0.3)[0])


def made(world: World, clips: int) -> EmbeddingIndex:
    studies = -(-clips // PLANES)
    rows = np.empty((studies * PLANES, WIDTH), dtype=np.float32)
    for i in range(studies):
        rows[i * PLANES : (i + 1) * PLANES] = world.study()
    return index_of([f"site_{i // 1000}/a{i:07d}" for i in range(studies)], rows)


def index_of(keys: list[str], rows: np.ndarray) -> EmbeddingIndex:
    each = [key for key in keys for _ in range(PLANES)]
    return EmbeddingIndex(tuple(each), VIEWS * len(keys), tuple(range(PLANES)) * len(keys), rows, {"model": "made up"})


def changed(world: World, index: EmbeddingIndex) -> EmbeddingIndex:
    """One study of a hundred changed, one gone, one new."""
    few = max(1, len(index.studies) // 100)
    keys = [*index.studies[few:], *(f"new/a{i}" for i in range(few))]
    rows = np.concatenate([index.rows[few * PLANES :], np.empty((few * PLANES, WIDTH), np.float32)])
    for i in (*range(few), *range(len(keys) - few, len(keys))):
        rows[i * PLANES : (i + 1) * PLANES] = world.study()
    return index_of(keys, rows)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def asked(world: World, index: EmbeddingIndex, graphs: NearestIndex, queries: int) -> list[dict[str, Any]]:
    """A row a kind of query: medians and the slowest in ms, recall at 10 of the studies found."""
    rows = []
    keys = [index.studies[i] for i in world.rng.integers(len(index.studies), size=queries)]
    texts = [world.text() for _ in range(queries)]
    kinds: dict[str, list[Callable[..., Any]]] = {}
    for by in ("study", "clip"):
        kinds[f"text, by {by}"] = [
            lambda nearest, v=v, by=by: by_vector(index, v, by=by, nearest=nearest) for v in texts
        ]
        kinds[f"study, by {by}"] = [lambda nearest, k=k, by=by: similar(index, k, by=by, nearest=nearest) for k in keys]
    for name, each in kinds.items():
        took: dict[str, list[float]] = {"exact": [], "graphs": []}
        hits = []
        for one in each:
            seconds, truth = timed(lambda one=one: one(None))
            took["exact"].append(1000 * seconds)
            seconds, found = timed(lambda one=one: one(graphs))
            took["graphs"].append(1000 * seconds)
            assert found.how == "approximate", found.how
            hits.append(len({h.key for h in truth} & {h.key for h in found}) / len(truth))
        rows.append({"query": name, "took": took, "recall": float(np.mean(hits))})
    return rows


def one_size(clips: int, queries: int) -> tuple[list[str], list[str]]:
    world = World()
    index = made(world, clips)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.parquet"
        index.save(path)
        build, _ = timed(lambda: update_nearest(index, path))
        size = sum(file.stat().st_size for file in folder_of(path).iterdir()) / 2**20
        opening, graphs = timed(lambda: NearestIndex.open(index, path))
        rows = asked(world, index, graphs, queries)
        loading, _ = timed(lambda: EmbeddingIndex.load(path))
        after = changed(world, index)
        index = after
        after.save(path)
        again, done = timed(lambda: update_nearest(after, path))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        table = path.stat().st_size / 2**20
    found = []
    for row in rows:
        exact, near = (np.array(row["took"][name]) for name in ("exact", "graphs"))
        found.append(
            f"| {len(after):,} | {row['query']} | {np.median(exact):.0f} | {np.median(near):.1f} | {near.max():.0f} | "
            f"{statistics.median(exact / near):.1f} | {row['recall']:.3f} |"
        )
    built = (
        f"| {len(after):,} | {table:.0f} | {size:.0f} | {loading:.1f} | {opening:.1f} | {build:.0f} | {again:.0f} | "
        f"{100 * again / build:.0f} % | {done['added']:,} / {done['removed']:,} | {peak:.1f} |"
    )
    return found, [built]


def report(options: argparse.Namespace) -> str:
    found, built = [], []
    for clips in options.clips:
        more = one_size(clips, options.queries)
        print("\n".join([*more[0], *more[1]]), flush=True)
        found += more[0]
        built += more[1]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return "\n".join(
        [
            "# Search among a million clips",
            "",
            f"`python benchmarks/search_index.py --clips {' '.join(map(str, options.clips))} --queries "
            f"{options.queries} --write`, {date.today()}, usearch {usearch.__version__}, {platform.machine()} CPU, "
            f"{cores} cores that other work shared.  Made-up unit vectors of width 512 in clusters; wall time of a "
            "whole query, ranking of clips and studies included, without the text tower.  Research use only, not a "
            "medical device.",
            "",
            f"`cardiolens search` compares every clip up to {EXACT_UP_TO:,} and asks the graphs above.",
            "",
            "| clips | query | exact, ms | graphs, ms | slowest, ms | exact / graphs | recall of the 10 studies |",
            "|---|---|---|---|---|---|---|",
            *found,
            "",
            "A text lies beyond the gap between texts and clips, so that its nearest are harder to find by graph "
            "than a study's.",
            "",
            "| clips | table, MiB | graphs, MiB | load table, s | open graphs, s | build graphs, s | update, s | "
            "update / build | studies added / taken out | peak memory of the run, GiB |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *built,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--write", action="store_true", help=f"also write docs/benchmarks/{TABLE.name}")
    options = parser.parse_args()
    text = report(options)
    print(text)
    if options.write:
        TABLE.write_text(text)


if __name__ == "__main__":
    main()
