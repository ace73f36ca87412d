"""Train the bundled segmenter anew: phantom hearts, four networks, one folder.

    python examples/train_segmenter.py --samples cohorts/segmenter --out runs/segmenter
    python benchmarks/segmenter_quality.py --model runs/segmenter/bundle

Two networks a kind of view: one finds the heart, one draws.  1400 hearts take half an hour to render on two cores;
a network takes 30 minutes (locate) to an hour and a half (contour) on one core that computes in bf16.  A stopped call
goes on.
"""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

from cardiolens import __version__
from cardiolens.models.card import Card, Licence
from cardiolens.segmenter import Segmenter, save_segmenter
from cardiolens.segmenter.batches import Job
from cardiolens.segmenter.samples import make_samples, sample_path
from cardiolens.segmenter.segmenter import Pair
from cardiolens.segmenter.training import train
from cardiolens.study import View

SHORT = ("LV cavity", "LV myocardium", "RV cavity")
LONG = (*SHORT, "LA", "RA")
AXES = {"short": ((View.SAX,), SHORT), "long": ((View.CH2, View.CH3, View.CH4), LONG)}
WIDTHS = {"locate": (16, 24, 32, 48, 64), "contour": (24, 48, 96, 128, 160)}


def main() -> None:
    """Render what is missing, train what is not trained, write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=Path("cohorts/segmenter"))
    parser.add_argument("--out", type=Path, default=Path("runs/segmenter"))
    parser.add_argument("--hearts", type=int, default=1400)
    parser.add_argument("--steps", type=int, default=4000, help="of a contour network; a locate network takes half")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    args = parser.parse_args()
    make_samples(
        args.samples, args.hearts, seed=args.seed, workers=args.workers,
        progress=lambda done, total: print(f"rendered {done} of {total}", end="\r", flush=True),
    )  # fmt: skip
    files = [sample_path(args.samples, number) for number in range(args.hearts)]
    pairs = {}
    for axis, (views, structures) in AXES.items():
        nets = {}
        for stage, widths in WIDTHS.items():
            steps = args.steps if stage == "contour" else args.steps // 2
            print(f"training {axis} {stage}: {steps} steps")
            job = Job(stage, views, structures)
            out = args.out / f"{axis}_{stage}"
            nets[stage] = train(job, files, out, widths=widths, steps=steps, seed=args.seed)
        pairs[axis] = Pair(nets["locate"], nets["contour"], structures)
    segmenter = Segmenter(pairs["short"], pairs["long"], card=card(args))
    print(f"written to {save_segmenter(segmenter, args.out / 'bundle')}")


def card(args: argparse.Namespace) -> Card:
    """What goes with the weights."""
    return Card(
        name="segmenter",
        tag="phantom",
        licence=Licence(weights="Apache-2.0", data="phantom; no patient data"),
        source="trained on the phantom alone, examples/train_segmenter.py",
        notes=["research use, not a medical device", "papillary muscle and trabeculae count as blood"],
        provenance={
            "version": __version__, "hearts": args.hearts, "seed": args.seed, "steps": args.steps,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
