"""Samples and networks for the tests of the segmenter: small, drawn by hand, quick."""

from pathlib import Path

import numpy as np
import torch

from cardiolens.models.card import Card
from cardiolens.models.plane_unet import PlaneUNet, PlaneUNetConfig
from cardiolens.segmenter.segmenter import Pair, Segmenter
from cardiolens.study import Cine, View

SHORT = ("LV cavity", "LV myocardium", "RV cavity")


def ring(rows: int = 48, cols: int = 48, middle: tuple[float, float] = (24, 28), radius: float = 8) -> np.ndarray:
    """Labels (row, col): a cavity, its wall, and a right ventricle to the left of it."""
    y, x = np.mgrid[:rows, :cols]
    away = np.hypot(y - middle[0], x - middle[1])
    right = np.hypot(y - middle[0], x - middle[1] + 1.6 * radius) < 1.3 * radius
    labels = np.where(right, 3, 0)
    labels[away < 1.5 * radius] = 2
    labels[away < radius] = 1
    return labels.astype(np.uint8)


def write_samples(folder: Path, n: int = 3) -> list[Path]:
    """Sample files of rings that beat, in the format of `segmenter.samples`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(n):
        labels = np.stack([np.stack([ring(radius=r + number) for r in (8, 6, 7)]) for _ in range(4)])
        frames = np.choose(labels, [40, 220, 90, 200]).astype(np.uint8)
        files.append(folder / f"{number:05d}.npz")
        parts = {"near": frames, "near_labels": labels, "whole": frames, "whole_labels": labels}
        np.savez_compressed(files[-1], **{f"SAX_{name}": part for name, part in parts.items()})
    return files


def tiny_net(seed: int = 0, classes: int = 4) -> PlaneUNet:
    torch.manual_seed(seed)
    return PlaneUNet(PlaneUNetConfig(classes=classes, widths=(8, 8, 8))).eval()


def tiny_segmenter() -> Segmenter:
    return Segmenter(Pair(tiny_net(1), tiny_net(2), SHORT), card=Card(name="segmenter", tag="test"))


def cine(frames: np.ndarray, **more) -> Cine:
    return Cine(View.SAX, frames, source="test", **more)
