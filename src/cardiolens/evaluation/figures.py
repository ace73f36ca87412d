"""The figures of an evaluation: units on every axis, how many cases under every title."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from cardiolens.evaluation.run import Evaluation, detection
from cardiolens.stats import (
    Auroc,
    bland_altman,
    calibration,
    operating_point,
    precision_recall,
    roc_curve,
)
from cardiolens.stats.bootstrap import resample_clusters, resample_weights
from cardiolens.stats.inputs import BoolArray, FloatArray
from cardiolens.stats.weighted import cumulative_counts
from cardiolens.style import BLUE, GREY, INK, STYLE, VERMILLION, canvas, legend, legend_below

_BAND_RESAMPLES = 500


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure, the name of its files, its heading and what it shows in words."""

    name: str
    title: str
    caption: str
    figure: Figure

    @cached_property
    def png(self) -> bytes:
        """The picture at 200 dpi."""
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            self.figure.savefig(buffer, format="png", dpi=200)
        return buffer.getvalue()


def figures_of(evaluation: Evaluation) -> list[Drawn]:
    """Every figure that these predictions allow."""
    with mpl.rc_context(STYLE):
        if evaluation.settings.task == "regression":
            drawn = [_scatter(evaluation), _bland_altman(evaluation)]
            ending = detection(evaluation.settings)
            if ending is not None and f"auroc_{ending}" in evaluation.report:
                drawn.append(_roc(evaluation))
        else:
            drawn = []
            if "auroc" in evaluation.report:
                drawn += [_roc(evaluation), _precision_recall(evaluation)]
            if "brier" in evaluation.report:
                drawn.append(_calibration(evaluation))
    return [figure for figure in drawn if figure is not None]


def save(drawn: Drawn, folder: Path) -> list[Path]:
    """Write a figure as PNG (200 dpi) and SVG; the same input gives the same bytes."""
    paths = [folder / f"{drawn.name}.{kind}" for kind in ("png", "svg")]
    paths[0].write_bytes(drawn.png)
    with mpl.rc_context(STYLE):
        drawn.figure.savefig(paths[1], metadata={"Date": None}, dpi=200)
    return paths


def _scatter(evaluation: Evaluation) -> Drawn:
    pred, label = _columns(evaluation)
    settings, report = evaluation.settings, evaluation.report
    mae = _with_limits(report, "mae", settings.unit)
    unit = f" ({settings.unit})" if settings.unit else ""
    low, high = _span(np.concatenate([pred, label]))
    title = f"Predicted and true {settings.quantity}"
    with canvas(title, f"n = {_count(pred.size)}; MAE {mae}", height=5.8) as (figure, axes):
        axes.plot([low, high], [low, high], color=INK, lw=1, ls="--", label="perfect agreement", zorder=3)
        _intervals(axes, evaluation)
        _points(axes, evaluation, label, pred)
        if settings.cut is not None and low < settings.cut < high:
            axes.axvline(settings.cut, color=GREY, lw=0.9, ls=":")
            axes.axhline(settings.cut, color=GREY, lw=0.9, ls=":", label=f"threshold {settings.cut:g} {settings.unit}")
        axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        axes.set(xlabel=f"True {settings.quantity}{unit}", ylabel=f"Predicted {settings.quantity}{unit}")
        legend_below(figure)
    return Drawn(
        "scatter", title, f"Each point is one study; on the dashed line prediction and truth agree. MAE {mae}.", figure
    )


