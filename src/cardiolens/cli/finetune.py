"""`cardiolens finetune`."""

from pathlib import Path
from typing import Annotated

import typer


def finetune(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe; see recipes/ for examples.")],
    store: Annotated[Path | None, typer.Option(help="Store of studies with labels.csv; overrides the recipe.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<name of the recipe>.")] = None,
    weights: Annotated[str | None, typer.Option(help="Model folder to start from; overrides the recipe.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Where prepared clips and a frozen encoder's features are kept, to share them between runs."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as mode=transfer; repeatable."),
    ] = None,
) -> None:
    """Teach a model LVEF, or which conditions there are, from labelled studies.

    Modes: finetune (encoder frozen, projection and head train), transfer (everything trains), linear (head only).
    A recipe with `target: conditions` learns the columns of labels.csv that name conditions, all with one head or, with
    `each: true`, a model each; one that no training study has (or every one) is left out, and said.
    Where the split has a part named calibration, the model gets a prediction interval and an out-of-domain check.

    Example: cardiolens finetune recipes/shad_tiny_lvef.yaml --store cohort --weights runs/shad_tiny_pretrain/final
    """
    from cardiolens.training.recipe import FinetuneRecipe, load_recipe
    from cardiolens.training.run import open_store
    from cardiolens.training.supervised import finetune as run

    overrides = list(set_ or ()) + ([f"weights={weights}"] if weights else [])
    settings = load_recipe(recipe, FinetuneRecipe, overrides)
    final = run(settings, open_store(settings, store), out or Path("runs") / settings.name, cache)
    typer.echo(f"model: {final}")
    typer.echo(f"predictions and metrics: {final.parent}")
