"""The sentences of zero-shot reading: complete, and saying what they are filed under."""

import pytest

from cardiolens.errors import InputError
from cardiolens.search import load_prompts
from cardiolens.search.prompts import prompts_hash
from cardiolens.text.conditions import CONDITIONS
from cardiolens.text.rules import RuleLabeller


def test_every_condition_has_several_sentences_on_each_side():
    prompts = load_prompts()
    assert list(prompts) == [condition.column for condition in CONDITIONS]
    for name, own in prompts.items():
        assert min(len(own.positive), len(own.negative)) >= 4, name
        assert len({*own.positive, *own.negative}) == len(own.positive) + len(own.negative), name


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.column)
def test_the_label_rules_agree_with_the_side(condition):
    """The rules read most positive sentences as the condition and none of the negative ones."""
    rules, own = RuleLabeller(), load_prompts()[condition.column]
    said = [str(rules.label(f"Findings: {text}").states[condition.name]) for text in own.positive]
    denied = [str(rules.label(f"Findings: {text}").states[condition.name]) for text in own.negative]
    assert said.count("present") >= len(said) / 2, dict(zip(own.positive, said, strict=True))
    assert "present" not in denied, dict(zip(own.negative, denied, strict=True))


def test_an_own_table_may_name_conditions_by_name_or_column_and_add_others(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "pacing lead: {positive: [A lead.], negative: [No lead.]}\n"
        "ventricular septal defect: {positive: [A VSD.], negative: [No VSD.]}\n"
        "left_atrial_dilation: {positive: [Large LA.], negative: [Normal LA.]}\n"
    )
    found = load_prompts(path)
    assert list(found) == ["left_atrial_dilation", "ventricular_septal_defect", "pacing lead"]
    assert found["pacing lead"].positive == ("A lead.",)
    assert prompts_hash(found) != prompts_hash(load_prompts())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "not a table of conditions"),
        ("a: {positive: [x.]}", "a needs a list of `negative`"),
        ("a: {positive: [], negative: [x.]}", "a needs a list of `positive`"),
        ("a: {positive: [no], negative: [x.]}", "False is no sentence; put quotes"),
        ("a: {positive: [x.], negative: ['  ']}", "is no sentence"),
        ("a: {positive: [x.], negative: [y.], extra: 1}", "unknown entries"),
        ("normal: &a {positive: [x.], negative: [y.]}\nleft atrial dilation: *a\nleft_atrial_dilation: *a", "twice"),
        ("a: {", "not a YAML table"),
    ],
)
def test_a_broken_table_says_where(tmp_path, text, message):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_prompts(path)
    with pytest.raises(InputError, match="no such table"):
        load_prompts(tmp_path / "absent.yaml")
