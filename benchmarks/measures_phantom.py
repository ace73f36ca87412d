"""Every figure of `cardiolens.measures` against the truth of phantom hearts, from their true labels.

    python benchmarks/measures_phantom.py --write        # docs/results/measures_phantom.csv and .md

The labels are the phantom's own, so what is seen here is the error of the method (planes of finite distance, discs,
area and length), not of a segmenter.  Planes are planned as the phantom plans them, with errors of a few degrees and mm
and breath-holds that differ by plane; nothing is painted.  About 20 s a heart on one core.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

import numpy as np

from cardiolens import __version__
from cardiolens.measures import Measures, measure
from cardiolens.phantom import HeartParameters, curves_of, masks, render_study, sample_parameters, truth_of
from cardiolens.segmentation import Segmentation
from cardiolens.study import View

DOCS = Path(__file__).resolve().parents[1] / "docs" / "results"
VIEWS = (View.SAX, View.CH2, View.CH4)
NAMES = {
    "lv_edv_ml": ("LV EDV, short axis", "ml"), "lv_esv_ml": ("LV ESV, short axis", "ml"),
    "lvef_pct": ("LVEF, short axis", "points"), "lv_mass_g": ("LV mass at ED", "g"),
    "rv_edv_ml": ("RV EDV", "ml"), "rv_esv_ml": ("RV ESV", "ml"), "rvef_pct": ("RVEF", "points"),
    "lv_edv_long_axis_ml": ("LV EDV, biplane", "ml"), "lv_esv_long_axis_ml": ("LV ESV, biplane", "ml"),
    "lvef_long_axis_pct": ("LVEF, biplane", "points"), "lv_length_ed_mm": ("LV length at ED", "mm"),
    "mapse_mm": ("MAPSE, whole way (CineMA)", "mm"), "mapse_axial_mm": ("MAPSE, along the axis", "mm"),
    "gls_pct": ("GLS", "points"), "la_max_ml": ("LA maximum, biplane", "ml"),
    "la_min_ml": ("LA minimum, biplane", "ml"),
    "ra_max_ml": ("RA maximum, 4CH", "ml"), "ra_min_ml": ("RA minimum, 4CH", "ml"),
    "wall_ed_mm": ("Wall thickness at ED, 16 segments", "mm"),
    "wall_es_mm": ("Wall thickness at ES, 16 segments", "mm"),
}  # fmt: skip


def one_heart(number: int, seed: int) -> list[dict[str, object]]:
    """Rows (heart, figure, segment, measured, truth)."""
    rng = np.random.default_rng([seed, number])
    heart = sample_parameters(rng)
    study = render_study(heart, seed=number, matrix=176, phases=25, sub_slices=1, noise=0.0, views=VIEWS)
    found = measure([Segmentation(cine, masks(heart, cine), source="phantom") for cine in study.cines])
    true = true_figures(heart, found)
    rows: list[dict[str, object]] = []
    for name, value in true.items():
        seen = getattr(found, name)
        values, truths = (seen, value) if isinstance(value, tuple) else ((seen,), (value,))
        for segment, (a, b) in enumerate(zip(values or (None,) * len(truths), truths, strict=True), start=1):
            rows.append(
                {"heart": number, "conditions": "; ".join(heart.conditions), "figure": name,
                 "segment": segment if len(truths) > 1 else "", "measured": "" if a is None else round(a, 3),
                 "truth": round(b, 3), "flags": " ".join(sorted({f.code for f in found.flags}))}
            )  # fmt: skip
    return rows


def true_figures(heart: HeartParameters, found: Measures) -> dict[str, float | tuple[float, ...]]:
    """The truth by the names of `Measures`."""
    t, ends = truth_of(heart), curves_of(heart, [0.0, (found.es_phase or 0) / 25])
    return {
        "lv_edv_ml": t.edv_ml, "lv_esv_ml": t.esv_ml, "lvef_pct": t.lvef_pct, "lv_mass_g": t.lv_mass_g,
        "rv_edv_ml": t.rv_edv_ml, "rv_esv_ml": t.rv_esv_ml, "rvef_pct": t.rvef_pct,
        "lv_edv_long_axis_ml": t.edv_ml, "lv_esv_long_axis_ml": t.esv_ml, "lvef_long_axis_pct": t.lvef_pct,
        "lv_length_ed_mm": t.lv_length_mm, "mapse_mm": t.mapse_mm, "mapse_axial_mm": t.mapse_mm, "gls_pct": t.gls_pct,
        "la_max_ml": t.la_volume_ml, "la_min_ml": t.la_min_ml, "ra_max_ml": t.ra_volume_ml, "ra_min_ml": t.ra_min_ml,
        "wall_ed_mm": t.segment_thickness_mm, "wall_es_mm": tuple(float(v) for v in ends.thickness_mm[:, 1]),
    }  # fmt: skip


def page(rows: list[dict[str, object]]) -> str:
    """The Markdown text."""
    hearts = len({row["heart"] for row in rows})
    flags = {row["heart"]: str(row["flags"]).split() for row in rows}
    lines = [
        "# Measures on phantoms",
        "",
        "<!-- written by benchmarks/measures_phantom.py --write -->",
        "",
        f"`cardiolens.measures` on the true labels of {hearts} phantom hearts of every kind (`sample_parameters`): "
        f"short axis, 2CH and 4CH of 176 pixels and 25 phases, cardiolens {__version__}.  Differences are "
        "measured minus truth: what is seen is the error of the method from perfect contours, and no segmenter's.  "
        "Figures of rendered hearts, not clinical ones; research use, not a medical device.",
        "",
        "| figure | n | mean truth | bias | SD of the difference | largest | unit |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, (title, unit) in NAMES.items():
        mine = [row for row in rows if row["figure"] == name and row["measured"] not in ("", "nan")]
        pairs = np.array([(float(str(r["measured"])), float(str(r["truth"]))) for r in mine])
        pairs = pairs[np.isfinite(pairs).all(1)]
        off = pairs[:, 0] - pairs[:, 1]
        worst = off[np.argmax(np.abs(off))]
        lines.append(
            f"| {title} | {len(off)} | {pairs[:, 1].mean():.1f} | {off.mean():+.2f} | {off.std(ddof=1):.2f} "
            f"| {worst:+.1f} | {unit} |"
        )
    counted: dict[str, int] = {}
    for codes in flags.values():
        for code in codes:
            counted[code] = counted.get(code, 0) + 1
    told = ", ".join(f"`{code}` {n}" for code, n in sorted(counted.items())) or "none"
    lines += [
        "",
        f"Flags raised, in hearts: {told}.",
        "",
        "- **Short axis.** Discs even out over many hearts; the spread is that of one basal plane which is counted or "
        "not.",
        "- **MAPSE** by CineMA's definition is the whole way of the hinge points, so it holds their moving together "
        "sideways and, in a tilted plane, across; along the long axis alone it is near the truth.",
        "- **GLS.** At end-systole the pointed tip of the cavity leaves a plane that misses it, and the ventricle "
        "looks shorter than it is.",
        "- **Atria.** Area and length take the atrium for an ellipsoid and miss what lies off the plane, most in the "
        "right atrium, which one plane alone shows.",
        "- **Walls** are measured along rays from the cavity's centre, in planes that are not quite at right angles to "
        "the axis; towards the apex the wall is cut obliquely and looks thicker.",
        "",
        "Rows: [measures_phantom.csv](measures_phantom.csv).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearts", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write the page and its rows into docs/results")
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    for number in range(args.hearts):
        rows += one_heart(number, args.seed)
        print(f"heart {number + 1} of {args.hearts}", flush=True)
    print(page(rows))
    if args.write:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        (DOCS / "measures_phantom.csv").write_text(text.getvalue(), encoding="utf-8")
        (DOCS / "measures_phantom.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
