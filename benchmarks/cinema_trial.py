"""CineMA on phantoms: does masked pretraining help a segmenter, with few labels and with many?

    python benchmarks/cinema_trial.py                          # render, pretrain, 18 runs, page
    python benchmarks/cinema_trial.py --cohort cohorts/trial/internal      # patients that were rendered before
    python benchmarks/cinema_trial.py --size micro --out runs/cinema_micro --results runs/cinema_micro.csv  # it runs
    python benchmarks/cinema_trial.py --list                   # steps, and which are done
    python benchmarks/cinema_trial.py --page                   # only the page and its figure, from the rows

One masked pretraining, then segmentation of the short axis with 10 % and 100 % of the labels: from the pretrained
encoder, from random weights, and with a UNet, three seeds each.  Every finished run appends its rows to
docs/results/cinema_trial.csv; started again, the command goes on from the first one that is missing, and a run that was
killed from its last epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from trial import Row, append, render_patients, rows_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "cinema_trial.csv"
ARMS = ("pretrained", "random", "unet")
STRUCTURES = ("LV cavity", "LV myocardium", "RV cavity")
FIELDS = [
    *("step", "arm", "labels", "seed", "structure", "dice", "hd95_mm", "ef_mae", "n", "patients", "steps", "epochs"),
    *("best_epoch", "loss", "seconds", "data_hash", "split_hash", "version"),
]


@dataclass(frozen=True)
class Size:
    """How large a trial is: patients of each part, optimiser steps, the cohort's protocol."""

    pretrain: int
    pretrain_val: int
    train: int
    val: int
    test: int
    pretrain_epochs: int
    steps: int
    seeds: tuple[int, ...] = (0, 1, 2)
    shares: tuple[float, ...] = (0.1, 1.0)
    batch: int = 4
    matrix: int = 128
    phases: int = 20
    planes: int = 9

    @property
    def patients(self) -> int:
        return self.pretrain + self.pretrain_val + self.train + self.val + self.test


SIZES = {
    # 50 minutes on one core without the rendering
    "tiny": Size(pretrain=240, pretrain_val=16, train=80, val=10, test=30, pretrain_epochs=14, steps=160),
    # minutes: shows that every step runs, and nothing else
    "micro": Size(4, 2, 10, 2, 2, 1, 2, seeds=(0,), matrix=48, phases=8, planes=4),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="tiny", choices=sorted(SIZES))
    parser.add_argument("--cohort", type=Path, default=None, help="store of phantom patients; default OUT/cohort")
    parser.add_argument("--out", type=Path, default=Path("runs/cinema_trial"), help="runs and splits")
    parser.add_argument("--results", type=Path, default=RESULTS, help="CSV of rows")
    parser.add_argument("--only", default="", help="only steps whose names begin so; several with commas")
    parser.add_argument("--list", action="store_true", help="say which steps are done")
    parser.add_argument("--page", action="store_true", help="only rewrite the page")
    args = parser.parse_args()
    args.cohort = args.cohort or args.out / "cohort"
    return args


def steps_of(size: Size) -> list[tuple[str, str, float, int]]:
    """(name, arm, share of the labels, seed) of every run, seeds outermost, so that early rows already compare."""
    runs = [("pretrain", "pretraining", 1.0, 0)]
    for seed in size.seeds:
        for share in size.shares:
            runs += [(f"{arm}_{100 * share:g}_seed{seed}", arm, share, seed) for arm in ARMS]
    return runs


def prepare(size: Size, cohort: Path, out: Path) -> str:
    """Write both splits and the masks of the labelled patients; gives a hash over the studies that are used."""
    from cardiolens.datasets.splits import Split, refuse_overlap
    from cardiolens.phantom.cohort import annotate_cohort
    from cardiolens.store import StudyStore

    store = StudyStore(cohort)
    keys = sorted(store.keys(), key=lambda key: key.rpartition("-")[2])[: size.patients]
    if len(keys) < size.patients:
        sys.exit(f"{cohort} holds {len(keys)} studies and the trial takes {size.patients}; name another --cohort")
    parts, rest = {}, list(keys)
    for part in ("test", "val", "train", "pretrain_val", "pretrain"):
        count = getattr(size, part)
        parts[part], rest = tuple(sorted(rest[:count])), rest[count:]
    about = {"plan": "CineMA trial"}
    downstream = Split({part: parts[part] for part in ("train", "val", "test")}, about)
    pretraining = Split({"train": parts["pretrain"], "val": parts["pretrain_val"]}, about)
    refuse_overlap(pretraining, downstream, seen=("train", "val"), held_out=("train", "val", "test"))
    out.mkdir(parents=True, exist_ok=True)
    downstream.save(out / "split_downstream.json")
    pretraining.save(out / "split_pretrain.json")

    def show(done: int, total: int) -> None:
        if done % 20 == 0 or done == total:
            print(f"masks of {done} of {total} studies", flush=True)

    annotate_cohort(cohort, show, {key for part in downstream.parts.values() for key in part})
    digest = hashlib.sha256()
    for key in keys:
        digest.update(f"{key}\0{store.hash_of(key)}\n".encode())
    return digest.hexdigest()[:16]