def _bland_altman(evaluation: Evaluation) -> Drawn | None:
    pred, label = _columns(evaluation)
    if pred.size < 2:
        return None
    settings = evaluation.settings
    found = bland_altman(pred, label, level=settings.level)
    unit = f" ({settings.unit})" if settings.unit else ""
    mean, difference = (pred + label) / 2, pred - label
    low, high = _span(mean, pad=0.03)
    subtitle = f"n = {_count(pred.size)}; shaded: {percent(settings.level)} confidence limits of each line"
    title = f"Bland–Altman: {settings.quantity}, prediction minus truth"
    with canvas(title, subtitle, height=4.8) as (figure, axes):
        _points(axes, evaluation, mean, difference)
        axes.axhline(0, color=INK, lw=0.8)
        lines = (
            ("bias", found.bias, found.bias_low, found.bias_high, BLUE, "-"),
            ("+1.96 SD", found.high, found.high_low, found.high_high, VERMILLION, "--"),
            ("-1.96 SD", found.low, found.low_low, found.low_high, VERMILLION, "--"),
        )
        for name, value, lower, upper, colour, style in lines:
            axes.axhspan(lower, upper, color=colour, alpha=0.16, lw=0)
            axes.axhline(value, color=colour, lw=1.5, ls=style)
            axes.annotate(
                f"{name.replace('-', '−')}\n{_signed(value)}",
                (1.01, value),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8.5,
                color=colour,
                annotation_clip=False,
            )
        reach = max(np.abs(difference).max(), found.high_high, -found.low_low) * 1.06 or 1.0
        axes.set(xlim=(low, high), ylim=(-reach, reach))
        axes.set(xlabel=f"Mean of prediction and truth{unit}", ylabel=f"Prediction − truth{unit}")
        if "out_of_domain" in evaluation.data.frame:
            legend_below(figure)
    caption = (
        f"Bias {_signed(found.bias)} {settings.unit} ({_signed(found.bias_low)} to {_signed(found.bias_high)}); "
        f"95 % limits of agreement {_signed(found.low)} to {_signed(found.high)} {settings.unit}."
    )
    return Drawn("bland_altman", title, caption, figure)


def _roc(evaluation: Evaluation) -> Drawn:
    settings, ending = evaluation.settings, detection(evaluation.settings)
    positive, scores = _binary(evaluation.data.frame, evaluation)
    metric = "auroc" if ending is None else f"auroc_{ending}"
    sign = "<" if settings.below else ">"
    what = "ROC" if ending is None else f"ROC: {settings.quantity} {sign} {settings.cut:g} {settings.unit}".rstrip()
    area = _with_limits(evaluation.report, metric)
    subtitle = f"{_count(int(positive.sum()))} positive, {_count(int((~positive).sum()))} negative"
    with canvas(what, subtitle, height=5.8) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":", label="chance (0.5)")
        grid, low, high = _band(positive, scores, evaluation)
        axes.fill_between(
            grid, low, high, color=BLUE, alpha=0.16, lw=0, label=f"{percent(settings.level)} band (bootstrap)"
        )
        curve = roc_curve(positive, scores)
        name = _short(evaluation.data.source) + ": " if evaluation.other else ""
        axes.plot(curve.false_positive_rate, curve.sensitivity, color=BLUE, lw=1.8, label=f"{name}AUROC {area}")
        caption = f"AUROC {area}, DeLong limits."
        caption += _other_roc(axes, evaluation)
        _operating(axes, positive, scores, evaluation)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="1 − specificity (false-positive rate)", ylabel="Sensitivity (true-positive rate)")
        legend_below(figure)
    return Drawn("roc" if ending is None else f"roc_{ending}", what, caption, figure)


def _other_roc(axes: Any, evaluation: Evaluation) -> str:
    """The curve of the table compared with, and what the paired test says."""
    found, other = evaluation.comparison, evaluation.other
    if found is None or other is None or found.auroc is None:
        return ""
    curve = roc_curve(*_binary(other.frame, evaluation))
    label = f"{_short(found.other)}: AUROC {_area(found.auroc.b)}"
    axes.plot(curve.false_positive_rate, curve.sensitivity, color=VERMILLION, lw=1.6, ls="--", label=label)
    test = found.auroc
    words = (
        f"difference {test.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f}), paired DeLong {p_text(test.p_value)}"
    )
    axes.plot([], [], " ", label=words)
    return f" Against {found.other} on {_count(found.n)} studies in common: {words}."


