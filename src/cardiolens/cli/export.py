"""`cardiolens export`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(help="Name that `cardiolens models` lists, or a model folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the export; an earlier export is replaced.")],
    store: Annotated[
        Path | None,
        typer.Option(help="Store whose first --studies are compared on; default: rendered phantoms."),
    ] = None,
    studies: Annotated[int, typer.Option(min=1, help="How many studies to compare on.")] = 6,
    int8: Annotated[bool, typer.Option("--int8/--no-int8", help="Also an encoder with 8-bit weights.")] = True,
) -> None:
    """Export a model to ONNX, for prediction without PyTorch, and compare it with the network.

    OUT holds the graphs (encoder in full precision and with 8-bit weights, heads, out-of-domain check), the card, the
    limits, and parity.md: how far embeddings, LVEF, probabilities and out-of-domain scores are off, size and speed.
    A precision that is too far off is said to be, and `predict` refuses it.

    Needs: pip install 'cardiolens[edge]'. Where it then runs, only onnxruntime of these is needed.

    Research use only; not a medical device.

    Example: cardiolens export shad-mvit-tiny:phantom --out edge; cardiolens predict STUDY -m edge --engine onnx -o out
    """
    import itertools

    from cardiolens.cli._bar import Bar
    from cardiolens.cli._search import open_model
    from cardiolens.cli.predict import _with_tag
    from cardiolens.edge import EdgeFolder, export_model
    from cardiolens.edge.parity import phantoms
    from cardiolens.store import StudyStore

    network = open_model(_with_tag(model))
    if store is None:
        read = None if studies == 6 else phantoms(studies)
    else:
        held = StudyStore(store)
        read = [held.read(key) for key in itertools.islice(held.keys(), studies)]
    with Bar("exporting") as bar:
        export_model(network, out, studies=read, int8=int8, progress=bar)
    for precision, found in EdgeFolder.open(out).parity.items():
        verdict = "good" if found["good"] else f"TOO FAR OFF, predict refuses it: {found['why']}"
        typer.echo(f"{precision}: {verdict}; {found['mib']} MiB, PyTorch takes {found['speed']} times as long")
    typer.echo(f"written: {out}; compared in {out / 'parity.md'}.  Research use only, not a medical device.")
