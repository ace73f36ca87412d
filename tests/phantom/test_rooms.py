"""The map of the phantom's rooms is complete, and no room imports one that stands below it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from cardiolens import phantom

FOLDER = Path(phantom.__file__).parent
DOCS = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "architecture.md"


def _rooms() -> list[str]:
    """Names in the docstring's map, from top to bottom."""
    return re.findall(r"^    (\w+)(?:/|\.py)  ", phantom.__doc__ or "", re.MULTILINE)


def _imported(path: Path) -> set[str]:
    """Rooms of the phantom that a file imports, at its top or within a function."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
    inside = [(node.module or "").split(".") for node in nodes if (node.module or "").startswith("cardiolens.phantom.")]
    return {parts[2] for parts in inside}


def test_the_map_names_every_room_once() -> None:
    there = {p.stem for p in FOLDER.iterdir() if (p.suffix == ".py" or (p / "__init__.py").is_file())} - {"__init__"}
    assert sorted(_rooms()) == sorted(there)


def test_the_page_on_architecture_has_the_same_rooms_in_the_same_order() -> None:
    text = DOCS.read_text(encoding="utf-8").partition("### Inside the phantom")[2]
    assert re.findall(r"^\| `(\w+)(?:/|\.py)` \|", text, re.MULTILINE) == _rooms()


@pytest.mark.parametrize("room", _rooms())
def test_a_room_knows_only_those_above_it(room: str) -> None:
    files = [FOLDER / f"{room}.py"] if (FOLDER / f"{room}.py").is_file() else sorted((FOLDER / room).rglob("*.py"))
    known = {*_rooms()[: _rooms().index(room)], room}
    assert {path.name: _imported(path) - known for path in files if _imported(path) - known} == {}


def test_every_public_name_is_found() -> None:
    for name in phantom.__all__:
        assert getattr(phantom, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'heart_of_gold'"):
        phantom.heart_of_gold  # noqa: B018
