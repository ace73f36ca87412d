"""Figures of every system on the test part with limits, and paired tests against the first one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, wilcoxon

from cardiolens.bench.recipe import BenchRecipe
from cardiolens.bench.targets import DISEASE
from cardiolens.datasets.splits import patient_of
from cardiolens.errors import StatsError, TrainingError
from cardiolens.stats import adjust_p_values, auroc, bootstrap, compare_auroc

MEAN = "conditions, mean"
_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came out.

    Attributes:
        rows: one a system, target and metric: value, low, high, n, difference to the first system with its limits, p as
            found and p_adjusted (Holm, within the targets of the summary and within single conditions).
        costs: one a system: parameters, seconds of pretraining, of training, of one study.
        provenance: versions and hashes.
        left_out: conditions that could not be tested, and why.
        median_mae: mean absolute error of the value for who says the test part's median of every study.
    """

    rows: pd.DataFrame
    costs: pd.DataFrame
    provenance: Mapping[str, Any]
    left_out: Mapping[str, str]
    median_mae: float


def compare(recipe: BenchRecipe, runs: Path, provenance: Mapping[str, Any]) -> Comparison:
    """Read what the runs left and test it.

    Answers of several seeds are averaged, a study at a time.

    Raises:
        TrainingError: no run is there, or runs of other labels.
    """
    answers, costs, left_out = {}, [], {}
    for name in recipe.systems:
        folders = [runs / f"{name}_{seed}" for seed in recipe.seeds]
        folders = [folder for folder in folders if (folder / "cost.json").exists()]
        if not folders:
            continue
        tables = [_test_part(folder / "predictions.csv") for folder in folders]
        answers[name] = sum(tables[1:], tables[0]) / len(tables)
        found = [json.loads((folder / "cost.json").read_text()) for folder in folders]
        costs.append(_cost(name, found))
        left_out = found[0]["left_out"]
    if not answers:
        raise TrainingError(f"{runs}: no system has been run")
    _require_one_truth(answers, runs)
    rows = _rows(answers, recipe)
    tested = _adjusted(pd.DataFrame(rows), recipe.label)
    true = next(iter(answers.values()))[f"true {recipe.label}"].dropna()
    return Comparison(
        tested, pd.DataFrame(costs), dict(provenance), left_out, float((true - true.median()).abs().mean())
    )


def _test_part(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path)
    part: pd.DataFrame = table[table["part"] == "test"].set_index("key").drop(columns="part").astype(float)
    return part


def _require_one_truth(answers: Mapping[str, pd.DataFrame], runs: Path) -> None:
    """Raise where systems were measured on other labels: labels.csv changed between their runs."""
    first, *others = answers
    truth = answers[first].filter(like="true ")
    for name in others:
        if not answers[name].filter(like="true ").equals(truth):
            raise TrainingError(
                f"{runs}: {first} and {name} were measured on different labels; labels.csv changed between their runs. "
                "Remove the older run's folder, or choose another --out"
            )


