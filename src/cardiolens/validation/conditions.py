"""Conditions: AUROC with DeLong limits, against the baseline, against prevalence, and calibration (figs. 4a, 4b)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cardiolens.errors import StatsError
from cardiolens.stats import (
    AurocComparison,
    Report,
    adjust_p_values,
    auroc,
    calibration,
    classification_report,
    compare_auroc,
    operating_point,
    roc_curve,
)
from cardiolens.style import BLUE, GREY, INK, VERMILLION
from cardiolens.validation.drawing import board, name_points, named_rows, readable, whiskers, with_limits
from cardiolens.validation.request import Case
from cardiolens.validation.sections import Section, Table

if TYPE_CHECKING:
    from cardiolens.evaluation.figures import Drawn

_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Scored:
    """One condition of the studies whose label and score are known, the baseline's score NaN where it has none."""

    name: str
    keys: list[str]
    labels: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64]
    baseline: npt.NDArray[np.float64]
    patients: npt.NDArray[Any]
    report: Report
    test: AurocComparison | None
    why_not: str = ""

    @property
    def positive(self) -> int:
        return int(self.labels.sum())

    @property
    def area(self) -> tuple[float, float, float]:
        """AUROC with limits, NaN where there is none."""
        return _area(self.report)

    @property
    def base_area(self) -> tuple[float, float, float]:
        """The baseline's on the same studies."""
        known = ~np.isnan(self.baseline)
        try:
            found = auroc(self.labels[known], self.baseline[known], level=self.report.level)
        except StatsError:
            return _NAN, _NAN, _NAN
        return found.auc, found.low, found.high


def condition_section(case: Case) -> Section:
    """ROC curves, whiskers, prevalence, calibration and tables of all conditions."""
    section = Section("conditions", "Conditions")
    heads = list(case.readings.conditions.columns)
    if not heads:
        section.notes.append(f"{case.reader.title} has no head for conditions.")
        return section
    if missing := [name for name in heads if name not in case.shared]:
        section.notes.append(f"No labels for {', '.join(map(readable, missing))}: not evaluated.")
    found = [scored for name in case.shared if (scored := _score(case, name, section)) is not None]
    _say_baseline(case, found, section)
    if not found:
        section.notes.append("No condition has a label for any study that was read.")
        return section
    section.tables += _tables(case, found)
    _say_gaps(case, found, section)
    drawable = [scored for scored in found if not np.isnan(scored.area[0])]
    if drawable:
        drawable.sort(key=lambda scored: -scored.area[0])
        section.figures += [_whiskers(case, drawable), _rocs(case, drawable), _prevalence(case, drawable)]
        if (drawn := _calibration(case, drawable)) is not None:
            section.figures.append(drawn)
    return section


def _score(case: Case, name: str, section: Section) -> Scored | None:
    """What is known of one condition; None where nothing is."""
    table = pd.DataFrame({"label": case.cohort.labels[name], "score": case.readings.conditions[name]})
    table = table.reindex(case.readings.keys).dropna()
    if table.empty:
        return None
    keys = [str(key) for key in table.index]
    baseline = np.full(len(keys), _NAN)
    if case.baseline is not None and name in case.baseline.conditions.columns:
        baseline = case.baseline.conditions[name].reindex(keys).to_numpy(dtype=np.float64)
    patients = case.cohort.studies.loc[keys, "patient"].to_numpy()
    labels, scores = table["label"].to_numpy() == 1, table["score"].to_numpy()
    settings = case.settings
    report = classification_report(
        labels, scores, patients=patients, level=settings.level, n_resamples=settings.n_resamples, seed=settings.seed
    )
    both, test, why = ~np.isnan(baseline), None, ""
    if both.any():
        try:
            test = compare_auroc(labels[both], scores[both], baseline[both], level=settings.level)
        except StatsError as error:
            why = str(error)
    return Scored(name, keys, labels, scores, baseline, patients, report, test, why)


