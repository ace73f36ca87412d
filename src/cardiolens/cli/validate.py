"""`cardiolens validate`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def validate(
    model: Annotated[
        str, typer.Argument(help="Model folder, folder of an `each` run, or a name that `cardiolens models` lists.")
    ],
    store: Annotated[Path, typer.Argument(help="Store of studies, with labels.csv unless --labels names another.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables, figures and index.html.")],
    against: Annotated[
        str | None, typer.Option(help="Baseline: another model, or `random` for the same network with random weights.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="split.json of a run; needed for a store that the model learned from.")
    ] = None,
    part: Annotated[str, typer.Option(help="Part of the split to measure on.")] = "test",
    labels: Annotated[
        Path | None, typer.Option(help="CSV: `key`, `lvef` (percent), conditions (0, 1, empty); default: the store's.")
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="Folder of `finetune --sweep`: the figures by epoch of pretraining as well.")
    ] = None,
    maps: Annotated[str, typer.Option(help="How the maps are made: tsne, umap or pca.")] = "tsne",
    level: Annotated[float, typer.Option(help="Confidence level of all limits.")] = 0.95,
    resamples: Annotated[int, typer.Option(help="Resamples of the bootstrap.")] = 2000,
    minimum: Annotated[int, typer.Option(help="Patients below which a subgroup gets no figure.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Measure even where the model has learned from these studies.")
    ] = False,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps.")] = "cpu",
) -> None:
    """Validate a model on a store: every figure and table of the paper for these data, as files and one page.

    LVEF (Bland-Altman, ROC for LVEF < 40 %, bias correction), AUROC of every condition against the baseline and against
    prevalence, calibration, subgroups, attention by view, maps of the embeddings, zero-shot and retrieval where there
    is a text tower, cohort flow, demographics and scanners. What a model or the labels do not allow is said on the
    page. Run it again after a stop: what was read is kept in OUT/features.

    Research use only; not a medical device.

    Example: cardiolens validate runs/shad_lvef/final archive --against random --out validation
    """
    from cardiolens.store import StudyStore
    from cardiolens.validation import Settings
    from cardiolens.validation import validate as run

    settings = Settings(
        level=level,
        n_resamples=resamples,
        seed=seed,
        minimum=minimum,
        projection=maps,  # type: ignore[arg-type]  # checked there
    )
    with Bars() as progress:
        found = run(
            model,
            StudyStore(store),
            out,
            against=against,
            split=split,
            part=part,
            labels=labels,
            checkpoints=checkpoints,
            include_seen=include_seen,
            settings=settings,
            device=device,
            progress=progress,
        )
    _show(found)


class Bars:
    """A bar for each stage, on the error stream."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "Bars":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)


def _show(found: Any) -> None:
    """What could not be done, and where to look."""
    for section in found.sections:
        for note in section.notes:
            typer.echo(f"{section.title}: {note}")
    typer.echo(f"{len(found.case.readings.keys)} studies read, {len(found.written)} files.  Not a medical device.")
    typer.echo(f"page: {found.page}")
