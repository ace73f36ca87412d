"""Put a fine-tuned tiny model into the package, as float16, and check that halving did not move its predictions.

python examples/bundle_tiny_model.py --run runs/shad_tiny_lvef --store cohorts/tiny
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from cardiolens.hub import load_model, save_model
from cardiolens.inference import Predictor
from cardiolens.models.card import Licence
from cardiolens.phantom.render import MANUFACTURER
from cardiolens.store import StudyStore

TARGET = Path(__file__).resolve().parents[1] / "src" / "cardiolens" / "weights" / "shad-mvit-tiny" / "phantom"
LARGEST_MB = 10
LARGEST_SHIFT = 0.5  # LVEF points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/shad_tiny_lvef"))
    parser.add_argument("--store", type=Path, default=Path("cohorts/tiny"))
    parser.add_argument("--check", type=int, default=20, help="test studies predicted again with the halved weights")
    args = parser.parse_args()

    model = load_model(args.run / "final")
    model.text_tower()  # loaded now, so that it is saved
    model.card.tag = "phantom"
    model.card.source = "trained by the recipes shad_tiny_pretrain and shad_tiny_lvef on rendered phantom hearts"
    model.card.licence = Licence(weights="Apache-2.0", data="Apache-2.0 (rendered by cardiolens; no patient data)")
    model.card.notes = [
        "trained on phantoms only: no figure it gives is a clinical result, and a real scan is out of domain"
    ]
    if model.card.domain is None:
        raise SystemExit("the run has no out-of-domain reference; its split needs a part named calibration")
    model.card.domain = {**model.card.domain, "manufacturer": MANUFACTURER}  # real scans are out of domain by origin
    save_model(model, TARGET, dtype="float16")
    size = sum(file.stat().st_size for file in TARGET.rglob("*")) / 1e6
    print(f"{TARGET.relative_to(Path.cwd()) if TARGET.is_relative_to(Path.cwd()) else TARGET}: {size:.1f} MB")
    assert size <= LARGEST_MB, f"more than {LARGEST_MB} MB"

    with (args.run / "predictions_test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[: args.check]
    predictor, store = Predictor(load_model(TARGET)), StudyStore(args.store)
    found = [predictor(store.read(row["key"])) for row in rows]
    shift = max(abs(p.lvef_pct - float(row["pred"])) for p, row in zip(found, rows, strict=True))
    flagged = sum(bool(p.out_of_domain) for p in found)
    print(f"{len(rows)} test studies: largest shift by float16 {shift:.2f} points, {flagged} flagged out of domain")
    assert shift <= LARGEST_SHIFT, "float16 moved a prediction too far"


if __name__ == "__main__":
    main()
