"""`cardiolens info`."""

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from cardiolens.errors import CardiolensError, InputError


def info(
    what: Annotated[
        str,
        typer.Argument(
            help="A model by name or folder, an export, an index of `embed`, or a store of studies; with --recipe any "
            "data set."
        ),
    ],
    memory: Annotated[
        bool,
        typer.Option("--memory", help="What a job over these data will take; say which with --model or --recipe."),
    ] = False,
    job: Annotated[str, typer.Option(help="embed or predict with --model; segment.")] = "predict",
    model: Annotated[str | None, typer.Option("--model", "-m", help="Model of the job.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe of a pretraining, or of a training on labels that is not kind finetune.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Clips at a time, as given to the job.")] = 16,
    json: Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")] = False,
) -> None:
    """Tell what a model or a store is; with --memory, what memory, time and disk a job over a store will take.

    Asks no network.  Without --memory it answers from headers alone.  An estimate takes some seconds: it runs the
    network once without content, and a few clips for the speed of this machine.  Time is that of training, or of
    drawing, alone: measuring on the held-out parts, videos and pages come on top.

    Example: cardiolens info shad-mvit-tiny:phantom
    Before:  cardiolens info cohort --memory --job embed --model runs/shad_pretrain/final
    Before:  cardiolens info cohort --memory --recipe recipes/shad_pretrain.yaml
    Before:  cardiolens info EchoNet-Dynamic --memory --recipe recipes/echoai_pretrain.yaml
    Before:  cardiolens info cohort --memory --job segment
    """
    from cardiolens.about import describe

    try:
        facts = describe(what)
    except CardiolensError:
        if not memory or recipe is None:
            raise
        facts = {"is": "data set", "path": what}
    if memory:
        facts["estimate"] = _estimate(facts, what, job, model, recipe, batch)
    elif model is not None or recipe is not None:
        raise InputError("--model and --recipe say for which job to estimate: give --memory as well")
    if json:
        typer.echo(json_module.dumps(facts, indent=2, ensure_ascii=False))
        return
    _show(facts)


def _estimate(
    facts: dict[str, Any], what: str, job: str, model: str | None, recipe: Path | None, batch: int
) -> dict[str, Any]:
    """The estimate, or why there can be none."""
    if facts["is"] != "store" and (facts["is"] != "data set" or recipe is None):
        raise InputError(f"{what} is a {facts['is']}; --memory is of a store that a job runs over, with --model for it")
    if job not in ("embed", "predict", "segment"):
        raise InputError(f"--job is embed, predict or segment, not {job!r}")
    if job == "segment" and recipe is None:
        model = model or "phantom"
    if (model is None) == (recipe is None):
        raise InputError("say which job: --model MODEL with --job embed or predict, or --recipe FILE; one of the two")
    from cardiolens.store import StudyStore

    if recipe is not None:
        from cardiolens.estimate_training import estimate_training
        from cardiolens.training.kinds import DOWNSTREAM, PRETRAINING
        from cardiolens.training.recipe import load_any

        return estimate_training(load_any(recipe, PRETRAINING | DOWNSTREAM, ()), Path(what)).to_dict()
    from cardiolens.cli._search import open_model
    from cardiolens.cli.predict import _with_tag
    from cardiolens.estimate import estimate, estimate_segmenting

    assert model is not None  # noqa: S101 - one of the two is given
    store = StudyStore(Path(what))
    if job == "segment":
        from cardiolens.segmenter import load_segmenter

        return estimate_segmenting(load_segmenter(model), store).to_dict()
    return estimate(open_model(_with_tag(model)), store, job, batch=batch).to_dict()  # type: ignore[arg-type] # checked


def _show(facts: dict[str, Any]) -> None:
    """A line a fact."""
    for name, value in facts.items():
        if name in ("estimate", "note") or value in (None, [], {}, ""):
            continue
        typer.echo(f"{name.replace('_', ' ')}: {_words(value)}")
    if found := facts.get("estimate"):
        parts = ", ".join(f"{name} {size:,.0f}" for name, size in found["parts_mib"].items())
        typer.echo(
            f"\n{found['job']} of {found['studies']:,} studies ({found['clips']:,} {found['items']}), on this "
            "machine's CPU:\n"
            f"  memory about {found['memory_mib']:,.0f} MiB ({parts})\n"
            f"  time about {_time(found['seconds'])}\n  disk about {found['disk_mib']:,.0f} MiB"
        )
    typer.echo("Research use only, not a medical device.")


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(one) if isinstance(one, (dict, list)) else one}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
