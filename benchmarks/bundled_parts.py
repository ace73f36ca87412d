"""Who the bundled video model learned from and was tested on, part by part, and its errors by group.

    python benchmarks/bundled_parts.py --trial runs/trial --store cohorts/trial/internal

Needs what benchmarks/shad_trial.py and examples/bundle_tiny_model.py left; writes docs/results/bundled_parts.md, .csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
NO_BREAK = "\u00a0"
PARTS = {
    "pretraining": ("split_pretrain", "train"),
    "its validation": ("split_pretrain", "val"),
    "heads": ("split_bundle", "train"),
    "epoch": ("split_bundle", "val"),
    "calibration": ("split_bundle", "calibration"),
    "test": ("split_bundle", "test"),
}
HEAD = """# Whom the bundled model learned from, and its errors by group

Rendered hearts of simulated persons: no figure here is a clinical result.  For research use; not a medical device.
The parts of `shad-mvit-tiny:phantom`, so that a reader can see whether they are alike (CLAIM 36,
TRIPOD+AI 20b), and its errors on the test part by group (TRIPOD+AI 23a).

    python benchmarks/bundled_parts.py --trial runs/trial --store cohorts/trial/internal

## From the cohort to the parts

"""


def characteristics(table: pd.DataFrame) -> list[tuple[str, str]]:
    """What a table of patients shows of some studies."""

    def spread(column: str, digits: int = 0) -> str:
        return f"{table[column].mean():.{digits}f} ± {table[column].std():.{digits}f}"

    def share(mask: pd.Series) -> str:
        return f"{int(mask.sum())} ({100 * mask.mean():.0f} %)"

    count = table["conditions"].fillna("").map(lambda text: len([c for c in text.split(";") if c and c != "normal"]))
    rows = [
        ("studies", str(len(table))),
        ("patients", str(table["patient"].nunique())),
        ("site `referral`", share(table["site"] == "referral")),
        ("women", share(table["sex"] == "F")),
        ("age, years", spread("age")),
        ("BMI, kg/m²", spread("bmi", 1)),
    ]
    rows += [(f"ethnic group: {name}", share(table["ethnic_group"] == name)) for name in table.attrs["ethnic"]]
    rows += [(name, share(table[name.replace(" ", "_")] == 1)) for name in ("hypertension", "diabetes", "smoker")]
    rows += [
        ("LVEF, %", spread("lvef", 1)),
        ("LVEF below 40 %", share(table["lvef"] < 40)),
        ("LV EDV, ml", spread("edv")),
        ("LV mass, g", spread("lv_mass")),
        ("RVEF, %", spread("rvef", 1)),
        ("heart rate, /min", spread("heart_rate")),
        ("no condition at all", share(count == 0)),
        ("conditions of a study, mean", f"{count.mean():.1f}"),
    ]
    return rows


def grouped(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Names of the group of each study, by what divides."""
    age = pd.cut(table["age"], [0, 50, 65, 200], right=False, labels=["under 50", "50 to 64", "65 and over"])
    return {
        "sex": table["sex"].map({"F": "women", "M": "men"}),
        "age": age.astype(str),
        "ethnic group": table["ethnic_group"],
        "site": table["site"],
        "BMI": pd.Series(np.where(table["bmi"] >= 30, "30 and over", "under 30"), table.index),
        "LVEF": pd.Series(np.where(table["lvef"] < 40, "below 40 %", "40 % and over"), table.index),
    }


def errors(table: pd.DataFrame, lvef: pd.DataFrame, scores: pd.DataFrame) -> list[dict[str, Any]]:
    """A row a group: LVEF error and bias with limits, and the areas of all conditions' scores taken together."""
    from cardiolens.stats import subgroup_table

    place = {key: i for i, key in enumerate(table.index)}
    rows = []
    for by, names in grouped(table).items():
        own = names.to_numpy(object)
        patients = table["patient"].to_numpy(object)
        figures = {
            metric: subgroup_table(metric, lvef["pred"], lvef["label"], groups=own, patients=patients, n_resamples=2000)
            for metric in ("mae", "bias")
        }
        of_score = scores["key"].map(place).to_numpy()
        ranked = scores.groupby("condition")["score"].rank(pct=True)
        figures["auroc"] = subgroup_table(
            "auroc", scores["label"], ranked, groups=own[of_score], patients=patients[of_score], n_resamples=500
        )
        for group in figures["mae"].groups:
            row: dict[str, Any] = {"by": by, "group": group.name, "n": group.n}
            for metric, found in figures.items():
                one = found[group.name]
                row |= {metric: one.value, f"{metric}_low": one.low, f"{metric}_high": one.high}
                row |= {f"{metric}_p": found.interaction_p, "refused": one.refused}
            rows.append(row)
    return rows


