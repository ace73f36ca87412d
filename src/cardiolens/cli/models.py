"""`cardiolens models`: which models there are, where their weights lie, who may use them."""

import json

import typer


def models(
    pattern: str = typer.Argument("*", help='Which names, such as "shad-*" (in quotes).'),
    as_json: bool = typer.Option(False, "--json", help="Print machine-readable JSON."),
) -> None:
    """List the models by name with their weights on this machine and their licence."""
    from dataclasses import asdict

    from cardiolens.hub import describe_models

    rows = describe_models(pattern)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False))
        return
    if not rows:
        typer.echo(f"no model is called like {pattern!r}")
        raise typer.Exit(1)
    for row in rows:
        typer.echo(f"{row.name}\n    {row.words}\n    weights: {row.weights}\n    licence: {row.licence}")
