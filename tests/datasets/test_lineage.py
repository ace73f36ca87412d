"""Runs behind weights and the split files that lie with them."""

import json

import pytest

from cardiolens.datasets.lineage import OF_WEIGHTS, runs_behind, splits_near
from cardiolens.datasets.splits import Split
from cardiolens.errors import TrainingError

OWN, BEFORE = Split({"train": ("site_a/1",), "test": ("site_b/1",)}), Split({"train": ("site_c/1",)})


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    for place in ("final", "checkpoints/epoch_0010"):
        (folder / place).mkdir(parents=True)
    OWN.save(folder / "split.json")
    BEFORE.save(folder / OF_WEIGHTS.format(BEFORE.hash))
    return folder


@pytest.mark.parametrize("model", [".", "final", "checkpoints/epoch_0010"])
def test_a_model_has_the_splits_of_its_run_and_of_the_runs_before_wherever_it_lies_in_it(run, model):
    assert splits_near(run / model) == {OWN.hash: OWN, BEFORE.hash: BEFORE}


def test_a_name_that_is_no_folder_has_none(tmp_path):
    assert splits_near(tmp_path / "shad-mvit-tiny:phantom") == {}


def test_an_edited_split_is_refused_rather_than_passed_over(run):
    fields = json.loads((run / "split.json").read_text())
    fields["parts"]["train"] = ["site_d/1"]
    (run / "split.json").write_text(json.dumps(fields))
    with pytest.raises(TrainingError, match="does not fit its hash"):
        splits_near(run / "final")


def test_runs_without_a_split_are_left_out_and_the_chain_goes_on_behind_them():
    first = {"split_hash": "1", "start": None}
    assert [run["split_hash"] for run in runs_behind({"split_hash": "3", "start": {"start": first}})] == ["3", "1"]
    assert list(runs_behind({})) == list(runs_behind({"start": "kinetics"})) == []
