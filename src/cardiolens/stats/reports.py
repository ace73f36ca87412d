"""The two standard reports: every figure of a regression or of a classifier, with limits, or why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import StatsError
from cardiolens.stats import weighted
from cardiolens.stats.agreement import bland_altman
from cardiolens.stats.bootstrap import bootstrap
from cardiolens.stats.calibration import calibration
from cardiolens.stats.inputs import BoolArray, FloatArray, binary, fraction, numbers, same_length
from cardiolens.stats.proportions import Proportion, operating_point, proportion, threshold_at_sensitivity
from cardiolens.stats.roc import auroc

Patients = Sequence[Hashable] | npt.NDArray[Any] | None
_NAN = float("nan")
_COUNTED_ON = {
    "sensitivity": "positive",
    "specificity": "negative",
    "ppv": "called positive",
    "npv": "called negative",
}


@dataclass(frozen=True)
class Metric:
    """One figure.  `low`, `high` are limits at the report's level, NaN where none are given; `n` cases behind it."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    n: int
    method: str


@dataclass(frozen=True)
class Report:
    """Metrics by name (`report["mae"].value`), the refused ones with their reason, and what to know about them."""

    task: str
    metrics: tuple[Metric, ...]
    refused: dict[str, str]
    notes: tuple[str, ...]
    n: int
    level: float

    def __getitem__(self, name: str) -> Metric:
        for metric in self.metrics:
            if metric.name == name:
                return metric
        if name in self.refused:
            raise StatsError(f"{name} was refused: {self.refused[name]}")
        raise KeyError(f"{name!r}; this report has {', '.join(m.name for m in self.metrics)}")

    def __iter__(self) -> Iterator[Metric]:
        return iter(self.metrics)

    def __contains__(self, name: object) -> bool:
        return any(metric.name == name for metric in self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """Plain types; NaN stays NaN."""
        return asdict(self)


@dataclass
class _Sheet:
    """A report in the making: a figure that its input does not allow is noted by name, the rest goes on."""

    n: int
    level: float
    n_resamples: int
    seed: int
    patients: Patients
    metrics: list[Metric] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def attempt(self, names: Sequence[str], build: Callable[[], list[Metric]]) -> None:
        try:
            self.metrics += build()
        except StatsError as error:
            self.refused.update(dict.fromkeys(names, str(error)))

    def resampled(self, name: str, metric: str, unit: str, *columns: npt.ArrayLike) -> None:
        def build() -> list[Metric]:
            arrays = [np.asarray(column) for column in columns]
            point = float(weighted.BY_NAME[metric](*arrays, np.ones(len(arrays[0]))))
            if np.isnan(point):
                raise StatsError("undefined for these cases: all labels or all predictions are equal")
            if self.n_clusters < 2:
                return [Metric(name, point, _NAN, _NAN, unit, len(arrays[0]), "one patient only: no limits")]
            drawn = bootstrap(
                metric,
                *columns,
                patients=self.patients,
                n_resamples=self.n_resamples,
                level=self.level,
                seed=self.seed,
            )
            return [Metric(name, drawn.value, drawn.low, drawn.high, unit, len(arrays[0]), self.bootstrap_name)]

        self.attempt([name], build)

    def shares(self, parts: dict[str, Proportion]) -> None:
        for name, part in parts.items():
            if part.n:
                self.metrics.append(Metric(name, part.value, part.low, part.high, "", part.n, "Wilson"))
            else:
                of = next((text for start, text in _COUNTED_ON.items() if name.startswith(start)), "counted")
                self.refused[name] = f"no case is {of}"

    def area(self, name: str, positive: BoolArray, scores: FloatArray) -> None:
        def build() -> list[Metric]:
            area = auroc(positive, scores, level=self.level)
            return [Metric(name, area.auc, area.low, area.high, "", positive.size, "DeLong")]

        self.attempt([name], build)
        if self.clustered and name not in self.refused:
            self.resampled(f"{name}_by_patient", "auroc", "", positive, scores)

    @property
    def clustered(self) -> bool:
        return self.patients is not None and self.n_clusters < len(self.patients)

    @property
    def n_clusters(self) -> int:
        return self.n if self.patients is None else len(set(self.patients))

    @property
    def bootstrap_name(self) -> str:
        return f"bootstrap by {'patient' if self.patients is not None else 'row'}, {self.n_resamples} resamples"

    def finish(self, task: str, n: int) -> Report:
        if self.patients is None:
            self.notes.append("No patient column was named: limits take every row as a patient of its own.")
        elif self.clustered:
            self.notes.append(
                f"{n} rows are from {self.n_clusters} patients: DeLong, Wilson and Bland-Altman limits take rows as "
                "independent and are too narrow; those by bootstrap draw whole patients."
            )
        return Report(task, tuple(self.metrics), self.refused, tuple(self.notes), n, self.level)


def regression_report(
    pred: npt.ArrayLike,
    label: npt.ArrayLike,
    *,
    threshold: float | None = 40.0,
    positive_below: bool = True,
    patients: Patients = None,
    unit: str = "%",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Report:
    """Errors, agreement, and detection of labels beyond `threshold` (LVEF < 40 %), each with limits.

    Metrics: mae, rmse, sd_abs_error, bias, limit_low, limit_high, sd_difference, r2, pearson_r, and with a threshold
    auroc_below_40, prevalence_below_40, sensitivity_below_40, specificity_below_40, ppv_below_40, npv_below_40
    (`above` where `positive_below` is False), and, with several rows a patient, `_by_patient` limits.

    pred, label: (n,); patients: (n,) or None.  StatsError for NaN, unequal lengths or nothing at all; a figure that
    these cases do not allow is in `.refused`.
    """
    first, second = numbers(pred, "predictions"), numbers(label, "labels")
    n = same_length(predictions=first, labels=second)
    sheet = _sheet(patients, n, level, n_resamples, seed)
    for name in ("mae", "rmse"):
        sheet.resampled(name, name, unit, first, second)
    if n > 1:
        sheet.resampled("sd_abs_error", "sd_abs_error", unit, first, second)
    else:
        sheet.refused["sd_abs_error"] = "needs at least two cases"
    _agreement(sheet, first, second, unit)
    sheet.resampled("r2", "r2", "", first, second)
    sheet.resampled("pearson_r", "pearson_r", "", first, second)
    if threshold is not None:
        _detection(sheet, first, second, threshold, positive_below)
    return sheet.finish("regression", n)


def classification_report(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    threshold: float | None = None,
    positive_below: bool = False,
    sensitivity: float = 0.9,
    patients: Patients = None,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Report:
    """Discrimination, calibration and decisions of a binary classifier, each with limits.

    Metrics: prevalence, auroc, average_precision, and for probabilities brier, ece, calibration_in_the_large;
    sensitivity, specificity, ppv, npv of "positive where score >= threshold" (0.5 for probabilities unless named);
    threshold_at_90_sensitivity and specificity_at_90_sensitivity, both chosen and reported on this set.  With
    `positive_below` low scores speak for the positive class, on the user's word only, and there is no calibration.

    labels: (n,) of 0/1; scores: (n,).  StatsError as in `regression_report`; one class only refuses what needs two.
    """
    positive, column = binary(labels), numbers(scores, "scores")
    n = same_length(labels=positive, scores=column)
    sheet = _sheet(patients, n, level, n_resamples, seed)
    sheet.shares({"prevalence": proportion(int(positive.sum()), n, level=level)})
    directed = -column if positive_below else column
    sheet.area("auroc", positive, directed)
    if "auroc" in sheet.refused:
        sheet.refused["average_precision"] = sheet.refused["auroc"]
    else:
        sheet.resampled("average_precision", "average_precision", "", positive, directed)
    probabilities = bool(column.min() >= 0 and column.max() <= 1) and not positive_below
    _calibration(sheet, positive, column, probabilities, positive_below)
    if threshold is None and probabilities:
        threshold = 0.5
    if threshold is not None:
        point = operating_point(positive, directed, -threshold if positive_below else threshold, level=level)
        sheet.shares(
            {"sensitivity": point.sensitivity, "specificity": point.specificity, "ppv": point.ppv, "npv": point.npv}
        )
        sheet.notes.append(
            f"Sensitivity, specificity, PPV and NPV: positive where the score is {'<=' if positive_below else '>='} "
            f"{threshold:g}; PPV and NPV at the prevalence of this set."
        )
    _at_sensitivity(sheet, positive, directed, sensitivity, positive_below)
    return sheet.finish("classification", n)


def detection_name(threshold: float, positive_below: bool) -> str:
    """The ending of the metrics that a threshold on the label defines: "below_40"."""
    return f"{'below' if positive_below else 'above'}_{threshold:g}"


def _sheet(patients: Patients, n: int, level: float, n_resamples: int, seed: int) -> _Sheet:
    if patients is not None and len(patients) != n:
        raise StatsError(f"unequal lengths: patients {len(patients)}, rows {n}")
    return _Sheet(n, fraction(level, "level"), n_resamples, seed, patients)


def _agreement(sheet: _Sheet, pred: FloatArray, label: FloatArray, unit: str) -> None:
    names = ("bias", "limit_low", "limit_high", "sd_difference")

    def build() -> list[Metric]:
        found = bland_altman(pred, label, level=sheet.level)
        method = "Bland & Altman 1999"
        return [
            Metric("bias", found.bias, found.bias_low, found.bias_high, unit, found.n, method),
            Metric("limit_low", found.low, found.low_low, found.low_high, unit, found.n, method),
            Metric("limit_high", found.high, found.high_low, found.high_high, unit, found.n, method),
            Metric("sd_difference", found.sd, _NAN, _NAN, unit, found.n, ""),
        ]

    sheet.attempt(names, build)
    if sheet.clustered and "bias" not in sheet.refused:
        for name in ("bias", "limit_low", "limit_high"):
            sheet.resampled(f"{name}_by_patient", name, unit, pred, label)


def _detection(sheet: _Sheet, pred: FloatArray, label: FloatArray, threshold: float, below: bool) -> None:
    ending = detection_name(threshold, below)
    positive = label < threshold if below else label > threshold
    sheet.area(f"auroc_{ending}", positive, -pred if below else pred)
    # Strictly beyond the threshold, as for the labels: a float just beyond it is the first that counts.
    edge = np.nextafter(-threshold if below else threshold, np.inf)
    point = operating_point(positive, -pred if below else pred, float(edge), level=sheet.level)
    sheet.shares(
        {
            f"prevalence_{ending}": proportion(int(positive.sum()), positive.size, level=sheet.level),
            f"sensitivity_{ending}": point.sensitivity,
            f"specificity_{ending}": point.specificity,
            f"ppv_{ending}": point.ppv,
            f"npv_{ending}": point.npv,
        }
    )


def _calibration(
    sheet: _Sheet, positive: BoolArray, scores: FloatArray, probabilities: bool, positive_below: bool
) -> None:
    names = ("brier", "ece", "calibration_in_the_large")
    if not probabilities:
        reason = (
            "low scores speak for the positive class, so they are not its probability"
            if positive_below
            else f"scores are not probabilities: {scores.min():.4g} to {scores.max():.4g}"
        )
        sheet.refused.update(dict.fromkeys(names, reason))
        return
    sheet.resampled("brier", "brier", "", positive, scores)
    found = calibration(positive, scores, level=sheet.level)
    sheet.metrics += [
        Metric("ece", found.ece, _NAN, _NAN, "", found.n, "10 bins of equal width"),
        Metric("calibration_in_the_large", found.in_the_large, _NAN, _NAN, "", found.n, "mean score - prevalence"),
    ]


def _at_sensitivity(
    sheet: _Sheet, positive: BoolArray, scores: FloatArray, sensitivity: float, positive_below: bool
) -> None:
    ending = f"at_{sensitivity * 100:g}_sensitivity"

    def build() -> list[Metric]:
        chosen = threshold_at_sensitivity(positive, scores, sensitivity)
        point = operating_point(positive, scores, chosen, level=sheet.level)
        n = positive.size
        share = point.specificity
        return [
            Metric(f"threshold_{ending}", -chosen if positive_below else chosen, _NAN, _NAN, "score", n, "on this set"),
            Metric(f"specificity_{ending}", share.value, share.low, share.high, "", share.n, "Wilson, on this set"),
        ]

    sheet.attempt([f"threshold_{ending}", f"specificity_{ending}"], build)