def cell(row: dict[str, Any], metric: str, digits: int, sign: str = "") -> str:
    if np.isnan(row[metric]):
        return f"– ({row['refused']})" if row["refused"] else "–"
    low, high = (f"{row[f'{metric}_{end}']:{sign}.{digits}f}" for end in ("low", "high"))
    return f"{row[metric]:{sign}.{digits}f} ({low} to {high})".replace(" ", NO_BREAK)


def p_of(value: float) -> str:
    return "–" if np.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trial", type=Path, default=Path("runs/trial"), help="splits and bundled runs")
    parser.add_argument("--store", type=Path, required=True, help="the trial's internal cohort")
    args = parser.parse_args()
    from cardiolens._version import __version__
    from cardiolens.datasets.splits import Split
    from cardiolens.store import StudyStore

    store = StudyStore(args.store)
    labels = store.labels()
    labels["bmi"] = labels["weight"] / (labels["height"] / 100) ** 2
    labels.attrs["ethnic"] = list(labels["ethnic_group"].value_counts().index)
    splits = {name: Split.load(args.trial / f"{name}.json") for name in {split for split, _ in PARTS.values()}}
    columns = {words: characteristics(_of(labels, splits[name][part])) for words, (name, part) in PARTS.items()}
    dealt = [key for name, part in PARTS.values() for key in splits[name][part]]
    used = set(dealt)
    if len(used) != len(dealt):
        raise SystemExit("a study is in two parts; the page below would be wrong")
    lines = [
        HEAD + f"{len(labels)} studies of {labels['patient'].nunique()} persons were rendered; {len(used)} were",
        "dealt into the parts below, and nobody was left out for quality or missing data.  No person is in two parts.",
        "",
        "| | " + " | ".join(columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for row, (name, _) in enumerate(columns["test"]):
        lines.append(
            f"| {name} | " + " | ".join(rows[row][1].replace(" ", NO_BREAK) for rows in columns.values()) + " |"
        )
    lvef = pd.read_csv(args.trial / "bundle_lvef" / "predictions_test.csv")
    scores = pd.read_csv(args.trial / "bundle_diagnoses" / "predictions_test.csv").dropna(subset=["label", "score"])
    rows = errors(_of(labels, lvef["key"]), lvef, scores)
    lines += [
        "",
        "Mean ± SD, or count and percentage.  `heads`: training of the heads; `epoch`: choice of their epoch.",
        "",
        "## Errors by group, test part",
        "",
        "LVEF in points; conditions: area under the ROC curve over all 35 at once, each condition's scores as ranks.",
        "In brackets 95 % limits from a bootstrap of patients; p tests whether the figure is the same in all groups,",
        "with no correction for the number of tests here.",
        "",
        "| by | group | n | LVEF error | p | LVEF bias | p | conditions | p |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for i, row in enumerate(rows):
        first = not i or rows[i - 1]["by"] != row["by"]
        p = {metric: p_of(row[f"{metric}_p"]) if first else "" for metric in ("mae", "bias", "auroc")}
        lines.append(
            f"| {row['by'] if first else ''} | {row['group']} | {row['n']} | {cell(row, 'mae', 2)} | {p['mae']} | "
            f"{cell(row, 'bias', 2, '+')} | {p['bias']} | {cell(row, 'auroc', 3)} | {p['auroc']} |"
        )
    hashes = ", ".join(f"{name} {split.hash}" for name, split in sorted(splits.items()))
    lines += ["", f"Version {__version__}; data {store.hash()[:16]}; splits {hashes}.", ""]
    (RESULTS / "bundled_parts.md").write_text("\n".join(lines))
    known = pd.DataFrame(rows).assign(version=__version__, data_hash=store.hash()[:16], split_hash=hashes)
    known.to_csv(RESULTS / "bundled_parts.csv", index=False, float_format="%.4f", lineterminator="\n")
    print(f"wrote {RESULTS / 'bundled_parts.md'}")


def _of(labels: pd.DataFrame, keys: Any) -> pd.DataFrame:
    found = labels.loc[list(keys)]
    found.attrs = labels.attrs
    return found


if __name__ == "__main__":
    main()
