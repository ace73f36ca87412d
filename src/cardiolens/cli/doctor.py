"""`cardiolens doctor`."""

import json as json_module
from typing import Any

import typer


def doctor(json: bool = typer.Option(False, "--json", help="Print machine-readable JSON.")) -> None:
    """Tell what is installed, where weights are looked for, and what is missing.

    Asks no network. The exit code is 1 when something that cardiolens needs is missing.
    """
    from cardiolens.doctor import examine

    facts = examine()
    if json:
        typer.echo(json_module.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _show(facts)
    if facts["problems"]:
        raise typer.Exit(1)


def _show(facts: dict[str, Any]) -> None:
    machine, weights, key = facts["machine"], facts["weights"], facts["key"]
    typer.echo(f"cardiolens {facts['cardiolens']}, Python {facts['python']}, {machine['system']}")
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    memory = "memory unknown" if machine["memory_gib"] is None else f"{machine['memory_gib']} GiB memory"
    typer.echo(f"{machine['cores']} cores, {memory}, {machine['free_disk_gib']} GiB disk free here, {gpus}")
    typer.echo(f"torch build: {machine['torch_build']}")
    typer.echo("\nPackages")
    for package in facts["packages"]:
        typer.echo(f"  {package['name']:24s} {package['version'] or '-':14s} {package['problem'] or ''}".rstrip())
    typer.echo("\nOptional")
    for extra in facts["extras"]:
        state = f'missing {", ".join(extra["missing"])}; pip install "cardiolens[{extra["name"]}]"'
        typer.echo(f"  {extra['name']:8s} {extra['for']}: {state if extra['missing'] else 'installed'}")
    typer.echo("\nDICOM pixel decoders")
    for codec in facts["codecs"]:
        typer.echo(f"  {codec['name']:38s} {', '.join(codec['with']) if codec['available'] else 'NONE'}")
    typer.echo("\nWeights are looked for in this order")
    for place in weights["places"]:
        state = "not set" if place["path"] is None else place["path"] + ("" if place["exists"] else " (absent)")
        typer.echo(f"  {place['place']}: {state}")
    for name, path in weights["found"].items():
        typer.echo(f"  found {name}: {path}")
    for name, address in weights["absent"].items():
        typer.echo(f"  not here {name}: bring it from {address}")
    state = "there" if key["exists"] else "made at the first ingest"
    typer.echo(f"\nPseudonymisation key: {key['path'] or key['from']} ({state})")
    typer.echo("\nEverything needed is here." if not facts["problems"] else "\nProblems")
    for problem in facts["problems"]:
        typer.echo(f"  {problem}")
