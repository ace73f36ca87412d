"""LVEF: agreement, detection of LVEF < 40 %, interval, and what a bias correction fitted elsewhere brings (3b, 3c)."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd

from cardiolens.errors import CardiolensError, StatsError
from cardiolens.evaluation import ColumnNames, Evaluation, evaluate
from cardiolens.evaluation import Settings as EvaluationSettings
from cardiolens.evaluation.figures import figures_of
from cardiolens.evaluation.page import comparison_lines, coverage_text, limits_text, metric_title, value_text
from cardiolens.stats import bland_altman, fit_bias_correction, mae
from cardiolens.validation.readings import Readings
from cardiolens.validation.request import Case
from cardiolens.validation.sections import Section, Table

log = logging.getLogger(__name__)

LABEL = "lvef"


def lvef_section(case: Case) -> Section:
    """Everything about LVEF, or why there is nothing."""
    section = Section("lvef", "LVEF")
    if LABEL not in case.readings.values.columns:
        section.notes.append(f"{case.reader.title} has no LVEF head, so LVEF is not measured.")
        return section
    table = lvef_table(case, case.readings)
    section.tables.append(Table("lvef_predictions", "Every prediction of LVEF", table, table[:0]))
    known = table.dropna(subset=["label", "prediction"])
    if known.empty:
        section.notes.append("No study has both a true and a predicted LVEF: there is nothing to compare.")
        return section
    try:
        found = _evaluated(case, section)
    except StatsError as error:
        section.notes.append(f"LVEF is not evaluated: {error}.")
        return section
    for drawn in figures_of(found):
        section.figures.append(type(drawn)(f"lvef_{drawn.name}", drawn.title, drawn.caption, drawn.figure))
    section.notes += found.notes
    section.tables += _metric_tables(found)
    section.tables.append(_corrected(case, known, section))
    return section


def lvef_table(case: Case, readings: Readings) -> pd.DataFrame:
    """A row a study: key, patient, label, prediction, prediction_low, prediction_high, out_of_domain."""
    keys = readings.keys
    labels = case.cohort.labels.reindex(keys)
    table: pd.DataFrame = pd.DataFrame({"key": keys, "patient": case.cohort.studies.loc[keys, "patient"].to_numpy()})
    table["label"] = labels[LABEL].to_numpy() if LABEL in labels else np.nan
    table["prediction"] = np.clip(readings.values[LABEL].to_numpy(), 0, 100)
    if LABEL in readings.intervals:
        half = readings.intervals[LABEL][0]
        table["prediction_low"] = np.clip(readings.values[LABEL].to_numpy() - half, 0, 100)
        table["prediction_high"] = np.clip(readings.values[LABEL].to_numpy() + half, 0, 100)
    if len(readings.domain):
        table["out_of_domain"] = readings.domain.reindex(keys)["out_of_domain"].astype(int).to_numpy()
    return table


def _evaluated(case: Case, section: Section) -> Evaluation:
    """`cardiolens evaluate` of the table, against the baseline's where it has a head for LVEF."""
    settings = EvaluationSettings(
        task="regression",
        names=ColumnNames("label", "prediction", "key", "patient"),
        nominal_coverage=case.readings.intervals[LABEL][1] if LABEL in case.readings.intervals else None,
        level=case.settings.level,
        n_resamples=case.settings.n_resamples,
        seed=case.settings.seed,
    )
    own = _written(case, case.readings, "model")
    other = None
    if case.baseline is not None:
        if LABEL in case.baseline.values.columns and case.baseline.values[LABEL].notna().any():
            other = _written(case, case.baseline, "baseline")
        else:
            section.notes.append(f"{case.baseline.title} has no LVEF to compare with.")
    try:
        return evaluate(own, settings, against=other)
    except CardiolensError as error:
        if other is None:
            raise
        section.notes.append(f"Not compared with {other.stem}: {error}.")
        return evaluate(own, settings)


def _written(case: Case, readings: Readings, role: str) -> Path:
    """The table as a file of its own, named so that figures can name it."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", readings.title).strip("_")
    path = case.out / "tables" / f"lvef of {role} {name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lvef_table(case, readings).to_csv(path, index=False)
    return path


def _metric_tables(found: Evaluation) -> list[Table]:
    frame = found.table()
    rows = [
        (subset, metric_title(m.name), value_text(m), limits_text(m), f"{m.n:,}", m.method)
        for subset, report in found.reports.items()
        for m in report
    ]
    shown = pd.DataFrame(rows, columns=["Studies", "Figure", "Value", "Limits", "n", "Limits by"])
    tables = [Table("lvef_metrics", "LVEF in figures", frame, shown)]
    lines = [(f"Interval, {subset}", coverage_text(c, found.settings.unit)) for subset, c in found.coverage.items()]
    if found.out_of_domain is not None:
        share = found.out_of_domain
        lines.append(("Flagged out of domain", f"{share.count:,} of {share.n:,} studies ({100 * share.value:.1f} %)"))
    lines += [(f"Against {found.comparison.other}", "")] if found.comparison else []
    lines += comparison_lines(found)
    lines += [(f"Not computed: {metric_title(name)}", why) for name, why in found.report.refused.items()]
    if lines:
        more = pd.DataFrame(lines, columns=["What", "Result"])
        tables.append(Table("lvef_more", "Interval, domain and comparison", more))
    return tables


def _corrected(case: Case, known: pd.DataFrame, section: Section) -> Table:
    """Raw and corrected figures on one half of the patients, the correction being fitted on the other."""
    patients = known["patient"].unique()
    order = np.random.default_rng(case.settings.seed).permutation(len(patients))
    fitted = set(patients[order[: len(patients) // 2]])
    there = known["patient"].isin(fitted).to_numpy()
    first, second = known[there], known[~there]
    columns = ["correction", "fitted on", "reported on", "slope", "intercept", "MAE", "bias", "limit low", "limit high"]
    rows = []
    try:
        label, pred = second["label"].to_numpy(), second["prediction"].to_numpy()
        rows.append(_row("none (raw)", 0, pred, label, (1.0, 0.0)))
        for kind in ("shift", "linear"):
            fit = fit_bias_correction(first["prediction"].to_numpy(), first["label"].to_numpy(), kind=kind)
            corrected = np.clip(fit.apply(pred), 0, 100)
            rows.append(_row(kind, fit.n, corrected, label, (fit.slope, fit.intercept)))
    except StatsError as error:
        section.notes.append(f"Bias correction not done in full: {error}.")
    frame = pd.DataFrame(rows, columns=columns)
    shown = frame.copy()
    for name in columns[3:]:
        shown[name] = shown[name].map("{:.2f}".format)
    caption = (
        f"Raw and bias-corrected LVEF (percent points): fitted on {len(fitted):,} patients drawn at random, reported "
        f"on the other {len(patients) - len(fitted):,}"
    )
    return Table("lvef_bias_correction", caption, frame, shown)


def _row(name: str, n: int, pred: object, label: object, line: tuple[float, float]) -> tuple[object, ...]:
    values, truth = np.asarray(pred, dtype=np.float64), np.asarray(label, dtype=np.float64)
    found = bland_altman(values, truth)
    return (name, n, found.n, *line, mae(values, truth), found.bias, found.low, found.high)
