"""What the text tower makes of the same clips: zero-shot conditions and study-report retrieval, where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cardiolens.errors import CardiolensError
from cardiolens.study import View
from cardiolens.style import BLUE, GREY
from cardiolens.transforms import ClipTransform
from cardiolens.validation.drawing import board, named_rows, readable, whiskers, with_limits
from cardiolens.validation.request import Case
from cardiolens.validation.sections import Section, Table

if TYPE_CHECKING:
    from cardiolens.search import EmbeddingIndex


def language_section(case: Case) -> Section:
    """Zero-shot AUROC and retrieval, or why there is none."""
    section = Section("language", "Without a trained head: words and pictures")
    model = case.reader.main
    if not model.has_text:
        section.notes.append(f"{case.reader.title} has no text tower: neither zero-shot nor retrieval can be done.")
        return section
    modes = {str(task.get("mode")) for task in model.card.tasks.values()} - {"linear"}
    if modes:
        section.notes.append(
            f"This model was fine-tuned (mode {', '.join(sorted(modes))}), which moves its projection away from the "
            "text tower that it was pretrained with; zero-shot and retrieval are to be asked of the pretrained model."
        )
    try:
        _zero_shot(case, section)
        _retrieval(case, section)
    except CardiolensError as error:
        section.notes.append(f"Not done: {error}")
    return section


def _index(case: Case) -> EmbeddingIndex:
    """The embeddings at hand as an index of `cardiolens.search`."""
    from cardiolens.search import EmbeddingIndex
    from cardiolens.search.embedding import video_hash

    clips, model = case.readings.clips, case.reader.main
    meta = {
        "space": "embedding",
        "model": model.card.full_name,
        "model_hash": video_hash(model),
        "transform": ClipTransform.from_dict(model.card.transform).to_dict(),
    }
    patients = case.cohort.studies["patient"].to_dict()
    return EmbeddingIndex(
        tuple(clips["key"]),
        tuple(View(view) for view in clips["view"]),
        tuple(int(plane) for plane in clips["plane"]),
        case.readings.embeddings,
        meta,
        {key: str(patients[key]) for key in case.readings.keys},
    )


def _zero_shot(case: Case, section: Section) -> None:
    from cardiolens.evaluation.figures import Drawn
    from cardiolens.search import zero_shot, zero_shot_auroc

    labels = case.cohort.labels.drop(columns=["lvef"], errors="ignore")
    if labels.empty or not labels.notna().any(axis=None):
        section.notes.append("No zero-shot figures: no study has a label of a condition.")
        return
    index = _index(case)
    scores = zero_shot(case.reader.main, index)
    table = zero_shot_auroc(scores, labels, level=case.settings.level).reset_index()
    shown = pd.DataFrame(
        {"Condition": table["condition"].map(readable), "n": table["n"], "Positive": table["positive"]}
    )
    shown["Zero-shot AUROC"] = [with_limits(*row) for row in table[["auroc", "low", "high"]].to_numpy(dtype=float)]
    section.tables.append(Table("zero_shot", "Zero-shot AUROC of every condition, DeLong limits", table, shown))
    everything = scores.reset_index()
    section.tables.append(Table("zero_shot_scores", "Zero-shot score of every study", everything, everything[:0]))
    known = table.dropna(subset=["auroc"]).sort_values("auroc", ascending=False)
    if known.empty:
        return
    title = "Zero-shot AUROC by condition"
    side = (7.0, 0.27 * len(known) + 1.0)
    figure, (axes,) = board(1, columns=1, side=side, title=title, subtitle="DeLong limits; in brackets: positives")
    axes.axvline(0.5, color=GREY, lw=1, ls=":")
    rows = [(a, b, c) for a, b, c in known[["auroc", "low", "high"]].to_numpy(dtype=float)]
    whiskers(axes, rows, at=0, colour=BLUE, label="zero-shot")
    named_rows(axes, [f"{readable(n)} ({p})" for n, p in zip(known["condition"], known["positive"], strict=True)])
    axes.set(xlim=(0, 1.01), xlabel="AUROC (dotted: chance)")
    mean = float(known["auroc"].mean())
    words = f"No head was trained: sentences for and against each condition. Mean AUROC {mean:.3f} over {len(known)}."
    section.figures.append(Drawn("zero_shot", title, words, figure))


def _retrieval(case: Case, section: Section) -> None:
    from cardiolens.search import embed_reports, retrieval

    with_report = [key for key in case.readings.keys if bool(case.cohort.studies.loc[key, "has_report"])]
    if len(with_report) < 2:
        section.notes.append(f"No retrieval: {len(with_report)} studies have a report, two are needed.")
        return
    index = _index(case)
    reports = embed_reports(case.reader.main, case.store, with_report)
    studies, rows = index.select(reports.keys).study_vectors()
    place = {key: number for number, key in enumerate(studies)}
    video = np.asarray(rows)[[place[key] for key in reports.keys]]
    found = retrieval(video, reports.rows, level=case.settings.level)
    lines = []
    for name, way in (("study → report", found.study_to_report), ("report → study", found.report_to_study)):
        for k, share in way.recall.items():
            lines.append((name, f"R@{k}", share.value, share.low, share.high, found.chance[k]))
        lines.append((name, "median rank", way.median_rank, way.median_low, way.median_high, found.chance_median))
    table = pd.DataFrame(lines, columns=["direction", "figure", "value", "low", "high", "chance"])
    shown = table[["direction", "figure"]].copy()
    digits = [1 if figure == "median rank" else 3 for figure in table["figure"]]
    numbers = table[["value", "low", "high"]].to_numpy(dtype=float)
    shown["value"] = [with_limits(row[0], row[1], row[2], d) for row, d in zip(numbers, digits, strict=True)]
    shown["chance"] = [f"{value:.{d}f}" for value, d in zip(table["chance"], digits, strict=True)]
    section.tables.append(
        Table("retrieval", f"Study and report found by each other among {found.n:,} pairs", table, shown)
    )
