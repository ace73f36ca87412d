"""The 35 conditions as data: complete, in step with the names elsewhere, and refused when they are not."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from cardiolens.errors import InputError
from cardiolens.text.conditions import CONDITION_NAMES, CONDITIONS
from cardiolens.text.definitions import DATA, load_definitions

ROOT = Path(__file__).resolve().parents[2]


def test_all_35_are_defined_in_the_papers_order():
    definitions = load_definitions()
    assert tuple(definitions) == CONDITION_NAMES
    assert [d.published for d in definitions.values()] == [c.published for c in CONDITIONS]
    for definition in definitions.values():
        assert definition.counts
        assert definition.excludes
        if definition.name != "normal":
            assert definition.names or definition.graded_names or definition.size_of


def test_severity_stands_where_the_name_asks_for_it():
    severe = {name for name, d in load_definitions().items() if d.floor == "severe"}
    assert severe == {"severe aortic stenosis", "severe mitral regurgitation", "large pericardial effusion"}


def test_concepts_are_cuis_and_none_is_given_twice():
    cuis = [d.cui for d in load_definitions().values() if d.cui]
    assert all(len(cui) == 8 and cui[0] == "C" and cui[1:].isdigit() for cui in cuis)
    assert len(set(cuis)) == len(cuis)


def test_the_page_is_what_the_data_says():
    spec = importlib.util.spec_from_file_location("conditions_page", ROOT / "examples" / "conditions_page.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run: python examples/conditions_page.py --write"


def changed(tmp_path, change):
    table = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    change(table)
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(table), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("amyloidosis"), "missing.*amyloidosis"),
        (lambda t: t.update(gout={"counts": "x", "excludes": "y"}), "not among the 35.*gout"),
        (lambda t: t["amyloidosis"].update(colour="red"), "amyloidosis.*colour"),
        (lambda t: t["amyloidosis"].update(patterns=["(open"]), "not a regular expression"),
        (lambda t: t["amyloidosis"].update(floor="huge"), "floor"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_the_reason(tmp_path, change, message):
    with pytest.raises(InputError, match=f"(?s){message}"):
        load_definitions(changed(tmp_path, change))


def test_an_own_table_changes_what_the_rules_find(tmp_path):
    from cardiolens.text.rules import RuleLabeller

    own = load_definitions(changed(tmp_path, lambda t: t["amyloidosis"]["names"].append("starch heart")))
    assert RuleLabeller().label("Starch heart.")["amyloidosis"] == "not mentioned"
    assert RuleLabeller(own).label("Starch heart.")["amyloidosis"] == "present"
