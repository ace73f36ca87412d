"""Whether each of the 35 conditions shows in rendered cine images.

    python benchmarks/phantom_conditions.py [--hearts 20] [--paired 8] [--only NAME] [--write]

For each condition one defining measurement is made on rendered pixels (`phantom_places.py`), the anatomy telling only
where to look: on hearts that have the condition, and on as many normal ones at the same places.  Some of the hearts are
rendered once more with the finding taken away and all else alike, noise included, and measured again.  Values are kept
in a CSV, so that a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import phantom_signs_chambers as rooms
import phantom_signs_places as places
from phantom_look import MATRIX, PHASES, Look

from cardiolens.phantom.disease import sample_parameters
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.heart.parts import N_SEGMENTS, Surgery, Tissue
from cardiolens.stats import Auroc, auroc
from cardiolens.study import View
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
Measure = Callable[[Look, HeartParameters], float]
_EVEN = (1.0,) * N_SEGMENTS
_LONG = (View.CH2, View.CH3, View.CH4)
_ALL = tuple(View)


@dataclass(frozen=True)
class Sign:
    """How a condition is looked for.

    Attributes:
        what: the measurement in words, with its unit.
        sense: +1 where the condition raises it, -1 where it lowers it, 0 where it differs from what normal hearts show
            at the same place (then the absolute difference from their median is compared).
        views: those that are rendered.
        without: the same heart with the finding taken away.
        note: why it is seen, or is not.
    """

    measure: Measure
    what: str
    sense: int
    views: tuple[View, ...]
    without: Callable[[HeartParameters], HeartParameters]
    note: str = ""


def _plain(**changes: object) -> Callable[[HeartParameters], HeartParameters]:
    return lambda p: replace(p, **changes)


def _part(part: str, **changes: object) -> Callable[[HeartParameters], HeartParameters]:
    return lambda p: replace(p, **{part: replace(getattr(p, part), **changes)})


def _per_m2(field: str, value: float) -> Callable[[HeartParameters], HeartParameters]:
    return lambda p: replace(p, **{field: value * p.bsa_m2})


_no_mass = _plain(masses=())
_SAX = (View.SAX,)
_CH4 = (View.CH4,)
SIGNS: dict[str, Sign] = {
    "amyloidosis": Sign(
        rooms.atrial_septum, "dark septum between the atria, mm, 4CH", 1, _CH4, _part("septa", atrial_mm=2.5),
        "5 to 9 mm of muscle against 2 or 3; the thick walls show too, but are not its own",
    ),
    "aortic dilation": Sign(
        places.aortic_width, "bright width of the aorta, mm, 3CH", 1, (View.CH3,),
        _part("vessels", aortic_root_mm=32.0, ascending_aorta_mm=30.0),
        "the plane leaves the middle of the ascending aorta by 5 to 15 mm, so a width above the root is a chord",
    ),
    "arrhythmogenic right ventricular cardiomyopathy": Sign(
        rooms.rv_ejection, "loss of bright RV area in systole, %, SAX", -1, _SAX, _plain(rvef_pct=55.0, rv_bulges=0.0),
        "a weak RV; its bulges and the fat in its wall are not measured here",
    ),
    "atrial myxoma": Sign(
        rooms.dark_in_la, "share of the LA darker than blood, 4CH", 1, _CH4, _no_mass, "grey mass in bright blood",
    ),
    "atrial septal defect": Sign(
        rooms.atrial_bridge, "signal of the atrial septum at its brightest, of blood, 4CH", 1, _CH4,
        _part("septa", asd_mm=0.0),
        "the normal septum is a line of about one pixel, which partial volume makes almost as bright as a hole; small "
        "defects lie beside the plane",
    ),
    "bicuspid aortic valve": Sign(
        places.valve_hole, "signal of the open aortic valve's disc, of blood, highest SAX plane", -1, _SAX,
        _part("valves", bicuspid=False),
        "one plane of 8 mm at best crosses the cusps, and the slit is a few mm",
    ),
    "cardiac thrombus": Sign(
        places.clot, "signal where the clot lies, of blood", -1, _ALL, _no_mass,
        "like muscle, in bright blood; at the appendage (a fifth) no blood is drawn about it, so there it is not seen",
    ),
    "cardiac tumor": Sign(
        places.tumor, "signal where the mass lies, against normal hearts there", 0, _ALL, _no_mass,
        "grey in the blood of RA or RV, where it is plain; in the LV wall and beside the heart it has the signal of "
        "muscle or fat, and its bulge is not measured",
    ),
    "hypertrophic cardiomyopathy": Sign(
        rooms.thickest_septum, "width of the thickest septum, mm, SAX", 1, _SAX,
        _plain(wall_mm=7.0, segment_thickness=_EVEN), "a thickness",
    ),
    "ischemic cardiomyopathy": Sign(
        rooms.least_shortening, "shortening of the inner radius in the worst segment, %, SAX", -1, _SAX,
        _plain(segment_motion=_EVEN, lvef_pct=58.0),
        "a wall that does not move; taken away with the loss of LVEF that it brings",
    ),
    "large pericardial effusion": Sign(
        places.bright_rim, "signal behind the LV outside its fat, of blood, SAX", 1, _SAX, _plain(effusion_mm=0.0),
        "fluid is brighter than blood",
    ),
    "left atrial dilation": Sign(
        rooms.la_area, "bright LA area, cm2 per m2, 4CH", 1, _CH4, _per_m2("la_max_ml", 38.0), "a size",
    ),
    "left ventricular dilation": Sign(
        rooms.lv_area, "bright LV area of all planes, cm2 per m2, SAX", 1, _SAX, _per_m2("lv_edv_ml", 80.0), "a size",
    ),
    "left ventricular hypertrophy": Sign(
        rooms.septal_thickness, "median width of the septum, mm, SAX", 1, _SAX,
        _plain(wall_mm=7.0, segment_thickness=_EVEN), "a thickness",
    ),
    "lipomatous atrial wall": Sign(
        rooms.atrial_septum, "first to last dark point between the atria, mm, 4CH", 1, _CH4,
        _part("septa", atrial_mm=2.5, atrial_fat=False), "the fat is as bright as blood; its dark borders show it",
    ),
    "left ventricular non-compaction": Sign(
        rooms.spongy_rim, "signal of the outer cavity at the apical free wall, of blood, SAX", -1, _SAX,
        _plain(noncompacted_mm=0.0), "muscle and blood share the pixels of the spongy layer",
    ),
    "myocarditis": Sign(
        rooms.lateral_muscle, "signal of the lateral over that of the septal wall, SAX", 1, _SAX,
        _plain(tissue=Tissue()),
        "edema lifts the muscle by a seventh at most in the model, which scatter of contrast and coil shading hide in "
        "part; scar itself does not show",
    ),
    "non-ischemic cardiomyopathy": Sign(
        rooms.area_ejection, "loss of bright LV area in systole, %, SAX", -1, _SAX, _plain(lvef_pct=58.0), "a weak LV",
    ),
    "other cardiac mass": Sign(
        places.other_mass, "signal where the mass lies, against normal hearts there", 0, _ALL, _no_mass,
        "a cyst is brighter than all about it; a lipoma in the RA has blood's signal within its dark border, and a "
        "vegetation is as small as a slice is thick",
    ),
    "pericarditis": Sign(
        places.pericardial_line, "signal missing at the heart's edge, mm, SAX", 1, _SAX, _plain(pericardium_mm=1.4),
        "3 to 7 mm against 1 to 2; measured where fat lies outside, as beside the lung a dark line does not stand "
        "out",
    ),
    "previous surgery": Sign(
        places.sternal_void, "share of the sternum without signal", 1, _ALL, _plain(surgery=Surgery()), "wires void it",
    ),
    "prosthetic valve": Sign(
        places.valve_void, "signal on the valve's ring, of blood", -1, _ALL,
        _part("valves", prosthesis="", mechanical=False), "metal voids it",
    ),
    "pulmonary artery dilation": Sign(
        places.trunk_width, "bright width of the pulmonary trunk, mm, 2CH", 1, (View.CH2,),
        _part("vessels", pulmonary_trunk_mm=25.0),
        "no standard plane is laid through the trunk; the 2CH passes it at 0 to 20 mm, so the width is that of a chord",
    ),
    "pulmonary hypertension": Sign(
        rooms.septal_flatness, "LV diameter along the septum over across it, end-systole, SAX", 1, _SAX,
        _part("septa", shift_systole=0.0, shift_diastole=0.0), "the septum is flat in systole",
    ),
    "pulmonary stenosis": Sign(
        places.pulmonary_jet, "systolic over diastolic signal above the pulmonary valve, 2CH or SAX", -1,
        (View.SAX, View.CH2), _part("valves", pulmonary_stenosis=0.0),
        "a dark jet, where the 2CH or the highest short-axis plane meets it; no standard plane is laid there",
    ),
    "right atrial dilation": Sign(
        rooms.ra_area, "bright RA area, cm2 per m2, 4CH", 1, _CH4, _per_m2("ra_max_ml", 42.0), "a size",
    ),
    "right ventricular dilation": Sign(
        rooms.rv_area, "bright RV area of all planes, cm2 per m2, SAX", 1, _SAX, _per_m2("rv_edv_ml", 85.0), "a size",
    ),
    "right ventricular hypertrophy": Sign(
        rooms.rv_wall, "width of the dark RV free wall, mm, SAX", 1, _SAX, _plain(rv_wall_mm=3.0), "a thickness",
    ),
    "sarcoidosis": Sign(
        rooms.least_shortening, "shortening of the inner radius in the worst segment, %, SAX", -1, _SAX,
        _plain(segment_motion=_EVEN, segment_thickness=_EVEN, lvef_pct=58.0),
        "by design half of the hearts are normal on cine; patchy scar shows in late enhancement only",
    ),
    "severe aortic stenosis": Sign(
        places.aortic_jet, "systolic over diastolic signal in the aortic root, 3CH or SAX", -1, (View.SAX, View.CH3),
        _part("valves", aortic_stenosis=0.0), "a dark jet, where the plane meets it",
    ),
    "severe mitral regurgitation": Sign(
        places.mitral_jet, "systolic over diastolic signal in the LA above the valve, long axes", -1, _LONG,
        _part("valves", mitral_regurgitation=0.0), "a dark jet",
    ),
    "systolic anterior motion": Sign(
        places.outflow_dark, "systolic over diastolic signal in the outflow tract, 3CH", -1, (View.CH3,),
        _part("valves", sam=0.0), "leaflet and jet darken the outflow tract",
    ),
    "tetralogy of Fallot": Sign(
        places.aortic_place, "distance of the aortic root from the LV axis, mm, 3CH", 1, (View.CH3,),
        _part("vessels", override=0.0), "the root rides over the septum; repaired ones less so",
    ),
    "ventricular septal defect": Sign(
        places.septal_bridge, "darkest point through the septum at the defect, of blood", 1, _ALL,
        _part("septa", vsd_mm=0.0, vsd_site=""),
        "from 3 mm, a third of a slice; those between two planes are missed",
    ),
}  # fmt: skip


HARD = ("bicuspid aortic valve", "lipomatous atrial wall", "myocarditis", "sarcoidosis")
"""Not required to differ from normal on cine; the page says why."""


@dataclass(frozen=True, eq=False)
class Result:
    """One condition: values (n,) with it and in normal hearts, their area, paired differences (m,) with minus without,
    and how many hearts of each group gave no figure, mostly as no plane cut the place."""

    name: str
    ill: np.ndarray
    well: np.ndarray
    area: Auroc
    paired: np.ndarray
    missed: tuple[int, int]

    @property
    def verdict(self) -> str:
        """Visible needs both comparisons: groups that part, and a finding that moves the figure by more than it varies
        between normal hearts."""
        moved = len(self.paired) == 0 or abs(self.paired.mean()) >= self.well.std(ddof=1)
        return "visible" if self.area.low >= 0.7 and moved else "weak" if self.area.low > 0.5 else "not seen"


def heart(name: str, j: int) -> HeartParameters:
    """Heart j with a condition."""
    return sample_parameters(np.random.default_rng([35, CONDITION_NAMES.index(name), j]), condition=name)


def rendered(p: HeartParameters, name: str, j: int, views: tuple[View, ...]) -> Look:
    """Its images; the seed of the scan goes with condition and number."""
    return Look(p, 1000 * CONDITION_NAMES.index(name) + j, views)


def measured(name: str, n: int, pairs: int, normals: list[Look]) -> pd.DataFrame:
    """Rows of (heart, kind, value): "ill", "without", and "normal k" for each normal heart at heart j's place."""
    sign, rows = SIGNS[name], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of places that no plane cuts are NaN, and counted
        for j in range(n):
            p = heart(name, j)
            rows.append((j, "ill", sign.measure(rendered(p, name, j, sign.views), p)))
            if j < pairs:
                rows.append((j, "without", sign.measure(rendered(sign.without(p), name, j, sign.views), p)))
            others = range(n) if sign.sense == 0 else [j]
            rows += [(j, f"normal {k}", sign.measure(_only(normals[k], sign.views), p)) for k in others]
    return pd.DataFrame(rows, columns=["heart", "kind", "value"])


