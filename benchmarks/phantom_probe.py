"""How well a linear probe on measurements of masks recovers each of the 35 conditions.

    python benchmarks/phantom_probe.py [--hearts 3000] [--normals 300] [--write]

Hearts are drawn from the population "balanced" (every condition the main disease equally often), and some more normal
ones.  No pixel is rendered: `truth.masks` says at end-diastole, end-systole and in early filling what each voxel of a
clinical geometry is (short-axis planes of 8 mm every 10 mm and one plane each in 2CH, 3CH and 4CH, at 2 mm, planned
with the renderer's errors).  From these masks come the usual measurements (`phantom_probe_measures.py`).  They are kept
in a CSV beside the table, a row a heart, so that a run that was cut off goes on from there.

A logistic regression with an L2 penalty (C = 0.1) on the standardised measurements, one a condition, five folds by
heart (a patient has one heart); AUROC of the pooled out-of-fold scores with DeLong limits:

  all            the condition against all other hearts of the population
  normal         the condition against hearts that are normal, another regression
  alone          hearts with this condition and no other against normal ones, another regression, where there are 20
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from phantom_probe_measures import measure

from cardiolens.errors import PhantomError
from cardiolens.phantom.disease import sample_parameters
from cardiolens.stats import Auroc, auroc
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
FOLDS, STRENGTH, LEAST_ALONE = 5, 0.1, 20
SIGN, SIZE, MIXED = "a sign", "a size", "in part"
WHY: dict[str, tuple[str, str]] = {
    "amyloidosis": (MIXED, "thick stiff walls and septum between the atria, large still atria"),
    "aortic dilation": (SIGN, "no mask holds the aorta"),
    "arrhythmogenic right ventricular cardiomyopathy": (SIZE, "large weak RV; fat in its wall is not in the masks"),
    "atrial myxoma": (SIGN, "the mass is not in the masks; the LA makes room for it"),
    "atrial septal defect": (SIGN, "the hole is not in the masks; the RV that it loads is"),
    "bicuspid aortic valve": (SIGN, "cusps are not in the masks"),
    "cardiac thrombus": (SIGN, "the clot is not in the masks; the still apex on which it lies is"),
    "cardiac tumor": (SIGN, "the mass is not in the masks"),
    "hypertrophic cardiomyopathy": (SIZE, "a thickness"),
    "ischemic cardiomyopathy": (SIZE, "thickening by segment"),
    "large pericardial effusion": (SIGN, "no mask holds the fluid"),
    "left atrial dilation": (SIZE, "a volume"),
    "left ventricular dilation": (SIZE, "a volume"),
    "left ventricular hypertrophy": (SIZE, "a thickness"),
    "lipomatous atrial wall": (SIZE, "a thickness: the gap between the atria"),
    "left ventricular non-compaction": (MIXED, "the spongy layer counts as cavity; the thin wall about it shows"),
    "myocarditis": (SIGN, "edema and scar are not in the masks; a little weakness is"),
    "non-ischemic cardiomyopathy": (SIZE, "a volume and LVEF"),
    "other cardiac mass": (SIGN, "the mass is not in the masks"),
    "pericarditis": (SIGN, "the pericardium is not in the masks; a bounce of the septum is"),
    "previous surgery": (SIGN, "wires are not in the masks"),
    "prosthetic valve": (SIGN, "the valve is not in the masks"),
    "pulmonary artery dilation": (SIGN, "no mask holds the pulmonary trunk"),
    "pulmonary hypertension": (MIXED, "flat septum, loaded RV"),
    "pulmonary stenosis": (SIGN, "the jet is not in the masks; the pressure-loaded RV is"),
    NORMAL: (SIZE, "all figures in range; sign-only diseases look the same in masks"),
    "right atrial dilation": (SIZE, "a volume"),
    "right ventricular dilation": (SIZE, "a volume"),
    "right ventricular hypertrophy": (MIXED, "the wall of the RV is not in the masks; what loads the RV shows"),
    "sarcoidosis": (SIGN, "scar is not in the masks; in half of the hearts a thin or weak wall is"),
    "severe aortic stenosis": (SIGN, "valve and jet are not in the masks; the thick LV is"),
    "severe mitral regurgitation": (MIXED, "the jet is not in the masks; its LV and LA are, and its stroke volume"),
    "systolic anterior motion": (SIGN, "the leaflet is not in the masks; the thick septum is"),
    "tetralogy of Fallot": (MIXED, "loaded RV; override, stenosis and defect are not in the masks"),
    "ventricular septal defect": (SIGN, "the hole is not in the masks; large ones load the LV"),
}


@dataclass(frozen=True)
class Row:
    """One condition: how many hearts, three areas, and what it comes with."""

    name: str
    hearts: int
    alone: int
    against_all: Auroc
    against_normal: Auroc | None
    alone_area: Auroc | None
    company: str


def hearts(n: int, normals: int) -> Iterator[tuple[str, int, str | None]]:
    """(name, seed, condition or None) of every heart."""
    for i in range(n):
        yield f"h{i:05d}", i, None
    for i in range(normals):
        yield f"n{i:05d}", i, NORMAL


def cache(path: Path, n: int, normals: int) -> pd.DataFrame:
    """Measurements and conditions of every heart, adding to `path` those that it lacks."""
    done = set(pd.read_csv(path, usecols=["heart"])["heart"]) if path.exists() else set()
    start, wanted = time.process_time(), list(hearts(n, normals))
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for k, (name, seed, condition) in enumerate(wanted):
            if name in done:
                continue
            rng = np.random.default_rng([2024, seed, condition is not None])
            p = sample_parameters(rng, condition=condition, population="balanced")
            try:
                found = measure(p, rng)
            except PhantomError as problem:
                print(f"{name} left out: {problem}", flush=True)
                continue
            if file.tell() == 0:
                writer.writerow(["heart", "conditions", *found])
            writer.writerow([name, ";".join(p.conditions), *(f"{v:.5g}" for v in found.values())])
            if k % 100 == 0:
                file.flush()
                print(f"{k}/{len(wanted)} hearts, {time.process_time() - start:.0f} s", flush=True)
    table = pd.read_csv(path, converters={"conditions": str})
    return table[table["heart"].isin({name for name, _, _ in wanted})].reset_index(drop=True)


def out_of_fold(features: npt.NDArray[np.float64], label: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(n,) log odds of each heart from a regression that has not seen it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = np.empty(len(label))
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, label):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=2000))
        scores[test] = model.fit(features[train], label[train]).decision_function(features[test])
    return scores


def company(table: pd.DataFrame, has: pd.DataFrame, name: str) -> str:
    """The other conditions that come with this one more often than with the rest, most frequent first."""
    with_it, without = has[has[name]].mean(), has[~has[name]].mean()
    other = with_it.drop([name, NORMAL], errors="ignore")
    other = other[(other > 0.15) & (other > 2.0 * without[other.index])].sort_values(ascending=False)
    return ", ".join(f"{n} {share:.0%}" for n, share in other.head(3).items()) or "–"


def rows(table: pd.DataFrame) -> list[Row]:
    """One row a condition."""
    lists = table["conditions"].str.split(";")
    has = pd.DataFrame({name: lists.map(lambda found, n=name: n in found) for name in CONDITION_NAMES})
    count = has.drop(columns=NORMAL).sum(axis=1).to_numpy()
    features = table.drop(columns=["heart", "conditions"]).to_numpy(dtype=np.float64)
    population = table["heart"].str.startswith("h").to_numpy()
    normal = has[NORMAL].to_numpy()
    found = []
    for name in CONDITION_NAMES:
        label = has[name].to_numpy()
        alone = label & (count == 1)
        found.append(
            Row(
                name,
                int((label & population).sum()),
                int(alone.sum()),
                _area(features[population], label[population]),
                None if name == NORMAL else _area(features[label | normal], label[label | normal]),
                _area(features[alone | normal], label[alone | normal]) if alone.sum() >= LEAST_ALONE else None,
                company(table[population], has[population], name),
            )
        )
    return found


def _area(features: npt.NDArray[np.float64], label: npt.NDArray[np.bool_]) -> Auroc:
    return auroc(label, out_of_fold(features, label))


def _said(area: Auroc | None) -> str:
    return "–" if area is None else f"{area.auc:.2f} ({area.low:.2f} to {area.high:.2f})"


def page(found: list[Row], n: int, normals: int, features: int, seconds: float) -> str:
    """The documentation page."""
    body = "\n".join(
        f"| {r.name} | {r.hearts} | {_said(r.against_all)} | {_said(r.against_normal)} "
        f"| {_said(r.alone_area)}{f', n {r.alone}' if r.alone_area else ''} | {WHY[r.name][0]} | {WHY[r.name][1]} "
        f"| {r.company} |"
        for r in sorted(found, key=lambda r: -r.against_all.auc)
    )
    kinds = "\n".join(_kind(found, kind) for kind in (SIZE, MIXED, SIGN))
    return PAGE.format(n=n, normals=normals, features=features, minutes=seconds / 60.0, body=body, kinds=kinds)


def _kind(found: list[Row], kind: str) -> str:
    these = [r for r in found if WHY[r.name][0] == kind]
    alone = [r.alone_area.auc for r in these if r.alone_area is not None]
    text = f"- {kind}: {len(these)} conditions, median AUROC {np.median([r.against_all.auc for r in these]):.2f}"
    return text + (f"; alone {np.median(alone):.2f} ({len(alone)} conditions)" if alone else "")


PAGE = """# What masks alone tell of the 35 conditions

