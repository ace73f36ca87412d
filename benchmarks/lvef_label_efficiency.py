"""LVEF of the tiny model on a phantom cohort: contrastive pretraining against random features and against scratch.

    cardiolens phantom --out cohorts/tiny --n 480 --seed 1 --format store --site default --site referral \
        --site biobank --matrix 128 --matrix 192 --phases 25
    cardiolens pretrain recipes/shad_tiny_pretrain.yaml --store cohorts/tiny
    python benchmarks/lvef_label_efficiency.py --store cohorts/tiny

Every finished run appends a row to docs/results/lvef_tiny.csv; started again, the script goes on from the first missing
row.  `--table` only rewrites docs/results/lvef_tiny.md from the rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "docs" / "results" / "lvef_tiny.csv"
TABLE = ROWS.with_suffix(".md")
RECIPE = ROOT / "recipes" / "shad_tiny_lvef.yaml"
FIELDS = ["arm", "fraction", "seed", "n_train", "test_mae", "val_mae", "seconds", "data_hash", "split_hash", "version"]

# name -> (what it is, needs the pretrained weights, settings)
SCRATCH = ["mode=transfer", "augment.severity=1.0", "augment.width=1", "optimiser.lr=1e-3", "optimiser.batch=8"]
ARMS = {
    "pretrained, frozen": ("contrastive pretraining, mode finetune", True, []),
    "random, frozen": ("random encoder, mode finetune", False, []),
    "scratch, end to end": ("random start, mode transfer", False, SCRATCH),
    "pretrained, end to end": ("contrastive pretraining, mode transfer", True, SCRATCH),
}
EPOCHS_END_TO_END = {0.1: 60, 1.0: 12}
FRACTIONS = (0.1, 1.0)
SEEDS = (0, 1, 2)


def finished() -> list[dict[str, str]]:
    """Rows so far."""
    if not ROWS.exists():
        return []
    with ROWS.open(newline="") as file:
        return list(csv.DictReader(file))


def command(arm: str, fraction: float, seed: int, args: argparse.Namespace) -> list[str]:
    """The `cardiolens finetune` call of one run."""
    _, pretrained, settings = ARMS[arm]
    settings = [*settings, f"seed={seed}", f"fraction={fraction}", f"fraction_seed={seed}", "domain=false"]
    if "mode=transfer" in settings:
        settings.append(f"optimiser.epochs={EPOCHS_END_TO_END[fraction]}")
    call = [str(Path(sys.executable).parent / "cardiolens"), "finetune", str(RECIPE), "--store", str(args.store)]
    call += ["--out", str(run_folder(arm, fraction, seed, args)), "--cache", str(args.cache)]
    call += [part for setting in settings for part in ("--set", setting)]
    return call + (["--weights", str(args.weights)] if pretrained else [])


def run_folder(arm: str, fraction: float, seed: int, args: argparse.Namespace) -> Path:
    return args.runs / f"{arm.replace(', ', '_').replace(' ', '_')}_{fraction}_{seed}"


def row_of(arm: str, fraction: float, seed: int, seconds: float, args: argparse.Namespace) -> dict[str, object]:
    folder = run_folder(arm, fraction, seed, args)
    metrics = json.loads((folder / "metrics.json").read_text())
    split = json.loads((folder / "split.json").read_text())
    n_train = max(1, round(fraction * len(split["parts"]["train"])))
    return {
        "arm": arm,
        "fraction": fraction,
        "seed": seed,
        "n_train": n_train,
        "test_mae": metrics["test_mae"],
        "val_mae": metrics["val_mae"],
        "seconds": round(seconds, 1),
        "data_hash": metrics["data_hash"],
        "split_hash": metrics["split_hash"],
        "version": metrics["version"],
    }


def append(row: dict[str, object]) -> None:
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    new = not ROWS.exists()
    with ROWS.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def write_table() -> None:
    """Mean, range over seeds, by arm and share of labels."""
    rows = finished()
    lines = ["| arm | labels | studies | LVEF MAE, mean of seeds | seeds |", "|---|---|---|---|---|"]
    for arm, (what, _, _) in ARMS.items():
        for fraction in FRACTIONS:
            some = [r for r in rows if r["arm"] == arm and float(r["fraction"]) == fraction]
            if some:
                errors = [float(r["test_mae"]) for r in some]
                each = ", ".join(f"{e:.2f}" for e in errors)
                mean = statistics.mean(errors)
                lines.append(f"| {what} | {fraction:.0%} | {some[0]['n_train']} | {mean:.2f} | {each} |")
    TABLE.write_text("\n".join(lines) + "\n")
    print(TABLE.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path("cohorts/tiny"))
    parser.add_argument("--weights", type=Path, default=Path("runs/shad_tiny_pretrain/final"))
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--runs", type=Path, default=Path("runs/lvef_tiny"))
    parser.add_argument("--table", action="store_true", help="only rewrite the table")
    args = parser.parse_args()
    plan = [(arm, fraction, seed) for arm in ARMS for seed in SEEDS for fraction in FRACTIONS]
    for arm, fraction, seed in [] if args.table else plan:
        done = {(r["arm"], float(r["fraction"]), int(r["seed"])) for r in finished()}
        if (arm, fraction, seed) in done:
            continue
        start = time.perf_counter()
        subprocess.run(command(arm, fraction, seed, args), check=True)
        append(row_of(arm, fraction, seed, time.perf_counter() - start, args))
    write_table()


if __name__ == "__main__":
    main()
