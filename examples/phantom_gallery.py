"""Draw a loop of a phantom heart with each of the 35 conditions: docs/images/phantom_gallery.webp.

python examples/phantom_gallery.py

Each tile is one heart drawn with `sample_parameters(condition=...)`, in the view that shows the condition best, if any
does.  Hearts are taken by seed, the one whose severity lies nearest to 0.6 of twelve.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cardiolens.phantom import HeartParameters, heart_frame, render_study, sample_parameters
from cardiolens.study import Cine, View
from cardiolens.text.conditions import CONDITION_NAMES

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "phantom_gallery.webp"
TILE, LABEL, COLUMNS, PHASES, FIELD_MM = 150, 18, 7, 14, 168.0
SAX_AT = {  # share of the LV length at which a short-axis tile is cut; 0 is the mitral plane
    "arrhythmogenic right ventricular cardiomyopathy": 0.4,
    "hypertrophic cardiomyopathy": 0.3,
    "large pericardial effusion": 0.5,
    "left ventricular hypertrophy": 0.45,
    "left ventricular non-compaction": 0.65,
    "myocarditis": 0.45,
    "other cardiac mass": 0.3,
    "pericarditis": 0.45,
    "previous surgery": 0.45,
    "pulmonary artery dilation": -0.15,
    "pulmonary hypertension": 0.4,
    "pulmonary stenosis": -0.15,
    "right ventricular hypertrophy": 0.4,
    "sarcoidosis": 0.3,
    "tetralogy of Fallot": 0.25,
}
LONG = {
    View.CH2: ("ischemic cardiomyopathy",),
    View.CH3: (
        "aortic dilation",
        "bicuspid aortic valve",
        "prosthetic valve",
        "severe aortic stenosis",
        "severe mitral regurgitation",
        "systolic anterior motion",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--matrix", type=int, default=224)
    parser.add_argument("--out", type=Path, default=TARGET)
    args = parser.parse_args()
    tiles = []
    for number, name in enumerate(CONDITION_NAMES):
        tiles.append(loop(heart(name, args.seed), name, args.seed, args.matrix))
        print(f"{number + 1:2d}/35  {name}")
    frames = [sheet([tile[i] for tile in tiles]) for i in range(PHASES)]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(args.out, save_all=True, append_images=frames[1:], duration=70, loop=0, quality=42, method=6)
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


def heart(name: str, seed: int) -> HeartParameters:
    """One heart with the condition, near severity 0.6."""
    drawn = [sample_parameters(np.random.default_rng([seed, i]), condition=name) for i in range(12)]
    return min(drawn, key=lambda p: abs(p.severity[name] - 0.6))


def loop(parameters: HeartParameters, name: str, seed: int, matrix: int) -> np.ndarray:
    """(phase, TILE, TILE) uint8 about the heart."""
    view = next((view for view, names in LONG.items() if name in names), View.SAX if name in SAX_AT else View.CH4)
    study = render_study(parameters, seed=seed, matrix=matrix, field_mm=340.0, phases=PHASES, views=(view,))
    cine = study.cine(view)
    plane = 0 if view is not View.SAX else nearest_plane(parameters, cine, SAX_AT[name])
    along = 0.3 if view is not View.SAX else SAX_AT[name]
    aim = heart_frame(parameters).to_patient(np.array([-14.0, 0.0, -along * parameters.lv_length_mm]))
    assert cine.affine is not None and cine.spacing_mm is not None
    col, row = (np.linalg.inv(cine.affine) @ [*aim, 1.0])[:2]
    half = FIELD_MM / 2 / cine.spacing_mm[0]
    frames = cine.frames[plane].astype(np.float32)
    white = 1.15 * np.percentile(frames[:, int(row) - 20 : int(row) + 20, int(col) - 20 : int(col) + 20], 97)
    box = (col - half, row - half, col + half, row + half)
    grey = (np.clip(frames / white, 0, 1) * 255).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(g).resize((TILE, TILE), Image.Resampling.BICUBIC, box)) for g in grey])


def nearest_plane(parameters: HeartParameters, cine: Cine, share: float) -> int:
    """Plane of a stack at a share of the LV length below the mitral plane."""
    frame = heart_frame(parameters)
    aim = frame.to_patient(np.array([0.0, 0.0, -share * parameters.lv_length_mm]))
    assert cine.affine is not None
    return int(np.clip(round(float((np.linalg.inv(cine.affine) @ [*aim, 1.0])[2])), 0, cine.n_slices - 1))


def sheet(tiles: list[np.ndarray]) -> Image.Image:
    """All tiles with their names."""
    rows = -(-len(tiles) // COLUMNS)
    page = Image.new("L", (COLUMNS * (TILE + 3), rows * (TILE + LABEL + 3)), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for number, (tile, name) in enumerate(zip(tiles, CONDITION_NAMES, strict=True)):
        x, y = number % COLUMNS * (TILE + 3), number // COLUMNS * (TILE + LABEL + 3)
        short = (
            name.replace("right ventricular cardio", "RV cardio")
            .replace("ventricular", "ventr.")
            .replace("cardiomyopathy", "CM")
        )
        pen.text((x + 2, y + LABEL // 2), short, fill=0, font=font, anchor="lm")
        page.paste(Image.fromarray(tile), (x, y + LABEL))
    return page


if __name__ == "__main__":
    main()
