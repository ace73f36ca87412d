"""`cardiolens views`: what each series of a scan shows, or why it is not used."""

import json
from pathlib import Path
from typing import Any, List, Optional  # noqa: UP035 - evaluated by typer on Python 3.10 too

import typer

from cardiolens.errors import NoCineError


def views(
    path: List[Path] = typer.Argument(..., help="Folder, zip, tar or files of one scan."),  # noqa: UP006
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    view: Optional[str] = typer.Option(None, help="View of the only cine: SAX, 2CH, 3CH or 4CH."),  # noqa: UP045
    workers: Optional[int] = typer.Option(None, help="Threads that read headers."),  # noqa: UP045
) -> None:
    """List every series with its view or the reason it is refused, the evidence and the confidence."""
    from cardiolens.reading import examinations

    found = list(examinations([str(p) for p in path], view=view, workers=workers))
    if as_json:
        tables = [examination.to_dict() for examination in found]
        typer.echo(json.dumps(tables[0] if len(tables) == 1 else {"studies": tables}, indent=2))
    else:
        for examination in found:
            _print_table(examination)
    if not any(examination.study.cines for examination in found):
        listed = ", ".join(str(p) for p in path)
        raise NoCineError(
            f"{listed}: no cine among the {sum(len(e.series) for e in found)} series; see the reasons above"
        )


def _print_table(examination: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 160))
    study = examination.study
    names = [study.patient, study.accession, study.site]
    console.print(escape("Study " + " · ".join(str(name) for name in names if name)), highlight=False)
    table = Table(show_lines=False, header_style="bold")
    for title, justify in (
        ("Series", "right"),
        ("Description", "left"),
        ("Files", "right"),
        ("Planes × phases", "right"),
    ):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    for title in ("Matrix", "View", "Sure", "Why"):
        table.add_column(title, overflow="fold" if title == "Why" else "ellipsis", no_wrap=title in ("View", "Sure"))
    for finding in examination.series:
        why = finding.reason or "; ".join(finding.evidence)
        notes = "".join(f"\n[dim]{escape(note)}[/dim]" for note in finding.notes)
        table.add_row(
            escape(finding.key),
            escape(finding.description or "–"),
            str(finding.n_files),
            f"{finding.n_planes} × {finding.n_phases}",
            f"{finding.rows} × {finding.cols}",
            f"[bold green]{finding.view}[/]" if finding.view else "[red]refused[/]",
            f"{finding.confidence:.0%}",
            escape(why) + notes,
        )
    console.print(table)
    for note in study.notes:
        console.print("Note: " + note, markup=False, highlight=False)
