"""EchoAI on phantoms: reconstruction at three mask ratios, EF with and without pretraining, 4, 8 and 16 frames.

    python benchmarks/echoai_trial.py                          # render, 4 pretrainings, 18 runs, page
    python benchmarks/echoai_trial.py --echo cohorts/echo --cohort cohorts/trial/internal   # rendered before
    python benchmarks/echoai_trial.py --micro --out runs/echoai_micro --results runs/echoai_micro.csv  # it runs
    python benchmarks/echoai_trial.py --list                   # steps, and which are done
    python benchmarks/echoai_trial.py --page                   # only the page and its figures, from rows and models

Masked pretraining on phantom echo with 80, 90 and 95 % hidden, and on the four-chamber cines of phantom CMR with 90 %;
then EF from the pretrained encoder and from random weights, three seeds each, and on echo also from 4 and 8 frames over
the same time.  Every finished run appends its rows to docs/results/echoai_trial.csv; started again, the command goes on
from the first one that is missing, and a run that was killed from its last epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trial import Row, append, render_patients, rows_of, told

if TYPE_CHECKING:
    from cardiolens.datasets.volumes import VolumeSet

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "echoai_trial.csv"
RATIOS = (80, 90, 95)
FRAMES = (16, 8, 4)
STRIDES = {16: 3, 8: 6, 4: 12}  # of echo: the same time, whatever the number of frames
ARMS = ("pretrained", "random")
FIGURES = ("mae", "rmse", "r2")
FIELDS = [
    *("step", "data", "arm", "frames", "ratio", "seed"),
    *(name + end for name in FIGURES for end in ("", "_low", "_high")),
    *("error", "error_mean", "error_near", "n", "loops", "steps", "epochs", "best_epoch"),
    *("seconds", "data_hash", "split_hash", "version"),
]


@dataclass(frozen=True)
class Size:
    """How large a trial is: loops of each set and part, optimiser steps."""

    train: int
    val: int
    test: int
    pretrain_steps: int
    steps: int
    seeds: tuple[int, ...] = (0, 1, 2)
    batch: int = 16
    ef_batch: int = 8

    @property
    def patients(self) -> int:
        return self.train + self.val + self.test

    def epochs(self, steps: int, batch: int) -> int:
        return max(2, round(steps / max(1, self.train // batch)))


# 45 minutes on one core without the rendering, which takes 10 to 15 for the echo; the CMR cohort is another trial's
TINY = Size(train=240, val=40, test=40, pretrain_steps=500, steps=900)
MICRO = Size(
    train=6, val=2, test=2, pretrain_steps=2, steps=2, seeds=(0,), batch=4, ef_batch=4
)  # shows that every step runs


@dataclass(frozen=True)
class Step:
    """One run: a pretraining ("pretraining"), or EF from it ("pretrained") or from random weights ("random")."""

    name: str
    data: str
    arm: str
    frames: int = 16
    ratio: int = 90
    seed: int = 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micro", action="store_true", help="a few loops and steps: shows that it runs")
    parser.add_argument("--echo", type=Path, default=None, help="phantom echo in EchoNet's layout; default OUT/echo")
    parser.add_argument("--cohort", type=Path, default=None, help="store of phantom patients; default OUT/cohort")
    parser.add_argument("--out", type=Path, default=Path("runs/echoai_trial"), help="runs and splits")
    parser.add_argument("--results", type=Path, default=RESULTS, help="CSV of rows")
    parser.add_argument("--only", default="", help="only steps whose names begin so; several with commas")
    parser.add_argument("--list", action="store_true", help="say which steps are done")
    parser.add_argument("--page", action="store_true", help="only rewrite the page")
    args = parser.parse_args()
    args.size = MICRO if args.micro else TINY
    args.echo, args.cohort = args.echo or args.out / "echo", args.cohort or args.out / "cohort"
    return args


def steps_of(size: Size) -> list[Step]:
    """Every run, seeds outermost, so that early rows already compare."""
    found = [Step(f"pretrain_echo_{ratio}", "echo", "pretraining", ratio=ratio) for ratio in (90, 80, 95)]
    found.append(Step("pretrain_cmr_90", "cmr", "pretraining"))
    for seed in size.seeds:
        for data in ("echo", "cmr"):
            found += [Step(f"ef_{data}_16_{arm}_seed{seed}", data, arm, seed=seed) for arm in ARMS]
        found += [Step(f"ef_echo_{n}_pretrained_seed{seed}", "echo", "pretrained", n, seed=seed) for n in FRAMES[1:]]
    return found


def render(size: Size, args: argparse.Namespace) -> None:
    """Make the loops, or what is missing of them; sets that another trial made are taken as they are."""
    if not (args.echo / "FileList.csv").exists():
        from cardiolens.phantom.echo import write_echonet

        write_echonet(args.echo, size.patients, 101, progress=told)
    small = {"matrix": 48, "phases": 8, "sax_planes": 2}
    render_patients(args.cohort, size.patients, **small if size is MICRO else {"matrix": 128, "sax_planes": 9})


@cache
def open_once(path: Path, kind: str) -> VolumeSet:
    """Telling what a large store holds takes a while, so it is done once."""
    from cardiolens.datasets.volumes import open_volumes

    return open_volumes(path, kind=kind, **({"views": ("4CH",)} if kind == "cines" else {}))


def volumes_of(data: str, args: argparse.Namespace) -> VolumeSet:
    return open_once(args.echo, "echonet") if data == "echo" else open_once(args.cohort, "cines")


def split_of(data: str, size: Size, args: argparse.Namespace) -> tuple[Path, str]:
    """The first patients by number: to measure, to choose the epoch, to learn; and a hash over split and contents.

    Pretraining sees train and val of the same split, without labels.
    """
    from cardiolens.datasets.splits import Split

    volumes = volumes_of(data, args)
    keys = sorted(volumes.keys(), key=lambda key: (key.rpartition("-")[2], key))[: size.patients]
    if len(keys) < size.patients:
        sys.exit(f"{volumes.path} holds {len(keys)} loops and the trial takes {size.patients}; name another set")
    ends = (size.test, size.test + size.val)
    parts = {"test": keys[: ends[0]], "val": keys[ends[0] : ends[1]], "train": keys[ends[1] :]}
    split = Split({part: tuple(sorted(found)) for part, found in parts.items()}, {"plan": "EchoAI trial"})
    path = args.out / f"split_{data}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    split.save(path)
    return path, hashlib.sha256(f"{split.hash}{volumes.hash()}".encode()).hexdigest()[:16]


def common(step: Step, split: Path, epochs: int, batch: int) -> list[str]:
    """Settings that pretraining and EF share."""
    cut = f"stride={STRIDES[step.frames]}" if step.data == "echo" else "stride=even"
    return [
        *(f"seed={step.seed}", f"frames={step.frames}", cut, f"short_side={64 if step.data == 'echo' else 112}"),
        *(f"optimiser.epochs={epochs}", f"optimiser.warmup_epochs={0.1 * epochs}", f"optimiser.batch={batch}"),
        f"split={{file: {split}}}",
    ]


def pretrain_rows(step: Step, size: Size, args: argparse.Namespace, split: Path) -> list[Row]:
    """One pretraining, and how well it fills in held-out loops with its own share hidden."""
    from cardiolens.training.masked_video import pretrain_video
    from cardiolens.training.recipe import load_recipe
    from cardiolens.training.video_recipe import MaskedVideoRecipe

    epochs = size.epochs(size.pretrain_steps, size.batch)
    settings = [*common(step, split, epochs, size.batch), f"mask_ratio={step.ratio / 100}"]
    recipe = load_recipe(ROOT / "recipes" / "echoai_tiny_pretrain.yaml", MaskedVideoRecipe, settings)
    volumes = volumes_of(step.data, args)
    final = pretrain_video(recipe, volumes, args.out / "runs" / step.name)
    from echoai_trial_page import fill_in

    error = fill_in(final, volumes, split, step.ratio)
    row = {"loops": size.train, "steps": size.pretrain_steps, "epochs": recipe.optimiser.epochs}
    return [row | error]


def ef_rows(step: Step, size: Size, args: argparse.Namespace, split: Path) -> list[Row]:
    """One training of EF; both arms take as many steps."""
    from cardiolens.training.recipe import load_recipe
    from cardiolens.training.video import train_video
    from cardiolens.training.video_recipe import VideoRecipe

    epochs = size.epochs(size.steps, size.ef_batch)
    start = args.out / "runs" / f"pretrain_{step.data}_90" / "final"
    settings = [
        *common(step, split, epochs, size.ef_batch),
        f"validate_every={max(1, epochs // 10)}",
        f"label={'ef' if step.data == 'echo' else 'lvef'}",
        *([f"weights={start}"] if step.arm == "pretrained" else []),
    ]
    recipe = load_recipe(ROOT / "recipes" / "echoai_tiny_ef.yaml", VideoRecipe, settings)
    run = args.out / "runs" / step.name
    train_video(recipe, volumes_of(step.data, args), run)
    metrics = json.loads((run / "metrics.json").read_text())
    test = {name: value for name, value in metrics["test"].items() if name in FIELDS}
    row = {"loops": size.train, "steps": size.steps, "epochs": recipe.optimiser.epochs}
    return [row | {"best_epoch": metrics["best_epoch"]} | test]


def run(args: argparse.Namespace) -> None:
    """Every step that has no row yet."""
    from cardiolens._version import __version__
    from cardiolens.datasets.splits import Split

    size, done = args.size, {row["step"] for row in rows_of(args.results)}
    render(size, args)
    splits = {data: split_of(data, size, args) for data in ("echo", "cmr")}
    for step in steps_of(size):
        if step.name in done or (args.only and not step.name.startswith(tuple(args.only.split(",")))):
            continue
        print(f"{time.strftime('%H:%M:%S')} {step.name}", flush=True)
        split, digest = splits[step.data]
        begun = time.process_time()
        found = (pretrain_rows if step.arm == "pretraining" else ef_rows)(step, size, args, split)
        stamp = {name: getattr(step, "name" if name == "step" else name) for name in FIELDS[:6]}
        stamp |= {"seconds": round(time.process_time() - begun, 1), "data_hash": digest, "version": __version__}
        append(args.results, FIELDS, [stamp | {"split_hash": Split.load(split).hash} | row for row in found], of="data")


def main() -> None:
    args = arguments()
    if args.list:
        done = {row["step"] for row in rows_of(args.results)}
        for step in steps_of(args.size):
            print(f"{'done   ' if step.name in done else 'missing'} {step.name}")
        return
    if not args.page:
        run(args)
    from echoai_trial_page import write_page

    write_page(rows_of(args.results), args)
    print(f"open {args.results.with_suffix('.md')}")


if __name__ == "__main__":
    main()
