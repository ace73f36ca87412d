"""From a table of predictions to metrics, figures and one page: what `cardiolens evaluate` does."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cardiolens._version import __version__
from cardiolens.errors import StatsError
from cardiolens.evaluation.table import ColumnNames, Predictions, read_predictions
from cardiolens.stats import (
    AurocComparison,
    Coverage,
    Proportion,
    Report,
    bootstrap,
    check_coverage,
    classification_report,
    compare_auroc,
    match_keys,
    proportion,
    regression_report,
)
from cardiolens.stats.reports import detection_name

_log = logging.getLogger(__name__)
TASKS = ("regression", "classification")


@dataclass(frozen=True)
class Settings:
    """How to evaluate.  `threshold`: None is LVEF < 40 % for a regression, 0.5 for probabilities."""

    task: str
    names: ColumnNames = field(default_factory=ColumnNames)
    threshold: float | None = None
    positive_below: bool | None = None
    quantity: str = "LVEF"
    unit: str = "%"
    nominal_coverage: float | None = None
    level: float = 0.95
    n_resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise StatsError(f"unknown task {self.task!r}; known: {', '.join(TASKS)}")
        if self.n_resamples < 100:
            raise StatsError(f"limits need at least 100 resamples, got {self.n_resamples}")
        if not 0.5 <= self.level < 1:
            raise StatsError(f"level: must lie in [0.5, 1), got {self.level:g}")

    @property
    def below(self) -> bool:
        """Whether low values speak for the positive class: for a regression yes, unless told."""
        return self.task == "regression" if self.positive_below is None else self.positive_below

    @property
    def cut(self) -> float | None:
        """The threshold in use."""
        return 40.0 if self.threshold is None and self.task == "regression" else self.threshold


@dataclass(frozen=True)
class Comparison:
    """Two predictors on the studies in common; differences are this table minus the other."""

    other: str
    other_sha256: str
    n: int
    dropped: int
    dropped_other: int
    paired_by: str
    auroc: AurocComparison | None
    mae: tuple[float, float] | None
    mae_difference: tuple[float, float, float] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found: a report for all studies and, where some are flagged out of domain, one without those."""

    settings: Settings
    data: Predictions
    reports: dict[str, Report]
    coverage: dict[str, Coverage]
    out_of_domain: Proportion | None
    comparison: Comparison | None
    other: Predictions | None
    notes: tuple[str, ...]

    @property
    def report(self) -> Report:
        """The report on all studies."""
        return self.reports["all"]

    def to_dict(self) -> dict[str, Any]:
        """What metrics.json holds: plain types, NaN as None."""
        data = {name: getattr(self.data, name) for name in ("source", "sha256", "n_rows", "roles", "dropped", "truth")}
        found = {
            "cardiolens": __version__,
            "task": self.settings.task,
            "config": asdict(self.settings) | {"threshold": self.settings.cut, "positive_below": self.settings.below},
            "seed": self.settings.seed,
            "data": data | {"n": len(self.data.frame)},
            "n": len(self.data.frame),
            "metrics": _by_name(self.report),
            "refused": self.report.refused,
            "without_out_of_domain": None,
            "interval_coverage": {name: asdict(found) for name, found in self.coverage.items()} or None,
            "out_of_domain": asdict(self.out_of_domain) if self.out_of_domain else None,
            "comparison": asdict(self.comparison) if self.comparison else None,
            "notes": list(self.notes),
        }
        if "in domain" in self.reports:
            report = self.reports["in domain"]
            found["without_out_of_domain"] = {
                "n": report.n,
                "metrics": _by_name(report),
                "refused": report.refused,
            }
        return dict(_plain(found))

    def table(self) -> pd.DataFrame:
        """What metrics.csv holds: one row a figure and subset."""
        rows = [
            {"subset": subset} | {k: getattr(m, k) for k in ("name", "value", "low", "high", "unit", "n", "method")}
            for subset, report in self.reports.items()
            for m in report
        ]
        frame: pd.DataFrame = pd.DataFrame(rows).rename(columns={"name": "metric"})
        return frame


