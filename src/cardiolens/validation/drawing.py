"""What the figures of a validation share: boards of panels, whiskers, boxes."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from cardiolens.style import GREY, INK, STYLE

# Okabe & Ito's eight, in an order that keeps neighbours apart.
_HEAD = 0.55  # inches for title and subtitle
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222", "#F0E442")


def board(
    panels: int, *, columns: int, side: tuple[float, float], title: str, subtitle: str
) -> tuple[Figure, list[Any]]:
    """A figure of panels in rows, and its axes; the places left over stay empty.

    Args:
        side: width and height of a panel, inches.
    """
    columns = min(columns, panels)
    rows = ceil(panels / columns)
    with mpl.rc_context(STYLE):
        height = side[1] * rows + _HEAD
        figure = Figure(figsize=(side[0] * columns, height), layout="constrained")
        FigureCanvasAgg(figure)
        engine: Any = figure.get_layout_engine()
        engine.set(rect=(0, 0, 1, 1 - _HEAD / height))
        axes = [figure.add_subplot(rows, columns, place + 1) for place in range(panels)]
        figure.text(0.01, 1 - 0.06 / height, title, fontsize=11, fontweight="bold", va="top")
        figure.text(0.01, 1 - 0.30 / height, subtitle, fontsize=8.5, color="#555555", va="top")
    return figure, axes


def whiskers(axes: Any, rows: Sequence[tuple[float, float, float]], *, at: float, colour: str, label: str) -> None:
    """Points with limits (value, low, high), one a row from the top, moved by `at`; NaN limits give the point alone."""
    places = [-number + at for number in range(len(rows))]
    for (value, low, high), place in zip(rows, places, strict=True):
        if low == low and high == high:  # noqa: PLR0124 - NaN is not itself
            axes.plot([low, high], [place, place], color=colour, lw=1.4, solid_capstyle="butt")
        axes.plot([value], [place], "o", color=colour, ms=4.2, mec="white", mew=0.4)
    axes.plot([], [], "o-", color=colour, ms=4.2, lw=1.4, label=label)


def named_rows(axes: Any, names: Sequence[str]) -> None:
    """Names beside the rows of `whiskers`."""
    axes.set_yticks([-number for number in range(len(names))], names, fontsize=8)
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.grid(axis="y", visible=False)


def name_points(axes: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """Names beside points (x, y, name), in this order, each where it covers no point and no other name, else left out.

    Axes must have their final scale and limits.
    """
    axes.figure.draw_without_rendering()  # so that the layout stands
    marks = axes.transData.transform([point[:2] for point in points])
    reach = 0.03 * axes.figure.dpi
    taken = [Bbox.from_extents(*(mark - reach), *(mark + reach)) for mark in marks]
    sides = ((5, 0, "left", "center"), (-5, 0, "right", "center"), (0, 5, "center", "bottom"), (0, -5, "center", "top"))
    for x, y, name in points:
        for right, up, ha, va in sides:
            style = {"ha": ha, "va": va, "fontsize": 6.5, "color": INK}
            text = axes.annotate(name, (x, y), xytext=(right, up), textcoords="offset points", **style)
            text.set_in_layout(False)
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.figure.bbox.x1 and axes.bbox.y0 <= box.y0
            if inside and box.y1 <= axes.bbox.y1 and not box.count_overlaps(taken):
                taken.append(box)
                break
            text.remove()


def boxes(steps: Sequence[tuple[str, Sequence[str]]], title: str) -> Figure:
    """A flow: a box a step, and beside the arrow to the next what dropped out on the way (empty: nothing did)."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.95 * len(steps) + 0.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1)
        axes.set_axis_off()
        axes.set_title(title, pad=6)
        axes.set(xlim=(0, 10), ylim=(-len(steps) + 0.45, 0.5))
        for number, (text, lost) in enumerate(steps):
            look = {"boxstyle": "round,pad=0.5", "fc": "#EEF5FA", "ec": "#0072B2", "lw": 1}
            axes.text(2.2, -number, text, ha="center", va="center", fontsize=9, bbox=look, color=INK)
            if number + 1 < len(steps):
                arrow = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 14, "shrinkB": 14}
                axes.annotate("", (2.2, -number - 1), (2.2, -number), arrowprops=arrow)
            if lost:
                look = {"boxstyle": "round,pad=0.4", "fc": "#FDF3EC", "ec": "#D55E00", "lw": 0.8}
                axes.text(4.6, -number - 0.5, "\n".join(lost), ha="left", va="center", fontsize=8, bbox=look, color=INK)
                axes.plot([2.2, 4.45], [-number - 0.5] * 2, color=GREY, lw=0.8)
    return figure


def readable(name: str) -> str:
    """A condition's column as a name: "tetralogy_of_Fallot" is "tetralogy of Fallot"."""
    from cardiolens.text.conditions import CONDITIONS

    by_column = {condition.column: condition.name for condition in CONDITIONS}
    return by_column.get(name, "LVEF" if name == "lvef" else name.replace("_", " "))


def capital(text: str) -> str:
    """With a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def with_limits(value: float, low: float, high: float, digits: int = 3) -> str:
    """A figure and its limits in words: "0.912 (0.880 to 0.944)"; a dash where there is none."""
    if value != value:  # noqa: PLR0124 - NaN is not itself
        return "–"
    text = f"{value:.{digits}f}"
    return text if low != low or high != high else f"{text} ({low:.{digits}f} to {high:.{digits}f})"  # noqa: PLR0124