def pretrain_row(size: Size, args: argparse.Namespace) -> list[Row]:
    from cardiolens.hub import load_model
    from cardiolens.store import StudyStore
    from cardiolens.training.cine_recipe import MaskedRecipe
    from cardiolens.training.masked import pretrain_masked
    from cardiolens.training.recipe import load_recipe

    settings = [
        f"optimiser.epochs={size.pretrain_epochs}",
        f"optimiser.batch={min(8, size.pretrain)}",
        f"split={{file: {args.out / 'split_pretrain.json'}}}",
    ]
    recipe = load_recipe(ROOT / "recipes" / "cinema_tiny_pretrain.yaml", MaskedRecipe, settings)
    final = pretrain_masked(recipe, StudyStore(args.cohort), args.out / "runs" / "pretrain")
    provenance = load_model(final).card.provenance
    row = {"patients": size.pretrain, "epochs": size.pretrain_epochs, "loss": provenance["last_val"]}
    return [row | {"split_hash": provenance["split_hash"]}]


def segment_rows(size: Size, args: argparse.Namespace, name: str, arm: str, share: float, seed: int) -> list[Row]:
    """One segmentation run; every arm takes as many optimiser steps, whatever its share of the labels."""
    from cardiolens.store import StudyStore
    from cardiolens.training.cine_recipe import SegmentationRecipe
    from cardiolens.training.downstream import train_downstream
    from cardiolens.training.recipe import load_recipe

    labelled = max(1, round(share * size.train))
    batch = min(size.batch, 2 * labelled)
    epochs = max(2, round(size.steps * batch / (2 * labelled)))
    settings = [
        f"seed={seed}",
        f"fraction={share}",
        f"fraction_seed={seed}",
        f"model={'cinema-unet-tiny' if arm == 'unet' else 'cinema-tiny'}",
        *([f"weights={args.out / 'runs' / 'pretrain' / 'final'}"] if arm == "pretrained" else []),
        f"optimiser.epochs={epochs}",
        f"optimiser.batch={batch}",
        f"optimiser.warmup_epochs={0.1 * epochs}",
        f"validate_every={max(1, epochs // 5)}",
        "patience=null",
        f"split={{file: {args.out / 'split_downstream.json'}}}",
    ]
    recipe = load_recipe(ROOT / "recipes" / "cinema_tiny_sax.yaml", SegmentationRecipe, settings)
    run = args.out / "runs" / name
    train_downstream(recipe, StudyStore(args.cohort), run)
    metrics = json.loads((run / "metrics.json").read_text())
    common = {"patients": labelled, "steps": size.steps, "epochs": epochs, "best_epoch": metrics["best_epoch"]}
    test = metrics["test"]["SAX"]
    rows = [
        common | {"structure": s} | {k: test[s].get(k, "") for k in ("dice", "hd95_mm", "ef_mae", "n")}
        for s in STRUCTURES
    ]
    return [
        row | {"split_hash": metrics["split_hash"]}
        for row in [*rows, common | {"structure": "mean", "dice": test["mean_dice"]}]
    ]


def main() -> None:
    args = arguments()
    size = SIZES[args.size]
    done = {row["step"] for row in rows_of(args.results)}
    if args.list:
        for name, *_ in steps_of(size):
            print(f"{'done   ' if name in done else 'missing'} {name}")
        return
    if not args.page:
        from cardiolens._version import __version__

        render_patients(args.cohort, size.patients, matrix=size.matrix, phases=size.phases, sax_planes=size.planes)
        digest = prepare(size, args.cohort, args.out)
        for name, arm, share, seed in steps_of(size):
            if name in done or (args.only and not name.startswith(tuple(args.only.split(",")))):
                continue
            print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
            begun = time.perf_counter()
            found = (
                pretrain_row(size, args) if arm == "pretraining" else segment_rows(size, args, name, arm, share, seed)
            )
            stamp = {
                "step": name,
                "arm": arm,
                "labels": share,
                "seed": seed,
                "data_hash": digest,
                "version": __version__,
            }
            stamp["seconds"] = round(time.perf_counter() - begun, 1)
            append(args.results, FIELDS, [stamp | row for row in found])
    from cinema_trial_page import write_page

    write_page(rows_of(args.results), args.results.with_suffix(".md"), size)
    print(f"open {args.results.with_suffix('.md')}")


if __name__ == "__main__":
    main()
