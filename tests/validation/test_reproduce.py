"""`cardiolens reproduce`: the figures on a card hold on its own studies, and only there."""

import csv
import shutil

import pytest
from typer.testing import CliRunner

from cardiolens.cli import build_app
from cardiolens.errors import CheckpointError, StatsError
from cardiolens.hub import load_model, save_model
from cardiolens.store import StudyStore
from cardiolens.training.recipe import FinetuneRecipe
from cardiolens.training.supervised import finetune
from cardiolens.validation.reproduce import reproduce

SETTINGS = {
    "name": "small",
    "split": {"fractions": {"train": 0.4, "val": 0.2, "calibration": 0.4}},
    "augment": {"severity": 0},
    "plane_sampling": "all",
    "domain": False,
    "optimiser": {"lr": 1e-3, "batch": 8, "epochs": 1},
    "accelerator": "cpu",
}


@pytest.fixture(scope="module")
def store(archive, tmp_path_factory):
    """The archive without the study that holds nothing."""
    folder = tmp_path_factory.mktemp("own") / "store"
    shutil.copytree(archive.path, folder)
    StudyStore(folder, mode="a").remove("north_empty/a99")
    return StudyStore(folder)


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    """A value and a condition run on it, sharing their features."""
    folder = tmp_path_factory.mktemp("runs")
    value = FinetuneRecipe.model_validate(SETTINGS)
    conditions = FinetuneRecipe.model_validate(
        SETTINGS | {"task": "diagnoses", "target": "conditions", "labels": ["amyloidosis", "myocarditis"]}
    )
    finetune(value, store, folder / "lvef", folder / "cache")
    finetune(conditions, store, folder / "diagnoses", folder / "cache")
    return folder


def test_mae_and_interval_of_a_fine_tuned_model_hold(runs, store):
    found = reproduce(str(runs / "lvef" / "final"), store)
    assert [(row.part, row.figure) for row in found.figures] == [
        ("val", "MAE"),
        ("calibration", "MAE"),
        ("calibration", "half-width of the interval"),
    ]
    assert found.holds
    assert all(abs(row.difference) < 1e-3 for row in found.figures)


def test_auroc_and_positives_of_every_condition_hold(runs, store):
    found = reproduce(str(runs / "diagnoses" / "final"), store, split=runs / "diagnoses" / "split.json")
    assert found.holds
    assert "AUROC amyloidosis" in {row.figure for row in found.figures}


def test_a_figure_that_is_off_is_named_and_the_command_exits_1(runs, store, tmp_path):
    model = load_model(runs / "lvef" / "final")
    model.card.tasks["lvef"]["metrics"]["val_mae"] += 0.5
    wrong = save_model(model, tmp_path / "wrong")
    arguments = ["reproduce", str(wrong), "--store", str(store.path), "--out", str(tmp_path / "out")]
    split = ["--split", str(runs / "lvef" / "split.json")]
    done = CliRunner().invoke(build_app(), [*arguments, *split])
    assert done.exit_code == 1
    assert "1 of 3 figures are off" in done.output
    with (tmp_path / "out" / "reproduce.csv").open() as file:
        rows = {(row["part"], row["figure"]): row for row in csv.DictReader(file)}
    assert rows["val", "MAE"]["within"] == "False"
    assert float(rows["val", "MAE"]["difference"]) == pytest.approx(-0.5, abs=1e-3)
    assert CliRunner().invoke(build_app(), [*arguments, *split, "--tolerance", "0.6"]).exit_code == 0


def test_weights_rounded_to_float16_are_given_more_room(runs, store, tmp_path):
    half = save_model(load_model(runs / "lvef" / "final"), tmp_path / "half", dtype="float16")
    assert load_model(half).card.dtype == "float16"
    found = reproduce(str(half), store, split=runs / "lvef" / "split.json")
    assert (found.tolerance, found.holds) == (0.02, True)


def test_changed_labels_are_found(runs, store, tmp_path):
    shutil.copytree(store.path, tmp_path / "store")
    changed = StudyStore(tmp_path / "store", mode="a")
    labels = changed.labels()
    labels["amyloidosis"] = 1 - labels["amyloidosis"]
    changed.write_labels(labels)
    found = reproduce(str(runs / "diagnoses" / "final"), changed)
    off = {row.figure for row in found.figures if not row.within}
    assert "AUROC amyloidosis" in off
    assert not any("myocarditis" in figure for figure in off)


def test_another_store_another_split_and_none_at_all_are_refused_in_words(runs, store, archive, tmp_path):
    folder = str(runs / "lvef" / "final")
    with pytest.raises(CheckpointError, match="not the store that the card's figures"):
        reproduce(folder, archive)
    moved = shutil.copytree(folder, tmp_path / "moved")
    with pytest.raises(CheckpointError, match=r"give --split with the split\.json"):
        reproduce(str(moved), store)
    from cardiolens.datasets.splits import make_split

    make_split(store.keys(), {"train": 0.5, "val": 0.5}, seed=3).save(tmp_path / "split.json")
    with pytest.raises(CheckpointError, match="the card's figures are of"):
        reproduce(folder, store, split=tmp_path / "split.json")
    with pytest.raises(StatsError, match="tolerance"):
        reproduce(folder, store, tolerance=0)


def test_a_card_without_figures_is_refused(network, store):
    with pytest.raises(CheckpointError, match="holds no figure"):
        reproduce(str(network), store)
