"""`cardiolens embed`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cardiolens.errors import InputError


def embed(
    store: Annotated[Path, typer.Argument(help="Store of studies.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name that `cardiolens models` lists, or a model folder.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="File of the index: cohort.parquet (needs pyarrow), or any other name for safetensors."
        ),
    ],
    weights: Annotated[Path | None, typer.Option(help="Published weights of that model, such as Kinetics'.")] = None,
    split: Annotated[Path | None, typer.Option(help="Split file (split.json of a run); with --part.")] = None,
    part: Annotated[str | None, typer.Option(help="Part of the split to embed, such as test.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Text file of study keys, one a line.")] = None,
    features: Annotated[
        bool,
        typer.Option(
            "--features",
            help="Features before the projection, for maps of an encoder that never saw reports; no text finds them.",
        ),
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of features shared with `finetune --cache`; kept afterwards.")
    ] = None,
    graph: Annotated[
        bool | None,
        typer.Option(
            "--graph/--no-graph",
            help="Build graphs of nearest neighbours beside the index, so that `search` is quick among a million "
            "clips; default: above 100,000 clips, where usearch is installed.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps.")] = "cpu",
    batch: Annotated[int, typer.Option(min=1, help="Clips at a time.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the weights, where the model is untrained (a baseline).")] = 0,
) -> None:
    """Embed every usable plane of a store's studies into an index, for `search`, `zeroshot`, `retrieve` and `map`.

    Stopped, it goes on where it was when the same command runs again; of a changed store only what is new or changed is
    computed, and what is gone is taken out.  A study that cannot be read is left out and told.

    Example: cardiolens embed cohort --model runs/shad_tiny_pretrain/final --out cohort.index
    """
    import shutil

    from cardiolens.cli._bar import Bar
    from cardiolens.cli._search import open_model
    from cardiolens.search import embed_store
    from cardiolens.store import StudyStore

    if out.is_dir():
        raise InputError(f"{out} is a folder; --out names the file of the index")
    studies = StudyStore(store)
    chosen = _chosen(split, part, keys)
    network = open_model(model, weights, device=device, seed=seed)
    previous = _earlier(out)
    parts = cache or out.with_name(out.name + ".parts")
    with Bar("embedding") as bar:
        index = embed_store(
            network,
            studies,
            chosen,
            folder=parts,
            batch=batch,
            space="features" if features else "embedding",
            previous=previous,
            progress=bar,
        )
    index.save(out)
    if cache is None:
        shutil.rmtree(parts, ignore_errors=True)
    _graphs(index, out, graph)
    skipped = index.meta["skipped"]
    typer.echo(f"index: {out}: {len(index):,} clips of {len(index.studies):,} studies, {len(skipped):,} left out")
    for key, why in skipped.items():
        typer.echo(f"left out: {key}: {why}", err=True)
    if skipped:
        raise typer.Exit(1)


def _graphs(index: Any, out: Path, wanted: bool | None) -> None:
    """Build or update the graphs beside the index, or say why a long search will be."""
    from cardiolens.cli._bar import Bar
    from cardiolens.search.nearest import EXACT_UP_TO, folder_of, installed, update_nearest

    if wanted is False or (wanted is None and len(index) <= EXACT_UP_TO and not folder_of(out).is_dir()):
        return
    if wanted is None and not installed():
        typer.echo("every search will compare all clips: pip install 'cardiolens[scale]' for graphs", err=True)
        return
    with Bar("graphs") as bar:
        done = update_nearest(index, out, progress=bar)
    typer.echo(f"graphs: {folder_of(out)}: {done['added']:,} studies added, {done['removed']:,} taken out")


def _earlier(out: Path) -> Any:
    """The index that is there already; any other file is left alone."""
    from cardiolens.search import EmbeddingIndex

    try:
        return EmbeddingIndex.load(out) if out.exists() else None
    except InputError as error:
        raise InputError(f"{error}; it is not overwritten: delete it, or name another file") from error


def _chosen(split: Path | None, part: str | None, keys: Path | None) -> list[str] | None:
    """Keys by split and part or by file; None for all."""
    if (split is None) != (part is None) or (split is not None and keys is not None):
        raise InputError("choose studies by --split and --part together, or by --keys, or neither for the whole store")
    if split is not None and part is not None:
        from cardiolens.datasets.splits import Split

        return list(Split.load(split)[part])
    if keys is None:
        return None
    try:
        lines = keys.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{keys}: not a text file of keys") from None
    return [line.strip() for line in lines if line.strip()]
