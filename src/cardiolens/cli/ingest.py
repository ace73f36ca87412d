"""`cardiolens ingest`."""

import json as json_module
import sys
from pathlib import Path
from typing import Any

import typer

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

    with _Progress(shown=not json) as progress:
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


class _Progress:
    """A bar on the error stream, so that the table can be piped."""

    def __init__(self, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not shown or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("looking for studies", total=None)

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        text = {"looking": "looking for studies", "ingesting": "ingesting"}[what]
        self._bar.update(self._task, description=text, completed=done, total=total or None)


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
