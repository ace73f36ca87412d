"""SLIViT on a 3D file in MedMNIST's format, made here: from the file to figures by the public commands.

    python examples/slivit_medmnist.py --out runs/slivit_medmnist            # about three minutes on one core
    python examples/slivit_medmnist.py --out runs/slivit_medmnist --quick    # seconds: that it runs

Two files are made.  A 2D one, one disc or two, teaches the trunk its first shapes; a 3D one, balls on noise with a
smaller ball in some of them, is what SLIViT learns: is there a second ball?  Synthetic shapes, nothing clinical.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cardiolens.cli import main as cardiolens

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
PARTS = (("train", 200), ("val", 40), ("test", 60))


def shapes(path: Path, quick: bool) -> Path:
    """A 2D set of two classes: one disc, or two."""
    rng, arrays = np.random.default_rng(1), {}
    y, x = np.mgrid[:28, :28]
    for part, count in PARTS:
        images, labels = [], np.arange(count // 5 if quick else 3 * count) % 2
        for label in labels:
            image = rng.normal(70, 25, (28, 28))
            for row in (rng.uniform(7, 11), rng.uniform(17, 21))[: 1 + label]:
                image += 90 * (np.hypot(y - row, x - rng.uniform(8, 20)) < rng.uniform(3, 5))
            images.append(image)
        arrays[f"{part}_images"] = np.clip(images, 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    np.savez_compressed(path, **arrays)
    return path


def balls(path: Path, quick: bool) -> Path:
    """A 3D set, 28 x 28 x 28: label 1 where a small ball stands beside the large one."""
    rng, arrays = np.random.default_rng(2), {}
    place = np.mgrid[:28, :28, :28].astype(float)
    for part, count in PARTS:
        volumes, labels = [], np.arange(count // (5 if quick else 1)) % 2
        for label in labels:
            centre = rng.uniform(11, 17, 3)
            volume = rng.normal(70, 25, (28, 28, 28))
            volume += 90 * (np.linalg.norm(place - centre[:, None, None, None], axis=0) < rng.uniform(4, 6))
            if label:
                way = rng.normal(size=3)
                other = centre + 9 * way / np.linalg.norm(way)
                volume += 90 * (np.linalg.norm(place - other[:, None, None, None], axis=0) < rng.uniform(3, 4))
            volumes.append(volume)
        arrays[f"{part}_images"] = np.clip(volumes, 0, 255).astype(np.uint8)
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
    flat = shapes(args.out / "shapes2d.npz", args.quick)
    deep = balls(args.out / "balls3d.npz", args.quick)
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
