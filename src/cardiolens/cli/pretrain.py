"""`cardiolens pretrain`."""

from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe; see recipes/ for examples.")],
    store: Annotated[
        Path | None, typer.Option(help="Store of studies, or set of volumes; overrides the recipe.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<name of the recipe>.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as optimiser.epochs=5; repeatable."),
    ] = None,
) -> None:
    """Teach an encoder: from reports (contrastive), from hidden patches of frames or loops (masked), from 2D images.

    `kind: pretrain` in the recipe is contrastive pretraining of Shad et al. and needs studies with reports; `kind:
    masked` is CineMA's and needs cines with pixel spacing alone; `kind: masked_video` is EchoAI's: --store is then
    EchoNet-Dynamic, a folder of videos with labels.csv, or a store of studies, each plane of whose cines is a loop.
    `kind: slices2d` and `simclr` pretrain the 2D trunk of SLIViT, on classes of images or without them: --store is then
    a .npz in MedMNIST's format, a folder with train/CLASS/, or a store of studies (its frames by view); several are
    named in the recipe as `sets`.

    The run folder holds the recipe, the split, logs, a checkpoint every few epochs and, at the end, final/, a model
    folder that `cardiolens finetune` reads. Killed and started again with the same command, a run goes on from its
    last whole epoch and ends with the same weights.

    Example: cardiolens pretrain recipes/shad_tiny_pretrain.yaml --store cohort
    Masked:  cardiolens pretrain recipes/cinema_tiny_pretrain.yaml --store cohort
    Video:   cardiolens pretrain recipes/echoai_tiny_pretrain.yaml --store EchoNet-Dynamic
    Images:  cardiolens pretrain recipes/slivit_tiny_pretrain2d.yaml --store organmnist.npz
    """
    from cardiolens.training.kinds import PRETRAINING, pretrain_any
    from cardiolens.training.recipe import load_any

    settings = load_any(recipe, PRETRAINING, set_ or ())
    final = pretrain_any(settings, store, out or Path("runs") / settings.name)
    typer.echo(f"model: {final}")
