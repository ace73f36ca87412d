"""Figures of attention by condition and of view ablation."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cardiolens.explain.groups import GROUPS
from cardiolens.study import View
from cardiolens.style import BLUE, INK, STYLE

_VIEWS = [str(view) for view in View]
_FAINT = "#555555"
_DOT = "dot: limits leave out 0"


def attention_figure(table: pd.DataFrame, title: str) -> Figure:
    """Heat maps of `attention_by_condition`: relative attention with and without each condition, and the difference.

    A dot marks a difference whose limits leave out 0; conditions that no study has are left out, and counted.
    """
    counts = table[table["group"] == "with"].groupby("condition")["n"].max()
    every = list(dict.fromkeys(table["condition"]))
    conditions = [name for name in every if counts[name]] or every
    title += _left_out(len(every) - len(conditions), "conditions", "no study has them")
    totals = table[table["group"] == "difference"].groupby("condition")["n"].max()
    names = [f"{c.replace('_', ' ')}  ({counts[c]}/{totals[c]})" for c in conditions]
    grids = {group: _grid(table, group, "relative", conditions) for group in GROUPS}
    wide = float(np.nanmax(np.abs(np.log2(np.concatenate([grids["with"], grids["without"]]))), initial=0.02))
    gap = float(np.nanmax(np.abs(grids["difference"]), initial=0.01))
    sure = _sure(table, conditions)
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(len(conditions), title, 3)
        for axis, group in zip(axes, GROUPS, strict=True):
            change = group == "difference"
            shown = grids[group] if change else np.log2(grids[group])
            limit = gap if change else wide
            image = axis.imshow(shown, cmap="PuOr_r" if change else "RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
            _label(axis, grids[group], names if group == "with" else None, limit, shown, signed=change)
            axis.set_title({"difference": "with minus without"}.get(group, group), pad=6, loc="center")
            if change:
                _dots(axis, sure)
            bar = figure.colorbar(image, ax=axis, location="bottom", shrink=0.9, pad=0.02, aspect=24)
            _ticks(bar, limit, power=not change)
        axes[0].set_ylabel("condition  (studies with it / all)")
    return figure


def ablation_figure(effects: pd.DataFrame, title: str) -> Figure:
    """Change of MAE or AUROC by ablation: whiskers for up to four outputs, a heat map for more."""
    metric = str(effects["metric"].iat[0])
    word = {"mae": "change of MAE", "auroc": "change of AUROC"}[metric]
    every = list(dict.fromkeys(effects["output"]))
    measured = set(effects.loc[effects["change"].notna(), "output"])
    outputs = [name for name in every if name in measured] or every
    title += _left_out(len(every) - len(outputs), "outputs", "these studies cannot measure them")
    with mpl.rc_context(STYLE):
        if len(outputs) <= 4:
            return _whiskers(effects, outputs, title, word)
        return _changes(effects, outputs, title, word, worse_is_low=metric == "auroc")


def png_of(figure: Figure) -> bytes:
    """The picture at 160 dpi; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return buffer.getvalue()


