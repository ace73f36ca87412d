"""SLIViT on a 3D file in MedMNIST's format, made here: from the file to figures by the public commands.

    python examples/slivit_medmnist.py --out runs/slivit_medmnist            # about three minutes on one core
    python examples/slivit_medmnist.py --out runs/slivit_medmnist --quick    # seconds: that it runs

Two files are made.  A 2D one, small discs and large ones, teaches the trunk; a 3D one, small balls and large ones, is
what SLIViT learns.  Synthetic shapes on noise, nothing clinical.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cardiolens.cli import main as cardiolens

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
PARTS = (("train", 200), ("val", 40), ("test", 60))


def shapes(path: Path, axes: int, count_of: float) -> Path:
    """Discs (2 axes) or balls (3) on noise, 28 pixels an edge; label 1 where the radius is above 5.5 pixels."""
    rng, arrays = np.random.default_rng(axes), {}
    place = np.mgrid[(slice(28),) * axes].astype(float)
    for part, count in PARTS:
        images, labels = [], np.arange(round(count * count_of)) % 2
        for label in labels:
            radius = rng.uniform(5.7, 8.0) if label else rng.uniform(3.0, 5.3)
            centre = rng.uniform(11, 17, axes).reshape(axes, *(1,) * axes)
            images.append(rng.normal(70, 25, place.shape[1:]) + 90 * (np.linalg.norm(place - centre, axis=0) < radius))
        arrays[f"{part}_images"] = np.clip(images, 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    np.savez_compressed(path, **arrays)
    return path


def command(*words: str) -> None:
    """Run `cardiolens ...`, and stop where it does."""
    print("cardiolens", *words, flush=True)
    try:
        cardiolens(list(words))
    except SystemExit as left:
        if left.code:
            raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/slivit_medmnist"), help="files and runs")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    quick = ["optimiser.epochs=1", "architecture={size: 32}"] if args.quick else []
    small = [word for setting in quick for word in ("--set", setting)]
    flat = shapes(args.out / "discs2d.npz", 2, 0.2 if args.quick else 3.0)
    deep = shapes(args.out / "balls3d.npz", 3, 0.2 if args.quick else 1.0)
    trunk = args.out / "trunk"
    near = ["--set", "augment.crop=[0.85, 1.0]"]  # a crop may cut off what tells the classes
    command(
        *("pretrain", str(RECIPES / "slivit_tiny_pretrain2d.yaml"), "--store", str(flat), "--out", str(trunk)),
        *(*near, *small),
    )
    command(
        *("finetune", str(RECIPES / "slivit_tiny_finetune.yaml"), "--store", str(deep)),
        *("--weights", str(trunk / "final"), "--out", str(args.out / "slivit")),
        *("--set", "values=[]", "--set", "conditions=[label]", "--set", "optimiser.epochs=10"),
        *("--set", "augment.crop=[0.85, 1.0]", *small, *(["--set", "slices=4"] if args.quick else [])),
    )
    figures = json.loads((args.out / "slivit" / "metrics.json").read_text())["test"]["label"]
    for name, words in (("auroc", "ROC AUC"), ("average_precision", "PR AUC")):
        limits = figures[name]
        print(f"{words} {limits['value']:.3f} [{limits['low']:.3f}, {limits['high']:.3f}], {figures['n']} test volumes")
    print("Synthetic shapes: no figure here says anything of patients.  For research use; not a medical device.")


if __name__ == "__main__":
    main()
