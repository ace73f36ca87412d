"""What a phantom study costs, by stage and by size, and what the design saves.

    python benchmarks/phantom_render.py [--studies 4] [--write]

Renders studies (12 short-axis planes and 3 long-axis views, 25 phases) in one process and prints studies per minute
and the share of each stage.  In the same run it renders the plain way, every frame as a study of one phase, with
nothing kept from one frame to the next, and prints the ratio.  Times are processor time of one core, so that a busy
machine does not change them much.  `--write` puts the tables into docs/benchmarks/phantom_render.md.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import platform
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cardiolens.phantom import make_cohort, render_study, sample_parameters

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "phantom_render.md"
PHASES = 25
STAGES = {
    "anatomy and its tables": ("tables_at:anatomy", "__init__:anatomy"),
    "thorax": ("_still:picture", "add_lung_vessels:thorax"),
    "which pixels move": ("touches_heart:compose",),
    "surfaces at those pixels": ("surfaces:sampling", "__init__:sampling", "slope:sampling"),
    "chambers and walls": ("_outside:compose", "_right_side:compose", "_left_side:compose"),
    "masses, valves, jets": ("draw:findings", "draw:flow", "findings_of:findings"),
    "coils and field": ("_weight:picture", "coil_shading:coils", "noise_gain:coils"),
    "k-space": ("_acquired:render",),
    "noise": ("add:noise", "__init__:noise"),
}


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def stage_shares(profile: cProfile.Profile) -> dict[str, float]:
    """Share of the whole of each stage; stages do not overlap."""
    stats = pstats.Stats(profile)
    out = dict.fromkeys(STAGES, 0.0)
    for (file, _, name), (_, _, _, cumulative, _) in stats.stats.items():
        for stage, wanted in STAGES.items():
            if f"{name}:{Path(file).stem}" in wanted and "phantom" in file:
                out[stage] += cumulative / stats.total_tt
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    hearts = [sample_parameters(np.random.default_rng(i)) for i in range(options.studies)]
    render_study(hearts[0], seed=0, matrix=64, phases=2)  # imports and first-call costs
    sizes = []
    for matrix, sub_slices in ((64, 2), (128, 2), (192, 3), (256, 3)):
        cost = np.mean(
            [
                seconds(lambda i=i, h=h, m=matrix, s=sub_slices: render_study(h, seed=i, matrix=m, sub_slices=s))
                for i, h in enumerate(hearts)
            ]
        )
        clip = np.mean(
            [
                seconds(lambda i=i, h=h, m=matrix: render_study(h, seed=i, matrix=m, views=("4CH",)))
                for i, h in enumerate(hearts)
            ]
        )
        sizes.append((matrix, sub_slices, float(cost), float(clip)))
        print(f"{matrix:4d}: study {cost:.2f} s, {60 / cost:.0f} a minute on one core; a 4CH clip {clip:.3f} s")
    plain = PHASES * np.mean(
        [seconds(lambda i=i: render_study(hearts[i], seed=i, matrix=256, phases=1)) for i in range(2)]
    )
    ratio = plain / np.mean([seconds(lambda i=i: render_study(hearts[i], seed=i, matrix=256)) for i in range(2)])
    print(f"frame by frame: {plain:.1f} s a study of 256, {ratio:.1f} times as much")
    profile = cProfile.Profile()
    profile.enable()
    for i, heart in enumerate(hearts):
        render_study(heart, seed=i, matrix=256)
    profile.disable()
    shares = stage_shares(profile)
    for stage, share in shares.items():
        print(f"  {stage:<28}{share:6.0%}")
    print(f"  {'rest':<28}{1 - sum(shares.values()):6.0%}")
    cohort = whole_cohort()
    print(f"cohort into a store, matrix 128, {os.cpu_count()} workers: {cohort:.0f} studies a minute of wall time")
    if options.write:
        write(sizes, ratio, shares, cohort)


def whole_cohort(n: int = 16) -> float:
    """Studies a minute of wall time, report, truth and store included."""
    with tempfile.TemporaryDirectory() as folder:
        make_cohort(Path(folder) / "warm", 2, 0, format="store", matrix=64)
        start = time.perf_counter()
        make_cohort(Path(folder) / "store", n, 1, format="store", matrix=128)
        return 60.0 * n / (time.perf_counter() - start)


def write(sizes: list[tuple[int, int, float, float]], ratio: float, shares: dict[str, float], cohort: float) -> None:
    machine = f"{platform.machine()}, NumPy {np.__version__}"
    lines = [
        "# Rendering phantoms",
        "",
        "Written by `benchmarks/phantom_render.py --write`.  A study is 12 short-axis planes and 3 long-axis views",
        f"of 25 phases; processor time of one core ({machine}).  Absolute times differ between machines; the ratio",
        "and the shares differ less.",
        "",
        "| matrix | sub-slices | studies a minute and core | seconds for one 4CH clip |",
        "|---|---|---|---|",
        *(f"| {m} | {s} | {60 / cost:.0f} | {clip:.2f} |" for m, s, cost, clip in sizes),
        "",
        "Rendering every frame as a study of its own, with nothing kept from frame to frame, takes",
        f"**{ratio:.1f} times** as long at 256.  A cohort of matrix 128 into a store, with reports and truth, ran at",
        f"{cohort:.0f} studies a minute on {os.cpu_count()} cores.",
        "",
        "| stage, at 256 | share |",
        "|---|---|",
        *(f"| {stage} | {share:.0%} |" for stage, share in shares.items()),
        f"| rest (copies, geometry, storage) | {1 - sum(shares.values()):.0%} |",
        "",
    ]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
