"""What a phantom study costs, and what the design saves.

    python benchmarks/phantom_render.py [--studies 3] [--matrix 256]

Renders studies (12 short-axis planes and 3 long-axis views, 25 phases) in one process and prints studies per minute
and the share of each stage.  In the same run it renders planes the plain way, every frame from the start: thorax, place
in the tables and composition at every pixel of every phase, and prints the ratio.  Times are processor time, so that a
busy machine does not change them much.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time

import numpy as np

from cardiolens.phantom import render
from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.compose import HeartPainter
from cardiolens.phantom.heart import HeartParameters, sample_parameters
from cardiolens.phantom.planes import heart_frame, long_axis_plane
from cardiolens.phantom.sampling import FlatTables
from cardiolens.phantom.signal import KSpace, coil_shading, look_up, sample_contrast
from cardiolens.phantom.thorax import Thorax
from cardiolens.study import View

STAGES = {
    "anatomy and its tables": ("tables_at", "__init__:anatomy"),
    "thorax": ("render:thorax", "grain", "add_lung_vessels"),
    "which pixels move": ("touches_heart",),
    "heart": ("_moving_part",),
    "noise": ("add:signal", "__init__:signal"),
}


def naive_plane(p: HeartParameters, matrix: int, phases: int, seconds: float) -> float:
    """Seconds a frame when nothing is kept from one frame to the next; renders frames until `seconds` have passed."""
    contrast = sample_contrast(np.random.default_rng(0))
    planes = long_axis_plane(p, View.CH4, np.random.default_rng(0), matrix=matrix, field_mm=350.0)
    grid = np.arange(matrix) * planes.spacing_mm
    points = planes.corner[0] + grid[:, None, None] * planes.down + grid[None, :, None] * planes.right
    points = points.astype(np.float32).reshape(-1, 3)
    low_pass = KSpace(matrix, matrix, contrast.acquired)
    rng = np.random.default_rng(0)
    start, done = time.process_time(), 0
    while done < 2 or time.process_time() - start < seconds:
        anatomy, thorax = anatomy_of.__wrapped__(p), Thorax(p)
        tables = FlatTables(anatomy.tables([done % phases / phases]))
        layers = []
        for offset in (-2.67, 0.0, 2.67):
            at = points + np.float32(offset) * planes.normal.astype(np.float32)
            still, _ = thorax.render(at, thorax.grain(at), contrast, planes.spacing_mm)
            heart = heart_frame(p).to_heart(at.astype(np.float64)).astype(np.float32)
            speckle = look_up(thorax.texture, heart, 2.2)
            layers += HeartPainter(anatomy, tables, heart, speckle, contrast, planes.spacing_mm).frames(still)
        image = np.mean(layers, axis=0) * coil_shading(points, thorax.front_y, contrast)
        noise = low_pass(rng.standard_normal((2, matrix, matrix), dtype=np.float32)) * contrast.noise
        np.hypot(low_pass(image.reshape(matrix, matrix)) + noise[0], noise[1])
        done += 1
    return (time.process_time() - start) / done


def stage_seconds(profile: cProfile.Profile) -> dict[str, float]:
    """Cumulative seconds of the stages; they do not overlap."""
    out = dict.fromkeys(STAGES, 0.0)
    for (file, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():
        for stage, names in STAGES.items():
            for wanted in names:
                function, _, where = wanted.partition(":")
                if name == function and "phantom" in file and (not where or f"{where}.py" in file):
                    out[stage] += cumulative
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=3)
    parser.add_argument("--matrix", type=int, default=256)
    parser.add_argument("--naive-seconds", type=float, default=8.0)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    hearts = [sample_parameters(rng) for _ in range(options.studies)]
    render.render_study(hearts[0], seed=0, matrix=64, phases=2)  # imports and first-call costs

    start = time.process_time()
    for i, heart in enumerate(hearts):
        render.render_study(heart, seed=i, matrix=options.matrix)
    study = (time.process_time() - start) / len(hearts)
    start = time.process_time()
    for i, heart in enumerate(hearts):
        render.render_study(heart, seed=i, matrix=128, sub_slices=2)
    small = (time.process_time() - start) / len(hearts)
    frame = naive_plane(hearts[0], options.matrix, 25, options.naive_seconds)

    profile = cProfile.Profile()
    profile.enable()
    render.render_study(hearts[0], seed=0, matrix=options.matrix)
    profile.disable()
    total = pstats.Stats(profile).total_tt
    print(f"study of 15 planes x 25 phases at {options.matrix}: {study:.2f} s, {60 / study:.0f} a minute on one core")
    print(f"the same at 128, two sub-slices:                   {small:.2f} s, {60 / small:.0f} a minute on one core")
    print(f"plain rendering, frame by frame:                   {frame * 375:.1f} s (375 frames at {frame:.3f} s)")
    print(f"ratio plain : this:                                {frame * 375 / study:.1f}")
    shares = stage_seconds(profile)
    for stage, seconds in shares.items():
        print(f"  {stage:<26}{seconds / total:6.0%}")
    print(f"  {'rest (filter, copies)':<26}{1 - sum(shares.values()) / total:6.0%}")


if __name__ == "__main__":
    main()
