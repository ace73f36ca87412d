"""The figure of a map: a row a colour, a column an encoder."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cardiolens.search.mapping import Colour, EmbeddingMap, Maps
from cardiolens.style import BLUE, INK, STYLE, VERMILLION

# Okabe & Ito, Color Universal Design (2008)
_PALETTE = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B0A000")
_UNKNOWN, _ABSENT = "#DDDDDD", "#B9C4CC"
_METHOD = {"tsne": "t-SNE", "umap": "UMAP", "pca": "principal components"}
_SIDE, _KEY = 4.3, 1.7  # inches


def figure_png(maps: Maps) -> bytes:
    """The picture at 160 dpi."""
    with mpl.rc_context(STYLE):
        rows, cols = len(maps.colours), len(maps.maps)
        figure = Figure(figsize=(_SIDE * cols + _KEY, (_SIDE + 0.3) * rows + 0.6))
        FigureCanvasAgg(figure)
        figure.set_layout_engine("constrained", h_pad=0.1)
        axes: Any = figure.subplots(rows, cols + 1, squeeze=False, width_ratios=[_SIDE] * cols + [_KEY])
        for row, colour in enumerate(maps.colours):
            drawn = [_panel(axes[row, col], one, colour, row, maps.k) for col, one in enumerate(maps.maps)]
            axes[row, cols].axis("off")
            _key(figure, axes[row, cols], colour, drawn[0])
        figure.suptitle(_about(maps), fontsize=9, color="#555555", x=0.01, ha="left")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()


def _about(maps: Maps) -> str:
    what = f"{_METHOD[maps.method]} of {len(maps.points):,} {'clips' if maps.by == 'clip' else 'studies'}"
    more = f" ({maps.thinned:,} more not drawn)" if maps.thinned else ""
    return f"{what}{more}; {len(maps.points.studies):,} studies; neighbours of other patients only"


def _panel(axes: Any, one: EmbeddingMap, colour: Colour, row: int, k: int) -> Any:
    """The points of one encoder in one colour; gives what a colour bar is made from, or None."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.set_box_aspect(1)
    if row == 0:
        axes.set_title(one.title, pad=32, fontsize=10)
    words = f"{colour.name}\n{one.together[row].words(k)}"
    axes.text(0, 1.02, words, transform=axes.transAxes, fontsize=8.5, color=INK, va="bottom")
    size = float(np.clip(9000 / len(one.places), 4, 40))
    dots = {"s": size, "linewidths": 0, "alpha": 0.8}
    unknown = ~colour.known
    if unknown.any():
        axes.scatter(*one.places[unknown].T, color=_UNKNOWN, **dots)
    if not colour.groups:
        known = colour.known
        low, high = np.percentile(colour.values[known], (2, 98))
        return axes.scatter(*one.places[known].T, c=colour.values[known], cmap="viridis", vmin=low, vmax=high, **dots)
    for name, paint in _paints(colour):
        chosen = colour.values == name
        axes.scatter(*one.places[chosen].T, color=paint, **dots)
    return None


def _paints(colour: Colour) -> list[tuple[str, str]]:
    if colour.groups == ("no", "yes"):
        return [("no", _ABSENT), ("yes", VERMILLION)]
    return list(zip(colour.groups, _PALETTE, strict=False))


def _key(figure: Figure, axes: Any, colour: Colour, drawn: Any) -> None:
    """Colour bar or key, in axes of its own right of the row."""
    if drawn is not None:
        figure.colorbar(drawn, cax=axes.inset_axes((0.0, 0.1, 0.12, 0.8)), label=colour.name, extend="both")
        return
    handles = [
        Line2D([], [], linestyle="", marker="o", color=paint, label=f"{name} ({int((colour.values == name).sum()):,})")
        for name, paint in _paints(colour)
    ]
    axes.legend(handles=handles, loc="upper left", borderaxespad=0, handletextpad=0.2)