def _say_baseline(case: Case, found: Sequence[Scored], section: Section) -> None:
    if case.baseline is None:
        section.notes.append("No baseline was given (--against), so no comparison is made.")
        return
    common = [scored for scored in found if not np.isnan(scored.baseline).all()]
    if not common:
        section.notes.append(f"{case.baseline.title} has no head for any of these conditions: no comparison is made.")
        return
    alone = [readable(scored.name) for scored in found if scored not in common]
    if alone:
        listed = ", ".join(alone)
        section.notes.append(
            f"Compared on the {len(common)} conditions that {case.baseline.title} has; not on {listed}."
        )
    if untested := [f"{readable(s.name)} ({s.why_not})" for s in common if s.test is None]:
        section.notes.append(f"Not compared: {'; '.join(untested)}.")


def _say_gaps(case: Case, found: Sequence[Scored], section: Section) -> None:
    raw = [readable(s.name) for s in found if s.name not in case.readings.thresholds]
    if raw:
        which = f"of {', '.join(raw)}" if len(raw) < len(found) else "of these conditions"
        section.notes.append(f"The card has no calibration {which}: scores are taken as they come, no probabilities.")
    single = [f"{readable(s.name)} ({s.positive} of {len(s.keys)})" for s in found if np.isnan(s.area[0])]
    if single:
        section.notes.append(f"No AUROC, since the studies are all of one class: {', '.join(single)}.")
    few = [f"{readable(s.name)} ({s.positive})" for s in found if 0 < s.positive < case.settings.few]
    if few:
        section.notes.append(
            f"Fewer than {case.settings.few} positives, so the limits are not to be relied on: {', '.join(few)}."
        )
    if any("auroc_by_patient" in s.report for s in found):
        section.notes.append(
            "Some patients have several studies: DeLong limits take studies as independent; auroc_by_patient in "
            "conditions_metrics.csv draws whole patients."
        )


def _tables(case: Case, found: Sequence[Scored]) -> list[Table]:
    compared = any(not np.isnan(s.baseline).all() for s in found)
    p = {s.name: s.test.p_value if s.test else _NAN for s in found}
    holm, share = adjust_p_values(p), adjust_p_values(p, "benjamini-hochberg")
    rows = []
    for s in found:
        row: dict[str, Any] = {"condition": s.name, "n": len(s.keys), "positive": s.positive}
        row |= {"prevalence": s.positive / len(s.keys)}
        row |= dict(zip(("auroc", "low", "high"), s.area, strict=True))
        row |= {
            name: _value(s.report, name) for name in ("average_precision", "brier", "ece", "calibration_in_the_large")
        }
        row |= _at_threshold(case, s)
        row |= {"specificity_at_90_sensitivity": _value(s.report, "specificity_at_90_sensitivity")}
        if compared:
            row |= dict(zip(("baseline_auroc", "baseline_low", "baseline_high"), s.base_area, strict=True))
            row |= (
                {"difference": s.test.difference, "difference_low": s.test.low, "difference_high": s.test.high}
                if s.test
                else {}
            )
            row |= {"p": p[s.name], "p_holm": holm[s.name].adjusted, "p_fdr": share[s.name].adjusted}
        rows.append(row)
    frame = pd.DataFrame(rows)
    metrics = [
        {"condition": s.name} | {k: getattr(m, k) for k in ("name", "value", "low", "high", "n", "method")}
        for s in found
        for m in s.report
    ]
    detail = pd.DataFrame(metrics).rename(columns={"name": "metric"})
    caption = "AUROC of every condition, DeLong limits"
    if case.baseline is not None and compared:
        caption += (
            f"; against {case.baseline.title} with paired DeLong p, corrected after Holm and by false discovery rate"
        )
    return [
        Table("conditions", caption, frame, _shown(frame)),
        Table("conditions_metrics", "Every figure of every condition with its limits", detail, detail[:0]),
        Table("roc_points", "Points of the ROC curves", (points := _points(found)), points[:0]),
    ]


def _at_threshold(case: Case, scored: Scored) -> dict[str, float]:
    """What the card's own threshold, chosen on other studies, gives on these."""
    names = ("threshold", "sensitivity_at_threshold", "specificity_at_threshold")
    edge = case.readings.thresholds.get(scored.name)
    if edge is None:
        return dict.fromkeys(names, _NAN)
    point = operating_point(scored.labels, scored.scores, edge, level=case.settings.level)
    return dict(zip(names, (edge, point.sensitivity.value, point.specificity.value), strict=True))