How well a linear probe on measurements of the true masks recovers each condition of a phantom heart.  **Phantoms only:
no figure here says anything about patients, nor about what any program does on real images.**

## Set-up

{n} hearts of the population "balanced" (every condition the main disease equally often, with whatever comes along) and
{normals} more normal ones.  True masks of LV cavity, LV muscle, RV, LA and RA at end-diastole, end-systole and in early
filling, on short-axis planes of 8 mm every 10 mm and one plane each in 2CH, 3CH and 4CH at 2 mm pixels, with the
renderer's errors of planning.  {features} measurements: volumes, ejection fractions and LV mass per body surface,
thickness and thickening of 16 segments, shape of septum and RV, areas, lengths, MAPSE, TAPSE, gap between the atria.
A logistic regression on them (linear, L2, C = 0.1), five folds; DeLong limits of 95 %.  Sex, age and size of the
patient are not told, but for the body surface that indexes what is usually indexed.

## Table

*all*: against all other hearts of the population.  *normal*: against normal hearts.  *alone*: hearts with no other of
the 35 conditions against normal ones, where there are {least}.  *kind*: what the condition is in the phantom: a size, a
thickness or a motion ("a size"), a sign that masks do not hold ("a sign"), or both ("in part").

| condition | hearts | all | normal | alone | kind | why | comes with |
|---|---|---|---|---|---|---|---|
{body}

