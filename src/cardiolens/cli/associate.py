"""`cardiolens associate`."""

from pathlib import Path
from typing import Annotated

import typer


def associate(
    table: Annotated[Path, typer.Argument(help="CSV table, one person a row: figures and covariates.")],
    outcome: Annotated[list[str], typer.Option(help="Column of a figure, such as lvef_pct; may be given again.")],
    exposure: Annotated[list[str], typer.Option(help="Column whose effect is asked for; may be given again.")],
    out: Annotated[Path, typer.Option(help="Folder for associations.csv, forest.png, results.json, index.html.")],
    adjust: Annotated[str, typer.Option(help="Columns to adjust for, separated by commas.")] = "",
    reference: Annotated[
        list[str] | None, typer.Option(help="Group to compare with, as sex=F; default: the commonest.")
    ] = None,
    disparity: Annotated[
        str | None, typer.Option(help="Disparity ratios of one group against the rest, as ethnicity=White.")
    ] = None,
    classical: Annotated[bool, typer.Option("--classical", help="Classical standard errors; default: HC3.")] = False,
    level: Annotated[float, typer.Option(help="Confidence level of all limits.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap of disparity ratios.")] = 0,
) -> None:
    """What goes with a figure: least squares of each outcome on each exposure, adjusted for others.

    Text columns are groups, each compared with a reference.  Rows with a gap are left out and counted by reason.

    Example: cardiolens associate figures.csv --outcome lvef_pct --exposure diabetes --adjust age,sex,bmi --out diabetes
    """
    from cardiolens.cli._relations import listed, pair, pairs, show
    from cardiolens.relations import associate_table, read_source, write_associations

    found = associate_table(
        read_source(table),
        outcomes=outcome,
        exposures=exposure,
        adjust=listed(adjust),
        references=pairs(reference, "--reference"),
        robust=not classical,
        disparity=pair(disparity, "--disparity") if disparity else None,
        level=level,
        seed=seed,
    )
    write_associations(found, out)
    fits = {f"{o} by {e}": fit.dropped for (o, e), fit in found.fits.items()}
    columns = ["outcome", "term", "estimate", "low", "high", "p_value_holm", "n"]
    show(found.table()[columns], fits, found.refused, ())
    typer.echo(f"page: {out / 'index.html'}")
