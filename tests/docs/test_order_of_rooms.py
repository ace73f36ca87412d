"""Rooms import only rooms above them in the table of the architecture page."""

import ast
import re

import pytest

LAZY = {("hub", "segmenter")}  # as its row says
OUTSIDE = {"__init__", "__main__", "_version"}


def rooms_of(page, start, end):
    """Names of rooms in the order of a table."""
    table = page[page.index(start) : page.index(end)]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)(?:\.py|/)`", row)]


def imported(path, package):
    """Rooms of a package that a file imports, at its head or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith(f"{package}."):
                yield name.removeprefix(f"{package}.").split(".")[0]


@pytest.mark.parametrize(
    ("package", "start", "end"),
    [
        ("cardiolens", "## Rooms", "### Inside the phantom"),
        ("cardiolens.phantom", "### Inside the phantom", "To add a disease"),
    ],
)
def test_rooms_import_only_rooms_above_them(package, start, end, pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "explanation" / "architecture.md").read_text()
    order = {name: place for place, name in enumerate(rooms_of(page, start, end))}
    folder = pytestconfig.rootpath.joinpath("src", *package.split("."))
    there = {path.relative_to(folder).parts[0].removesuffix(".py"): path for path in folder.rglob("*.py")}
    assert there.keys() - OUTSIDE == order.keys()
    upward = [
        f"{path.relative_to(folder)} imports {room}"
        for path in sorted(folder.rglob("*.py"))
        if (own := path.relative_to(folder).parts[0].removesuffix(".py")) not in OUTSIDE
        for room in imported(path, package)
        if room in order and order[room] > order[own] and (own, room) not in LAZY
    ]
    assert upward == []
