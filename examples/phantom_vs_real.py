"""Draw real short-axis frames beside those of a phantom heart: docs/images/phantom_vs_real.png.

python examples/phantom_vs_real.py SUNNYBROOK_CINE/SCD0000101 --name "Sunnybrook Cardiac Data, CC0"

The real study is any that `cardiolens.read_study` reads and that holds a short-axis stack; the picture in the
documentation shows a study of the Sunnybrook Cardiac Data (CC0).  Both hearts go through the same code: the window is
taken from the blood, the crop from what moves, the end-systolic frame is the one with the least blood; frames
are shown as they are stored.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cardiolens import read_study
from cardiolens.phantom import render_study, sample_parameters
from cardiolens.study import Cine

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "phantom_vs_real.png"
FIELD_MM = 180.0
TILE, GAP, BAND, MARGIN = 176, 4, 26, 46  # pixels: a picture, the gap between two, a line of text, names at the left
GREYS = 48

Row = tuple[str, Cine, int, int]  # name, cine, plane, end-systolic phase


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="a real study with a short-axis stack")
    parser.add_argument("--name", help="what the picture calls it; the folder's name if not given")
    parser.add_argument("--real-planes", type=int, nargs=3, default=(8, 6, 3), metavar=("BASE", "MID", "APEX"))
    parser.add_argument("--phantom-planes", type=int, nargs=3, default=(8, 6, 3), metavar=("BASE", "MID", "APEX"))
    parser.add_argument("--condition", default="ischemic cardiomyopathy", help="of the phantom")
    parser.add_argument("--seed", type=int, default=75, help="of the phantom")
    parser.add_argument("--out", type=Path, default=TARGET)
    args = parser.parse_args()

    real = read_study(args.study).cine("SAX")
    heart = sample_parameters(np.random.default_rng(args.seed), condition=args.condition)
    phantom = render_study(heart, seed=args.seed)
    print(f"phantom: LVEF {heart.lvef_pct:.0f} %, EDV {heart.lv_edv_ml:.0f} ml, {', '.join(heart.conditions)}")

    short = phantom.cine("SAX")
    groups = {
        f"Real: {args.name or args.study.name}": _rows(real, args.real_planes),
        "Phantom, short axis": _rows(short, args.phantom_planes),
        "Phantom, long axis": [(view, phantom.cine(view), 0, end_systole(short)) for view in ("2CH", "3CH", "4CH")],
    }
    picture = draw(groups)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(args.out, optimize=True)
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


def _rows(cine: Cine, planes: tuple[int, int, int]) -> list[Row]:
    phase = end_systole(cine)
    return [(name, cine, plane, phase) for name, plane in zip(("base", "mid", "apex"), planes, strict=True)]


def draw(groups: dict[str, list[Row]]) -> Image.Image:
    """A block of rows for each group, side by side, end-diastole left and end-systole right."""
    block = MARGIN + 2 * (TILE + GAP)
    sheet = Image.new("L", (len(groups) * (block + 2 * GAP), 2 * BAND + 3 * (TILE + GAP)), 255)
    pen = ImageDraw.Draw(sheet)
    for number, (title, rows) in enumerate(groups.items()):
        left = number * (block + 2 * GAP)
        pen.text((left + MARGIN, BAND // 2), title, fill=0, font=_font(17), anchor="lm")
        for column, name in enumerate(("end-diastole", "end-systole")):
            x = left + MARGIN + column * (TILE + GAP)
            pen.text((x + TILE // 2, BAND + BAND // 2), name, fill=70, font=_font(14), anchor="mm")
            for row, (where, cine, plane, systole) in enumerate(rows):
                y = 2 * BAND + row * (TILE + GAP)
                phase = systole if column else 0
                sheet.paste(Image.fromarray(cropped(cine, plane, phase)), (x, y))
                if column == 0:
                    pen.text((x - GAP, y + TILE // 2), where, fill=0, font=_font(14), anchor="rm")
    return sheet


def cropped(cine: Cine, plane: int, phase: int) -> np.ndarray:
    """One frame as (TILE, TILE) uint8, FIELD_MM wide, centred on what moves in the cine."""
    row_mm, col_mm = cine.require_spacing_mm("a crop in mm")
    row, col = centre(cine)
    half = FIELD_MM / 2.0
    box = (col - half / col_mm, row - half / row_mm, col + half / col_mm, row + half / row_mm)
    grey = np.clip(cine.frames[plane, phase].astype(np.float32) / brightest(cine), 0.0, 1.0)
    whole = Image.fromarray(grey)
    tile = np.asarray(whole.resize((TILE, TILE), Image.Resampling.BICUBIC, box=_within(box, whole.size)))
    return np.asarray(np.rint(np.clip(tile, 0.0, 1.0) * (GREYS - 1)) * (255.0 / (GREYS - 1)), dtype=np.uint8)


def brightest(cine: Cine) -> float:
    """Grey level shown as white: a little above the blood in the middle of the heart."""
    return 1.2 * float(np.percentile(heart_box(cine)[:, 0], 95.0))


def end_systole(cine: Cine) -> int:
    """The phase of a short-axis stack with the least blood, counted as bright pixels about the heart."""
    heart = heart_box(cine)
    bright = heart > 0.6 * np.percentile(heart[:, 0], 95.0)
    return int(bright.sum(axis=(0, 2, 3)).argmin())


def heart_box(cine: Cine) -> np.ndarray:
    """The middle planes (slice, time, row, col) within 45 mm of what moves."""
    row_mm, col_mm = cine.require_spacing_mm("a box around the heart")
    row, col = (round(v) for v in centre(cine))
    rows, cols = round(45.0 / row_mm), round(45.0 / col_mm)
    return cine.frames[_middle(cine), :, row - rows : row + rows, col - cols : col + cols].astype(np.float32)


def centre(cine: Cine) -> tuple[float, float]:
    """Row and column about which the pixels lie that change most over the beat."""
    change = cine.frames[_middle(cine)].astype(np.float32).std(axis=1).mean(axis=0)
    weight = np.where(change > np.percentile(change, 95.0), change, 0.0)
    rows, cols = np.indices(weight.shape)
    return float((rows * weight).sum() / weight.sum()), float((cols * weight).sum() / weight.sum())


def _middle(cine: Cine) -> slice:
    """The five middle planes."""
    middle = cine.n_slices // 2
    return slice(max(0, middle - 2), middle + 3)


def _within(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box moved into the image."""
    left, top, right, bottom = box
    dx = max(0.0, -left) - max(0.0, right - size[0])
    dy = max(0.0, -top) - max(0.0, bottom - size[1])
    return left + dx, top + dy, right + dx, bottom + dy


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


if __name__ == "__main__":
    main()
