"""Render the beating phantom heart as one animation: docs/images/phantom.webp.

python examples/phantom_loop.py

A mid-ventricular short axis and the three long-axis views of one study side by side, 25 phases of one beat at the
phantom's own heart rate.  No data are needed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cardiolens.phantom import render_study, sample_parameters
from cardiolens.study import Cine, View

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "phantom.webp"
FIELD_MM = 190.0
TILE, GAP = 200, 4  # pixels
PHASES = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--condition", default="normal")
    parser.add_argument("--quality", type=int, default=60, help="of the WebP, 0 to 100")
    parser.add_argument("--out", type=Path, default=TARGET)
    args = parser.parse_args()

    heart = sample_parameters(np.random.default_rng(args.seed), condition=args.condition)
    study = render_study(heart, seed=args.seed, phases=PHASES)
    strips = [tiles(study.cine(view)) for view in View]
    frames = [Image.fromarray(np.concatenate([strip[i] for strip in strips], axis=1)) for i in range(PHASES)]
    for frame in frames:
        pen = ImageDraw.Draw(frame)
        for number, view in enumerate(View):
            place = (number * (TILE + GAP) + 6, 4)
            pen.text(place, str(view), fill=255, stroke_width=2, stroke_fill=0, font=ImageFont.load_default(15))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(
        args.out,
        save_all=True,
        append_images=frames[1:],
        duration=round(heart.rr_ms / len(frames)),
        loop=0,
        quality=args.quality,
        method=6,
    )
    print(
        f"LVEF {heart.lvef_pct:.0f} %, {heart.heart_rate:.0f}/min; {args.out}: {args.out.stat().st_size / 1000:.0f} kB"
    )


def tiles(cine: Cine) -> list[np.ndarray]:
    """Every phase of the middle plane as (TILE, TILE + GAP) uint8, FIELD_MM wide, centred on what moves."""
    plane = cine.n_slices // 2
    frames = cine.frames[plane].astype(np.float32)
    change = frames.std(axis=0)
    weight = np.where(change > np.percentile(change, 95.0), change, 0.0)
    row, col = ((np.indices(weight.shape) * weight).sum(axis=(1, 2)) / weight.sum()).tolist()
    row_mm, col_mm = cine.require_spacing_mm("a crop in mm")
    half_row, half_col = FIELD_MM / 2 / row_mm, FIELD_MM / 2 / col_mm
    row = float(np.clip(row, half_row, frames.shape[1] - half_row))
    col = float(np.clip(col, half_col, frames.shape[2] - half_col))
    box = (col - half_col, row - half_row, col + half_col, row + half_row)
    near = frames[0, round(row) - 30 : round(row) + 30, round(col) - 30 : round(col) + 30]
    white = 1.2 * float(np.percentile(near, 95.0))
    out = []
    for frame in frames:
        grey = Image.fromarray(np.clip(frame / white, 0.0, 1.0))
        tile = np.clip(np.asarray(grey.resize((TILE, TILE), Image.Resampling.BICUBIC, box=box)), 0.0, 1.0)
        out.append(np.pad(np.rint(tile * 255).astype(np.uint8), ((0, 0), (0, GAP))))
    return out


if __name__ == "__main__":
    main()
