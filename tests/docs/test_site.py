"""The documentation site builds strictly, loads nothing from elsewhere, and its generated pages are up to date."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

import cardiolens

ROOT = Path(__file__).resolve().parents[2]
LOADED = re.compile(r'<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)="([^"]+)"[^>]*>', re.IGNORECASE)
IN_STYLE = re.compile(r"(?:url\(|@import )['\"]?(?:https?:)?//[^)'\"]+")


def script(name: str) -> ModuleType:
    """A script of examples/, imported."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_of_the_bundled_models_are_what_the_script_makes_of_their_cards():
    for path, text in script("model_cards").pages().items():
        assert path.read_text(encoding="utf-8") == text, "run: python examples/model_cards.py"


def test_every_bundled_model_has_a_page_and_both_reporting_sheets():
    cards = script("model_cards")
    assert len(cards.bundled()) >= 2
    for _, card in cards.bundled():
        for end in (".md", "-claim.md", "-tripod-ai.md"):
            assert (cards.PAGES / f"{cards.stem(card)}{end}").is_file()


def items_of(path: Path) -> list[str]:
    """First cells of the rows of a sheet: `12`, `5a`."""
    return re.findall(r"^\| (\d+[a-z]?) \|", path.read_text(encoding="utf-8"), re.MULTILINE)


CLAIM = [str(number) for number in range(1, 45)]
LETTERS = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}
TRIPOD_AI = [f"{number}{letter}" for number in range(1, 28) for letter in LETTERS.get(number, ("",))]


@pytest.mark.parametrize(("end", "items"), [("claim", CLAIM), ("tripod-ai", TRIPOD_AI)])
def test_every_item_of_a_sheet_is_answered_once_and_in_order(end: str, items: list[str]):
    sheets = sorted((ROOT / "docs" / "models").glob(f"*-{end}.md"))
    assert sheets
    for sheet in sheets:
        assert items_of(sheet) == items, sheet.name


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a dead link, a missing page or an unknown Python name ends it."""
    pytest.importorskip("mkdocs", reason="the documentation site needs the extra `docs`")
    pytest.importorskip("mkdocstrings", reason="the documentation site needs the extra `docs`")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    out = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(out), strict=True))
    return out


def from_elsewhere(page: str) -> Iterator[str]:
    """Addresses that a browser would fetch from another host when it shows this page."""
    for tag in LOADED.finditer(page):
        if urlsplit(tag[1]).netloc and 'rel="canonical"' not in tag[0]:
            yield tag[1]


def test_what_a_page_would_load_from_elsewhere_is_seen():
    assert list(from_elsewhere('<script src="https://cdn.example/x.js"></script><img src="a.png">')) == [
        "https://cdn.example/x.js"
    ]
    assert IN_STYLE.search("@font-face{src:url(https://fonts.example/x.woff2)}")


def test_the_site_builds_with_links_alive_has_the_public_names_and_loads_nothing_from_elsewhere(site: Path):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        assert not list(from_elsewhere(page.read_text(encoding="utf-8"))), page.name
    for sheet in site.rglob("*.css"):
        assert not IN_STYLE.search(sheet.read_text(encoding="utf-8")), sheet.name
    reference = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for name in cardiolens.__all__:
        assert name.startswith("__") or f".{name}" in reference, name
    assert "Build a model by name and load its weights, strictly" in reference


def test_search_answers_in_a_page_that_is_opened_from_the_disk(site: Path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    address = f"{(site / 'index.html').as_uri()}?q=trabeculae"
    command = [browser, "--headless", "--no-sandbox", "--virtual-time-budget=20000", "--dump-dom", address]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert re.search(r'search-result__meta">\s*[1-9]\d* matching document', page)
    assert "explanation/segmenter.html?h=trabeculae" in page
