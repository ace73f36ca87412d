"""A model a condition: gathered over one encoder, equal to models of their own, resumed, features read once."""

import json

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from cardiolens.errors import TrainingError
from cardiolens.hub import load_model, save_model
from cardiolens.models.mil import GatedAttentionMIL
from cardiolens.store import StudyStore
from cardiolens.training import each as each_module
from cardiolens.training import supervised
from cardiolens.training.features import ClipTable
from cardiolens.training.recipe import FinetuneRecipe
from cardiolens.training.supervised import BagLearner, finetune

SETTINGS = {
    "name": "small_each",
    "task": "diagnoses",
    "target": "conditions",
    "each": True,
    "split": {"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}},
    "augment": {"severity": 0},
    "plane_sampling": "all",
    "domain": False,
    "optimiser": {"lr": 1e-3, "weight_decay": 5e-4, "batch": 8, "epochs": 2},
    "accelerator": "cpu",
}
NAMES = ("amyloidosis", "sarcoidosis")


def recipe(**changes):
    return FinetuneRecipe.model_validate({**SETTINGS, **changes})


@pytest.fixture(scope="module")
def store(small_store, tmp_path_factory):
    """A third of the small store with two conditions that can be learned and one that nobody has."""
    own = StudyStore(tmp_path_factory.mktemp("each") / "store", mode="a")
    labels = small_store.labels().iloc[::3]
    for key in labels.index:
        own.write(small_store.read(key), key=key)
    labels = labels.copy()
    labels["amyloidosis"] = (labels["lvef"] < labels["lvef"].median()).astype(int)
    labels["sarcoidosis"] = pd.Series([i % 3 == 0 for i in range(len(labels))], labels.index).astype(float)
    labels["myocarditis"] = 0
    own.write_labels(labels)
    return own


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Features and prepared clips, made once for all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A model to start from: random weights, and a head for LVEF that knows its embedding."""
    torch.manual_seed(7)
    model = load_model("shad-mvit-tiny")
    model.heads["lvef"] = GatedAttentionMIL()
    model.card.tasks["lvef"] = {"kind": "regression"}
    return save_model(model, tmp_path_factory.mktemp("weights") / "start")


@pytest.fixture(scope="module")
def run(store, cache, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "each"
    final = finetune(recipe(weights=str(weights)), store, out, cache)
    assert final == out / "final"
    return out


def features_of(model, count=5):
    torch.manual_seed(0)
    return torch.randn(3, count, model.video_proj.in_features)


def said(model, task):
    with torch.inference_mode():
        return model.measure(task, features_of(model)).output


def test_one_folder_predicts_every_condition_as_the_models_trained_alone_do(run, store, cache, weights, tmp_path):
    gathered = load_model(run / "final")
    assert set(gathered.heads) == {"lvef", *NAMES}
    for name in NAMES:
        alone = load_model(
            finetune(recipe(weights=str(weights), each=False, labels=[name]), store, tmp_path / name, cache)
        )
        assert torch.allclose(said(gathered, name), said(alone, "diagnoses"), atol=1e-6)
        assert gathered.card.tasks[name]["labels"] == [name]
        assert gathered.card.tasks[name]["metrics"] == alone.card.tasks["diagnoses"]["metrics"]
    assert any("myocarditis, 0 with" in note for note in gathered.card.notes)


def test_the_shared_encoder_projection_and_the_heads_that_were_there_stay_as_they_were(run, weights):
    before, after = (load_file(folder / "model.safetensors") for folder in (weights, run / "final"))
    kept = [name for name in before if name.startswith(("video_", "heads.lvef."))]
    assert kept
    assert all(torch.equal(before[name], after[name]) for name in kept)
    moved = after["heads.amyloidosis.projection.weight"]
    assert moved.shape == before["video_proj.weight"].shape
    assert not torch.equal(moved, before["video_proj.weight"])


def test_the_folder_of_a_condition_holds_its_head_alone(run, weights):
    head = load_model(run / "amyloidosis" / "final")
    gathered = load_model(run / "final")
    with torch.inference_mode():
        assert torch.equal(head(features_of(gathered)).output, said(gathered, "amyloidosis"))
    for file in ("best.safetensors", "final/model.safetensors"):
        names = load_file(run / "amyloidosis" / file).keys()
        assert not [name for name in names if "video_encoder" in name]
    figures = json.loads((run / "metrics.json").read_text())
    assert set(figures["test"]["conditions"]) == set(NAMES)
    assert "0 with" in figures["left_out"]["myocarditis"]


def test_killed_at_the_second_condition_it_goes_on_there_and_ends_the_same(
    run, store, cache, weights, tmp_path, monkeypatch
):
    trained = []

    def dying(folder, start, task, **more):
        trained.append(task.labels[0])
        if len(trained) == 2:
            raise ConnectionAbortedError("power cut")
        return supervised.train_head(folder, start, task, **more)

    monkeypatch.setattr(each_module, "train_head", dying)
    for _ in range(2):
        try:
            finetune(recipe(weights=str(weights)), store, tmp_path / "run", cache)
        except ConnectionAbortedError:
            assert not (tmp_path / "run" / "final").exists()
    assert trained == ["amyloidosis", "sarcoidosis", "sarcoidosis"]
    first, second = (load_file(folder / "final" / "model.safetensors") for folder in (run, tmp_path / "run"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_killed_within_a_condition_it_ends_bitwise_the_same(run, store, cache, weights, tmp_path, monkeypatch):
    step = BagLearner.training_step

    def dying(self, data, batch_idx):
        if self.task.labels == ("sarcoidosis",) and (self.current_epoch, batch_idx) == (1, 0):
            raise ConnectionAbortedError("power cut")
        return step(self, data, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(BagLearner, "training_step", dying)
        with pytest.raises(ConnectionAbortedError):
            finetune(recipe(weights=str(weights)), store, tmp_path / "run", cache)
    finetune(recipe(weights=str(weights)), store, tmp_path / "run", cache)
    first, second = (load_file(folder / "final" / "model.safetensors") for folder in (run, tmp_path / "run"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_features_of_a_study_are_read_once_for_all_conditions(store, cache, weights, tmp_path, monkeypatch):
    read = []
    whole = ClipTable._read
    monkeypatch.setattr(ClipTable, "_read", lambda self, key: read.append(key) or whole(self, key))
    finetune(recipe(weights=str(weights)), store, tmp_path / "run", cache)
    assert len(read) == len(set(read)) == len(store.keys())


def test_in_mode_linear_the_heads_share_the_projection(store, cache, weights, tmp_path):
    final = finetune(recipe(weights=str(weights), mode="linear"), store, tmp_path / "run", cache)
    gathered = load_model(final)
    assert all(head.projection is None for head in gathered.heads.values())
    assert said(gathered, "amyloidosis").shape == (3, 1)


def test_in_mode_transfer_every_condition_keeps_its_own_model_and_that_is_said(store, weights, tmp_path, caplog):
    settings = {"mode": "transfer", "optimiser": {**SETTINGS["optimiser"], "epochs": 1}}
    out = finetune(recipe(weights=str(weights), **settings), store, tmp_path / "run")
    assert out == tmp_path / "run"
    assert not (out / "final").exists()
    assert "transfer trains an encoder a condition" in caplog.text
    models = [load_model(out / name / "final") for name in NAMES]
    assert [list(model.heads) for model in models] == [["diagnoses"]] * 2
    encoders = [model.state_dict()["video_encoder.patch.weight"] for model in models]
    assert not torch.equal(*encoders)


def test_a_head_of_another_encoder_is_not_gathered(run, store, cache, weights, tmp_path):
    import shutil

    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "final")
    file = tmp_path / "run" / "sarcoidosis" / "final"
    head = load_model(file)
    head.card.provenance["encoder"] = "another"
    save_model(head, file)
    with pytest.raises(TrainingError, match=r"sarcoidosis.final was trained on another encoder"):
        finetune(recipe(weights=str(weights)), store, tmp_path / "run", cache)


def test_a_head_for_another_task_is_kept_true_when_the_projection_trains(store, cache, weights, tmp_path):
    final = finetune(recipe(weights=str(weights), each=False), store, tmp_path / "run", cache)
    before, after = load_model(weights), load_model(final)
    assert torch.allclose(said(before, "lvef"), said(after, "lvef"), atol=1e-4)
    assert not torch.equal(before.video_proj.weight, after.video_proj.weight)
