"""Conditions of a study: what is learned, weighed, left out and reported."""

import csv
import json

import pandas as pd
import pytest
import torch

from cardiolens.errors import TrainingError
from cardiolens.hub import load_model
from cardiolens.models.mil import MILOutput
from cardiolens.store import StudyStore
from cardiolens.training.recipe import FinetuneRecipe
from cardiolens.training.supervised import finetune
from cardiolens.training.tasks import ConditionTask

SETTINGS = {
    "name": "small_conditions",
    "task": "conditions",
    "target": "conditions",
    "split": {"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}},
    "augment": {"severity": 0},
    "plane_sampling": "all",
    "select": "last",
    "domain": False,
    "optimiser": {"lr": 1e-3, "weight_decay": 5e-4, "batch": 8, "epochs": 2},
    "accelerator": "cpu",
}


def recipe(**changes):
    return FinetuneRecipe.model_validate({**SETTINGS, **changes})


@pytest.fixture
def store(small_store, tmp_path):
    """The small store with three conditions: by LVEF, by number with a gap, and one that nobody has."""
    import shutil

    shutil.copytree(small_store.path, tmp_path / "store")
    own = StudyStore(tmp_path / "store", mode="a")
    labels = own.labels()
    labels["amyloidosis"] = (labels["lvef"] < labels["lvef"].median()).astype(int)
    labels["sarcoidosis"] = pd.Series([i % 3 == 0 for i in range(len(labels))], labels.index).astype(float)
    labels.iloc[1, labels.columns.get_loc("sarcoidosis")] = float("nan")
    labels["myocarditis"] = 0
    own.write_labels(labels)
    return own


def test_one_head_learns_all_conditions_that_have_both_classes_and_says_what_it_left_out(store, tmp_path):
    final = finetune(recipe(), store, tmp_path / "run")
    task = load_model(final).card.tasks["conditions"]
    assert task["labels"] == ["amyloidosis", "sarcoidosis"]
    assert "0 with" in task["left_out"]["myocarditis"]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics["test"]["conditions"]) == {"amyloidosis", "sarcoidosis"}
    with (tmp_path / "run" / "predictions_test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["condition"] for row in rows} == {"amyloidosis", "sarcoidosis"}
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
    area = metrics["test"]["conditions"]["amyloidosis"]
    assert 0 <= area["low"] <= area["auroc"] <= area["high"] <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["gout"]}, "no column for gout"),
        ({"labels": ["lvef"]}, "a condition is 0, 1 or empty"),
        ({"labels": ["myocarditis"]}, "nothing to learn: myocarditis has 0 with"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(store, tmp_path, changes, message):
    with pytest.raises(TrainingError, match=message):
        finetune(recipe(**changes), store, tmp_path / "run")


def found(logits):
    logits = torch.tensor(logits)
    return MILOutput(logits, logits, logits, logits.sigmoid())


def test_positives_weigh_as_the_negatives_and_unknown_labels_not_at_all():
    task = ConditionTask(("a",), {}, (3.0,), {})
    logits = [[0.0], [0.0], [0.0], [0.0], [5.0]]
    targets = torch.tensor([[1.0], [0.0], [0.0], [0.0], [float("nan")]])
    assert float(task.loss(found(logits), targets)) == pytest.approx((3 + 3) * 0.6931 / 4, rel=1e-3)
    nothing = task.loss(found([[1.0]]), torch.tensor([[float("nan")]]))
    assert float(nothing) == 0.0


def test_a_part_without_positives_has_no_auroc_and_says_why():
    task = ConditionTask(("a", "b"), {}, (1.0, 1.0), {})
    metrics = task.metrics("test", torch.rand(6, 2), torch.tensor([[0.0, 1.0], [0.0, 0.0]] * 3))["test"]
    assert "auroc" not in metrics["conditions"]["a"] and metrics["conditions"]["a"]["not_computed"]
    assert metrics["mean_auroc"] == metrics["conditions"]["b"]["auroc"]
