"""`cardiolens finetune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cardiolens.store import StudyStore
    from cardiolens.training.recipe import FinetuneRecipe


def finetune(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe; see recipes/ for examples.")],
    store: Annotated[
        Path | None, typer.Option(help="Store of studies, or set of volumes, with labels; overrides it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<name of the recipe>.")] = None,
    weights: Annotated[str | None, typer.Option(help="Model folder to start from; overrides the recipe.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Where prepared clips and a frozen encoder's features are kept, to share them between runs."),
    ] = None,
    sweep: Annotated[
        Path | None,
        typer.Option(
            help="Run folder of a pretraining: start from each of its checkpoints in turn, and write sweep.csv and "
            "sweep.png and .svg, the error against the epoch of pretraining."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as mode=transfer; repeatable."),
    ] = None,
) -> None:
    """Teach a model from labelled studies: LVEF, conditions, classes, masks, landmarks.

    `kind: finetune` in the recipe is a head of Shad et al. on clips; `segmentation`, `tabular` and `landmarks` train
    the CineMA family, or a baseline, on whole frames. `slices` trains SLIViT or a 3D baseline on volumes: --store is
    then a store (its short-axis stacks), a .npz in MedMNIST's format, EchoNet-Dynamic, or a folder with labels.csv.
    `video` trains EchoAI on loops: EchoNet-Dynamic, a folder of videos with labels.csv, or the planes of a store's
    cines. Masks and landmarks are those of the store, which come with
    `cardiolens phantom --format store --masks` or a data set that brings them. Of `kind: finetune`:

    Modes: finetune (encoder frozen, projection and head train), transfer (everything trains), linear (head only).
    A recipe with `target: conditions` learns the columns of labels.csv that name conditions, all with one head or, with
    `each: true`, a model each; one that no training study has (or every one) is left out, and said.
    Where the split has a part named calibration, the model gets a prediction interval and an out-of-domain check.

    Example: cardiolens finetune recipes/shad_tiny_lvef.yaml --store cohort --weights runs/shad_tiny_pretrain/final
    Video:   cardiolens finetune recipes/echoai_tiny_ef.yaml --store EchoNet-Dynamic
    Masks:   cardiolens finetune recipes/cinema_tiny_sax.yaml --store cohort --weights runs/cinema_tiny_pretrain/final
    Slices:  cardiolens finetune recipes/slivit_tiny_finetune.yaml --store cohort --set "values=[lvef]"
    Sweep:   cardiolens finetune recipes/shad_tiny_lvef.yaml --store cohort --sweep runs/shad_tiny_pretrain
    """
    from cardiolens.errors import RecipeError
    from cardiolens.training.cine_recipe import DownstreamRecipe
    from cardiolens.training.kinds import DOWNSTREAM
    from cardiolens.training.recipe import FinetuneRecipe, load_any
    from cardiolens.training.run import open_store
    from cardiolens.training.slice_recipe import SlicesRecipe
    from cardiolens.training.video_recipe import VideoRecipe

    overrides = list(set_ or ()) + ([f"weights={weights}"] if weights else [])
    settings = load_any(recipe, DOWNSTREAM, overrides)
    out = out or Path("runs") / settings.name
    if isinstance(settings, DownstreamRecipe | SlicesRecipe | VideoRecipe) and (sweep is not None or cache is not None):
        raise RecipeError(f"--sweep and --cache are for `kind: finetune`; {recipe} is of another kind")
    if isinstance(settings, VideoRecipe):
        from cardiolens.training.video import train_video
        from cardiolens.training.video_data import open_loops

        final = train_video(settings, open_loops(settings, store), out)
        typer.echo(f"model: {final}")
        typer.echo(f"predictions and metrics: {final.parent}")
        return
    if isinstance(settings, SlicesRecipe):
        from cardiolens.training.slices import open_set, train_slices

        final = train_slices(settings, open_set(settings, store), out)
        typer.echo(f"model: {final}")
        typer.echo(f"predictions and metrics: {final.parent}")
        return
    if isinstance(settings, DownstreamRecipe):
        from cardiolens.training.downstream import train_downstream

        final = train_downstream(settings, open_store(settings, store), out)
        typer.echo(f"model: {final}")
        typer.echo(f"predictions and metrics: {final.parent}")
        return
    assert isinstance(settings, FinetuneRecipe)  # noqa: S101 - the only other kind
    if sweep is not None:
        _sweep(settings, open_store(settings, store), sweep, out, cache)
        return
    from cardiolens.training.supervised import finetune as run

    final = run(settings, open_store(settings, store), out, cache)
    typer.echo(f"model: {final}")
    typer.echo(f"predictions and metrics: {final.parent}")


def _sweep(settings: "FinetuneRecipe", store: "StudyStore", run: Path, out: Path, cache: Path | None) -> None:
    import pandas as pd

    from cardiolens.errors import RecipeError
    from cardiolens.evaluation.figures import save
    from cardiolens.training.sweep import METRICS, sweep
    from cardiolens.validation.checkpoints import draw_checkpoints

    if settings.weights is not None:
        raise RecipeError("--sweep takes its weights from the checkpoints of the run; leave --weights out")
    rows = sweep(settings, store, run, out, cache)
    part = "test" if any(row["part"] == "test" for row in rows) else rows[0]["part"]
    shown = [row for row in rows if row["part"] == part]
    unknown = {"low": float("nan"), "high": float("nan")}
    frame = pd.DataFrame([row | unknown | {"figure": METRICS[row["metric"]]} for row in shown])
    written = save(draw_checkpoints(frame, "sweep", f"part '{part}' of the split"), out)
    for row in shown:
        typer.echo(f"epoch {row['epoch']:4d}   {part} {row['metric']} {row['value']:.3f}")
    typer.echo(", ".join(map(str, [out / "sweep.csv", *written])))