def _precision_recall(evaluation: Evaluation) -> Drawn:
    positive, scores = _binary(evaluation.data.frame, evaluation)
    curve = precision_recall(positive, scores)
    average = _with_limits(evaluation.report, "average_precision")
    subtitle = f"{_count(int(positive.sum()))} positive of {_count(positive.size)}"
    with canvas("Precision and recall", subtitle, height=5.4) as (figure, axes):
        axes.axhline(
            curve.prevalence, color=GREY, lw=1, ls=":", label=f"chance (prevalence {_three(curve.prevalence)})"
        )
        axes.step(
            np.concatenate([[0.0], curve.recall]),
            np.concatenate([curve.precision[:1], curve.precision]),
            where="pre",
            color=BLUE,
            lw=1.8,
            label=f"average precision {average}",
        )
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03), aspect="equal")
        axes.set(xlabel="Recall (sensitivity)", ylabel="Precision (positive predictive value)")
        legend_below(figure)
    chance = _three(curve.prevalence)
    caption = f"Average precision {average}; a score without information would have the prevalence, {chance}."
    return Drawn("precision_recall", "Precision and recall", caption, figure)


def _calibration(evaluation: Evaluation) -> Drawn:
    frame = evaluation.data.frame
    positive, scores = frame["label"].to_numpy() == 1, frame["prediction"].to_numpy()
    found = calibration(positive, scores, level=evaluation.settings.level)
    subtitle = f"n = {_count(scores.size)}; ECE {_three(found.ece)}, Brier {_three(found.brier)}; bars: Wilson limits"
    with canvas("Calibration", subtitle, height=6.0, rows=2) as (figure, (axes, below)):
        axes.plot([0, 1], [0, 1], color=INK, lw=1, ls="--", label="perfect calibration")
        x = np.array([b.predicted for b in found.bins])
        y = np.array([b.observed.value for b in found.bins])
        ends = np.array([[b.observed.value - b.observed.low, b.observed.high - b.observed.value] for b in found.bins]).T
        axes.errorbar(
            x, y, yerr=np.clip(ends, 0, None), fmt="o", color=BLUE, ms=5, lw=1.2, capsize=2.5, label="observed, by bin"
        )
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="Observed share of positives")
        legend(axes, "upper left")
        edges = np.linspace(0, 1, 21)
        below.hist(scores[~positive], bins=edges, color=GREY, alpha=0.75, label="negative")
        below.hist(scores[positive], bins=edges, color=VERMILLION, histtype="step", lw=1.5, label="positive")
        below.set(yscale="log", xlabel="Predicted probability", ylabel="Cases (log)")
        below.legend(loc="upper right", ncols=2, fontsize=7.5)
    caption = (
        f"Points above the dashed line: the model's probabilities are too low; below it: too high. "
        f"Mean prediction minus prevalence: {found.in_the_large:+.3f}."
    )
    return Drawn("calibration", "Calibration", caption, figure)


def _points(axes: Any, evaluation: Evaluation, x: FloatArray, y: FloatArray) -> None:
    """The studies, those flagged out of domain in another colour and shape."""
    alpha = float(np.clip(30 / np.sqrt(x.size + 1), 0.18, 0.85))
    size = 22 if x.size < 300 else 10
    frame = evaluation.data.frame
    flagged = frame["out_of_domain"].to_numpy() == 1 if "out_of_domain" in frame else np.zeros(x.size, bool)
    style = {"linewidths": 0, "rasterized": x.size > 500, "zorder": 2.5}
    axes.scatter(x[~flagged], y[~flagged], s=size, c=BLUE, alpha=alpha, **style)
    if flagged.any():
        axes.scatter(x[flagged], y[flagged], s=size + 6, c=VERMILLION, marker="^", alpha=max(alpha, 0.5), **style)
    if "out_of_domain" in frame:
        axes.plot([], [], "o", color=BLUE, ms=4, label=f"in domain ({_count(int((~flagged).sum()))})")
        axes.plot([], [], "^", color=VERMILLION, ms=5, label=f"flagged out of domain ({_count(int(flagged.sum()))})")


