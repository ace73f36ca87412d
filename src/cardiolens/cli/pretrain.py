"""`cardiolens pretrain`."""

from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe; see recipes/ for examples.")],
    store: Annotated[Path | None, typer.Option(help="Store of studies with reports; overrides the recipe.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<name of the recipe>.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as optimiser.epochs=5; repeatable."),
    ] = None,
) -> None:
    """Teach a video encoder from reports: contrastive pretraining.

    The run folder holds the recipe, the split, logs, a checkpoint every few epochs and, at the end, final/, a model
    folder that `cardiolens finetune` reads. Killed and started again with the same command, a run goes on from its
    last whole epoch and ends with the same weights.

    Example: cardiolens pretrain recipes/shad_tiny_pretrain.yaml --store cohort
    """
    from cardiolens.training.contrastive import pretrain as run
    from cardiolens.training.recipe import PretrainRecipe, load_recipe
    from cardiolens.training.run import open_store

    settings = load_recipe(recipe, PretrainRecipe, set_ or ())
    final = run(settings, open_store(settings, store), out or Path("runs") / settings.name)
    typer.echo(f"model: {final}")