def evaluate(
    predictions: Path, settings: Settings, *, labels: Path | None = None, against: Path | None = None
) -> Evaluation:
    """Read the table and compute every figure; nothing is written.  Errors as in `read_predictions`."""
    data = read_predictions(predictions, task=settings.task, names=settings.names, labels=labels)
    reports, coverage = {"all": _report(data.frame, settings)}, {}
    share, notes = None, list(data.notes)
    subsets = {"all": data.frame}
    if "out_of_domain" in data.frame:
        flagged = data.frame["out_of_domain"]
        share = proportion(int((flagged == 1).sum()), int(flagged.notna().sum()), level=settings.level)
        inside = data.frame[flagged != 1].reset_index(drop=True)
        if share.count and len(inside):
            subsets["in domain"] = inside
            reports["in domain"] = _report(inside, settings)
        elif share.count:
            notes.append("Every study is flagged as out of domain: no figure here is of studies like the training's.")
    for name, frame in subsets.items():
        if found := _coverage(frame, settings, notes):
            coverage[name] = found
    comparison = other = None
    if against is not None:
        other = read_predictions(against, task=settings.task, names=settings.names, labels=labels, lenient=True)
        comparison = _compare(data, other, settings)
    notes += [f"{count} rows were left out: {reason}." for reason, count in data.dropped.items()]
    if "key" in data.frame and "patient" not in data.frame and (copies := int(data.frame["key"].duplicated().sum())):
        notes.append(f"{copies} rows repeat a study key ({data.roles['key']}); they count as studies of their own.")
    notes += reports["all"].notes
    return Evaluation(settings, data, reports, coverage, share, comparison, other, tuple(notes))


