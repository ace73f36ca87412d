"""`cardiolens benchmark`."""

from pathlib import Path
from typing import Annotated

import typer


def benchmark(
    store: Annotated[Path, typer.Argument(help="Store of studies with labels.csv.")],
    recipe: Annotated[
        Path, typer.Option(help="YAML recipe: systems, budget, split; see recipes/bench_tiny.yaml.")
    ] = Path("recipes/bench_tiny.yaml"),
    out: Annotated[Path | None, typer.Option(help="Folder; default runs/<name of the recipe>.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Train this system alone; repeatable. What was run before is compared too."),
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Write the rows to this CSV as well.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as optimiser.epochs=5; repeatable."),
    ] = None,
) -> None:
    """Train and test several systems on common ground: same patients, split, targets and budget.

    Contrastive MViT, CineMA, masked video, SLIViT, a 3D ResNet and the segmenter's measures tell LVEF, whether any
    condition is present, and each condition. Pretraining never sees the test part of the split. OUT holds
    benchmark.html with limits, paired tests against the first system, parameters, training time and the cost of a
    study. Killed and started again with the same command, it goes on.

    Research use only; not a medical device.

    Example: cardiolens benchmark cohort --recipe recipes/bench_tiny.yaml --out runs/bench
    """
    from cardiolens.bench import load_bench, run_bench
    from cardiolens.store import StudyStore

    settings = load_bench(recipe, tuple(set_ or ()))
    out = out or Path("runs") / settings.name
    page = run_bench(settings, StudyStore(store), out, only=tuple(only or ()), table=table)
    typer.echo(f"table: {page.with_suffix('.csv')}")
    typer.echo(f"open {page}")
