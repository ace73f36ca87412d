"""Render phantom hearts as apical four-chamber ultrasound, in one animation: docs/images/phantom_echo.webp.

python examples/phantom_echo.py

A healthy heart, a dilated one, a hypertrophic one and one with a large effusion, one beat each, with the tracings at
end-diastole and end-systole below.  No data are needed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cardiolens.phantom import HeartParameters
from cardiolens.phantom.echo import Echo, Tracing, render_echo

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "phantom_echo.webp"
THICK = (1.0, 1.7, 1.9, 1.0, 1.0, 1.0) * 2 + (1.0, 1.6, 1.0, 1.0, 1.0)  # the septum, AHA segments 2, 3, 8, 9 and 14
HEARTS = {
    "healthy": HeartParameters(body_seed=1),
    "dilated": HeartParameters(lv_edv_ml=270.0, lvef_pct=26.0, lv_length_mm=106.0, mapse_mm=6.0, body_seed=2),
    "hypertrophic": HeartParameters(lv_edv_ml=130.0, lvef_pct=68.0, segment_thickness=THICK, wall_mm=9.5, body_seed=3),
    "effusion": HeartParameters(effusion_mm=22.0, lvef_pct=58.0, body_seed=4),
}
TILE, GAP = 224, 4  # pixels
FPS, GREEN = 25.0, (90, 220, 120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--quality", type=int, default=45, help="of the WebP, 0 to 100")
    parser.add_argument("--out", type=Path, default=TARGET)
    args = parser.parse_args()

    beat = round(FPS * next(iter(HEARTS.values())).rr_ms / 1000.0)
    echoes = {
        name: render_echo(heart, seed=args.seed + number, fps=FPS, frames=2 * beat, size=TILE)
        for number, (name, heart) in enumerate(HEARTS.items())
    }
    pictures = [sheet(echoes, offset) for offset in range(beat)]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        args.out,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000.0 / FPS),
        loop=0,
        quality=args.quality,
        method=6,
    )
    for name, echo in echoes.items():
        print(f"{name}: LVEF {echo.truth.lvef_pct:.0f} %, by discs in this plane {echo.ef_pct:.0f} %")
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


def sheet(echoes: dict[str, Echo], offset: int) -> Image.Image:
    """One picture of the animation: the beating hearts above, their two traced frames still below."""
    step, half = TILE + GAP, TILE // 2
    page = Image.new("RGB", (step * len(echoes) - GAP, TILE + GAP + half))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for number, (name, echo) in enumerate(echoes.items()):
        left = number * step
        frame = min(echo.ed, len(echo.frames) - 1) + offset
        page.paste(Image.fromarray(echo.frames[frame % len(echo.frames)]), (left, 0))
        pen.text((left + 6, 4), name, fill=(255, 255, 255), font=font)
        for place, (at, tracing) in enumerate(((echo.ed, echo.ed_tracing), (echo.es, echo.es_tracing))):
            still = traced(echo.frames[at], tracing).resize((half, half), Image.Resampling.LANCZOS)
            page.paste(still, (left + place * half, TILE + GAP))
    return page


def traced(frame: np.ndarray, tracing: Tracing) -> Image.Image:
    """A frame with the outline that a tracing's chords span, and its long axis."""
    picture = Image.fromarray(np.stack([frame] * 3, axis=-1))
    pen = ImageDraw.Draw(picture)
    chords = tracing.lines[1:] + 0.5
    outline = [tuple(point) for point in np.concatenate([chords[:, :2], chords[::-1, 2:]])]
    pen.line([*outline, outline[0]], fill=GREEN, width=2)
    pen.line([tuple(tracing.lines[0, :2] + 0.5), tuple(tracing.lines[0, 2:] + 0.5)], fill=GREEN, width=2)
    return picture


if __name__ == "__main__":
    main()
