"""A study's contours: seconds and peak memory of the bundled segmenter and of the base-size models.

    python benchmarks/segment_study.py [--threads 2] [--write]

One phantom study of ordinary size (short axis of 10 planes and the three long axes, 25 phases) from `Study` to masks
and measures, each way in a process of its own, since peak memory does not go down again:
  bundled, whole study      segmenter:phantom on every plane and phase of the four views, measures
  bundled, short axis       the same on the short axis alone, which LVEF needs
  ConvUNetR base, ED + ES   cinema-unetr-base on the two volumes that LVEF needs, grid included
  ConvUNetR base, 25 phases the same on every phase
  ConvViT base, ED + ES     cinema-convvit-base, LVEF from the two volumes without masks
Base-size weights are random: cost does not depend on them.  Seconds are of the wall with `--threads` threads, the model
being loaded; memory is the largest resident set of the process, Python and PyTorch included.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch

from cardiolens import __version__, load_model
from cardiolens.phantom import render_study, sample_parameters
from cardiolens.phantom.mr.protocol import Protocol
from cardiolens.store import StudyStore
from cardiolens.study import Study, View

TABLE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "segment_study.md"
PHASES, PLANES = 25, 10
Way = Callable[[Study], object]


def bundled(*views: View) -> Way:
    from cardiolens.contours import segment_study
    from cardiolens.segmenter import load_segmenter

    segmenter = load_segmenter()
    return lambda study: segment_study(study, segmenter, only=views or None)


def base(name: str, *, every: bool) -> Way:
    """A base-size model on the short axis, two phases at once for the classifier, else one at a time."""
    from cardiolens.grid import GridSpec, place

    model = load_model(name).eval()
    assert model.card is not None
    spec = GridSpec.from_dict(model.card.transform)

    def run(study: Study) -> None:
        cine = study.cine(View.SAX)
        placement = place(cine, spec)
        phases = range(cine.n_phases) if every else (0, cine.n_phases // 3)
        images = [torch.from_numpy(placement.image(np.asarray(cine.frames[:, t], np.float32))) for t in phases]
        with torch.inference_mode():
            if "convvit" in name:
                model({"SAX": torch.stack(images)[None]})
                return
            for image in images:
                found = model({"SAX": image[None, None]})["SAX"].argmax(1)[0]
                placement.to_source(found.numpy())

    return run


WAYS: dict[str, Callable[[], Way]] = {
    "bundled, whole study": bundled,
    "bundled, short axis": lambda: bundled(View.SAX),
    "ConvUNetR base, ED + ES": lambda: base("cinema-unetr-base", every=False),
    f"ConvUNetR base, {PHASES} phases": lambda: base("cinema-unetr-base", every=True),
    "ConvViT base, ED + ES": lambda: base("cinema-convvit-base", every=False),
}


def make_study(folder: Path) -> None:
    heart = sample_parameters(np.random.default_rng(5))
    study = render_study(heart, seed=5, protocol=Protocol(phases=PHASES, sax_planes=PLANES))
    StudyStore(folder, mode="a").write(replace(study, patient="phantom", accession="1"))


def measure(way: str, folder: Path, threads: int) -> dict[str, float]:
    """Seconds and peak MiB of one study."""
    torch.set_num_threads(threads)
    store = StudyStore(folder)
    study = store.read(store.keys()[0])
    run = WAYS[way]()
    start = time.perf_counter()
    run(study)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def apart(way: str, folder: Path, threads: int) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--study", str(folder), "--threads", str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def page(rows: dict[str, dict[str, float]], threads: int) -> str:
    first = next(iter(rows.values()))
    lines = [
        "# A study's contours",
        "",
        f"`python benchmarks/segment_study.py --threads {threads} --write`, {date.today().isoformat()}, cardiolens "
        f"{__version__}, PyTorch {torch.__version__}, {platform.machine()} CPU.  One phantom study, {PLANES} SAX "
        f"planes and three long axes, {PHASES} phases, `Study` to masks and measures; wall-clock time with "
        "the model loaded; memory of the whole process.  These machines are noisy: trust the ratios.",
        "",
        "| way | seconds | peak MiB | time to the first row | memory to the first row |",
        "|---|---:|---:|---:|---:|",
    ]
    for way, row in rows.items():
        ratios = f"{row['seconds'] / first['seconds']:.2f} | {row['mib'] / first['mib']:.2f}"
        lines.append(f"| {way} | {row['seconds']:.1f} | {row['mib']:.0f} | {ratios} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} in docs/benchmarks")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--study", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.study, options.threads)))
        return
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        make_study(Path(folder))
        for way in WAYS:
            rows[way] = apart(way, Path(folder), options.threads)
            print(f"{way}: {rows[way]['seconds']:.1f} s, {rows[way]['mib']:.0f} MiB", flush=True)
    text = page(rows, options.threads)
    print(text)
    if options.write:
        TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
