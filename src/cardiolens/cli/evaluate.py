"""`cardiolens evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cardiolens.errors import StatsError


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="CSV table with a column of predictions, one study a row.")],
    task: Annotated[str, typer.Option(help="regression (LVEF and other measures) or classification (labels 0/1).")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, metrics.csv, figures and index.html.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV table with the true values, joined by study key, if they are not in the first."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column of true values; default: guessed.")] = None,
    prediction: Annotated[str | None, typer.Option(help="Column of predictions or scores; default: guessed.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Column that identifies the study; default: guessed.")] = None,
    patient: Annotated[
        str | None, typer.Option(help="Column of patients: limits by bootstrap then draw whole patients.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Regression: true values below it are positive; default 40 (LVEF < 40 %). "
            "Classification: score from which a case is called positive; default 0.5 for probabilities.",
        ),
    ] = None,
    positive_below: Annotated[
        bool | None,
        typer.Option(
            "--positive-below/--positive-above",
            help="Whether low values are the positive ones; default: below for regression, above for classification.",
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Second table of the same studies, compared as paired (DeLong, bootstrap).")
    ] = None,
    quantity: Annotated[str, typer.Option(help="What a regression predicts, for the axes.")] = "LVEF",
    unit: Annotated[str, typer.Option(help="Its unit.")] = "%",
    coverage: Annotated[
        float | None, typer.Option(help="Coverage that the prediction intervals state, such as 0.9, to check it.")
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence level of all limits.")] = 0.95,
    resamples: Annotated[int, typer.Option(help="Resamples of the bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
) -> None:
    """Measure predictions against the truth: figures with confidence limits, plots, and one page to read.

    Example: cardiolens evaluate predictions.csv --labels labels.csv --task regression --out evaluation
    """
    from cardiolens.evaluation import ColumnNames, Settings, write
    from cardiolens.evaluation import evaluate as run

    settings = Settings(
        task=task,
        names=ColumnNames(label, prediction, id_, patient),
        threshold=threshold,
        positive_below=positive_below,
        quantity=quantity,
        unit=unit,
        nominal_coverage=coverage,
        level=level,
        n_resamples=resamples,
        seed=seed,
    )
    if out.exists() and not out.is_dir():
        raise StatsError(f"{out}: is a file; --out names a folder")
    found = run(predictions, settings, labels=labels, against=against)
    write(found, out)
    _show(found)
    typer.echo(f"page: {out / 'index.html'}")


def _show(evaluation: Any) -> None:
    """The figures as a table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    from cardiolens.evaluation.page import (
        comparison_lines,
        coverage_text,
        limits_text,
        metric_title,
        value_text,
    )

    console = Console()
    for subset, report in evaluation.reports.items():
        title = f"{evaluation.data.source}: {report.n:,} studies" + ("" if subset == "all" else f", {subset}")
        table = Table(title=title, title_justify="left")
        table.add_column("Figure")
        for heading in ("Value", f"{evaluation.settings.level * 100:.10g} % limits", "n"):
            table.add_column(heading, justify="right", no_wrap=True)
        for metric in report:
            table.add_row(metric_title(metric.name), value_text(metric), limits_text(metric), f"{metric.n:,}")
        console.print(table)
    lines = [
        (f"Interval, {subset}", coverage_text(c, evaluation.settings.unit)) for subset, c in evaluation.coverage.items()
    ]
    if evaluation.out_of_domain is not None:
        share = evaluation.out_of_domain
        lines.append(("Out of domain", f"{share.count:,} of {share.n:,} studies ({share.value * 100:.1f} %)"))
    if evaluation.comparison is not None:
        lines.append(("Against", evaluation.comparison.other))
    lines += comparison_lines(evaluation)
    lines += [(f"Not computed: {metric_title(name)}", reason) for name, reason in evaluation.report.refused.items()]
    lines += [("Note", note) for note in evaluation.notes]
    for what, text in lines:
        console.print(f"{what}: {text}", markup=False, highlight=False, soft_wrap=True)
    console.print("Research software; not a medical device.", markup=False)
