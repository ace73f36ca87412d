"""`cardiolens ingest`."""

import json as json_module
from pathlib import Path
from typing import Any

import typer

from cardiolens.cli._bar import Bar
from cardiolens.errors import ReadError

_SHOWN = 40


def ingest(
    src: list[Path] = typer.Argument(..., help="Folders, zip or tar archives, DICOM or NIfTI files."),
    out: Path = typer.Option(..., "--out", "-o", help="The store: a folder, made where absent."),
    reports: Path | None = typer.Option(None, help="CSV with the columns accession (or patient) and report."),
    workers: int | None = typer.Option(None, min=1, help="Processes; by default as cores and memory allow."),
    site: str | None = typer.Option(None, help="Institution, in place of what the headers say."),
    ignore_unknown_reports: bool = typer.Option(False, help="Leave out reports that belong to no study given."),
    json: bool = typer.Option(False, "--json", help="Print the manifest of the store as JSON."),
) -> None:
    """Read every study under SRC into a store, under pseudonyms.

    Finds the studies, tells their views, and writes one HDF5 file a study, whole or not at all. What came in and what
    was refused and why stands in STORE/manifest.json. Run it again to go on after a stop: what is done is skipped.
    """
    from cardiolens.ingest import ingest as run

    with ingest_bar(shown=not json) as progress:
        result = run(
            src,
            out,
            reports=reports,
            workers=workers,
            site=site,
            ignore_unknown_reports=ignore_unknown_reports,
            progress=progress,
        )
    if json:
        typer.echo(json_module.dumps(result.manifest, indent=1, ensure_ascii=False))
    else:
        _show(result, out)
    if not result.in_store:
        reasons = sorted({_told(record) for record in result.records})
        raise ReadError("nothing was ingested: " + "; ".join(reasons[:5]))
    if result.counts["failed"]:
        raise typer.Exit(1)


def _told(record: Any) -> str:
    """Why a study was refused, with the reason of each series."""
    told = [f"{refusal['series']}: {refusal['reason']}" for refusal in record.refused[:10]]
    return str(record.reason) + (f" ({'; '.join(told)})" if told else "")


def ingest_bar(*, shown: bool) -> Bar:
    """The two stages of bringing studies in."""
    words = {"looking": "looking for studies", "ingesting": "ingesting", "masks": "masks"}
    return Bar(words["looking"], shown=shown, words=words.__getitem__)


def _show(result: Any, out: Path) -> None:
    """One line a study, then the sums."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 120))
    records = sorted(result.records, key=lambda record: (record.status == "ingested", record.key or record.source))
    table = Table(title=f"{len(records)} studies found", title_justify="left", box=SIMPLE, pad_edge=False)
    for column in ("study", "planes x phases", "files", "damaged", "copies", "report", "outcome"):
        table.add_column(column, no_wrap=column == "study")
    for record in records[:_SHOWN]:
        views = ", ".join(f"{view} {shape[0]} x {shape[1]}" for view, shape in record.views.items())
        outcome = record.status if record.reason is None else f"{record.status}: {_told(record)}"
        row = (record.key or record.source, views, record.n_files, record.n_damaged, record.n_duplicates)
        table.add_row(*(Text(str(cell)) for cell in (*row, "yes" if record.has_report else "no", outcome)))
    console.print(table)
    if len(records) > _SHOWN:
        console.print(f"and {len(records) - _SHOWN} more, see {out}/manifest.json", markup=False)
    counts = result.counts
    console.print(
        f"{counts['ingested']} ingested, {counts['skipped']} unchanged, {counts['refused']} refused, "
        f"{counts['failed']} failed; details in {out}/manifest.json",
        markup=False,
    )