def _intervals(axes: Any, evaluation: Evaluation) -> None:
    """Prediction intervals as upright lines, where there are few enough to be told apart."""
    frame = evaluation.data.frame
    if "low" not in frame or len(frame) > 400:
        return
    axes.vlines(frame["label"], frame["low"], frame["high"], color=BLUE, alpha=0.25, lw=0.8)
    axes.plot([], [], "-", color=BLUE, alpha=0.4, lw=1, label="prediction interval")


def _operating(axes: Any, positive: BoolArray, scores: FloatArray, evaluation: Evaluation) -> None:
    """Where the threshold in use lies on the curve."""
    settings = evaluation.settings
    cut = settings.cut
    if cut is None:
        if "brier" not in evaluation.report:
            return
        cut = 0.5
    edge = -cut if settings.below else cut
    if settings.task == "regression":
        edge = float(np.nextafter(edge, np.inf))
    point = operating_point(positive, scores, edge)
    if settings.task == "regression":
        rule = f"predicted {'<' if settings.below else '>'} {cut:g} {settings.unit}".rstrip()
    else:
        rule = f"score {'<=' if settings.below else '>='} {cut:g}".replace("<=", "≤").replace(">=", "≥")
    axes.plot(
        1 - point.specificity.value,
        point.sensitivity.value,
        "D",
        color=INK,
        ms=5.5,
        mec="white",
        zorder=5,
        clip_on=False,
        label=f"{rule}: sensitivity {point.sensitivity.value:.2f}, specificity {point.specificity.value:.2f}",
    )


def _band(positive: BoolArray, scores: FloatArray, evaluation: Evaluation) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Pointwise limits of sensitivity over a grid of false-positive rates, by resampling patients."""
    settings, frame = evaluation.settings, evaluation.data.frame
    rng = np.random.default_rng(settings.seed)
    cluster, n_clusters = resample_clusters(frame["patient"].to_numpy() if "patient" in frame else None, scores.size)
    grid = np.linspace(0, 1, 201)
    curves = []
    for _ in range(_BAND_RESAMPLES):
        weights = resample_weights(cluster, n_clusters, 1, rng)[0]
        _, hits, alarms = cumulative_counts(positive, scores, weights)
        if hits[-1] and alarms[-1]:
            rate = np.concatenate([[0.0], alarms / alarms[-1]])
            curves.append(np.interp(grid, rate, np.concatenate([[0.0], hits / hits[-1]])))
    tail = (1 - settings.level) / 2
    low, high = np.quantile(np.array(curves), [tail, 1 - tail], axis=0)
    return grid, low, high


def _columns(evaluation: Evaluation) -> tuple[FloatArray, FloatArray]:
    frame = evaluation.data.frame
    return frame["prediction"].to_numpy(), frame["label"].to_numpy()


def _binary(frame: Any, evaluation: Evaluation) -> tuple[BoolArray, FloatArray]:
    """Positives and scores that rise with them, for either task."""
    settings = evaluation.settings
    label, pred = frame["label"].to_numpy(), frame["prediction"].to_numpy()
    positive = label == 1
    if settings.task == "regression" and settings.cut is not None:
        positive = label < settings.cut if settings.below else label > settings.cut
    return positive, -pred if settings.below else pred


def _span(values: FloatArray, pad: float = 0.05) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = (high - low) * pad or 1.0
    return low - margin, high + margin


def _with_limits(report: Any, name: str, unit: str = "") -> str:
    metric = report[name]
    digits = 2 if unit else 3
    value = f"{metric.value:.{digits}f}" + (f" {unit}" if unit else "")
    if np.isnan(metric.low):
        return value
    return f"{value} ({metric.low:.{digits}f}–{metric.high:.{digits}f})"


def p_text(p: float) -> str:
    """A p-value for reading: "p = 0.764", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def percent(level: float) -> str:
    """A level or a share for reading: "95 %"."""
    return f"{level * 100:.10g} %"


def _short(name: str) -> str:
    stem = name.removesuffix(".csv")
    return stem if len(stem) <= 40 else stem[:37] + "…"


def _area(area: Auroc) -> str:
    return f"{area.auc:.3f} ({area.low:.3f}–{area.high:.3f})"


def _three(value: float) -> str:
    return f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _count(value: int) -> str:
    return f"{value:,}"
