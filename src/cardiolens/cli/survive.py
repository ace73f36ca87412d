"""`cardiolens survive`."""

from pathlib import Path
from typing import Annotated

import typer


def survive(
    table: Annotated[Path, typer.Argument(help="CSV table, one person a row: figures, covariates and follow-up.")],
    time: Annotated[str, typer.Option(help="Column of the time to the event or to the end of follow-up.")],
    event: Annotated[str, typer.Option(help="Column that says whether the event took place (0/1, yes/no).")],
    exposure: Annotated[list[str], typer.Option(help="Column whose effect is asked for; may be given again.")],
    out: Annotated[Path, typer.Option(help="Folder for cox.csv, kaplan_meier.csv, figures, results.json, index.html.")],
    adjust: Annotated[str, typer.Option(help="Columns to adjust for, separated by commas.")] = "",
    reference: Annotated[
        list[str] | None, typer.Option(help="Group to compare with, as sex=F; default: the commonest.")
    ] = None,
    horizon: Annotated[
        list[float] | None, typer.Option(help="Also up to this time, in the unit of --time; may be given again.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of the Kaplan-Meier curves; default: the first exposure.")
    ] = None,
    cut: Annotated[
        list[float] | None, typer.Option(help="Where a numeric group is cut; default: its tertiles.")
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence level of all limits.")] = 0.95,
) -> None:
    """What goes with an event to come: Cox models of each exposure, and Kaplan-Meier curves.

    A test of proportional hazards and the C-index stand beside each model.  Rows with a gap are left out and counted.

    Example: cardiolens survive figures.csv --time years --event death --exposure lvef_pct --adjust age,sex --out death
    """
    from cardiolens.cli._relations import listed, pairs, show
    from cardiolens.relations import read_source, survive_table, write_survival

    found = survive_table(
        read_source(table),
        time=time,
        event=event,
        exposures=exposure,
        adjust=listed(adjust),
        references=pairs(reference, "--reference"),
        horizons=horizon or (),
        group=group,
        cuts=cut or (),
        level=level,
    )
    write_survival(found, out)
    fits = {f"{e}{'' if h is None else f' up to {h:g}'}": fit.dropped for (e, h), fit in found.fits.items()}
    columns = [
        "term",
        "horizon",
        "hazard_ratio",
        "low",
        "high",
        "p_value",
        "proportional_hazards_p",
        "c_index",
        "events",
    ]
    show(found.table()[columns], fits, found.refused, sorted({n for f in found.fits.values() for n in f.notes}))
    typer.echo(f"page: {out / 'index.html'}")
