"""Tables and figure of a comparison: `benchmark.html`, `.md`, `.csv`, `.png` and `.svg`."""

from __future__ import annotations

import base64
import math
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cardiolens.bench.compare import MEAN, Comparison
from cardiolens.bench.recipe import BenchRecipe
from cardiolens.bench.targets import DISEASE
from cardiolens.evaluation.figures import Drawn, save
from cardiolens.store.atomic import write_whole
from cardiolens.style import BLUE, GREY, INK, PAGE_CSS, STYLE

_DISCLAIMER = (
    "Research use, not a medical device. A ranking of these networks on this budget and these studies, of nothing else."
)
_METRICS = {"mae": "MAE", "r2": "R²", "auroc": "AUROC"}


def write_page(result: Comparison, recipe: BenchRecipe, out: Path, table: Path | None) -> Path:
    """Write everything; returns the HTML page."""
    rows = result.rows.assign(**{name: str(value) for name, value in result.provenance.items()})
    text = rows.to_csv(index=False, float_format="%.5g", lineterminator="\n").encode()
    for path in (out / "benchmark.csv", *([] if table is None else [table])):
        write_whole(path, text)
    write_whole(out / "costs.csv", result.costs.to_csv(index=False, float_format="%.5g", lineterminator="\n").encode())
    drawn = forest(result, recipe)
    save(drawn, out)
    write_whole(out / "benchmark.md", markdown(result, recipe).encode())
    page = out / "benchmark.html"
    write_whole(page, _html(result, recipe, drawn).encode())
    return page


def forest(result: Comparison, recipe: BenchRecipe) -> Drawn:
    """The value's error, disease, and the mean over conditions, with limits, a system a line."""
    shown = ((recipe.label, "mae"), (DISEASE, "auroc"), (MEAN, "auroc"))
    systems = list(dict.fromkeys(result.rows["system"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.6 + 0.42 * len(systems)), layout="constrained")
        FigureCanvasAgg(figure)
        panels: Any = figure.subplots(1, len(shown), sharey=True)
        for axes, (target, metric) in zip(panels, shown, strict=True):
            _panel(axes, result.rows, systems, target, metric, recipe.unit)
        panels[0].axvline(result.median_mae, color=GREY, lw=0.8, ls="--")
        for axes in panels[1:]:
            axes.axvline(0.5, color=GREY, lw=0.8, ls="--")
        panels[0].set_yticks(range(len(systems)), systems)
        panels[0].invert_yaxis()
    told = "the dotted line is the first system, the dashed one what needs no image."
    caption = f"Test part, {100 * recipe.level:g} % limits; {told}"
    return Drawn("benchmark", "Systems on common ground", caption, figure)


def _panel(axes: Any, rows: pd.DataFrame, systems: list[str], target: str, metric: str, unit: str) -> None:
    mine = rows[(rows["target"] == target) & (rows["metric"] == metric)].set_index("system")
    known = [name for name in systems if name in mine.index and not math.isnan(mine.loc[name, "value"])]
    for line, name in enumerate(systems):
        if name in known:
            row = mine.loc[name]
            axes.plot([row["low"], row["high"]], [line, line], color=BLUE, lw=1.6, solid_capstyle="butt")
            axes.plot(row["value"], line, "o", color=BLUE, ms=5)
    if systems[0] in known:
        axes.axvline(mine.loc[systems[0], "value"], color=INK, lw=0.8, ls=":")
    words = f"{_named(target)}: {_METRICS[metric]}"
    axes.set_title(words, fontsize=9.5, pad=6)
    axes.set_xlabel(f"mean absolute error ({unit})" if metric == "mae" else "area under the ROC curve")


def markdown(result: Comparison, recipe: BenchRecipe) -> str:
    """The tables as text."""
    lines = [f"**{_DISCLAIMER}**", "", _lead(result, recipe), ""]
    for title, table in _tables(result, recipe):
        heads = " | ".join(table.columns)
        lines += [f"## {title}", "", f"| {heads} |", "|---|" + "---:|" * (len(table.columns) - 1)]
        lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)] + [""]
    return "\n".join([*lines, *(f"- {words}" for words in _notes(result)), ""])


def _html(result: Comparison, recipe: BenchRecipe, drawn: Drawn) -> str:
    picture = base64.b64encode(drawn.png).decode("ascii")
    parts = [
        f"<p class='device'>{escape(_DISCLAIMER)}</p><p>{escape(_lead(result, recipe))}</p>",
        f'<img alt="{escape(drawn.caption)}" src="data:image/png;base64,{picture}"><p class="meta">{drawn.caption}</p>',
    ]
    for title, table in _tables(result, recipe):
        parts.append(f"<h2>{escape(title)}</h2><div class='scroll'>{table.to_html(index=False, border=0)}</div>")
    parts += [f"<p class='note'>{escape(words)}</p>" for words in _notes(result)]
    facts = ", ".join(f"{name} {value}" for name, value in result.provenance.items())
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Benchmark · research use only</title>"
        f"<style>{PAGE_CSS}</style></head><body><h1>Systems on common ground</h1>{''.join(parts)}"
        f"<p class='meta'>{escape(facts)}</p></body></html>\n"
    )


