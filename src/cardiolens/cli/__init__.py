"""The command line: one small file a verb; its function's signature and docstring are its flags and help.

A verb module imports nothing heavy at its top, so that `cardiolens --help` answers at once.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys

import typer

from cardiolens._version import __version__
from cardiolens.errors import CardiolensError

_ORDER = [
    "demo",
    "doctor",
    "models",
    "info",
    "views",
    "ingest",
    "datasets",
    "label",
    "phantom",
    "pretrain",
    "finetune",
    "predict",
    "export",
    "segment",
    "echo",
    "node",
    "pull",
    "explain",
    "evaluate",
    "associate",
    "survive",
    "validate",
    "reproduce",
    "benchmark",
    "embed",
    "search",
    "zeroshot",
    "retrieve",
    "map",
    "serve",
]


def _version(show: bool) -> None:
    if show:
        typer.echo(f"cardiolens {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more of what is going on."),
) -> None:
    """cardiolens reads cardiac MRI cine studies and reports, learns from them, and gives back measurements.

    Research software; not a medical device.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s")


def build_app() -> typer.Typer:
    """Collect the verbs: each module of this package holds a function, or a group of commands, of its own name."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(_root)
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    for name in sorted(names, key=lambda n: (_ORDER.index(n) if n in _ORDER else len(_ORDER), n)):
        verb = getattr(importlib.import_module(f"{__name__}.{name}"), name)
        if isinstance(verb, typer.Typer):
            app.add_typer(verb, name=name)
        else:
            app.command(name)(verb)
    return app


def main(argv: list[str] | None = None) -> None:
    """Run the command line.  A mendable error is one message on stderr and exit code 1; misuse is 2."""
    try:
        build_app()(args=argv)
    except CardiolensError as error:
        typer.echo(f"cardiolens: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        typer.echo(f"cardiolens: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("cardiolens: stopped; run the same command again to go on", err=True)
        sys.exit(130)