def _points(found: Sequence[Scored]) -> pd.DataFrame:
    parts = []
    for s in found:
        known = ~np.isnan(s.baseline)
        for of, rows, scores in (("model", slice(None), s.scores), ("baseline", known, s.baseline)):
            labels = s.labels[rows]
            if labels.size and labels.any() and not labels.all():
                curve = roc_curve(labels, scores[rows])
                parts.append(
                    pd.DataFrame(
                        {"condition": s.name, "of": of, "false_positive_rate": curve.false_positive_rate}
                    ).assign(sensitivity=curve.sensitivity, threshold=curve.threshold)
                )
    columns = ["condition", "of", "false_positive_rate", "sensitivity", "threshold"]
    points: pd.DataFrame = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    return points


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    shown: pd.DataFrame = pd.DataFrame(
        {"Condition": frame["condition"].map(readable), "n": frame["n"], "Positive": frame["positive"]}
    )
    shown["AUROC"] = [with_limits(*row) for row in frame[["auroc", "low", "high"]].to_numpy()]
    for name, title in (("brier", "Brier"), ("calibration_in_the_large", "Mean score − prevalence")):
        shown[title] = ["–" if np.isnan(value) else f"{value:.3f}" for value in frame[name]]
    if frame["threshold"].notna().any():
        pairs = frame[["sensitivity_at_threshold", "specificity_at_threshold"]].to_numpy()
        shown["Sens. / spec. at the card's threshold"] = [
            "–" if np.isnan(b) else f"{a:.2f} / {b:.2f}" for a, b in pairs
        ]
    if "p" in frame:
        shown["Baseline"] = [
            with_limits(*r) for r in frame[["baseline_auroc", "baseline_low", "baseline_high"]].to_numpy()
        ]
        for name, title in (("p", "p"), ("p_holm", "p (Holm)"), ("p_fdr", "p (FDR)")):
            shown[title] = ["–" if np.isnan(v) else "< 0.001" if v < 0.001 else f"{v:.3f}" for v in frame[name]]
    return shown


def _value(report: Report, name: str) -> float:
    return report[name].value if name in report else _NAN


def _area(report: Report) -> tuple[float, float, float]:
    if "auroc" not in report:
        return _NAN, _NAN, _NAN
    metric = report["auroc"]
    return metric.value, metric.low, metric.high


def _whiskers(case: Case, found: Sequence[Scored]) -> Drawn:
    from cardiolens.evaluation.figures import Drawn

    title = "AUROC by condition"
    subtitle = f"{case.settings.level * 100:g} % DeLong limits; in brackets: positives of studies"
    height = 0.27 * len(found) + 1.1
    figure, (axes,) = board(1, columns=1, side=(7.4, height), title=title, subtitle=subtitle)
    axes.axvline(0.5, color=GREY, lw=1, ls=":")
    paired = [s for s in found if not np.isnan(s.base_area[0])]
    whiskers(axes, [s.area for s in found], at=0.12 if paired else 0.0, colour=BLUE, label=case.reader.title)
    if case.baseline is not None and paired:
        areas = [s.base_area for s in found]
        whiskers(axes, areas, at=-0.16, colour=VERMILLION, label=case.baseline.title)
    named_rows(axes, [f"{readable(s.name)} ({s.positive} of {len(s.keys)})" for s in found])
    axes.set(xlim=(0, 1.01), xlabel="AUROC (dotted: chance)")
    figure.legend(loc="outside lower left", ncols=2, fontsize=8.5, frameon=False)
    words = ", ".join(f"{readable(s.name)} {with_limits(*s.area, digits=2)}" for s in found[:5])
    return Drawn("conditions_auroc", title, f"AUROC of {len(found)} conditions; the highest: {words}.", figure)


