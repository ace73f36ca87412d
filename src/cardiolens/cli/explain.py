"""`cardiolens explain`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cardiolens.cli._bar import Bar
from cardiolens.errors import InputError

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.store import StudyStore
    from cardiolens.study import Study

_SHOWN = 12
_VIEWS = ("SAX", "2CH", "3CH", "4CH")


def explain(
    source: Annotated[
        Path,
        typer.Argument(
            help="A study: STORE/KEY, a DICOM folder, zip, tar or NIfTI file. Or a whole STORE.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for videos, tables and figures.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name that `cardiolens models` lists, or a model folder.")
    ] = "shad-mvit-tiny:phantom",
    view: Annotated[str | None, typer.Option(help="Study: show clips of this view alone: SAX, 2CH, 3CH, 4CH.")] = None,
    plane: Annotated[int | None, typer.Option(help="Study: show this plane alone, from 0.")] = None,
    all_clips: Annotated[
        bool, typer.Option("--all-clips", help="Study: show every clip, not only the most weighted of each view.")
    ] = False,
    maps: Annotated[
        list[str] | None,
        typer.Option(metavar="BLOCK[.HEAD]", help="Study: show these heads alone, such as 15 or 15.3; repeatable."),
    ] = None,
    align: Annotated[
        str,
        typer.Option(
            help="Study: resize stretches each map over the clip, as published; centres puts each patch where its "
            "centre is."
        ),
    ] = "resize",
    fps: Annotated[
        float | None, typer.Option(help="Study: frames of the clip in a second; default: the recorded heart rate.")
    ] = None,
    split: Annotated[Path | None, typer.Option(help="Store: split.json; only studies of --part are read.")] = None,
    part: Annotated[str, typer.Option(help="Store: part of the split.")] = "test",
    resamples: Annotated[int, typer.Option(min=100, help="Store: resamples of the bootstrap.")] = 2000,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps.")] = "cpu",
) -> None:
    """Show where a model looks, and what becomes of its answer when views are hidden.

    Of a study: every self-attention map of its clips (65 for MViT-B) as one MP4 beside the cine, attention rollout over
    the cine as another, both on one PNG; attention.csv, the weight of each view in the pooling; ablation.csv, the
    answer without each view and from each alone.

    Of a store with labels.csv: attention_by_condition.csv, relative attention of each view in studies with and without
    each condition, and ablation.csv, what each ablation does to MAE or AUROC, both with bootstrap limits by patient and
    a figure. Take studies that the model has not learned from: --split RUN/split.json --part test. Killed? Run it
    again.

    Attention is not an explanation by itself: docs/how-to/explain.md tells what was measured of it.

    Example: cardiolens explain cohort/site_P1/A1 --model shad-mvit-tiny:phantom --out explained

    Example: cardiolens explain cohort --model runs/shad_tiny_diagnoses/final --out explained
    """
    from cardiolens.cli._one_study import study_or_store
    from cardiolens.hub import load_model

    found = study_or_store(source)
    network = load_model(model)
    if not hasattr(network, "video_encoder"):
        raise InputError(f"{model} is a head alone; explain needs the model that it sits on")
    network = network.to(device)
    if isinstance(found, tuple):
        _study(network, *found, out, _chosen(view, plane, all_clips), _wanted(maps), align, fps)
    else:
        _store(network, found, out, split, part, resamples)


def _chosen(view: str | None, plane: int | None, every: bool) -> Any:
    from cardiolens.explain import Chosen
    from cardiolens.study import View

    names = [str(one) for one in View]
    if view is not None and view.upper() not in names:
        raise InputError(f"--view {view}: no such view; one of {', '.join(names)}")
    return Chosen(None if view is None else View(view.upper()), plane, every)


def _wanted(maps: list[str] | None) -> list[tuple[int, int | None]] | None:
    if not maps:
        return None
    wanted: list[tuple[int, int | None]] = []
    for text in maps:
        block, dot, head = text.partition(".")
        if not block.isdigit() or (dot and not head.isdigit()):
            raise InputError(f"--maps {text}: give a block, or a block and a head, from 0, such as 15 or 15.3")
        wanted.append((int(block), int(head) if dot else None))
    return wanted


def _study(
    network: "DualEncoder", study: "Study", key: str, out: Path, chosen: Any, wanted: Any, align: str, fps: Any
) -> None:
    from cardiolens.explain import explain_study

    if align not in ("resize", "centres"):
        raise InputError(f"--align {align}: one of resize, centres")
    how: Any = align
    with Bar("explaining", words="explaining {}".format) as progress:
        result = explain_study(
            network, study, key, out, clips=chosen, only=wanted, align=how, fps=fps, progress=progress
        )
    _tables(result)
    _end(result, out)


def _store(
    network: "DualEncoder", store: "StudyStore", out: Path, split: Path | None, part: str, resamples: int
) -> None:
    from cardiolens.datasets.splits import Split
    from cardiolens.explain import explain_store

    keys = None
    if split is not None:
        held = Split.load(split)
        held.require_known(store.keys())
        keys = held[part]
    with Bar("explaining", words="explaining {}".format) as progress:
        result = explain_store(network, store, out, keys=keys, n_resamples=resamples, progress=progress)
    typer.echo(f"{result.n} studies read, {len(result.skipped)} left out")
    for key, why in result.skipped.items():
        typer.echo(f"left out: {key}: {why}", err=True)
    if len(result.ablation):
        _effects(result.ablation)
    _end(result, out)
    if result.skipped:
        raise typer.Exit(1)


def _tables(result: Any) -> None:
    """Attention by view, then the answers with and without views."""
    from rich.box import SIMPLE
    from rich.table import Table

    console = _console()
    if len(result.attention):
        table = Table(box=SIMPLE, title="attention over clips", title_justify="left")
        columns = ["head", "view", "clips", "share", "relative"]
        for column in columns:
            table.add_column(column)
        for row in result.attention[columns].head(_SHOWN).itertuples(index=False):
            table.add_row(*map(_shown, row))
        console.print(table)
        if len(result.attention) > _SHOWN:
            typer.echo(f"and {len(result.attention) - _SHOWN} more rows in attention.csv")
    if len(result.ablation):
        short = {f"without_{view}": f"-{view}" for view in _VIEWS} | {f"only_{view}": view for view in _VIEWS}
        shown = result.ablation[["output", "all", *short]].rename(columns=short)
        title = "answer from all views, without one (-SAX), and from one alone (SAX)"
        table = Table(box=SIMPLE, title=title, title_justify="left")
        for column in shown.columns:
            table.add_column(column, no_wrap=column != "output")
        for row in shown.head(_SHOWN).itertuples(index=False):
            table.add_row(*map(_shown, row))
        console.print(table)
        if len(shown) > _SHOWN:
            typer.echo(f"and {len(shown) - _SHOWN} more outputs in ablation.csv")


def _shown(value: Any) -> str:
    """A cell: three digits of a number, a dash where there is none."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if math.isfinite(value) else "-"


def _effects(effects: Any) -> None:
    """The largest changes that their limits leave no doubt about."""
    from rich.box import SIMPLE
    from rich.table import Table

    sure = effects[(effects["low"] > 0) | (effects["high"] < 0)]
    if sure.empty:
        typer.echo(f"none of {len(effects)} changes by hiding views has limits that leave out 0; see ablation.csv")
        return
    order = sure["change"].abs().sort_values(ascending=False).index
    table = Table(box=SIMPLE, title="largest changes by hiding views whose limits leave out 0", title_justify="left")
    for column in ("output", "ablation", "n", "metric", "change", "limits"):
        table.add_column(column, overflow="fold")
    for row in sure.loc[order].head(_SHOWN).itertuples():
        metric, change = f"{row.metric} {row.full:.3f} to {row.ablated:.3f}", f"{row.change:+.3f}"
        limits = f"{row.low:+.3f} to {row.high:+.3f}"
        table.add_row(row.output, f"{row.ablation} {row.view}", str(row.n), metric, change, limits)
    _console().print(table)


def _console() -> Any:
    """Wide enough for a table where there is no terminal to fit."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 120))


def _end(result: Any, out: Path) -> None:
    for note in result.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{len(result.files)} files in {out}.  Research software; not a medical device.")
