"""Compare how bright tissues are, real against phantom: docs/images/phantom_histograms.png and a table.

python examples/phantom_histograms.py SUNNYBROOK_CINE --phantoms 6

SUNNYBROOK_CINE is a folder of the Sunnybrook Cardiac Data (CC0) with the studies SCD0000101 and SCD0000201 and their
expert contours under contours/.  LV blood and muscle lie inside the contours (real) or the masks (phantom), a pixel
away from their borders; fat, lung and noise are found by the same rules in both.  Everything is relative to the median
of LV blood.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pydicom
from matplotlib.path import Path as Outline
from scipy.ndimage import binary_dilation, binary_erosion, binary_fill_holes, distance_transform_edt

from cardiolens.phantom import masks, render_study, sample_parameters
from cardiolens.phantom.sites import SITES

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
STUDIES = {"SCD0000101": "SC-HF-I-1", "SCD0000201": "SC-HF-I-2"}
TISSUES = ("blood", "muscle", "fat", "lung", "noise")
Pixels = dict[str, list[np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--phantoms", type=int, default=6, help="number of hearts, of the default site")
    parser.add_argument("--out", type=Path, default=IMAGES / "phantom_histograms.png")
    args = parser.parse_args()
    found = {"Sunnybrook": real(args.data), "phantom, default site": phantom(args.phantoms)}
    print(f"{'':24}" + "".join(f"{t:>18}" for t in TISSUES))
    for name, pixels in found.items():
        cells = (np.percentile(np.concatenate(pixels[t]), [25, 50, 75]) for t in TISSUES)
        print(f"{name:24}" + "".join(f"{m:8.2f} ({a:.2f}-{b:.2f})" for a, m, b in cells))
    draw(found, args.out)
    print(args.out)


def real(data: Path) -> Pixels:
    """Pixels of each tissue in the end-diastolic planes that an expert has drawn."""
    out: Pixels = {t: [] for t in TISSUES}
    for study, original in STUDIES.items():
        outer = sorted((data / "contours" / original / "o-contours").glob("*.txt"))
        for path in outer:
            number = path.name.split("-")[2]
            inner = data / "contours" / original / "i-contours" / path.name.replace("ocontour", "icontour")
            image = pydicom.dcmread(data / study / f"{int(number)}.dcm").pixel_array.astype(np.float32)
            lv = _inside(inner, image.shape)
            gather(out, image, lv, _inside(path, image.shape) & ~lv)
    return out


def phantom(count: int) -> Pixels:
    """The same of phantom hearts at the default site: end-diastole, planes 3 to 8."""
    out: Pixels = {t: [] for t in TISSUES}
    site = SITES["default"]
    for seed in range(count):
        heart = sample_parameters(np.random.default_rng([5, seed]), condition="ischemic cardiomyopathy")
        protocol = site.protocol(np.random.default_rng([6, seed]))
        cine = render_study(heart, seed=seed, protocol=protocol, views=("SAX",)).cine("SAX")
        label = masks(heart, cine)
        for k in range(3, min(9, cine.n_slices)):
            gather(out, cine.frames[k, 0].astype(np.float32), label[k, 0] == 1, label[k, 0] == 2)
    return out


def gather(out: Pixels, image: np.ndarray, lv: np.ndarray, muscle: np.ndarray) -> None:
    """Add the tissues of one plane, relative to its blood."""
    lv, muscle = binary_erosion(lv, iterations=2), binary_erosion(muscle)
    if lv.sum() < 40 or muscle.sum() < 15:
        return
    image = image / np.median(image[lv])
    body = binary_fill_holes(binary_dilation(image > 0.35, iterations=2))
    depth = distance_transform_edt(body)
    row, col = np.argwhere(lv).mean(0)
    away = np.hypot(*np.ogrid[-row : image.shape[0] - row, -col : image.shape[1] - col])
    away = away[: image.shape[0], : image.shape[1]]
    rim = body & (depth > 3) & (depth < 12) & (image > 0.7)
    inside = (depth > 25) & (image < 0.22) & (away > 30) & (away < 75)
    air = ~body & (image > 0)
    parts = {"blood": lv, "muscle": muscle, "fat": rim, "lung": binary_erosion(inside, iterations=2), "noise": air}
    for name, where in parts.items():
        out[name].append(image[where])


def _inside(path: Path, shape: tuple[int, int]) -> np.ndarray:
    rows, cols = np.indices(shape)
    return Outline(np.loadtxt(path)).contains_points(np.stack([cols.ravel(), rows.ravel()], 1)).reshape(shape)


def draw(found: dict[str, Pixels], path: Path) -> None:
    figure, axes = plt.subplots(1, len(TISSUES), figsize=(13, 2.4))
    for axis, tissue in zip(axes, TISSUES, strict=True):
        pooled = np.concatenate([np.concatenate(p[tissue]) for p in found.values()])
        bins = np.linspace(0, float(np.percentile(pooled, 99.5)), 50)
        for (name, pixels), colour in zip(found.items(), ("0.25", "tab:orange"), strict=True):
            values = np.concatenate(pixels[tissue])
            axis.hist(values, bins, density=True, histtype="step", color=colour, label=name, lw=1.4)
        axis.set(title=tissue, yticks=[], xlabel="signal / LV blood")
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[0].legend(fontsize=7, frameon=False, loc="upper left")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=75)


if __name__ == "__main__":
    main()
