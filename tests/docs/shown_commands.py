"""Commands as the pages show them: which lines of Markdown are shell, and their words."""

import functools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE_LANGUAGES = {"", "sh", "bash", "shell", "console", "text"}
COMMAND = re.compile(r"^(?:\$ )?((?:cardiolens|python3?) .*)$")
VARIABLE = re.compile(r'^([A-Z]+)="(.*)"$')
INLINE = re.compile(r"`(cardiolens [a-z]+ [^`]+)`")


@dataclass(frozen=True)
class Shown:
    """A command line of a page: where it stands, and its words."""

    page: Path
    line: int
    text: str

    @property
    def words(self) -> list[str]:
        """As a shell would split it; what follows # is a comment."""
        return shlex.split(self.text, comments=True)

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def code_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines of fenced and indented code, without indentation, with lines that end in a backslash joined to the next."""
    fence: str | None = None
    joined, start = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.startswith("```"):
            fence = None if fence is not None else line[3:].strip()
            continue
        is_code = fence in CODE_LANGUAGES if fence is not None else raw.startswith("    ")
        if not is_code and not joined:
            continue
        start = start if joined else number
        joined = f"{joined} {line}".strip()
        if joined.endswith("\\"):
            joined = joined[:-1].strip()
            continue
        yield start, joined
        joined = ""


def commands(page: Path) -> list[Shown]:
    """The commands of a page in their order: those of cardiolens, and of Python where a tutorial needs one."""
    found, variables = [], {}
    for number, line in code_lines(page.read_text(encoding="utf-8")):
        if given := VARIABLE.match(line):
            variables["$" + given[1]] = given[2]
        if match := COMMAND.match(line):
            text = functools.reduce(lambda text, name: text.replace(name, variables[name]), variables, match[1])
            found.append(Shown(page, number, text))
    return found


def inline_commands(page: Path) -> list[Shown]:
    """Commands with arguments that stand within a sentence or a table."""
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
    return [Shown(page, number, text) for number, line in lines for text in INLINE.findall(line)]