def write(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write metrics.json, metrics.csv, figures and index.html into the folder `out`; gives their paths."""
    from cardiolens.evaluation.figures import figures_of, save
    from cardiolens.evaluation.page import page

    if out.exists() and not out.is_dir():
        raise StatsError(f"{out}: is a file; --out names a folder")
    drawn = figures_of(evaluation)
    found = evaluation.to_dict() | {"figures": [figure.name for figure in drawn]}
    out.mkdir(parents=True, exist_ok=True)
    written = [path for figure in drawn for path in save(figure, out)]
    table = out / "metrics.csv"
    evaluation.table().to_csv(table, index=False)
    index = out / "index.html"
    index.write_text(page(evaluation, drawn), encoding="utf-8")
    metrics = out / "metrics.json"
    metrics.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return [*written, table, metrics, index]


def _report(frame: pd.DataFrame, settings: Settings) -> Report:
    patients = frame["patient"].to_numpy() if "patient" in frame else None
    label, pred = frame["label"].to_numpy(), frame["prediction"].to_numpy()
    if settings.task == "regression":
        return regression_report(
            pred,
            label,
            threshold=settings.cut,
            positive_below=settings.below,
            patients=patients,
            unit=settings.unit,
            level=settings.level,
            n_resamples=settings.n_resamples,
            seed=settings.seed,
        )
    return classification_report(
        label,
        pred,
        threshold=settings.cut,
        positive_below=settings.below,
        patients=patients,
        level=settings.level,
        n_resamples=settings.n_resamples,
        seed=settings.seed,
    )


def _coverage(frame: pd.DataFrame, settings: Settings, notes: list[str]) -> Coverage | None:
    if settings.task != "regression" or "low" not in frame:
        return None
    given = frame.dropna(subset=["low", "high"])
    if given.empty:
        return None
    if len(given) < len(frame):
        notes.append(f"{len(frame) - len(given)} of {len(frame)} predictions have no interval.")
    return check_coverage(
        given["label"].to_numpy(),
        given["low"].to_numpy(),
        given["high"].to_numpy(),
        nominal=settings.nominal_coverage,
        level=settings.level,
    )


def _compare(data: Predictions, other: Predictions, settings: Settings) -> Comparison:
    first, second, paired_by = _paired(data, other)
    if not np.array_equal(first["label"].to_numpy(), second["label"].to_numpy()):
        differ = int((first["label"].to_numpy() != second["label"].to_numpy()).sum())
        raise StatsError(
            f"{data.source} and {other.source} disagree on the true value of {differ} of {len(first)} common studies; "
            "they cannot be compared"
        )
    label, a, b = first["label"].to_numpy(), first["prediction"].to_numpy(), second["prediction"].to_numpy()
    notes: list[str] = []
    area, error, difference = None, None, None
    regression = settings.task == "regression"
    positive = label == 1
    if regression and settings.cut is not None:
        positive = label < settings.cut if settings.below else label > settings.cut
    sign = -1 if settings.below else 1
    try:
        area = compare_auroc(positive, sign * a, sign * b, level=settings.level)
    except StatsError as refused:
        notes.append(f"AUROC not compared: {refused}.")
    if regression:
        error, difference = _compare_errors(first, label, a, b, settings)
    return Comparison(
        other.source,
        other.sha256,
        len(first),
        len(data.frame) - len(first),
        len(other.frame) - len(second),
        paired_by,
        area,
        error,
        difference,
        tuple(notes),
    )


def _compare_errors(
    frame: pd.DataFrame, label: Any, a: Any, b: Any, settings: Settings
) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """Both mean absolute errors, and their difference with limits by resampling the same patients for both."""
    excess = np.abs(a - label) - np.abs(b - label)
    drawn = bootstrap(
        lambda values, weights: weights @ values / weights.sum(axis=-1),
        excess,
        patients=frame["patient"].to_numpy() if "patient" in frame else None,
        n_resamples=settings.n_resamples,
        level=settings.level,
        seed=settings.seed,
        vectorized=True,
    )
    errors = float(np.abs(a - label).mean()), float(np.abs(b - label).mean())
    return errors, (drawn.value, drawn.low, drawn.high)


def _paired(data: Predictions, other: Predictions) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Rows of both tables brought to the same order, and what they were paired by."""
    if "key" in data.frame and "key" in other.frame:
        frames = [source.frame.dropna(subset=["key"]) for source in (data, other)]
        for frame, source in zip(frames, (data, other), strict=True):
            repeated = frame["key"][frame["key"].duplicated()]
            if len(repeated):
                raise StatsError(
                    f"{source.source}: key {repeated.iloc[0]!r} occurs more than once; a paired comparison needs one "
                    "row a study"
                )
        rows_a, rows_b = match_keys(frames[0]["key"].tolist(), frames[1]["key"].tolist())
        first, second = (f.iloc[rows].reset_index(drop=True) for f, rows in zip(frames, (rows_a, rows_b), strict=True))
        return first, second, f"{data.roles['key']} / {other.roles['key']}"
    same = len(data.frame) == len(other.frame) and data.frame["label"].equals(other.frame["label"])
    distinct = data.frame["label"].nunique() > 2
    if same and distinct:
        return data.frame, other.frame, "row order (no key column; the true values agree row by row)"
    raise StatsError(
        f"{data.source} and {other.source} cannot be paired: a comparison needs a study key in both (--id); without "
        "one, rows that do not line up would go unnoticed"
    )


def _by_name(report: Report) -> dict[str, Any]:
    return {metric.name: {k: v for k, v in asdict(metric).items() if k != "name"} for metric in report}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, np.generic):
        return _plain(value.item())
    return value


def detection(settings: Settings) -> str | None:
    """The ending of the detection metrics of a regression: "below_40"; None where there is no threshold."""
    if settings.task != "regression" or settings.cut is None:
        return None
    return detection_name(settings.cut, settings.below)
