"""EchoAI's runs: masked pretraining and a label of a loop, killed and resumed, refused where they must be."""

import csv
import json

import numpy as np
import pytest
import torch
import yaml
from loops_in_memory import Discs
from safetensors.torch import load_file

from cardiolens.cli import main
from cardiolens.datasets.cine_volumes import CineVolumes
from cardiolens.datasets.splits import make_split
from cardiolens.errors import RecipeError, TrainingError
from cardiolens.hub import load_model
from cardiolens.models.videomae import VideoMAE
from cardiolens.training import masked_video, video
from cardiolens.training.video_recipe import MaskedVideoRecipe, VideoRecipe
from cine_store import write_store

OPTIMISER = {"lr": 2e-3, "batch": 4, "epochs": 2, "schedule": "cosine", "warmup_epochs": 0.5, "weight_decay": 0.05}
RUN = {"name": "small", "accelerator": "cpu", "frames": 4, "stride": 2}


def masked_recipe(**changes):
    fields = {**RUN, "optimiser": {**OPTIMISER, "chunk": 2}, "checkpoint_every": 2}
    return MaskedVideoRecipe.model_validate({**fields, **changes})


def video_recipe(**changes):
    fields = {**RUN, "optimiser": {**OPTIMISER, "layer_decay": 0.75, "chunk": 2}, "resamples": 100}
    return VideoRecipe.model_validate({**fields, **changes})


def killed_at(module_class, monkeypatch, epoch, batch):
    """Make one training step of one epoch die, as a power cut would, and undo it."""
    step = module_class.training_step

    def dying(self, data, batch_idx):
        if (self.current_epoch, batch_idx) == (epoch, batch):
            raise ConnectionAbortedError("power cut")
        return step(self, data, batch_idx)

    monkeypatch.setattr(module_class, "training_step", dying)


def same_weights(first, second):
    mine, theirs = (load_file(folder / "model.safetensors") for folder in (first, second))
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return masked_video.pretrain_video(masked_recipe(), Discs(), tmp_path_factory.mktemp("masked") / "run")


def test_masked_pretraining_leaves_an_autoencoder_with_its_transform_and_provenance(pretrained):
    model = load_model(pretrained)
    assert isinstance(model, VideoMAE)
    assert model.config.encoder.frames == 4
    assert (model.card.transform["frames"], model.card.transform["stride"]) == (4, 2)
    provenance = model.card.provenance
    assert provenance["recipe_hash"] == masked_recipe().hash
    assert (provenance["data_hash"], provenance["split_hash"]) == ("discs0", Discs().split().hash)
    assert provenance["loops"] == {"train": 8, "val": 4}
    assert 0 < provenance["last_val"] < 2
    assert (pretrained.parent / "checkpoints" / "epoch_0002" / "card.json").exists()


