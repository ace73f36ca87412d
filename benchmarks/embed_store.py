"""Embedding a store: clips a second by stage, and against the plain way of one study and one clip at a time.

    python benchmarks/embed_store.py [--model shad-mvit-tiny] [--studies 12] [--rounds 3] [--write]

Stages, on random studies of the size of the phantom's: the content hash that tells whether a study is already done, the
frames from the store, the transform, the video tower, and the whole command (`search.embed_store`, features kept).  The
plain way reads every frame of a study, then passes its clips through the tower one by one.  The two take turns.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pretrain_step import random_store

from cardiolens.clips import clips_of
from cardiolens.hub import load_model
from cardiolens.search import embed_store
from cardiolens.store import StudyStore
from cardiolens.training.data import ClipSource
from cardiolens.transforms import ClipTransform

TABLE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "embed_store.md"


def cpu_time(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def stages(model: Any, store: StudyStore) -> dict[str, Callable[[], object]]:
    """What is measured, by name; each does it for every clip of the store."""
    keys, transform = store.keys(), ClipTransform.from_dict(model.card.transform)
    source = ClipSource(store, transform, cache=False)
    where = [(key, *place) for key in keys for place in source.planes(key, "all", np.random.default_rng(0))]
    frames = [store.frames(*one) for one in where]
    clips = torch.stack([transform(some) for some in frames])

    @torch.inference_mode()
    def one_by_one() -> None:
        for key in keys:
            for clip in clips_of(store.read(key), transform).clips:
                model.embed(clip[None])

    @torch.inference_mode()
    def tower() -> None:
        for part in torch.split(clips, 16):
            model.embed(part)

    def command() -> None:
        folder = Path(tempfile.mkdtemp())
        try:
            embed_store(model, store, folder=folder)
        finally:
            shutil.rmtree(folder)

    return {
        "content hash": lambda: [store.hash_of(key) for key in keys],
        "frames from the store": lambda: [store.frames(*one) for one in where],
        "transform": lambda: [transform(some) for some in frames],
        "video tower, 16 clips at a time": tower,
        "embed_store, all of it": command,
        "plain: whole studies, one clip at a time": one_by_one,
    }


def report(options: argparse.Namespace) -> str:
    model = load_model(options.model).eval()
    with tempfile.TemporaryDirectory() as folder:
        store = random_store(Path(folder) / "store", options.studies)
        work = stages(model, store)
        clips = 13 * options.studies
        seconds: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(options.rounds):
            for name, one in work.items():
                seconds[name].append(cpu_time(one))
    whole, plain = (statistics.median(seconds[name]) for name in list(work)[-2:])
    lines = [
        "# Embedding a store",
        "",
        f"`python benchmarks/embed_store.py --model {options.model} --studies {options.studies} --rounds "
        f"{options.rounds} --write`, {date.today()}, PyTorch {torch.__version__}, {platform.machine()} CPU, 1 thread.  "
        f"{options.studies} random studies of 13 planes, 25 phases of 160 x 160; medians, CPU time.",
        "",
        "| stage | ms a clip | clips/s | share of the whole |",
        "|---|---|---|---|",
    ]
    for name, times in seconds.items():
        each = statistics.median(times)
        lines.append(f"| {name} | {1000 * each / clips:.1f} | {clips / each:.0f} | {100 * each / whole:.0f} % |")
    return "\n".join([*lines, "", f"The plain way takes {plain / whole:.2f} times as long.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="shad-mvit-tiny")
    parser.add_argument("--studies", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"also write docs/benchmarks/{TABLE.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = report(options)
    print(text)
    if options.write:
        TABLE.write_text(text)


if __name__ == "__main__":
    main()