def _whiskers(effects: pd.DataFrame, outputs: list[str], title: str, word: str) -> Figure:
    figure = Figure(figsize=(6.4, 1.6 + 1.9 * len(outputs)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    for axis, output in zip(figure.subplots(len(outputs), squeeze=False)[:, 0], outputs, strict=True):
        part = effects[effects["output"] == output]
        names = [f"{row.ablation} {row.view}  (n = {row.n})" for row in part.itertuples()]
        places = np.arange(len(part))[::-1]
        change, low, high = (part[column].to_numpy(float) for column in ("change", "low", "high"))
        whisker = np.nan_to_num(np.stack([change - low, high - change]))
        axis.errorbar(change, places, xerr=np.clip(whisker, 0, None), fmt="o", ms=4.5, lw=1.4, color=BLUE)
        axis.axvline(0, color=INK, lw=0.8)
        axis.set_yticks(places, names)
        level = float(part["level"].iat[0])
        axis.set_xlabel(f"{word} of {output.replace('_', ' ')}; whiskers: {level * 100:.3g} % limits")
    return figure


def _changes(effects: pd.DataFrame, outputs: list[str], title: str, word: str, *, worse_is_low: bool) -> Figure:
    counts = effects.groupby("output")[["n_positive", "n"]].max()
    names = [f"{o.replace('_', ' ')}  ({counts.n_positive[o]:.0f}/{counts.n[o]})" for o in outputs]
    figure, axes = _canvas(len(outputs), title, 2)
    grids = [_grid(effects[effects["ablation"] == what], None, "change", outputs) for what in ("without", "only")]
    limit = float(np.nanmax(np.abs(np.concatenate(grids)), initial=0.02))
    for axis, grid, what in zip(axes, grids, ("without", "only"), strict=True):
        image = axis.imshow(grid, cmap="RdBu" if worse_is_low else "RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        _label(axis, grid, names if what == "without" else None, limit, grid, signed=True)
        axis.set_title(f"{what} the view" if what == "without" else "the view alone", pad=6, loc="center")
        part = effects[effects["ablation"] == what]
        _dots(axis, _sure(part.assign(condition=part["output"], group="difference"), outputs))
        bar = figure.colorbar(image, ax=axis, location="bottom", shrink=0.9, pad=0.02, aspect=24)
        bar.set_label(f"{word}; {_DOT}")
    axes[0].set_ylabel("output  (studies with it / all)")
    return figure


def _left_out(count: int, what: str, why: str) -> str:
    return f" ({count} {what} left out: {why})" if count else ""


def _canvas(rows: int, title: str, panels: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(3.6 + 2.5 * panels, 3.0 + 0.26 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure, figure.subplots(1, panels, sharey=True)


def _grid(table: pd.DataFrame, group: str | None, column: str, rows: list[str]) -> Any:
    """(row, view) of a column; NaN where there is none."""
    part = table if group is None else table[table["group"] == group]
    index = "condition" if "condition" in part.columns else "output"
    wide = part.pivot(index=index, columns="view", values=column)
    return wide.reindex(index=rows, columns=_VIEWS).to_numpy(float)


def _sure(table: pd.DataFrame, rows: list[str]) -> Any:
    """(row, view): whether the limits of the difference leave out 0."""
    low, high = (_grid(table, "difference", column, rows) for column in ("low", "high"))
    return (low > 0) | (high < 0)


def _dots(axis: Any, sure: Any) -> None:
    rows, cols = np.nonzero(sure)
    if not len(rows):
        return  # an empty line, unclipped, would count as lying at the corner of the figure
    axis.plot(cols + 0.36, rows - 0.24, "o", ms=3.2, color=INK, clip_on=False)


def _label(axis: Any, grid: Any, names: list[str] | None, limit: float, shown: Any, *, signed: bool) -> None:
    """Write every value into its cell, and the names of rows and columns."""
    axis.grid(visible=False)
    axis.set_xticks(range(len(_VIEWS)), _VIEWS)
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    if names is not None:
        axis.set_yticks(range(len(names)), names)
    digits = 2 if limit >= 0.1 else 3
    for (row, col), value in np.ndenumerate(grid):
        if np.isfinite(value):
            ink = "white" if abs(shown[row, col]) > 0.65 * limit else INK
            text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
            axis.text(col, row, text, ha="center", va="center", fontsize=7, color=ink)
        else:
            axis.text(col, row, "-", ha="center", va="center", fontsize=7, color=_FAINT)


def _ticks(bar: Any, limit: float, *, power: bool) -> None:
    """Three ticks of a colour bar; `power`: the values are base-2 logarithms."""
    at = [-0.9 * limit, 0.0, 0.9 * limit]
    digits = 2 if limit >= 0.1 else 3
    bar.set_ticks(at, labels=[f"{2.0**v:.{digits}f}" if power else f"{v:+.{digits}f}" for v in at])
    bar.set_label("relative attention" if power else f"difference; {_DOT}")
