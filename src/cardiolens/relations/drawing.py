"""Forest plots and Kaplan-Meier curves."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cardiolens.style import BLUE, GREY, INK, STYLE, VERMILLION

if TYPE_CHECKING:
    from cardiolens.relations.run import Associations, Survival

_COLOURS = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", GREY)
_Row = tuple[str, float, float, float, float, str]  # label, estimate, low, high, p, text at the right


def association_forest(found: Associations) -> bytes:
    """One panel an outcome, one row an exposure term: change of the outcome with limits."""
    panels: dict[str, list[_Row]] = {}
    for (outcome, _), fit in found.fits.items():
        for c in fit.exposure:
            text = f"{c.estimate:+.3g} ({c.low:+.3g} to {c.high:+.3g})"
            panels.setdefault(outcome, []).append((c.term, c.estimate, c.low, c.high, c.p_value, text))
    adjusted = ", ".join(found.options["adjust"]) or "nothing"
    return _forest(panels, f"adjusted for {adjusted}", none=0.0, log=False)


def hazard_forest(found: Survival) -> bytes:
    """Hazard ratios on a logarithmic axis, one panel a horizon."""
    panels: dict[str, list[_Row]] = {}
    for (_, horizon), fit in found.fits.items():
        name = "whole follow-up" if horizon is None else f"up to {horizon:g}"
        for h in fit.exposure:
            text = f"{h.ratio:.3g} ({h.low:.3g} to {h.high:.3g})"
            panels.setdefault(name, []).append((h.term, h.ratio, h.low, h.high, h.p_value, text))
    adjusted = ", ".join(found.options["adjust"]) or "nothing"
    return _forest(panels, f"hazard ratio of {found.options['event']}, adjusted for {adjusted}", none=1.0, log=True)


def kaplan_meier_curves(found: Survival) -> bytes:
    """Curves with their limits, and how many are at risk under them."""
    curves = found.curves.curves
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 4.6 + 0.22 * len(curves)), layout="constrained")
        FigureCanvasAgg(figure)
        axes, below = figure.subplots(2, height_ratios=[4, 0.35 * len(curves) + 0.2], sharex=True)
        for curve, colour in zip(curves, _colours(len(curves)), strict=True):
            axes.step(curve.times, 100 * curve.share, where="post", color=colour, lw=1.8,
                      label=f"{curve.group} (n {curve.n}, events {curve.n_events})")  # fmt: skip
            axes.fill_between(
                curve.times, 100 * curve.low, 100 * curve.high, step="post", color=colour, alpha=0.15, lw=0
            )
        lowest = min(float(c.low.min()) for c in curves)
        axes.set_ylim(max(0.0, 100 * lowest - 5), 101)
        axes.set_ylabel(f"without {found.options['event']} (%)")
        p = found.curves.log_rank_p
        said = "" if math.isnan(p) else ("log-rank p < 0.001" if p < 0.001 else f"log-rank p = {p:.3f}")
        axes.set_title("Kaplan-Meier", pad=20)
        axes.text(0, 1.02, said, transform=axes.transAxes, fontsize=8.5, color="#555555", va="bottom")
        axes.legend(loc="lower left")
        _at_risk(below, curves, axes.get_xticks(), found.options["time"])
        return _png(figure)


def _at_risk(axes: Any, curves: Sequence[Any], ticks: Any, time: str) -> None:
    longest = max(float(c.times.max()) for c in curves)
    for row, (curve, colour) in enumerate(zip(curves, _colours(len(curves)), strict=True)):
        for tick in ticks:
            if 0 <= tick <= longest:
                later = curve.times >= tick
                count = int(curve.n_at_risk[later][0]) if later.any() else 0
                axes.text(tick, -row, f"{count}", ha="center", va="center", fontsize=8.5, color=colour)
    axes.set_ylim(-len(curves) + 0.4, 0.6)
    axes.set_yticks([])
    axes.grid(False)
    axes.set_ylabel("at risk", rotation=0, ha="right", va="center", fontsize=8.5)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(time)


def _colours(n: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(n)]


def _forest(panels: dict[str, list[_Row]], subtitle: str, *, none: float, log: bool) -> bytes:
    heights = [len(rows) + 1.4 for rows in panels.values()]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 0.9 + 0.34 * sum(heights)), layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(subtitle, x=0.01, ha="left", fontsize=8.5, color="#555555")
        all_axes = figure.subplots(len(panels), height_ratios=heights, squeeze=False, sharex=log)[:, 0]
        for axes, (name, rows) in zip(all_axes, panels.items(), strict=True):
            for y, (_, value, low, high, p, text) in enumerate(reversed(rows)):
                sure = p < 0.05
                axes.plot([low, high], [y, y], color=BLUE if sure else GREY, lw=1.6)
                axes.plot([value], [y], "s", color=BLUE if sure else GREY, ms=5)
                said = f"{text}, p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
                axes.text(1.02, y, said, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5, color=INK)
            axes.axvline(none, color=INK, lw=0.8)
            if log:
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter("{x:.3g}")
                axes.xaxis.set_minor_formatter("{x:.3g}")
                axes.tick_params(axis="x", which="both", labelsize=8)
                axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=5))
                axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
            axes.set_yticks(range(len(rows)), [row[0] for row in reversed(rows)])
            axes.set_ylim(-0.6, len(rows) - 0.4)
            axes.set_title(name, pad=4)
        return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()
