"""Every command in README.md and the pages parses: verb, options, types, recipes and their settings."""

import functools
import itertools
import shlex
from collections.abc import Callable

import pytest
import typer
from shown_commands import PAGES, ROOT, Shown, code_lines, commands, inline_commands
from typer.testing import CliRunner

from cardiolens.cli import build_app
from cardiolens.training.kinds import DOWNSTREAM, PRETRAINING
from cardiolens.training.recipe import load_any

SHOWN = [shown for page in PAGES for shown in commands(page) if shown.text.startswith("cardiolens ")]
SHOWN += inline_commands(PAGES[0])
MENTIONED = [shown for page in PAGES[1:] for shown in inline_commands(page)]


def idle(function: Callable[..., object]) -> Callable[..., None]:
    """The same signature, and nothing done."""

    @functools.wraps(function)
    def nothing(*_: object, **__: object) -> None:
        return None

    return nothing


@functools.cache
def idle_app() -> typer.Typer:
    """The command line whose verbs parse what they are given and do nothing."""
    app = build_app()
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    for command in (command for group in groups for command in group.registered_commands):
        command.callback = idle(command.callback)
    return app


def parse(words: list[str]) -> str:
    """What the parser has against these words; nothing where they parse."""
    result = CliRunner().invoke(idle_app(), words)
    return "" if result.exit_code == 0 else result.output or repr(result.exception)


def test_pages_show_commands_in_number():
    """Guards the collection itself: a change of style that hides the commands must not pass unseen."""
    assert len(SHOWN) > 80
    assert {"README.md", "docs/tutorial/first-report.md"} <= {str(shown.page.relative_to(ROOT)) for shown in SHOWN}


def test_the_check_itself_refuses_what_does_not_exist():
    assert parse(["predict", "x", "--out", "y"]) == ""
    assert "no such option" in parse(["predict", "x", "--out", "y", "--modell", "z"]).lower()
    assert "no such command" in parse(["forecast"]).lower()
    assert "missing" in parse(["predict", "x"]).lower()
    assert "invalid value" in parse(["phantom", "--out", "x", "--n", "many"]).lower()


def test_comments_and_continued_lines_are_read_as_a_shell_would():
    page = "    cardiolens views PATH   # what is there\n\n```\ncardiolens predict A \\\n    --out B\n```\n"
    assert [shlex.split(line, comments=True) for _, line in code_lines(page)] == [
        ["cardiolens", "views", "PATH"],
        ["cardiolens", "predict", "A", "--out", "B"],
    ]


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.where)
def test_every_command_shown_parses(shown: Shown):
    trouble = parse(shown.words[1:])
    assert not trouble, f"{shown.where}: {shown.text}\n{trouble}"


@pytest.mark.parametrize("shown", MENTIONED, ids=lambda shown: shown.where)
def test_every_verb_and_option_mentioned_exists(shown: Shown):
    """A sentence may leave out what is needed to run it."""
    trouble = parse(shown.words[1:]).lower()
    assert "no such" not in trouble and "unexpected" not in trouble, f"{shown.where}: {shown.text}\n{trouble}"


@pytest.mark.parametrize(
    "shown",
    [shown for shown in SHOWN if any(word.startswith("recipes/") for word in shown.words)],
    ids=lambda shown: shown.where,
)
def test_every_recipe_shown_exists_and_has_the_settings_that_are_changed(shown: Shown):
    words = shown.words
    recipe = ROOT / next(word for word in words if word.startswith("recipes/"))
    assert recipe.is_file(), f"{shown.where}: {shown.text}"
    if words[1] in ("pretrain", "finetune"):
        changes = [after for word, after in itertools.pairwise(words) if word == "--set"]
        load_any(recipe, PRETRAINING if words[1] == "pretrain" else DOWNSTREAM, changes)