{kinds}

Drawing and measuring the hearts takes {minutes:.1f} minutes on one core.  [Rows](phantom_probe.csv), written with this
page by

    python benchmarks/phantom_probe.py --write

## What this does and does not tell

- Near 1 means that the masks hold the condition, so a model that does well on it may be measuring and not looking.
  Near 0.5 means that it must look at signal, at a valve, or at the text.  Models should be judged on the second kind.
- Conditions come together, so "all" and "normal" are confounded: a probe finds the prosthesis by its thick LV or large
  LA, the tetralogy by its RV, the thrombus by its still apex.  "comes with" names what is over twice as frequent with
  the condition as without it.  Against normal hearts this weighs more, as all that comes along counts.
- "all" holds a second confounder, which runs the other way: where a sign comes alone (an effusion, a cyst), the rest of
  the heart is normal, and among patients who mostly are not, a heart that measures as normal is more likely to be one
  of these.  So a large effusion reaches what it does in "all" and is at chance against normal hearts.
- "alone" holds neither, as far as labels go.  What has no label remains: hearts after surgery have a lower LVEF on
  average, a large myxoma has its LA make room, a lesser valve leak enlarges what it loads.  Where a condition seldom
  comes alone (a prosthesis without surgery, a tetralogy without a loaded RV), the column is empty.
- That a sign is not in the masks is exact, not a matter of this probe: `tests/phantom/test_conditions_visible.py`
  takes such signs away from a heart and finds its masks unchanged, voxel by voxel.
- Masks here are the truth.  Masks of a segmentation model would be worse, and might see more than they should.
- The penalty was not tuned, and no product or square of measurements is used: limits that depend on sex (LV and RV
  volumes, wall thickness) are out of a linear probe's reach, which keeps some areas below 1.
""".replace("{least}", str(LEAST_ALONE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hearts", type=int, default=3000)
    parser.add_argument("--normals", type=int, default=300)
    parser.add_argument("--cache", type=Path, default=RESULTS.parents[1] / "runs" / "phantom_probe_measures.csv")
    parser.add_argument("--write", action="store_true", help="write the documentation page and its rows")
    options = parser.parse_args()
    options.cache.parent.mkdir(parents=True, exist_ok=True)
    table = cache(options.cache, options.hearts, options.normals)
    start = time.process_time()
    found = rows(table)
    fitted = time.process_time() - start
    start = time.process_time()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        measure(sample_parameters(rng, population="balanced"), rng)
    drawn = (time.process_time() - start) / 10 * len(table)
    normals = int(table["heart"].str.startswith("n").sum())
    text = page(found, len(table) - normals, normals, table.shape[1] - 2, drawn)
    print(text)
    print(f"drawing {drawn:.0f} s, probes {fitted:.0f} s on one core")
    if options.write:
        (RESULTS / "phantom_probe.md").write_text(text, encoding="utf-8")
        _write_rows(RESULTS / "phantom_probe.csv", found)


def _write_rows(path: Path, found: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        areas = [f"{column}{part}" for column in ("all", "normal", "alone") for part in ("", "_low", "_high")]
        writer.writerow(["condition", "hearts", "hearts_alone", *areas, "kind"])
        for r in found:
            figures = []
            for area in (r.against_all, r.against_normal, r.alone_area):
                figures += [""] * 3 if area is None else [f"{v:.4f}" for v in (area.auc, area.low, area.high)]
            writer.writerow([r.name, r.hearts, r.alone, *figures, WHY[r.name][0]])


if __name__ == "__main__":
    main()
