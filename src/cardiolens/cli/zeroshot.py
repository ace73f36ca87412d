"""`cardiolens zeroshot`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cardiolens.errors import InputError


def zeroshot(
    index: Annotated[Path, typer.Argument(help="Index that `cardiolens embed` made.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The model that made the index; it needs a text tower.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV of scores, key by condition.")],
    labels: Annotated[
        Path | None, typer.Option(help="Store or CSV with the truth, a column of 0, 1 or empty a condition: AUROC.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Own table of sentences (YAML); see docs/how-to/search.md.")
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence level of the DeLong limits.")] = 0.95,
) -> None:
    """Score studies for the 35 conditions by sentences alone, without a trained head.

    A clip's score is its similarity to the mean of the positive sentences of a condition minus that to the mean of the
    negative ones; a study's is the mean over each view's clips, then over its views.  Higher speaks for the condition;
    it is no probability.  With labels: OUT.auroc.csv beside it.  OUT.run.json tells what was used.

    Example: cardiolens zeroshot cohort.index --model runs/shad_tiny_pretrain/final --out zeroshot.csv --labels cohort
    """
    from cardiolens.cli._bar import Bar
    from cardiolens.cli._search import open_model, write_csv, write_json
    from cardiolens.search import EmbeddingIndex, load_prompts, zero_shot, zero_shot_auroc
    from cardiolens.search.prompts import DATA, prompts_hash
    from cardiolens.search.tables import read_table

    if out.suffix != ".csv":
        raise InputError(f"{out}: the scores are a .csv file")
    found = EmbeddingIndex.load(index)
    sentences = load_prompts(prompts or DATA)
    truth = None if labels is None else read_table(labels)
    network = open_model(model)
    with Bar("reading sentences"):
        scores = zero_shot(network, found, sentences)
    areas = None if truth is None else zero_shot_auroc(scores, truth, level=level)
    write_csv(out, scores)
    record = {
        "index": dict(found.meta),
        "studies": len(scores),
        "prompts": prompts_hash(sentences),
        "study_pooling": "mean over the clips of a view, then over views",
    }
    if areas is not None:
        write_csv(out.with_suffix(".auroc.csv"), areas)
        known = areas["auroc"].dropna()
        record |= {
            "level": level,
            "conditions_with_auroc": len(known),
            "conditions_without": areas["not_computed"].dropna().to_dict(),
            "mean_auroc": float(known.mean()) if len(known) else None,
        }
        _show(areas, level)
    write_json(out.with_suffix(".run.json"), record)
    typer.echo(f"scores: {out}: {len(scores):,} studies, {scores.shape[1]} conditions")
    typer.echo("Research software; not a medical device.")


def _show(areas: Any, level: float) -> None:
    from cardiolens.cli._search import show_table

    known = areas[areas["auroc"].notna()].sort_values("auroc", ascending=False)
    rows = [
        [str(name), f"{row.auroc:.3f}", _limits(row.low, row.high), f"{row.positive:,}", f"{row.n:,}"]
        for name, row in known.iterrows()
    ]
    show_table("Zero-shot", ["condition", "AUROC", f"{level:.0%} limits", "positive", "n"], rows)
    if len(known):
        typer.echo(f"mean of {len(known)} conditions: {known['auroc'].mean():.3f}")
    if len(known) < len(areas):
        typer.echo(
            f"{len(areas) - len(known)} conditions without AUROC: {', '.join(areas.index.difference(known.index))}"
        )


def _limits(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}" if low == low and high == high else "one case only"  # noqa: PLR0124 - NaN
