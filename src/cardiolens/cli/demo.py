"""`cardiolens demo`."""

from pathlib import Path
from typing import Annotated

import typer

_SEED = 20_000  # far from any seed that the bundled model was trained on


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demonstration makes.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Which phantom patient; none that the bundled model has seen.")] = _SEED,
) -> None:
    """Read a phantom patient from DICOM to report: render, list views, ingest, predict.

    The patient is a rendered heart with known truth, the model is the small one that ships with the package. Nothing is
    downloaded. The page it ends with shows what a study of yours would get.
    """
    import json
    import time

    from cardiolens.demonstration import run_demo

    start = time.perf_counter()
    result = run_demo(out, seed=seed, say=typer.echo)
    typer.echo(f"\n{json.dumps(result.summary, indent=1)}")
    typer.echo(f"\nDone in {time.perf_counter() - start:.0f} s.  Open {result.page}")
