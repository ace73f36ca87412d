"""Where the pooling looked: attention by view and condition, with and without it (fig. 4e)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cardiolens.attention import view_attention
from cardiolens.stats import bootstrap
from cardiolens.study import View
from cardiolens.validation.drawing import board, named_rows, readable, whiskers
from cardiolens.validation.readings import Head
from cardiolens.validation.request import Case
from cardiolens.validation.sections import Section, Table

if TYPE_CHECKING:
    from cardiolens.evaluation.figures import Drawn

_RESAMPLES = 500
_FEWEST = 3  # patients of a group for it to be drawn
_NAN = float("nan")
_LVEF = "LVEF < 40 %"


def attention_section(case: Case) -> Section:
    """Relative attention by view: overall, and of studies with against those without each condition."""
    section = Section("attention", "Where the model looked")
    heads = [head for _, head in case.reader.heads]
    if not heads:
        section.notes.append(f"{case.reader.title} has no head, so no clip is weighed against another.")
        return section
    section.words.append(
        "Relative attention of a view: the mean weight of its clips in the pooling over the weight that each clip of "
        "the study would have if all were equal. 1 is neutral. A study with one clip alone has 1 by necessity and is "
        "left out."
    )
    clips = case.readings.clips
    section.tables.append(Table("attention_clips", "Attention of every clip", clips, clips[:0]))
    rows: list[dict[str, Any]] = []
    for head in heads:
        table = by_study(clips, head)
        if table.empty:
            section.notes.append(f"Every study has one clip alone: attention of {head.name} says nothing.")
            continue
        rows += _groups(case, head, table)
    if not rows:
        return section
    frame = pd.DataFrame(rows)
    section.tables.append(
        Table("attention_by_condition", "Relative attention by view, with and without", frame, frame[:0])
    )
    section.tables.append(_overall(frame))
    section.figures += [drawn for head in heads if (drawn := _figure(case, head, frame)) is not None]
    if all(len(head.labels) > 1 for head in heads):
        section.notes.append(
            "One head gives all conditions from one pooling: a study has one set of weights, and what differs between "
            "conditions is which studies have them. A model a condition (recipe: each) weighs for each its own way."
        )
    return section


def by_study(clips: pd.DataFrame, head: Head) -> pd.DataFrame:
    """Relative attention (study, view), NaN where a view is absent; studies with two clips or more."""
    rows = {}
    for key, part in clips.groupby("key", sort=False):
        if len(part) < 2:
            continue
        found = view_attention(part[f"attention_{head.name}"].tolist(), [View(view) for view in part["view"]])
        rows[key] = {str(row.view): row.relative for row in found}
    frame: pd.DataFrame = pd.DataFrame.from_dict(rows, orient="index", columns=[str(view) for view in View])
    return frame


def _groups(case: Case, head: Head, table: pd.DataFrame) -> list[dict[str, Any]]:
    labels = case.cohort.labels.reindex(table.index)
    patients = case.cohort.studies.loc[table.index, "patient"].to_numpy()
    rows = _rows(case, table, patients, np.ones(len(table), dtype=bool), head.name, "all studies", "all")
    marks: dict[str, pd.Series[Any]] = {
        name: labels[name].map({1.0: True, 0.0: False}) for name in head.labels if name in labels and name != "lvef"
    }
    if "lvef" in head.labels and "lvef" in labels:
        marks[_LVEF] = (labels["lvef"] < 40).astype(object).where(labels["lvef"].notna())
    for name, mark in marks.items():
        for group, value in (("with", True), ("without", False)):
            rows += _rows(case, table, patients, (mark == value).to_numpy(dtype=bool), head.name, name, group)
    return rows


def _rows(
    case: Case,
    table: pd.DataFrame,
    patients: npt.NDArray[Any],
    chosen: npt.NDArray[np.bool_],
    head: str,
    condition: str,
    group: str,
) -> list[dict[str, Any]]:
    rows = []
    for view in View:
        column = table[str(view)].to_numpy(dtype=np.float64)
        own = chosen & ~np.isnan(column)
        value = low = high = _NAN
        if own.any():
            value = float(column[own].mean())
        if len(set(patients[own])) >= _FEWEST:
            drawn = bootstrap(
                lambda values, weights: weights @ values / weights.sum(axis=-1),
                column[own],
                patients=patients[own],
                n_resamples=_RESAMPLES,
                level=case.settings.level,
                seed=case.settings.seed,
                vectorized=True,
            )
            low, high = drawn.low, drawn.high
        row = {"head": head, "condition": condition, "studies": group, "view": str(view), "n": int(own.sum())}
        rows.append(row | {"relative_attention": value, "low": low, "high": high})
    return rows


def _overall(frame: pd.DataFrame) -> Table:
    rows = frame[frame["studies"] == "all"].drop(columns=["condition", "studies"]).reset_index(drop=True)
    shown = rows.copy()
    for name in ("relative_attention", "low", "high"):
        shown[name] = ["–" if np.isnan(value) else f"{value:.2f}" for value in rows[name]]
    return Table("attention_by_view", "Relative attention by view, all studies, with bootstrap limits", rows, shown)


def _figure(case: Case, head: Head, frame: pd.DataFrame) -> Drawn | None:
    """A panel a view: with and without each condition."""
    from cardiolens.evaluation.figures import Drawn

    own = frame[(frame["head"] == head.name) & (frame["studies"] != "all")]
    counts = own[(own["studies"] == "with")].groupby("condition", sort=False)["n"].max()
    names = [name for name, count in counts.items() if count >= _FEWEST]
    views = [str(view) for view in View if own.loc[own["view"] == str(view), "n"].sum()]
    if not names or not views:
        return None
    title = "Attention by view" + (f", head {head.name}" if len(case.reader.heads) > 1 else "")
    side = (2.1 if len(views) > 1 else 4.0, 0.25 * len(names) + 1.2)
    subtitle = (
        f"relative attention, 1 is neutral; studies with and without; bars: {case.settings.level * 100:g} % bootstrap"
    )
    figure, axes = board(len(views), columns=4, side=side, title=title, subtitle=subtitle)
    for each, view in zip(axes, views, strict=True):
        part = own[own["view"] == view].set_index(["studies", "condition"])
        each.axvline(1, color="#8A8A8A", lw=1, ls=":")
        for group, colour, at in (("with", "#D55E00", 0.14), ("without", "#0072B2", -0.14)):
            rows = [tuple(part.loc[(group, name), ["relative_attention", "low", "high"]]) for name in names]
            whiskers(each, rows, at=at, colour=colour, label=f"{group} the finding")
        named_rows(
            each, [f"{readable(name)} ({counts[name]})" for name in names] if each is axes[0] else [""] * len(names)
        )
        each.set_title(view, fontsize=9, pad=4)
        each.set_xlabel("relative attention", fontsize=8)
        each.tick_params(axis="x", labelsize=7.5)
    handles, texts = axes[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower left", ncols=2, fontsize=8.5, frameon=False)
    words = f"Relative attention of each view in studies with and without {len(names)} findings."
    return Drawn(f"attention_{head.name}", title, words, figure)
