"""What the verbs that work on embeddings share: the model, lines of a table."""

from pathlib import Path
from typing import Any


def open_model(model: str, weights: Path | None = None, *, device: str = "cpu", seed: int = 0) -> Any:
    """A model that embeds, on its device; the seed makes untrained weights the same each time."""
    import torch

    from cardiolens.errors import CheckpointError, InputError
    from cardiolens.hub import load_model
    from cardiolens.models.dual_encoder import DualEncoder

    torch.manual_seed(seed)
    network = load_model(model, weights)
    if not isinstance(network, DualEncoder):
        raise CheckpointError(f"{model} is a head, not an encoder; take one whose name does not hold '-mil-'")
    try:
        return network.to(device)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(f"cannot compute on {device!r} ({str(error).splitlines()[0]}); take --device cpu") from error


def show_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on the terminal; all columns but the first to the right."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 120))
    table = Table(title=Text(title), title_justify="left", box=SIMPLE, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole."""
    import json

    from cardiolens.store.atomic import disk_errors, write_whole

    with disk_errors(path):
        write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def write_csv(path: Path, table: Any) -> None:
    """Write a table of pandas whole."""
    from cardiolens.store.atomic import disk_errors, write_whole

    with disk_errors(path):
        write_whole(path, table.to_csv().encode("utf-8"))
