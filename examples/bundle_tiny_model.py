"""Put the tiny model into the package: the encoder of the in-silico trial with heads for LVEF and 35 conditions.

    python benchmarks/shad_trial.py --only splits,pretrain_b32
    python examples/bundle_tiny_model.py --trial runs/trial --store runs/trial/cohorts/internal

Heads are trained in mode linear, so that the embedding space stays the one that reports share, and search works with
the same weights.  Saved as float16; checks that halving did not move a prediction.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from cardiolens.datasets.splits import Split
from cardiolens.hub import load_model, save_model
from cardiolens.inference import Predictor
from cardiolens.models.card import Licence
from cardiolens.phantom.render import MANUFACTURER
from cardiolens.store import StudyStore
from cardiolens.text.conditions import CONDITIONS
from cardiolens.training.recipe import FinetuneRecipe, load_recipe
from cardiolens.training.supervised import finetune

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "cardiolens" / "weights" / "shad-mvit-tiny" / "phantom"
LARGEST_MB = 10
LARGEST_SHIFT = 0.5  # LVEF points
CALIBRATION, POSITIVES = (
    170,
    6,
)  # studies, and how many of them at least have each condition where there are twice as many


def bundle_split(store: StudyStore, trial: Path) -> Path:
    """The trial's downstream split with more of its training studies for calibration; validation and test stay."""
    path = trial / "split_bundle.json"
    if path.exists():
        return path
    split, labels, columns = Split.load(trial / "split_downstream.json"), store.labels(), [c.column for c in CONDITIONS]
    pool = list(np.random.default_rng(11).permutation(sorted(split["train"] + split["calibration"])))
    chosen: dict[str, None] = {}
    for column in sorted(columns, key=lambda name: int(labels.loc[pool, name].sum())):
        having = [key for key in pool if labels.loc[key, column] == 1]
        missing = min(POSITIVES, len(having) // 2) - sum(labels.loc[key, column] == 1 for key in chosen)
        chosen.update(dict.fromkeys([key for key in having if key not in chosen][: max(0, missing)]))
    chosen.update(dict.fromkeys([key for key in pool if key not in chosen][: max(0, CALIBRATION - len(chosen))]))
    train = tuple(sorted(key for key in pool if key not in chosen))
    parts = {"train": train, "val": split["val"], "calibration": tuple(sorted(chosen)), "test": split["test"]}
    Split(parts, {"plan": "bundled model: the trial's split, more of it for calibration", "seed": 11}).save(path)
    return path


def train_heads(store: StudyStore, trial: Path) -> Path:
    """LVEF, then the conditions beside it; gives the folder of the run."""
    split, weights = bundle_split(store, trial), trial / "runs" / "pretrain_b32" / "final"
    for name in ("lvef", "diagnoses"):
        settings = [f"split.file={split}", f"weights={weights}", "mode=linear", "optimiser.lr=3e-3"]
        recipe = load_recipe(ROOT / "recipes" / f"shad_tiny_{name}.yaml", FinetuneRecipe, settings)
        weights = finetune(recipe, store, trial / f"bundle_{name}", trial / "cache")
    return trial / "bundle_diagnoses"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trial", type=Path, default=Path("runs/trial"))
    parser.add_argument("--store", type=Path, default=Path("runs/trial/cohorts/internal"))
    parser.add_argument("--check", type=int, default=40, help="test studies predicted again with the halved weights")
    args = parser.parse_args()

    store = StudyStore(args.store)
    model = load_model(train_heads(store, args.trial) / "final")
    model.text_tower()  # loaded now, so that it is saved
    model.card.tag = "phantom"
    model.card.source = (
        "trained by benchmarks/shad_trial.py and examples/bundle_tiny_model.py on rendered phantom hearts"
    )
    model.card.licence = Licence(weights="Apache-2.0", data="Apache-2.0 (rendered by cardiolens; no patient data)")
    model.card.notes = [
        "trained on phantoms only: no figure it gives is a clinical result, and a real scan is out of domain"
    ]
    if model.card.domain is None:
        raise SystemExit("the run has no out-of-domain reference; its split needs a part named calibration")
    model.card.domain = {**model.card.domain, "manufacturer": MANUFACTURER}  # real scans are out of domain by origin
    save_model(model, TARGET, dtype="float16")
    size = sum(file.stat().st_size for file in TARGET.rglob("*")) / 1e6
    print(f"{TARGET.relative_to(ROOT)}: {size:.1f} MB")
    assert size <= LARGEST_MB, f"more than {LARGEST_MB} MB"

    with (args.trial / "bundle_lvef" / "predictions_test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[: args.check]
    predictor = Predictor(load_model(TARGET))
    found = [predictor(store.read(row["key"])) for row in rows]
    shift = max(abs((p.lvef_pct or 0.0) - float(row["pred"])) for p, row in zip(found, rows, strict=True))
    flagged = sum(bool(p.out_of_domain) for p in found)
    print(f"{len(rows)} test studies: largest shift by float16 {shift:.2f} points, {flagged} flagged out of domain")
    assert shift <= LARGEST_SHIFT, "float16 moved a prediction too far"


if __name__ == "__main__":
    main()
