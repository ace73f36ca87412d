"""`cardiolens map`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cardiolens.errors import InputError


def map(
    index: Annotated[Path, typer.Argument(help="Index that `cardiolens embed` made.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture (.png); numbers and places go beside it.")],
    colour: Annotated[
        list[str] | None, typer.Option(help="view, or a column of --table; repeatable, a row of the figure each.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Store (its labels.csv) or CSV with a column `key`.")] = None,
    against: Annotated[Path | None, typer.Option(help="Index of the same studies by another encoder.")] = None,
    method: Annotated[str, typer.Option(help="tsne, umap (needs umap-learn) or pca.")] = "tsne",
    by: Annotated[str, typer.Option(help="A point a clip or a study.")] = "clip",
    k: Annotated[int, typer.Option(min=1, help="Neighbours counted for the numbers, always of other patients.")] = 10,
    most: Annotated[int, typer.Option(min=4, help="Points drawn at most; the numbers count all.")] = 4000,
    seed: Annotated[int, typer.Option(help="Seed of the projection and of the choice of points.")] = 0,
) -> None:
    """Draw a map of the embeddings (fig. 2 of Shad et al.), beside a baseline encoder's with --against.

    For each colour the figure tells how far near clips share it: the share of the k nearest clips of other patients
    that are of the same group (for views: how little they mix), or the correlation with the neighbours' mean for a
    number.  OUT.json has the numbers, OUT.csv the places.

    Example: cardiolens map a.index --colour view --colour lvef --table cohort --against b.index --out map.png
    """
    from cardiolens.cli._bar import Bar
    from cardiolens.cli._search import write_csv, write_json
    from cardiolens.search import EmbeddingIndex
    from cardiolens.search.figure import figure_png
    from cardiolens.search.mapping import make_maps
    from cardiolens.search.tables import read_table
    from cardiolens.store.atomic import disk_errors, write_whole

    if out.suffix != ".png":
        raise InputError(f"{out}: the picture is a .png file")
    with Bar("projecting"):
        maps = make_maps(
            EmbeddingIndex.load(index),
            colour or ["view" if by == "clip" else ""],
            table=None if table is None else read_table(table),
            against=None if against is None else EmbeddingIndex.load(against),
            method=method,  # type: ignore[arg-type] # checked there
            by=by,  # type: ignore[arg-type]
            k=k,
            most=most,
            seed=seed,
        )
    with disk_errors(out):
        write_whole(out, figure_png(maps))
    write_json(out.with_suffix(".json"), maps.to_dict())
    write_csv(out.with_suffix(".csv"), _places(maps))
    for one in maps.maps:
        for found, together in zip(maps.colours, one.together, strict=True):
            typer.echo(f"{one.title}, {found.name}: {together.words(k)} (n={together.n:,})")
    if maps.left_out:
        typer.echo(f"{maps.left_out:,} clips are not in the other index and were left out", err=True)
    typer.echo(f"map: {out}")


def _places(maps: Any) -> Any:
    import pandas as pd

    points = maps.points
    table = pd.DataFrame({"key": points.keys})
    if maps.by == "clip":
        table["view"], table["plane"] = [str(view) for view in points.views], points.planes
    for i, one in enumerate(maps.maps):
        suffix = "" if i == 0 else "_against"
        table[f"x{suffix}"], table[f"y{suffix}"] = one.places.T
    return table.set_index("key")
