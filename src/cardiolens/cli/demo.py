"""`cardiolens demo`: the whole road on an embedded patient; what `make demo` runs."""

import csv
import importlib.util
import shlex
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from cardiolens.errors import CardiolensError

_SEED = 20_000  # the bundled model has seen none of this cohort
_MODEL = "shad-mvit-tiny:phantom"
_MARK = ".cardiolens-demo"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demonstration makes.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Which phantom patient.")] = _SEED,
) -> None:
    """Read a phantom patient from DICOM to report, showing each command.

    The patient is a rendered heart with known truth, the model the small one that ships with the package. Nothing is
    downloaded. The page it ends with is what a study of yours would get.
    """
    start = time.perf_counter()
    _clear(out)
    patient = out / "patient"
    _run("render a patient", "phantom", "--out", patient, "--n", "1", "--seed", seed, "--style", "ge", "--no-masks")
    folder = next(path.parent for path in patient.glob("*/truth.json"))
    _run("list its series", "views", folder / "dicom")
    reports = patient / "reports.csv"
    _run("bring it into a store", "ingest", folder / "dicom", "--out", out / "store", "--reports", reports)
    _run("measure and report", "predict", out / "store", "--model", _MODEL, "--out", out / "report")
    truth, found = (next(csv.DictReader(path.open())) for path in (patient / "truth.csv", _table(out)))
    typer.echo(
        f"\nLVEF of the rendered heart {float(truth['lvef_pct']):.1f} %, predicted {float(found['lvef']):.1f} % "
        f"({float(found['lvef_low']):.1f} to {float(found['lvef_high']):.1f}).  A phantom: no clinical result.\n"
        f"Done in {time.perf_counter() - start:.0f} s.  Open {next((out / 'report').glob('*.html'))}"
    )
    if importlib.util.find_spec("fastapi") is not None:
        typer.echo(f"The same study in the application: cardiolens serve --store {shlex.quote(str(out / 'store'))}")


def _table(out: Path) -> Path:
    return out / "report" / "predictions.csv"


def _run(what: str, *words: object) -> None:
    """Say and run one command of this program."""
    from cardiolens.cli import build_app

    arguments = [str(word) for word in words]
    typer.secho(f"\n{what}:  cardiolens {shlex.join(arguments)}", bold=True)
    build_app()(args=arguments, standalone_mode=False)


def _clear(out: Path) -> None:
    """Make way for a new demonstration; never remove what another program wrote."""
    if out.exists() and any(out.iterdir()) and not (out / _MARK).exists():
        raise CardiolensError(f"{out} is not empty and was not made by a demonstration; give another --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / _MARK).touch()
