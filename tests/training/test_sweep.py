"""A fine-tuning from every checkpoint of a pretraining: rows, figure, going on, what is refused."""

import csv
import json

import pytest
import torch
from typer.testing import CliRunner

from cardiolens.cli import build_app
from cardiolens.errors import TrainingError
from cardiolens.hub import load_model, save_model
from cardiolens.store import StudyStore
from cardiolens.training import supervised
from cardiolens.training.recipe import load_recipe
from cardiolens.training.sweep import checkpoints_of, sweep
from cardiolens.validation.checkpoints import open_sweep

RECIPE = """\
name: small_sweep
split: {fractions: {train: 0.5, val: 0.25, test: 0.25}}
augment: {severity: 0}
plane_sampling: all
domain: false
optimiser: {lr: 1.0e-3, batch: 4, epochs: 1}
accelerator: cpu
"""


@pytest.fixture(scope="module")
def store(small_store, tmp_path_factory):
    own = StudyStore(tmp_path_factory.mktemp("sweep") / "store", mode="a")
    labels = small_store.labels().iloc[::6]
    for key in labels.index:
        own.write(small_store.read(key), key=key)
    own.write_labels(labels)
    return own


@pytest.fixture(scope="module")
def pretraining(tmp_path_factory):
    """Run folder of a pretraining of 20 epochs: a checkpoint at 10, and the end."""
    folder = tmp_path_factory.mktemp("pretraining")
    for epoch, place in ((20, "final"), (10, "checkpoints/epoch_0010")):
        torch.manual_seed(epoch)
        model = load_model("shad-mvit-tiny")
        model.card.provenance = {"recipe": "pretrain", "epoch": epoch}
        save_model(model, folder / place)
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    path.write_text(RECIPE)
    return path


def call(*arguments):
    return CliRunner().invoke(build_app(), ["finetune", *map(str, arguments)])


@pytest.fixture(scope="module")
def swept(store, pretraining, recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("swept") / "out"
    done = call(recipe, "--store", store.path, "--sweep", pretraining, "--out", out)
    assert done.exit_code == 0, done.output
    return out, done.output


def test_checkpoints_are_those_of_the_cards_in_the_order_of_their_epochs(pretraining, tmp_path):
    assert checkpoints_of(pretraining) == [
        (10, pretraining / "checkpoints" / "epoch_0010"),
        (20, pretraining / "final"),
    ]
    with pytest.raises(TrainingError, match="no final/ of a pretraining"):
        checkpoints_of(tmp_path)


def test_every_row_is_the_figure_of_the_run_that_started_from_that_checkpoint(swept, pretraining):
    out, said = swept
    with (out / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["part"]) for row in rows] == [(e, p) for e in ("10", "20") for p in ("val", "test")]
    for row in rows:
        run = out / f"epoch_{int(row['epoch']):04d}"
        assert row["metric"] == "mae"
        assert float(row["value"]) == json.loads((run / "metrics.json").read_text())[f"{row['part']}_mae"]
        assert load_model(run / "final").card.provenance["start"]["epoch"] == int(row["epoch"])
    assert rows[0]["value"] != rows[2]["value"]
    assert "epoch   10   test mae" in said
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG") and (out / "sweep.svg").is_file()


def test_validate_opens_the_models_of_a_sweep_by_their_epochs(swept):
    assert sorted(open_sweep(swept[0])) == [10, 20]


def test_called_again_it_trains_only_what_is_missing(swept, store, pretraining, recipe, monkeypatch):
    out, _ = swept
    before = (out / "sweep.csv").read_bytes()
    (out / "sweep.csv").unlink()
    monkeypatch.setattr(supervised, "train_head", None)  # nothing is left to train
    done = call(recipe, "--store", store.path, "--sweep", pretraining, "--out", out)
    assert done.exit_code == 0, done.output
    assert (out / "sweep.csv").read_bytes() == before


def test_weights_of_ones_own_and_a_model_a_condition_are_refused(store, pretraining, recipe, tmp_path):
    own = call(recipe, "--store", store.path, "--sweep", pretraining, "--weights", pretraining / "final")
    assert "leave --weights out" in str(own.exception) + own.output
    changes = ["each=true", "target=conditions", "task=diagnoses"]
    settings = load_recipe(recipe, supervised.FinetuneRecipe, changes)
    with pytest.raises(TrainingError, match="each: false"):
        sweep(settings, store, pretraining, tmp_path / "out")
    assert not (tmp_path / "out").exists()
