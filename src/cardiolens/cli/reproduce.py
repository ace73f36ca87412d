"""`cardiolens reproduce`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def reproduce(
    model: Annotated[
        str, typer.Argument(help="Model folder, folder of an `each` run, or a name that `cardiolens models` lists.")
    ],
    store: Annotated[Path, typer.Option(help="The store that the model learned from, with its labels.csv.")],
    split: Annotated[
        Path | None, typer.Option(help="split.json of its run; default: the one beside the model folder.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for reproduce.csv and what is kept to go on after a stop."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Largest difference, in the unit of the figure; default 0.001, 0.02 for float16 weights."),
    ] = None,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps.")] = "cpu",
) -> None:
    """Recompute the figures on a model's card, on the same studies, and compare.

    The store and the split must be those that the card names by hash; labels are the store's own. Exit code 1 when one
    figure is off by more than the tolerance.

    Example: cardiolens reproduce runs/shad_tiny_lvef/final --store cohorts/tiny
    """
    from cardiolens.cli.validate import Bars
    from cardiolens.store import StudyStore
    from cardiolens.validation.reproduce import reproduce as run

    with Bars() as progress:
        found = run(
            model,
            StudyStore(store),
            split=split,
            folder=out,
            tolerance=tolerance,
            device=device,
            progress=progress,
        )
    if out is not None:
        _write(found, out / "reproduce.csv")
    _show(found)
    if not found.holds:
        raise typer.Exit(1)


def _write(found: Any, path: Path) -> None:
    import csv
    import io

    from cardiolens.store.atomic import disk_errors, write_whole

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "part", "figure", "card", "here", "difference", "within"])
    for row in found.figures:
        writer.writerow([row.task, row.part, row.figure, row.card, row.here, row.difference, row.within])
    with disk_errors(path):
        write_whole(path, text.getvalue().encode())


def _show(found: Any) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 110))
    table = Table(box=SIMPLE, pad_edge=False)
    for column in ("task", "part", "figure"):
        table.add_column(column)
    for column in ("card", "here", "difference", ""):
        table.add_column(column, justify="right")
    for row in found.figures:
        numbers = ["–" if value is None else f"{value:.4f}" for value in (row.card, row.here, row.difference)]
        table.add_row(row.task, row.part, row.figure, *numbers, "" if row.within else "OFF")
    console.print(table)
    for name in found.skipped:
        console.print(f"not recomputed: {name}", markup=False)
    off = sum(not row.within for row in found.figures)
    verdict = f"{off} of {len(found.figures)} figures are off" if off else f"all {len(found.figures)} figures hold"
    console.print(f"{verdict} (tolerance {found.tolerance:g}).", markup=False)