def test_a_killed_and_resumed_masked_pretraining_ends_bitwise_as_an_unbroken_one(pretrained, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        killed_at(masked_video.MaskedVideoModule, patch, epoch=1, batch=1)
        with pytest.raises(ConnectionAbortedError):
            masked_video.pretrain_video(masked_recipe(), Discs(), tmp_path / "broken")
    assert same_weights(pretrained, masked_video.pretrain_video(masked_recipe(), Discs(), tmp_path / "broken"))


def test_ef_from_pretrained_weights_is_resumed_bitwise_and_leaves_its_figures(pretrained, tmp_path, monkeypatch):
    recipe = video_recipe(weights=str(pretrained))
    whole = video.train_video(recipe, Discs(), tmp_path / "whole")
    with monkeypatch.context() as patch:
        killed_at(video.VideoModule, patch, epoch=1, batch=1)
        with pytest.raises(ConnectionAbortedError):
            video.train_video(recipe, Discs(), tmp_path / "broken")
    assert same_weights(whole, video.train_video(recipe, Discs(), tmp_path / "broken"))
    model = load_model(whole)
    assert model.card.name == "echoai-ef-tiny"
    assert model.config.answers.names == ("ef",)
    assert model.card.provenance["start"]["recipe"] == "small"
    assert "the same" in model.card.provenance["held_out_checked"]
    assert model.card.provenance["loops"] == {"train": 7, "val": 4, "test": 4}
    assert "no label" in (tmp_path / "whole" / "left_out_train.csv").read_text()
    rows = rows_of(tmp_path / "whole" / "predictions_test.csv")
    assert [row["patient"] for row in rows] == ["p12", "p13", "p14", "p15"]
    label, pred = (np.array([float(row[name]) for row in rows]) for name in ("label", "pred"))
    test = json.loads((tmp_path / "whole" / "metrics.json").read_text())["test"]
    assert test["mae"] == pytest.approx(np.abs(label - pred).mean(), abs=1e-3)
    assert test["rmse"] == pytest.approx(np.sqrt(((label - pred) ** 2).mean()), abs=1e-3)
    assert test["r2"] == pytest.approx(1 - ((label - pred) ** 2).sum() / ((label - label.mean()) ** 2).sum(), abs=1e-3)
    assert test["mae_low"] <= test["mae"] <= test["mae_high"]
    assert model.card.tasks["ef"]["metrics"]["test"] == test


def test_the_encoder_is_that_of_the_pretraining_and_random_without_it(pretrained):
    mae = load_model(pretrained)
    model, _ = video.start_model(video_recipe(weights=str(pretrained)), [50.0, 60.0])
    assert torch.equal(model.encoder.blocks[0].attn.q.weight, mae.encoder.blocks[0].attn.q.weight)
    other, _ = video.start_model(video_recipe(), [50.0, 60.0])
    assert not torch.equal(other.encoder.blocks[0].attn.q.weight, mae.encoder.blocks[0].attn.q.weight)
    assert model.config.answers.offset == (55.0,)


def test_a_condition_is_learned_and_measured_by_its_auroc(tmp_path):
    recipe = video_recipe(label="low", target="condition", task="low")
    model = load_model(video.train_video(recipe, Discs(20), tmp_path / "run"))
    metrics = model.card.tasks["low"]["metrics"]["test"]
    assert 0 <= metrics["auroc"] <= 1
    assert all(0 < float(row["pred"]) < 1 for row in rows_of(tmp_path / "run" / "predictions_val.csv"))
    with pytest.raises(TrainingError, match="a condition is 0 or 1"):
        video.train_video(video_recipe(label="ef", target="condition"), Discs(), tmp_path / "other")


def test_loops_that_cannot_be_used_are_left_out_with_a_reason(tmp_path):
    loops = Discs(broken="p01/a", short="p02/a")
    final = masked_video.pretrain_video(masked_recipe(), loops, tmp_path / "run")
    assert load_model(final).card.provenance["loops"]["train"] == 6
    reasons = {row["key"]: row["reason"] for row in rows_of(tmp_path / "run" / "left_out_train.csv")}
    assert "damaged" in reasons["p01/a"]
    assert "too few for a clip of 4 at a stride of 2, which spans 7" in reasons["p02/a"]


def test_planes_of_cines_are_learned_from_and_averaged_by_study(tmp_path):
    store = write_store(tmp_path / "store")
    split = make_split(store.keys(), {"train": 0.5, "val": 0.25, "test": 0.25}, 0)
    split.save(tmp_path / "studies.json")
    planes = CineVolumes(store.path)
    fields = {"stride": "even", "split": {"file": str(tmp_path / "studies.json")}, "label": "lvef"}
    video.train_video(video_recipe(**fields), planes, tmp_path / "run")
    rows = rows_of(tmp_path / "run" / "predictions_test.csv")
    assert {row["key"] for row in rows} == set(split["test"])
    assert {row["loops"] for row in rows} == {"3"}  # two planes of SAX and one of 4CH


def test_a_set_without_a_split_is_dealt_and_the_official_one_can_be_left(tmp_path):
    fields = {"split": {"fractions": {"train": 0.5, "val": 0.5}}, "optimiser": {**OPTIMISER, "epochs": 1}}
    for name, loops, changes in (("a", Discs(own_split=False), {}), ("b", Discs(), {"official_split": False})):
        masked_video.pretrain_video(masked_recipe(**fields, **changes), loops, tmp_path / name)
        dealt = json.loads((tmp_path / name / "split.json").read_text())["parts"]
        assert {part: len(keys) for part, keys in dealt.items()} == {"train": 8, "val": 8}


def test_what_cannot_be_learned_is_refused_before_the_start(pretrained, tmp_path):
    with pytest.raises(TrainingError, match="is called 'lvef'; there are ef, low"):
        video.train_video(video_recipe(label="lvef"), Discs(), tmp_path / "a")
    with pytest.raises(TrainingError, match="no masked autoencoder"):
        masked_video.pretrain_video(masked_recipe(model="echoai-ef-tiny"), Discs(), tmp_path / "b")
    with pytest.raises(TrainingError, match="no video transformer"):
        video.train_video(video_recipe(model="cinema-tiny"), Discs(), tmp_path / "c")
    with pytest.raises(RecipeError, match="validate_every"):
        video.train_video(video_recipe(validate_every=9), Discs(), tmp_path / "d")
    with pytest.raises(TrainingError, match="no loop of part 'train' can be used"):
        masked_video.pretrain_video(masked_recipe(stride=20), Discs(), tmp_path / "e")
    other = video_recipe(weights=str(pretrained), official_split=False, split={"fractions": {"train": 0.6, "val": 0.4}})
    with pytest.raises(TrainingError, match="already seen"):
        video.train_video(other, Discs(), tmp_path / "f")


def run_command(*words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 0


def test_the_commands_run_these_recipes_on_a_store_by_their_kind(tmp_path, capsys):
    store = write_store(tmp_path / "store")
    split = {"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}}
    for name, recipe in (("masked", masked_recipe(split=split)), ("ef", video_recipe(split=split, label="lvef"))):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    changes = [("--set", change) for change in ("optimiser.epochs=1", "views=[4CH]", "stride=even")]
    common = ["--store", str(store.path), *(word for pair in changes for word in pair)]
    run_command("pretrain", str(tmp_path / "masked.yaml"), *common, "--out", str(tmp_path / "one"))
    weights = ["--weights", str(tmp_path / "one" / "final"), "--out", str(tmp_path / "two")]
    run_command("finetune", str(tmp_path / "ef.yaml"), *common, *weights)
    assert f"model: {tmp_path / 'two' / 'final'}" in capsys.readouterr().out
    assert load_model(tmp_path / "two" / "final").card.name == "echoai-ef-tiny"
    assert {row["loops"] for row in rows_of(tmp_path / "two" / "predictions_test.csv")} == {"1"}
