"""`cardiolens echo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cardiolens.echo.run import EchoRun


def echo(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Loops: ultrasound DICOM, AVI, MP4 or MKV files, or folders of them.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table, pages and pictures.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Folder of a model that `cardiolens finetune` made from a recipe of kind video with the label ef or "
            "lvef. Without one, loops are checked and cleaned only.",
        ),
    ] = None,
    frame_rate: Annotated[
        float | None,
        typer.Option(min=5.0, max=400.0, help="Bring every loop to so many images a second first: those of training."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, help="Images x rows x columns of a loop that may be decoded; by default 536,870,912."),
    ] = None,
) -> None:
    """Ejection fraction from echocardiogram loops, beat by beat; what is no grey apical loop is refused with a reason.

    Of each file: text, rulers and the ECG around the sector are blanked, it is cut to a square of 112 pixels as in
    EchoNet-Dynamic, beats are found without an ECG, and the model reads a clip from the start of each.

    OUT holds echo.csv and echo.json (a row a loop), loops/KEY.html and .png, and sources.csv, which says which file a
    KEY is: file names may be patients' names, so do not give that one away. The same command goes on after a stop.

    Refused by name: still, spectral_doppler, m_mode, colour_doppler, non_apical, other_probe, too_short and others. Of
    the view only what the file says is checked, not the pixels; the column view_checked tells.

    Exit code 1: nothing could be read. Research use only; not a medical device.

    Example: cardiolens echo path/to/loops --model runs/echoai_tiny_ef/final --out echo_results

    Example: cardiolens echo path/to/loops --out checked
    """
    from cardiolens.cli._bar import Bar
    from cardiolens.echo.ef import ModelReader
    from cardiolens.echo.run import read_echoes
    from cardiolens.io.video import MAX_PIXELS

    reads = None
    if model is not None:
        from cardiolens.hub import load_model

        reads = ModelReader(load_model(model), device=device)
    with Bar("reading") as progress:
        done = read_echoes(
            sources, out, reads, frame_rate=frame_rate, max_pixels=max_pixels or MAX_PIXELS, progress=progress
        )
    _show(done, out)
    if not done.read:
        raise typer.Exit(1)


def _show(done: "EchoRun", out: Path) -> None:
    """A line a loop, counts of refusals, then where to look."""
    from collections import Counter

    for row in done.read:
        if row["ef"] is None:
            typer.echo(f"{row['key']}: passed the checks, view {row['view'] or 'not told'}")
            continue
        spread = "" if row["ef_spread"] is None else f" ± {row['ef_spread']:.1f}"
        what = "beats" if row["by_beats"] else "clips (no beat could be used)"
        use = ", OUT OF DOMAIN: do not use" if row["out_of_domain"] else ""
        typer.echo(f"{row['key']}: EF {row['ef']:.0f} %{spread} over {row['clips']} {what}{use}")
    for words in sorted({row["doubts"] for row in done.read if row["doubts"]}):
        typer.echo(f"note: {words}", err=True)
    for name, count in Counter(row["refused"] for row in done.rows if row["refused"]).most_common():
        example = next(row["why"] for row in done.rows if row["refused"] == name)
        typer.echo(f"refused {count:5}  {example}", err=True)
    told = f"{len(done.read)} of {len(done.rows)} loops read"
    also = f", {done.passed_over} files without images passed over" if done.passed_over else ""
    typer.echo(f"{told}{also}. Research use only, not a medical device.  Table: {out / 'echo.csv'}")
