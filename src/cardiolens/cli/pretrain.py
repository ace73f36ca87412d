"""`cardiolens pretrain`."""

from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe; see recipes/ for examples.")],
    store: Annotated[Path | None, typer.Option(help="Store of studies; overrides the recipe.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<name of the recipe>.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as optimiser.epochs=5; repeatable."),
    ] = None,
) -> None:
    """Teach an encoder without labels: from reports (contrastive), or from hidden patches of frames (masked).

    `kind: pretrain` in the recipe is contrastive pretraining of Shad et al. and needs studies with reports; `kind:
    masked` is CineMA's and needs cines with pixel spacing alone.

    The run folder holds the recipe, the split, logs, a checkpoint every few epochs and, at the end, final/, a model
    folder that `cardiolens finetune` reads. Killed and started again with the same command, a run goes on from its
    last whole epoch and ends with the same weights.

    Example: cardiolens pretrain recipes/shad_tiny_pretrain.yaml --store cohort
    Masked:  cardiolens pretrain recipes/cinema_tiny_pretrain.yaml --store cohort
    """
    from cardiolens.training.cine_recipe import PRETRAINING, MaskedRecipe
    from cardiolens.training.recipe import PretrainRecipe, load_any
    from cardiolens.training.run import open_store

    settings = load_any(recipe, PRETRAINING, set_ or ())
    out = out or Path("runs") / settings.name
    if isinstance(settings, MaskedRecipe):
        from cardiolens.training.masked import pretrain_masked

        final = pretrain_masked(settings, open_store(settings, store), out)
    else:
        from cardiolens.training.contrastive import pretrain as run

        assert isinstance(settings, PretrainRecipe)  # noqa: S101 - the only other kind
        final = run(settings, open_store(settings, store), out)
    typer.echo(f"model: {final}")
