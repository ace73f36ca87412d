"""`cardiolens predict`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cardiolens.cli._bar import Bar
from cardiolens.errors import CheckpointError, InputError

if TYPE_CHECKING:
    from cardiolens.contours import SegmenterLike

logger = logging.getLogger(__name__)

_SHOWN = 40
_NAMED = 3  # flagged conditions named in a line; the page and the table have all


def predict(
    study: Annotated[
        list[Path], typer.Argument(help="Stores, files of a store, DICOM folders, zips, tars or files, NIfTI files.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and the pages.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name that `cardiolens models` lists, or a model folder.")
    ] = "shad-mvit-tiny:phantom",
    segment: Annotated[
        bool | None,
        typer.Option(
            "--segment/--no-segment",
            help="Draw the short axis as well and show its LVEF and volumes beside; default: where a segmenter is "
            "installed.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Where PyTorch computes: cpu, cuda, cuda:1, mps.")] = "cpu",
    engine: Annotated[
        str,
        typer.Option(
            help="torch; or onnx, onnx-int8: MODEL is a folder by `cardiolens export`, and PyTorch is not needed."
        ),
    ] = "torch",
) -> None:
    """Measure LVEF, or tell conditions, of every study given: a table, an out-of-domain check, an HTML page a study.

    What is told depends on the heads of the model: LVEF with its interval; for each condition a score, a probability
    where it was calibrated, and whether it is flagged. Where a segmenter is installed and the study has a short axis,
    the LVEF and volumes of its contours stand beside, with flags; `cardiolens segment` writes the masks. With --engine
    onnx nothing is drawn unless --segment asks for it, since the segmenter needs PyTorch.

    OUT/predictions.csv and OUT/predictions.json hold the table; pages carry the pseudonym in their name. A study that
    cannot be read is listed, the others go on, and the exit code is 1. Run it again to go on after a stop: what is done
    is kept.

    Research use only; not a medical device.

    Example: cardiolens predict path/to/dicom --model shad-mvit-tiny:phantom --out results
    """
    from cardiolens.prediction import predict as run

    network = _network(model, engine)
    segmenter = _segmenter(segment if engine == "torch" or segment else False)
    with Bar("reading") as progress:
        result = run(study, network, out, segmenter=segmenter, device=device, progress=progress)
    _show(result, out)
    for one in result.failed:
        typer.echo(f"not read: {one.where}: {one.why}", err=True)
    if result.failed:
        raise typer.Exit(1)


def _network(model: str, engine: str) -> Any:
    """The network, or the engine of an exported folder."""
    if engine in ("onnx", "onnx-int8"):
        from cardiolens.edge import OnnxEngine

        return OnnxEngine(model, "int8" if engine.endswith("int8") else "fp32")
    if engine != "torch":
        raise InputError(f"--engine is torch, onnx or onnx-int8, not {engine!r}")
    try:
        from cardiolens.hub import load_model

        return load_model(_with_tag(model))
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InputError(
            "PyTorch is not installed: export the model where it is, and give --engine onnx --model FOLDER"
        ) from error


def _segmenter(wanted: bool | None) -> "SegmenterLike | None":
    """The bundled segmenter; None where it is not wanted, or nobody asked and there is none."""
    if wanted is False:
        return None
    from cardiolens.segmenter import load_segmenter

    try:
        return load_segmenter()
    except CheckpointError as error:
        if wanted:
            raise
        logger.info("no contours: %s", error)
        return None


def _with_tag(model: str) -> str:
    """A plain name stands for its only weights on this machine."""
    from cardiolens.models.locate import local_tags
    from cardiolens.models.registry import MODELS

    tags = list(local_tags(model)) if model in MODELS else []
    return f"{model}:{tags[0]}" if len(tags) == 1 else model


def _show(result: Any, out: Path) -> None:
    """One line a study, then where to look."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 120))
    table = Table(box=SIMPLE, pad_edge=False)
    lvef, conditions = result.rows[0]["lvef"] is not None, "flagged" in result.rows[0]
    contours = "contour_lvef" in result.rows[0]
    shown = {
        "study": True,
        "LVEF": lvef,
        "interval": lvef,
        "LVEF of contours": contours,
        "flagged": conditions,
        "planes read": True,
    }
    for column in (*(name for name, there in shown.items() if there), "of the model's kind"):
        table.add_column(column, overflow="fold")
    for row in result.rows[:_SHOWN]:
        cells = [row["key"]]
        if lvef:
            interval = "–" if row["lvef_low"] is None else f"{row['lvef_low']:.0f} to {row['lvef_high']:.0f} %"
            cells += [f"{row['lvef']:.0f} %", interval]
        if contours:
            cells.append(_contours(row))
        if conditions:
            cells.append(_flagged(row))
        unlike = "NO: do not rely on LVEF" if lvef and not conditions else "NO: do not rely on it"
        cells += [row["planes"], {True: unlike, False: "yes", None: "not checked"}[row["out_of_domain"]]]
        table.add_row(*map(Text, cells))
    console.print(table)
    if len(result.rows) > _SHOWN:
        console.print(f"and {len(result.rows) - _SHOWN} more, see {out}/predictions.csv", markup=False)
    outside = sum(row["out_of_domain"] is True for row in result.rows)
    console.print(
        f"{len(result.rows)} read ({result.reused} of them before), {len(result.failed)} failed, {outside} out of "
        f"domain.  Not a medical device.\n"
        f"Table: {out / 'predictions.csv'}   Page: {out / result.rows[0]['page']}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _contours(row: dict[str, Any]) -> str:
    """LVEF of the contours, and the gravest flag on it."""
    if row["contour_lvef"] is None:
        return "–"
    words = {"error": ": do not use", "warning": ": look first"}.get(row["contour_worst_flag"], "")
    return f"{row['contour_lvef']:.0f} %{words}"


def _flagged(row: dict[str, Any]) -> str:
    """The likeliest conditions at or above their threshold, with their probability; "–" where none has a threshold.

    Out of domain nothing is flagged, as on the page.
    """
    if row["out_of_domain"]:
        return "–"
    names = row["flagged"].split()
    if not names:
        thresholds = any(value is not None for name, value in row.items() if name.endswith("_flagged"))
        return "none" if thresholds else "–"
    names.sort(key=lambda name: -row[name + "_probability"])
    shown = ", ".join(f"{name.replace('_', ' ')} {100 * row[name + '_probability']:.0f} %" for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} less likely" if len(names) > _NAMED else "")
