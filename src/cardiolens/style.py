"""How figures look: one colour-blind safe palette, sizes that stay readable in print.

Colours: Okabe & Ito, Color Universal Design (2008).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, VERMILLION, GREY, INK = "#0072B2", "#D55E00", "#8A8A8A", "#222222"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 20,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": True,
    "legend.framealpha": 0.92,
    "legend.edgecolor": "none",
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "svg.hashsalt": "cardiolens",
    "svg.fonttype": "path",
}


PAGE_CSS = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#222;background:#fff;max-width:980px;
  margin:0 auto;padding:24px 20px 48px}
h1{font-size:1.5rem;margin:0 0 4px}h2{font-size:1.1rem;margin:32px 0 8px}.meta{color:#555}
.device{border-left:4px solid #D55E00;background:#fdf3ec;padding:8px 14px}
.note{border-left:4px solid #0072B2;background:#eef5fa;padding:8px 14px;margin:8px 0}
img{max-width:100%;height:auto}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:4px 10px;border-bottom:1px solid #e6e6e6;vertical-align:top}
th{border-bottom:2px solid #999}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font-size:.85em;word-break:break-all}
"""
"""Style of a page of tables and figures."""


@contextmanager
def canvas(title: str, subtitle: str, *, height: float = 5.0, rows: int = 1) -> Iterator[tuple[Figure, Any]]:
    """A figure with a title and a line under it, and its axes: one, or a tall one over a low one."""
    figure = Figure(figsize=(5.4, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(1) if rows == 1 else figure.subplots(2, height_ratios=[4, 1], sharex=True)
    top = axes[0] if rows == 2 else axes
    top.set_title(title)
    top.text(0, 1.02, subtitle, transform=top.transAxes, fontsize=8.5, color="#555555", va="bottom")
    yield figure, axes


def legend(axes: Any, place: str) -> None:
    """Key inside the axes."""
    axes.legend(loc=place, handlelength=1.6, borderaxespad=0.4)


def legend_below(figure: Figure) -> None:
    """Key under the axes, where it hides no data."""
    figure.legend(loc="outside lower left", handlelength=1.6, ncols=1)
