"""The page of the phantom's parameters: complete, and as the code has it."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest

from cardiolens.phantom.persons.covariates import EFFECTS
from cardiolens.phantom.persons.followup import HAZARDS
from cardiolens.text.conditions import CONDITION_NAMES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("phantom_parameters", ROOT / "examples" / "phantom_parameters.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_code_says(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), (
        "run: python examples/phantom_parameters.py --write"
    )


def test_the_page_names_every_field_condition_and_coefficient(script):
    page = script.page()
    for thing in script.THINGS:
        section = page.split(f"## {type(thing).__name__}\n")[1].split("\n## ")[0]
        for field in dataclasses.fields(thing):
            assert f"| `{field.name}` | " in section, field.name
    assert all(f"| {name} | " in page for name in CONDITION_NAMES)
    assert all(e.source in page for e in (*EFFECTS, *HAZARDS))


def test_ranges_are_read_from_the_checks(script):
    heart, valves = script.THINGS[0], script.THINGS[1]
    assert script.range_of(heart, "lvef_pct") == "5 to 80 %"
    assert script.range_of(heart, "segment_motion").startswith("17 numbers in -0.")
    assert script.range_of(valves, "prosthesis") == "none, mitral, aortic"