def _only(look: Look, views: tuple[View, ...]) -> Look:
    """The same images, those of some views."""
    if set(views) == set(look._planes):
        return look
    part = object.__new__(Look)
    part.__dict__.update(look.__dict__)
    part._planes = {view: look._planes[view] for view in views}
    return part


def result(name: str, table: pd.DataFrame) -> Result:
    """Both groups, the area between them, and the pairs."""
    sense, n = SIGNS[name].sense, int(table["heart"].max()) + 1
    value = table.set_index(["heart", "kind"])["value"]
    ill = np.array([value[j, "ill"] for j in range(n)])
    well = np.array([value[j, f"normal {j}"] for j in range(n)])
    pairs = [j for j in range(n) if (j, "without") in value.index]
    paired = np.array([value[j, "ill"] - value[j, "without"] for j in pairs])
    a, b, sign = ill, well, sense
    if sense == 0:
        there = np.array([[value[j, f"normal {k}"] for k in range(n)] for j in range(n)])
        usual = np.array([np.nanmedian(np.delete(there[j], j)) for j in range(n)])
        a, b, sign = np.abs(ill - usual), np.abs(well - usual), 1
        paired = np.array([abs(value[j, "ill"] - usual[j]) - abs(value[j, "without"] - usual[j]) for j in pairs])
    kept_a, kept_b = a[np.isfinite(a)], b[np.isfinite(b)]
    labels = np.r_[np.ones(len(kept_a)), np.zeros(len(kept_b))]
    paired = paired[np.isfinite(paired)]
    return Result(
        name,
        kept_a,
        kept_b,
        auroc(labels, sign * np.r_[kept_a, kept_b]),
        paired,
        (int(np.isnan(a).sum()), int(np.isnan(b).sum())),
    )