def _lead(result: Comparison, recipe: BenchRecipe) -> str:
    systems = list(dict.fromkeys(result.rows["system"]))
    n = int(result.rows["n"].max())
    o = recipe.optimiser
    return (
        f"{len(systems)} systems, the same split ({result.provenance['split_hash']}), targets and budget: {o.epochs} "
        f"epochs of batches of {o.batch}, best validation epoch, {len(recipe.seeds)} seed(s) averaged. {n} test "
        f"studies. Limits {100 * recipe.level:g} % (bootstrap by patient; DeLong for single areas, a study as a case). "
        "Differences and p (Wilcoxon for errors, DeLong for areas, the bootstrap's spread for the mean; Holm over the "
        f"table below) are against {systems[0]}."
    )


def _notes(result: Comparison) -> list[str]:
    found = [f"{_named(name)} is not tested: {why}" for name, why in result.left_out.items()]
    value = next(iter(result.rows["target"]))
    unread = result.costs[result.costs["unread_test"] > 0]
    return [
        f"Who says the test part's median {_named(value)} of every study is off by {result.median_mae:.1f}.",
        *([f"Conditions with too few cases: {'; '.join(found)}."] if found else []),
        *(f"{row.system} could not read {row.unread_test} test studies." for row in unread.itertuples()),
    ]


def _named(target: str) -> str:
    return "LVEF" if target == "lvef" else target.replace("_", " ")


def _tables(result: Comparison, recipe: BenchRecipe) -> list[tuple[str, pd.DataFrame]]:
    return [
        ("Results", _results(result.rows, recipe)),
        ("Cost", _costs(result.costs)),
        ("Each condition, AUROC", _conditions(result.rows, recipe)),
    ]


def _results(rows: pd.DataFrame, recipe: BenchRecipe) -> pd.DataFrame:
    shown = rows[rows["target"].isin([recipe.label, DISEASE, MEAN])]
    table: pd.DataFrame = pd.DataFrame(
        {
            "system": shown["system"],
            "target": shown["target"].map(_named) + " · " + shown["metric"].map(_METRICS),
            "value": [_span(row.value, row.low, row.high, row.metric) for row in shown.itertuples()],
            "difference": [
                _span(row.difference, row.difference_low, row.difference_high, row.metric, sign=True)
                if "difference" in shown
                else "–"
                for row in shown.itertuples()
            ],
            "p (Holm)": [_p(value) for value in shown["p_adjusted"]],
        }
    )
    return table


def _costs(costs: pd.DataFrame) -> pd.DataFrame:
    table: pd.DataFrame = pd.DataFrame(
        {
            "system": costs["system"],
            "parameters": [f"{n / 1e6:.2f} M" if n else "none of its own" for n in costs["parameters"]],
            "pretraining, min": [_minutes(s) for s in costs["pretrain_seconds"]],
            "training, min": [_minutes(s) for s in costs["train_seconds"]],
            "a study, s": [f"{s:.2f}" for s in costs["inference_seconds"]],
            "seeds": costs["seeds"],
        }
    )
    return table


def _conditions(rows: pd.DataFrame, recipe: BenchRecipe) -> pd.DataFrame:
    own = rows[(rows["metric"] == "auroc") & ~rows["target"].isin([DISEASE, MEAN])]
    wide = own.pivot(index="target", columns="system", values="value")[list(dict.fromkeys(rows["system"]))]
    cases = own.groupby("target")["positive"].first()
    wide = wide.map(lambda v: "–" if np.isnan(v) else f"{v:.2f}")
    wide.insert(0, "cases", [f"{cases[name]:.0f}" for name in wide.index])
    wide.index = [str(name).replace("_", " ") for name in wide.index]
    table: pd.DataFrame = wide.rename_axis("condition").reset_index()
    return table


def _span(value: float, low: float, high: float, metric: str, *, sign: bool = False) -> str:
    if value is None or math.isnan(value):
        return "–"
    digits, plus = (1 if metric == "mae" else 3), "+" if sign else ""
    return f"{value:{plus}.{digits}f} [{low:{plus}.{digits}f}, {high:{plus}.{digits}f}]"


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _minutes(seconds: float | None) -> str:
    return "–" if seconds is None or math.isnan(seconds) else f"{seconds / 60:.1f}"
