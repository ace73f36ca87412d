"""`cardiolens retrieve`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cardiolens.errors import InputError


def retrieve(
    index: Annotated[Path, typer.Argument(help="Index that `cardiolens embed` made.")],
    store: Annotated[Path, typer.Argument(help="Store with the reports of these studies.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The model that made the index; it needs a text tower.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON of the figures; the ranks go beside it as .csv.")
    ] = None,
    sentences: Annotated[int, typer.Option(min=1, help="Sentences of a report embedded at a time.")] = 5,
    level: Annotated[float, typer.Option(help="Confidence level of the limits.")] = 0.95,
) -> None:
    """Measure how well studies find their own reports among all, and reports their studies: R@1/5/10 and median rank.

    A report is embedded five sentences at a time, as in the pretraining, and averaged.  A tie counts against the model.
    Studies without a report are counted and left out.

    Example: cardiolens retrieve cohort.index cohort --model runs/shad_tiny_pretrain/final --out retrieval.json
    """
    from cardiolens.cli._bar import Bar
    from cardiolens.cli._search import open_model, write_csv, write_json
    from cardiolens.search import EmbeddingIndex
    from cardiolens.search.ranks import retrieve_reports
    from cardiolens.store import StudyStore

    if out is not None and out.suffix != ".json":
        raise InputError(f"{out}: the figures are a .json file")
    found = EmbeddingIndex.load(index)
    network = open_model(model)
    with Bar("reading reports") as bar:
        result, reports = retrieve_reports(
            network, found, StudyStore(store), sentences=sentences, level=level, progress=bar
        )
    if out is not None:
        import pandas as pd

        ranks = {"report_rank": result.study_to_report.ranks, "study_rank": result.report_to_study.ranks}
        write_csv(out.with_suffix(".csv"), pd.DataFrame(ranks, index=pd.Index(reports.keys, name="key")))
        used = {"index": dict(found.meta), "sentences_at_a_time": sentences, "without_report": list(reports.without)}
        write_json(out, {**result.to_dict(), **used})
    _show(result, level)
    typer.echo(f"{result.n:,} studies with a report, {len(reports.without):,} without, {result.tied:,} tied")
    if out is not None:
        typer.echo(f"written: {out}, {out.with_suffix('.csv')}")


def _show(result: Any, level: float) -> None:
    from cardiolens.cli._search import show_table

    rows = []
    for name, found in (("study to report", result.study_to_report), ("report to study", result.report_to_study)):
        rows += [
            [f"{name}, R@{k}", f"{p.value:.1%}", f"{p.low:.1%} to {p.high:.1%}", f"{result.chance[k]:.1%}"]
            for k, p in found.recall.items()
        ]
        limits = f"{found.median_low:g} to {found.median_high:g}"
        rows.append([f"{name}, median rank", f"{found.median_rank:g}", limits, f"{result.chance_median:g}"])
    show_table("Retrieval", ["figure", "value", f"{level:.0%} limits", "by chance"], rows)