def line(r: Result) -> str:
    """A row of the table."""
    s = SIGNS[r.name]
    sense = s.sense or 1
    right = int((sense * r.paired > 0).sum())
    missed = "; no figure in {} with and {} normal".format(*r.missed) if any(r.missed) else ""
    return (
        f"| {r.name} | {s.what} | {_spread(r.ill)} | {_spread(r.well)} "
        f"| {r.area.auc:.2f} ({r.area.low:.2f} to {r.area.high:.2f}) "
        f"| {np.mean(r.paired):+.2g}, {right} of {len(r.paired)} | {r.verdict} | {s.note}{missed} |"
    )


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.3g} ± {values.std(ddof=1):.2g}"


PAGE = """# Which of the 35 conditions show on rendered cine

One defining measurement a condition, made on rendered pixels.  **Phantoms only: the table says what this package's
images hold, and nothing about what cine MRI shows in patients.**

## Set-up

{n} hearts with each condition and {n} normal ones, drawn from the default population with whatever comes along, each
rendered once with the default protocol at matrix {matrix} (pixels of 2.2 mm), {phases} phases, noise, shading, planning
errors and breath-holds included.  The anatomy tells where to look and in which frame; the figure itself comes from
pixels.  A normal heart is looked at in the place where the condition lies in the heart that it is compared with.

*AUROC*: with against normal, DeLong limits of 95 %.  *Paired*: {pairs} hearts rendered once more with only the finding
taken away, same seed; mean change that the finding makes, and in how many it goes the right way.  *Verdict*:
visible if the lower limit of the AUROC is 0.7 or more and the finding moves the figure by at least one standard
deviation of the normal hearts; weak if that limit is above 0.5; else not seen.

## Table

| condition | measurement | with | normal | AUROC | paired | verdict | why |
|---|---|---|---|---|---|---|---|
{body}

"normal" itself has no measurement of its own: it is the column that all others are compared with.  For the two rows
"against normal hearts there", figures are absolute differences from the median of the other normal hearts at the same
place.  "No figure": no plane cuts the place, or no border stands out there; such hearts are left out of the row's
figures, so a verdict is about those that can be measured.

[Values](phantom_conditions.csv), written with this page by

    python benchmarks/phantom_conditions.py --write

## What this does and does not tell

- Seen here means that a simple measurement at the right place, told by the truth, separates the groups.  A reader or a
  model has to find the place first.
- Not seen means that *this* measurement in *these* views does not separate them.  The condition may still show by what
  it does elsewhere (the RV behind a narrow pulmonary valve), which "paired" does not count.
- The unpaired comparison holds whatever comes with the condition; the paired one does not.
- Measurements were made to fit this phantom, and the rule of the verdict, the RV wall's measurement and what is taken
  away in ischemic and sarcoid hearts were settled with first results in sight.  The table describes; it tests nothing.
- With {n} hearts a side, limits are wide: an AUROC of 0.8 has limits some 0.14 to either side.

## Conditions that cine does not show well, by design

- **Myocarditis**: scar and edema belong to late enhancement and T2 images (`phantom.enhancement`).  On cine the phantom
  makes the edematous wall brighter by a seventh at most, a choice, and this measurement knows which
  wall to compare with which.
- **Sarcoidosis**: patchy scar does not show; half of the hearts have a thin or weak wall, the others look normal.
- **Bicuspid aortic valve**: no plane is laid through the valve.  What separates the groups is mostly the stenosis that
  comes with it; the second cusp itself moves the figure by less than hearts differ.

- **Lipomatous atrial wall**: in the steady state fat is as bright as blood, so that its pads in the atria show by thin
  dark borders alone, and this measurement, made for a wall of fat between the atria, misses them.

These four are left out of the test that every condition differs from normal.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hearts", type=int, default=20)
    parser.add_argument("--paired", type=int, default=8)
    parser.add_argument("--only", default="", help="conditions whose name holds this")
    parser.add_argument("--cache", type=Path, default=RESULTS.parents[1] / "runs" / "phantom_conditions")
    parser.add_argument("--write", action="store_true", help="write the documentation page and its values")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    start, normals, found, tables = time.process_time(), [], [], []
    for name in (n for n in CONDITION_NAMES if n != NORMAL and options.only in n):
        path = options.cache / f"{name.replace(' ', '_')}_{options.hearts}_{options.paired}.csv"
        if not path.exists():
            normals = normals or [rendered(heart(NORMAL, j), NORMAL, j, _ALL) for j in range(options.hearts)]
            measured(name, options.hearts, options.paired, normals).to_csv(path, index=False)
        table = pd.read_csv(path)
        tables.append(table.assign(condition=name))
        found.append(result(name, table))
        print(f"{time.process_time() - start:4.0f} s {line(found[-1])}", flush=True)
    if options.write:
        write(found, pd.concat(tables), options.hearts, options.paired)


def write(found: list[Result], table: pd.DataFrame, n: int, pairs: int) -> None:
    """The documentation page and the values beside it."""
    body = "\n".join(line(r) for r in found)
    text = PAGE.format(n=n, pairs=pairs, matrix=MATRIX, phases=PHASES, body=body)
    (RESULTS / "phantom_conditions.md").write_text(text, encoding="utf-8")
    table = table[["condition", "heart", "kind", "value"]]
    table.to_csv(RESULTS / "phantom_conditions.csv", index=False, float_format="%.4g", quoting=csv.QUOTE_MINIMAL)


if __name__ == "__main__":
    main()
