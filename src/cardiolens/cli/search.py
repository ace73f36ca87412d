"""`cardiolens search`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cardiolens.errors import InputError

_KINDS = (".html", ".csv", ".json")


def search(
    index: Annotated[Path, typer.Argument(help="Index that `cardiolens embed` made.")],
    query: Annotated[
        str | None, typer.Argument(help='What to look for, as a report would say it: "dilated left ventricle".')
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model that made the index; needed for a text.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="Key of a study of the index: find studies like it.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Other index by the same model that holds --study, as of new studies.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many studies.")] = 10,
    by: Annotated[
        str, typer.Option(help="Rank by the whole study (mean over its views) or by its single best clip.")
    ] = "study",
    view: Annotated[list[str] | None, typer.Option(help="Only these views (SAX, 2CH, 3CH, 4CH); repeatable.")] = None,
    out: Annotated[
        list[Path] | None, typer.Option("--out", "-o", help="Write .html, .csv or .json; repeatable.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Store with the pixels, for loops in the HTML page.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare every clip, also where `embed` built graphs of nearest neighbours.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Find the studies whose cines are nearest to a text, or to another study.

    By a study, neither it nor another of the same patient is ever found.  A score is a cosine similarity: it ranks
    within one search and is no probability.

    Example: cardiolens search cohort.index "severely dilated left ventricle with thrombus" --model M --top 10
    """
    from cardiolens.search import EmbeddingIndex
    from cardiolens.search import search as by_text
    from cardiolens.search import similar as by_study
    from cardiolens.store import StudyStore

    if (query is None) == (study is None):
        raise InputError("say what to look for: a text in quotes, or --study KEY; one of the two")
    if source is not None and study is None:
        raise InputError("--from names the index that holds --study KEY: give both")
    for path in out or ():
        if path.suffix not in _KINDS:
            raise InputError(f"{path}: results are written as {', '.join(_KINDS)}")
    found = EmbeddingIndex.load(index)
    graphs = None if exact else _graphs(found, index)
    views = _views(view)
    if query is not None:
        if model is None:
            raise InputError("a text is embedded by the model that made the index: give it with --model")
        from cardiolens.cli._search import open_model

        network = open_model(model)
        hits = by_text(network, found, query, top, by=by, views=views, nearest=graphs)  # type: ignore[arg-type] # there
    else:
        held = None if source is None else EmbeddingIndex.load(source)
        hits = by_study(found, str(study), top, source=held, by=by, views=views, nearest=graphs)  # type: ignore[arg-type]
    asked = query if query is not None else f"studies like {study}"
    for path in out or ():
        _write(path, asked, hits, found, None if store is None else StudyStore(store))
    if json:
        typer.echo(_as_json(asked, hits, found))
        return
    _show(asked, hits)
    for path in out or ():
        typer.echo(f"written: {path}")


def _graphs(index: Any, path: Path) -> Any:
    """The graphs beside an index, above the size up to which all clips are compared."""
    from cardiolens.search.nearest import EXACT_UP_TO, NearestIndex

    return NearestIndex.open(index, path) if len(index) > EXACT_UP_TO else None


def _views(names: list[str] | None) -> Any:
    from cardiolens.study import View

    try:
        return None if not names else [View(name.upper()) for name in names]
    except ValueError as error:
        raise InputError(f"{error}; views are {', '.join(map(str, View))}") from None


def _as_json(asked: str, hits: Any, index: Any) -> str:
    import json

    made_by = {name: index.meta.get(name) for name in ("model", "model_hash", "store_hash")}
    content = {
        "query": asked,
        "searched": len(index.studies),
        **hits.searched(),
        "index": made_by,
        "hits": [hit.to_dict() for hit in hits],
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _write(path: Path, asked: str, hits: Any, index: Any, store: Any) -> None:
    from cardiolens.search.page import search_page
    from cardiolens.store.atomic import disk_errors, write_whole

    if path.suffix == ".json":
        text = _as_json(asked, hits, index) + "\n"
    elif path.suffix == ".csv":
        text = _as_csv(hits)
    else:
        text = search_page(asked, hits, str(index.meta.get("model")), len(index.studies), store)
    with disk_errors(path):
        write_whole(path, text.encode("utf-8"))


def _as_csv(hits: Any) -> str:
    """A row a clip shown."""
    import csv
    import io

    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["rank", "key", "score", "view", "plane", "clip_score"])
    for hit in hits:
        for clip in hit.clips:
            table.writerow([hit.rank, hit.key, f"{hit.score:.6f}", str(clip.view), clip.plane, f"{clip.score:.6f}"])
    return buffer.getvalue()


def _show(asked: str, hits: Any) -> None:
    from cardiolens.cli._search import show_table

    rows = [
        [
            f"{hit.rank}  {hit.key}",
            f"{hit.score:.3f}",
            ", ".join(f"{clip.view} {clip.plane} ({clip.score:.3f})" for clip in hit.clips),
        ]
        for hit in hits
    ]
    show_table(asked, ["study", "score", "best clips: view, plane"], rows)
    if hits.how == "approximate":
        typer.echo(f"Approximate: graphs that find {100 * hits.recall:.0f} % of the ten nearest; --exact compares all.")
    typer.echo("Research software; not a medical device.")