def _rocs(case: Case, found: Sequence[Scored]) -> Drawn:
    from cardiolens.evaluation.figures import Drawn

    paired = case.baseline is not None and not all(np.isnan(s.base_area[0]) for s in found)
    against = f", dashed: {case.baseline.title}" if case.baseline is not None and paired else ""
    subtitle = f"{case.reader.title}{against}; curves are never turned round"
    figure, axes = board(len(found), columns=5, side=(1.95, 2.05), title="ROC curves by condition", subtitle=subtitle)
    for each, scored in zip(axes, found, strict=True):
        each.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        curve = roc_curve(scored.labels, scored.scores)
        each.plot(curve.false_positive_rate, curve.sensitivity, color=BLUE, lw=1.5)
        known = ~np.isnan(scored.baseline)
        if scored.labels[known].any() and not scored.labels[known].all():
            curve = roc_curve(scored.labels[known], scored.baseline[known])
            each.plot(curve.false_positive_rate, curve.sensitivity, color=VERMILLION, lw=1.3, ls="--")
        each.set_title(_two_lines(readable(scored.name)), fontsize=7.5, pad=3)
        each.text(0.98, 0.03, f"{scored.area[0]:.2f}", ha="right", fontsize=8, color=BLUE, transform=each.transAxes)
        each.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xticks=[0, 1], yticks=[0, 1])
        each.tick_params(labelsize=7)
    figure.supxlabel("1 − specificity", fontsize=9)
    figure.supylabel("Sensitivity", fontsize=9)
    return Drawn("conditions_roc", "ROC curves by condition", f"ROC curves of {len(found)} conditions.", figure)


def _two_lines(name: str) -> str:
    """A long name broken near its middle."""
    words = name.split()
    if len(name) <= 20 or len(words) < 2:
        return name
    cuts = range(1, len(words))
    best = min(cuts, key=lambda cut: abs(len(" ".join(words[:cut])) - len(" ".join(words[cut:]))))
    return " ".join(words[:best]) + "\n" + " ".join(words[best:])


def _prevalence(case: Case, found: Sequence[Scored]) -> Drawn:
    from cardiolens.evaluation.figures import Drawn

    title = "AUROC against prevalence"
    figure, (axes,) = board(
        1,
        columns=1,
        side=(7.0, 4.6),
        title=title,
        subtitle="one point a condition, DeLong limits; a name where there is room, all in conditions.csv",
    )
    axes.axhline(0.5, color=GREY, lw=1, ls=":")
    points = [(100 * scored.positive / len(scored.keys), scored) for scored in found]
    for share, scored in points:
        value, low, high = scored.area
        if not np.isnan(low):
            axes.plot([share, share], [low, high], color=BLUE, lw=0.9, alpha=0.3)
        axes.plot(share, value, "o", color=BLUE, ms=4.5, mec="white", mew=0.4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else "")
    axes.tick_params(axis="x", which="minor", labelsize=8)
    lowest = np.nanmin([[value, low] for value, low, _ in (scored.area for _, scored in points)])
    axes.set(ylim=(min(0.4, lowest) - 0.03, 1.03), xlabel="Prevalence among the studies, %", ylabel="AUROC")
    axes.margins(x=0.12)
    name_points(axes, [(share, scored.area[0], readable(scored.name)) for share, scored in points])
    return Drawn("conditions_prevalence", title, "How AUROC goes with how frequent a condition is here.", figure)


def _calibration(case: Case, found: Sequence[Scored]) -> Drawn | None:
    from cardiolens.evaluation.figures import Drawn

    often = [s for s in found if s.positive >= case.settings.few and "brier" in s.report][:15]
    if not often:
        return None
    title = "Calibration by condition"
    subtitle = f"conditions with {case.settings.few} positives or more; groups of equal size, bars: Wilson limits"
    figure, axes = board(len(often), columns=5, side=(1.95, 2.05), title=title, subtitle=subtitle)
    for each, scored in zip(axes, often, strict=True):
        each.plot([0, 1], [0, 1], color=INK, lw=0.8, ls="--")
        bins = calibration(scored.labels, scored.scores, n_bins=5, strategy="quantile").bins
        x, y = [b.predicted for b in bins], [b.observed.value for b in bins]
        ends = [[b.observed.value - b.observed.low for b in bins], [b.observed.high - b.observed.value for b in bins]]
        each.errorbar(x, y, yerr=np.clip(ends, 0, None), fmt="o", color=BLUE, ms=3.5, lw=1, capsize=2)
        each.set_title(_two_lines(readable(scored.name)), fontsize=7.5, pad=3)
        each.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xticks=[0, 1], yticks=[0, 1])
        each.tick_params(labelsize=7)
    figure.supxlabel("Predicted probability", fontsize=9)
    figure.supylabel("Observed share", fontsize=9)
    words = "Points below the dashed line: the model's probabilities are too high; above it: too low."
    return Drawn("conditions_calibration", title, words, figure)
