"""Page and picture of `segmenter_quality.py`."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from cardiolens import __version__
from cardiolens.models.card import Card

Rows = Sequence[dict[str, Any]]
DRAWS = 2000


def page(rows: Rows, card: Card, args: argparse.Namespace) -> str:
    """Markdown."""
    parts = [
        "# The bundled segmenter\n",
        f"`python benchmarks/segmenter_quality.py --model {args.model} --hearts {args.hearts} --seed {args.seed} "
        f"--write`, {datetime.now(timezone.utc):%Y-%m-%d}, cardiolens {__version__}, weights {str(card.sha256)[:12]}.  "
        "Research use, not a medical device.\n\nTrained on the phantom alone; no real image was in its training.  "
        "Rows in [segmenter.csv](segmenter.csv).\n",
        _planes(rows),
        _cines(rows),
        _phantoms(rows),
    ]
    return "\n".join(part for part in parts if part)


def known_error(rows: Rows) -> list[dict[str, Any]]:
    """How far the LVEF was off, by data set: for the card."""
    sets = (
        ("phantom", "lvef_pct", "phantom hearts that it had not seen"),
        ("planes", "both LVEF", "real patients (planes at ED and ES)"),
        ("cine", "lvef_pct", "real cine studies"),
    )
    out = []
    for name, what, words in sets:
        off = [
            row["value"] - row["truth"]
            for row in rows
            if row["set"] == name and row["what"] == what and row["value"] is not None
        ]
        if off:
            figures = {"mae": np.abs(off).mean(), "bias": np.mean(off), "most": np.abs(off).max()}
            out.append({"on": words, "n": len(off)} | {key: round(float(value), 2) for key, value in figures.items()})
    return out


def _planes(rows: Rows) -> str:
    mine = [row for row in rows if row["set"] == "planes"]
    if not mine:
        return ""
    out = [
        "## Real planes at end-diastole and end-systole (15 patients, PNG without spacing)\n",
        "Sunnybrook Cardiac Data, CC0; LV cavity.  *Alone*: the segmenter sees one phase, no motion.  *Both*: it sees "
        "the two phases of a plane, as it sees a whole beat in a cine; planes that the experts left out at end-systole "
        "stay as alone.  95 % limits: bootstrap over patients.\n",
        "| | alone | both |", "|---|---:|---:|",
    ]  # fmt: skip
    table = {mode: _by_patient(mine, mode) for mode in ("alone", "both")}
    for name, words in (("mean", "mean Dice of planes"), ("pooled", "pooled Dice"), ("ed", "pooled Dice, ED"),
                        ("es", "pooled Dice, ES"), ("mae", "LVEF, mean absolute error (points)"),
                        ("bias", "LVEF, bias (points)"), ("r", "LVEF, correlation")):  # fmt: skip
        out.append(f"| {words} | {_limits(table['alone'], name)} | {_limits(table['both'], name)} |")
    out += [
        "\nThe masks are the experts' contours filled with their outline, about 7 % larger in area than the contours "
        "themselves (measured on the two studies that have both).\n",
        "| patient | planes | Dice ED | Dice ES | worst plane | LVEF | true |", "|---|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for case, p in table["both"].items():
        worst = min(p["dice"])
        out.append(
            f"| {case} | {len(p['dice'])} | {_dice(p, 'ED'):.2f} | {_dice(p, 'ES'):.2f} | {worst:.2f} "
            f"| {p['lvef'][0]:.0f} | {p['lvef'][1]:.0f} |"
        )
    out.append("\n![Contours of the segmenter (red) and of the experts (green)](segmenter_real.webp)\n")
    return "\n".join(out)


def _by_patient(rows: Rows, mode: str) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = defaultdict(lambda: {"dice": [], "ED": [0, 0], "ES": [0, 0]})
    for row in rows:
        if not row["what"].startswith(mode):
            continue
        kept, words = out[row["case"]], row["what"].split()
        if words[-1] == "LVEF":
            kept["lvef"] = (row["value"], row["truth"])
        elif words[-1] == "Dice":
            kept["dice"].append(row["value"])
        elif words[-1] == "pixels":
            kept[words[1]][1] += int(row["value"]) + int(row["truth"])
        else:
            kept[words[1]][0] += 2 * int(row["value"])
    return dict(out)


def _dice(patient: dict[str, Any], phase: str) -> float:
    shared, total = patient[phase]
    return float(shared / max(total, 1))


def _limits(table: dict[str, dict[str, Any]], name: str) -> str:
    patients = list(table.values())
    rng = np.random.default_rng(0)
    drawn = [
        _figure([patients[i] for i in rng.integers(len(patients), size=len(patients))], name) for _ in range(DRAWS)
    ]
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    digits = 1 if name in ("mae", "bias") else 2 if name == "r" else 3
    return f"{_figure(patients, name):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _figure(patients: Sequence[dict[str, Any]], name: str) -> float:
    if name == "mean":
        return float(np.mean([d for p in patients for d in p["dice"]]))
    if name in ("pooled", "ed", "es"):
        phases = {"pooled": ("ED", "ES"), "ed": ("ED",), "es": ("ES",)}[name]
        return float(sum(p[q][0] for p in patients for q in phases) / sum(p[q][1] for p in patients for q in phases))
    lvef = np.array([p["lvef"] for p in patients], dtype=float)
    off = lvef[:, 0] - lvef[:, 1]
    if name == "r":
        return float(np.corrcoef(lvef.T)[0, 1]) if lvef.std(0).min() > 0 else float("nan")
    return float(np.abs(off).mean() if name == "mae" else off.mean())


def _cines(rows: Rows) -> str:
    mine = [row for row in rows if row["set"] == "cine"]
    if not mine:
        return ""
    out = [
        "## Real cine studies (DICOM, contours of experts)\n",
        "ED and ES are found by the software; volumes of the contours are areas times the step between planes, on the "
        "planes that were drawn.\n",
        "| patient | | segmenter | contours |", "|---|---|---:|---:|",
    ]  # fmt: skip
    for row in mine:
        value = row["value"] if isinstance(row["value"], str) else _number(row["value"], row["what"])
        out.append(f"| {row['case']} | {row['what']} | {value} | {_number(row.get('truth'), row['what'])} |")
    return "\n".join(out) + "\n"


def _number(value: float | None, what: str) -> str:
    return "" if value is None else f"{value:.3f}" if what.endswith("Dice") else f"{value:.1f}"


def _phantoms(rows: Rows) -> str:
    mine = [row for row in rows if row["set"] == "phantom"]
    cases = len({row["case"] for row in mine})
    out = [
        f"## Phantom hearts that it has not seen ({cases})\n",
        "No clinical result.  A structure counts where the phantom shows more than 40 pixels of it.\n",
        "| structure | ED, median Dice (worst tenth) | ES |", "|---|---:|---:|",
    ]  # fmt: skip
    names = sorted({row["what"].rsplit(" ", 2)[0] for row in mine if row["what"].endswith("Dice")})
    for name in names:
        cells = []
        for phase in ("ED", "ES"):
            values = [row["value"] for row in mine if row["what"] == f"{name} {phase} Dice"]
            cells.append(f"{np.median(values):.3f} ({np.percentile(values, 10):.2f})" if values else "")
        out.append(f"| {name} | {' | '.join(cells)} |")
    out += ["\n| figure | n | bias | mean absolute error | refused |", "|---|---:|---:|---:|---:|"]
    for name in dict.fromkeys(row["what"] for row in mine if not row["what"].endswith("Dice")):
        pairs = [(row["value"], row["truth"]) for row in mine if row["what"] == name]
        off = np.array([value - truth for value, truth in pairs if value is not None])
        told = (f"{off.mean():+.1f}", f"{np.abs(off).mean():.1f}") if len(off) else ("", "")
        out.append(f"| {name} | {len(off)} | {told[0]} | {told[1]} | {len(pairs) - len(off)} |")
    return "\n".join(out) + "\n"


def draw(pictures: Sequence[tuple[str, Any]], path: Path) -> None:
    """Every patient's planes at ED and ES with both outlines."""
    from PIL import Image, ImageDraw
    from scipy.ndimage import binary_erosion

    half, columns = 40, 11
    lines = []
    for name, (patient, found) in pictures:
        for phase, cine, drawn, true in zip(
            ("ED", "ES"), (patient.ed, patient.es), found, (patient.ed_mask, patient.es_mask), strict=True
        ):
            _, _, rows, cols = np.nonzero(true)
            middle = int(rows.mean()), int(cols.mean())
            tiles = []
            for plane in range(min(columns, len(true))):
                frame = np.pad(cine.frames[plane, 0].astype(float), half)
                box = np.s_[middle[0] : middle[0] + 2 * half, middle[1] : middle[1] + 2 * half]
                grey = np.clip(frame[box] / max(np.percentile(frame[box], 99), 1.0) * 255, 0, 255).astype(np.uint8)
                tile = np.stack([grey] * 3, axis=-1)
                for mask, colour in ((true, (0, 200, 80)), (drawn, (255, 60, 60))):
                    inside = np.pad(mask[plane, 0], half)[box]
                    tile[inside & ~binary_erosion(inside)] = colour
                tiles.append(tile)
            tiles += [np.zeros_like(tiles[0])] * (columns - len(tiles))
            image = Image.fromarray(np.hstack(tiles))
            ImageDraw.Draw(image).text((3, 2), f"{name} {phase}", fill=(255, 255, 255))
            lines.append(np.asarray(image))
    Image.fromarray(np.vstack(lines)).save(path, quality=82, method=6)