def _cost(name: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    pretrain = [one["pretrain_seconds"] for one in found if one.get("pretrain_seconds") is not None]
    return {
        "system": name,
        "seeds": len(found),
        "parameters": found[0]["parameters"],
        "pretrain_seconds": pretrain[0] if pretrain else None,
        "train_seconds": float(np.mean([one["train_seconds"] for one in found])),
        "inference_seconds": float(np.median([one["inference_seconds"] for one in found])),
        "unread_test": found[0]["unread"]["test"],
    }


def _rows(answers: Mapping[str, pd.DataFrame], recipe: BenchRecipe) -> list[dict[str, Any]]:
    first = next(iter(answers))
    names = [str(column) for column in answers[first].columns if not str(column).startswith("true ")]
    conditions = [name for name in names if name not in (recipe.label, DISEASE)]
    rows = []
    for system, table in answers.items():
        base = None if system == first else answers[first]
        rows += [
            {"system": system, **row}
            for row in (*_value(table, base, recipe), *_classes([DISEASE], table, base, recipe.level))
        ]
        rows += [{"system": system, **row} for row in _classes(conditions, table, base, recipe.level)]
        if conditions:
            rows.append({"system": system, **_mean_auroc(conditions, table, base, recipe.level)})
    return rows


def _paired(table: pd.DataFrame, base: pd.DataFrame | None, column: str) -> pd.DataFrame:
    """Rows of which both systems say something and the truth is known: said, true, and the first system's `base`."""
    found = {"said": table[column], "true": table[f"true {column}"]}
    if base is not None:
        found["base"] = base[column].reindex(table.index)
    kept: pd.DataFrame = pd.DataFrame(found).dropna()
    return kept


def _value(table: pd.DataFrame, base: pd.DataFrame | None, recipe: BenchRecipe) -> list[dict[str, Any]]:
    """Mean absolute error and R², of the value."""
    own, rows = _paired(table, None, recipe.label), []
    for metric in ("mae", "r2"):
        found = bootstrap(
            metric, own["said"], own["true"], patients=_patients(own), n_resamples=_RESAMPLES, level=recipe.level
        )
        row: dict[str, Any] = {"target": recipe.label, "metric": metric, "n": len(own)}
        row |= {"value": found.value, "low": found.low, "high": found.high}
        if metric == "mae" and base is not None:
            both = _paired(table, base, recipe.label)
            off, other = (np.abs(both[name] - both["true"]) for name in ("said", "base"))
            spread = bootstrap(
                _mean_difference, off, other, patients=_patients(both), n_resamples=_RESAMPLES, level=recipe.level
            )
            row |= {"difference": spread.value, "difference_low": spread.low, "difference_high": spread.high}
            row["p"] = float(wilcoxon(off, other).pvalue) if (off != other).any() else 1.0
        rows.append(row)
    return rows


def _mean_difference(a: Any, b: Any) -> float:
    return float(np.mean(a) - np.mean(b))


def _patients(table: pd.DataFrame) -> list[str]:
    return [patient_of(str(key)) for key in table.index]


def _classes(names: list[str], table: pd.DataFrame, base: pd.DataFrame | None, level: float) -> list[dict[str, Any]]:
    """Area under the ROC curve of each with DeLong limits, and DeLong's paired test."""
    rows = []
    for name in names:
        own = _paired(table, None, name)
        row: dict[str, Any] = {"target": name, "metric": "auroc", "n": len(own)}
        try:
            found = auroc(own["true"], own["said"], level=level)
            row |= {"value": found.auc, "low": found.low, "high": found.high, "positive": found.n_positive}
            if base is not None:
                both = _paired(table, base, name)
                tested = compare_auroc(both["true"], both["said"], both["base"], level=level)
                row |= {"difference": tested.difference, "difference_low": tested.low}
                row |= {"difference_high": tested.high, "p": tested.p_value}
        except StatsError as error:
            row["note"] = str(error)
        rows.append(row)
    return rows


def _mean_auroc(names: list[str], table: pd.DataFrame, base: pd.DataFrame | None, level: float) -> dict[str, Any]:
    """Mean area over the conditions, by a bootstrap of patients that draws all conditions at once."""
    own = table.dropna(subset=names)
    if base is not None:
        own = own[base.reindex(own.index)[names].notna().all(axis=1)]
    true = own[[f"true {name}" for name in names]].to_numpy()
    said = own[names].to_numpy()
    columns = [said, *([] if base is None else [base.loc[own.index, names].to_numpy()])]
    index = np.arange(len(own))

    def area(rows: Any) -> float:
        return _mean_of(true[rows], columns[0][rows])

    found = bootstrap(area, index, patients=_patients(own), n_resamples=_RESAMPLES // 4, level=level)
    row: dict[str, Any] = {"target": MEAN, "metric": "auroc", "n": len(own)}
    row |= {"value": found.value, "low": found.low, "high": found.high}
    if base is not None:

        def gain(rows: Any) -> float:
            return _mean_of(true[rows], columns[0][rows]) - _mean_of(true[rows], columns[1][rows])

        spread = bootstrap(gain, index, patients=_patients(own), n_resamples=_RESAMPLES // 4, level=level)
        wide = float(np.nanstd(spread.distribution, ddof=1))
        row |= {"difference": spread.value, "difference_low": spread.low, "difference_high": spread.high}
        # normal, with the bootstrap's spread: a share of resamples has a floor that no correction for many survives
        row["p"] = float(2 * norm.sf(abs(spread.value) / wide)) if wide > 0 else 1.0
    return row


def _mean_of(true: Any, said: Any) -> float:
    """Mean area under the ROC curve over columns with both classes, NaN where there is none."""
    areas = []
    for column in range(true.shape[1]):
        known = ~np.isnan(true[:, column])
        positive = true[known, column] == 1
        count = int(positive.sum())
        if 0 < count < len(positive):
            order = pd.Series(said[known, column]).rank().to_numpy()
            areas.append((order[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))
    return float(np.mean(areas)) if areas else float("nan")


def _adjusted(rows: pd.DataFrame, label: str) -> pd.DataFrame:
    """Holm's correction of the tests against the first system: the summary's by themselves, then single conditions'."""
    out: pd.DataFrame = rows.copy()
    out["p_adjusted"] = np.nan
    if "p" not in out:
        return out
    summary = out["target"].isin([label, DISEASE, MEAN])
    for family in (summary, ~summary):
        tested = out["p"].notna() & family
        if tested.any():
            adjusted = adjust_p_values({str(row): float(p) for row, p in out.loc[tested, "p"].items()})
            out.loc[tested, "p_adjusted"] = [one.adjusted for one in adjusted.values()]
    return out
