"""Names of this package that the pages import in Python exist."""

import ast
import re
import textwrap
from pathlib import Path

import pytest
from shown_commands import PAGES, ROOT

FENCED = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^    .*\n|^\n)+", re.MULTILINE)


def blocks(text: str) -> list[str]:
    """Fenced blocks of Python, and indented ones that import something of this package."""
    indented = (textwrap.dedent(found[0]) for found in INDENTED.finditer(FENCED.sub("", text)))
    return [
        *FENCED.findall(text),
        *(block for block in indented if re.search(r"^from cardiolens", block, re.MULTILINE)),
    ]


def imported(page: Path) -> set[tuple[str, str]]:
    """Module and name of every `from cardiolens... import ...` of a page."""
    trees = [ast.parse(block) for block in blocks(page.read_text(encoding="utf-8"))]
    found = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in found if node.module and node.module.split(".")[0] == "cardiolens"]
    return {(str(node.module), alias.name) for node in ours for alias in node.names}


SHOWN = sorted({(*each, str(page.relative_to(ROOT))) for page in PAGES for each in imported(page)})


def test_pages_show_python_in_number():
    assert len(SHOWN) > 30


def names_of(module: str) -> set[str]:
    """What can be imported from a module, read from its source: nothing heavy is imported here."""
    place = (ROOT / "src").joinpath(*module.split("."))
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    names = {path.stem for path in place.glob("*")}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assigned = {target.id for target in targets if isinstance(target, ast.Name)}
            names |= set(ast.literal_eval(node.value)) if node.value and "__all__" in assigned else assigned
    return names


def test_a_name_that_does_not_exist_is_seen():
    assert {"load_model", "Cine"} <= names_of("cardiolens") and "load_models" not in names_of("cardiolens")
    assert "sunnybrook" in names_of("cardiolens.datasets") and "Sunnybrook" not in names_of("cardiolens.datasets")


@pytest.mark.parametrize(("module", "name", "page"), SHOWN, ids=lambda value: value)
def test_every_name_that_a_page_imports_exists(module: str, name: str, page: str):
    assert name in names_of(module), page
