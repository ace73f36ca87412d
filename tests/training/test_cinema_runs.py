"""CineMA's runs: pretraining and the downstream tasks, killed and resumed, refused where they must be."""

import csv
import json

import pytest
import torch
import yaml
from safetensors.torch import load_file

from cardiolens.cli import main
from cardiolens.errors import CheckpointError, RecipeError, TrainingError
from cardiolens.grid import GridSpec
from cardiolens.hub import load_model
from cardiolens.store import StudyStore
from cardiolens.training import downstream, masked
from cardiolens.training.cine_data import GridSource
from cardiolens.training.cine_recipe import LandmarkRecipe, MaskedRecipe, SegmentationRecipe, TabularRecipe
from cine_store import SIZES, beating, write_store

RUN = {
    "name": "small",
    "split": {"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}},
    "accelerator": "cpu",
    "sizes": SIZES,
}
OPTIMISER = {"lr": 2e-3, "batch": 4, "epochs": 2, "schedule": "cosine", "end_lr": 1e-5, "clip_norm": 5.0}
TURNED = {"rotate_deg": 10.0, "shift": 0.05}


def masked_recipe(**changes):
    fields = {**RUN, "views": ["SAX", "4CH"], "optimiser": OPTIMISER, "checkpoint_every": 2, "augment": TURNED}
    return MaskedRecipe.model_validate({**fields, **changes})


def segmentation_recipe(**changes):
    fields = {
        **RUN,
        "structures": ["LV cavity", "LV myocardium"],
        "optimiser": {**OPTIMISER, "layer_decay": 0.75, "chunk": 2},
        "validate_every": 1,
        "augment": {**TURNED, "dropout": 0.2, "dropout_size": (6, 6, 1)},
    }
    return SegmentationRecipe.model_validate({**fields, **changes})


def killed_at(module_class, monkeypatch, epoch, batch):
    """Make one training step of one epoch die, as a power cut would, and undo it."""
    step = module_class.training_step

    def dying(self, data, batch_idx):
        if (self.current_epoch, batch_idx) == (epoch, batch):
            raise ConnectionAbortedError("power cut")
        return step(self, data, batch_idx)

    monkeypatch.setattr(module_class, "training_step", dying)


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("discs") / "store")


@pytest.fixture(scope="module")
def pretrained(discs, tmp_path_factory):
    return masked.pretrain_masked(masked_recipe(), discs, tmp_path_factory.mktemp("masked") / "run")


def test_masked_pretraining_leaves_an_autoencoder_with_its_provenance(pretrained, discs):
    model = load_model(pretrained)
    assert dict(model.config.encoder.views) == SIZES
    assert GridSpec.from_dict(model.card.transform).of("SAX").size == (32, 32, 2)
    provenance = model.card.provenance
    assert provenance["data_hash"] == discs.hash()
    assert provenance["recipe_hash"] == masked_recipe().hash
    assert "phantom" not in provenance
    assert (pretrained.parent / "checkpoints" / "epoch_0002" / "card.json").exists()


def test_a_killed_and_resumed_masked_pretraining_ends_bitwise_as_an_unbroken_one(
    pretrained, discs, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        killed_at(masked.MaskedModule, patch, epoch=1, batch=1)
        with pytest.raises(ConnectionAbortedError):
            masked.pretrain_masked(masked_recipe(), discs, tmp_path / "broken")
    resumed = masked.pretrain_masked(masked_recipe(), discs, tmp_path / "broken")
    assert_same(weights_of(pretrained), weights_of(resumed))


def test_segmentation_from_pretrained_weights_is_resumed_bitwise_and_leaves_its_figures(
    pretrained, discs, tmp_path, monkeypatch
):
    recipe = segmentation_recipe(weights=str(pretrained), sizes={})
    whole = downstream.train_downstream(recipe, discs, tmp_path / "whole")
    with monkeypatch.context() as patch:
        killed_at(downstream.DownstreamModule, patch, epoch=1, batch=1)
        with pytest.raises(ConnectionAbortedError):
            downstream.train_downstream(recipe, discs, tmp_path / "broken")
    resumed = downstream.train_downstream(recipe, discs, tmp_path / "broken")
    assert_same(weights_of(whole), weights_of(resumed))
    model = load_model(whole)
    assert model.card.tasks["segmentation"]["structures"] == ["LV cavity", "LV myocardium"]
    assert model.card.provenance["start"]["recipe"] == "small"
    assert "the same" in model.card.provenance["held_out_checked"]
    metrics = json.loads((tmp_path / "whole" / "metrics.json").read_text())
    cavity = metrics["test"]["SAX"]["LV cavity"]
    assert cavity["n"] == 8
    assert {"dice", "ef_mae"} <= set(cavity)
    with (tmp_path / "whole" / "predictions_test.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["frame"], row["structure"]) for row in rows} == {
        (frame, name) for frame in ("ED", "ES") for name in ("LV cavity", "LV myocardium")
    }


def test_segmentation_learns_discs_and_a_part_of_the_labels_leaves_the_other_parts_whole(discs, tmp_path):
    optimiser = {"lr": 5e-3, "batch": 4, "epochs": 4, "weight_decay": 0.0}
    recipe = segmentation_recipe(optimiser=optimiser, validate_every=4, drop_path=0.0, dropout=0.0, augment=TURNED)
    downstream.train_downstream(recipe, discs, tmp_path / "all")
    metrics = json.loads((tmp_path / "all" / "metrics.json").read_text())
    assert metrics["test"]["SAX"]["LV cavity"]["dice"] > 0.8
    few = segmentation_recipe(fraction=0.25)
    downstream.train_downstream(few, discs, tmp_path / "few")
    studies = json.loads((tmp_path / "few" / "metrics.json").read_text())["studies"]
    assert studies == {"train": 2, "val": 4, "test": 4}


def test_a_run_that_gets_no_better_stops_and_a_restart_of_it_changes_nothing(discs, tmp_path, monkeypatch):
    still = {"lr": 1e-12, "batch": 8, "epochs": 30}
    recipe = segmentation_recipe(optimiser=still, patience=2)
    with monkeypatch.context() as patch:
        patch.setattr(downstream, "_measure", lambda *args: (_ for _ in ()).throw(ConnectionAbortedError("power cut")))
        with pytest.raises(ConnectionAbortedError):
            downstream.train_downstream(recipe, discs, tmp_path / "run")
    best = (tmp_path / "run" / "best.safetensors").read_bytes()
    final = downstream.train_downstream(recipe, discs, tmp_path / "run")
    provenance = load_model(final).card.provenance
    assert provenance["stopped_early"] - provenance["best_epoch"] == 2
    assert provenance["stopped_early"] < 29
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == best


def test_a_unet_is_trained_by_the_same_recipe_but_not_from_weights(pretrained, discs, tmp_path):
    pytest.importorskip("monai")
    recipe = segmentation_recipe(model="cinema-unet-tiny", optimiser={**OPTIMISER, "epochs": 1})
    model = load_model(downstream.train_downstream(recipe, discs, tmp_path / "run"))
    assert model.config.classes == 3
    with pytest.raises(CheckpointError, match="holds cinema-tiny"):
        broken = segmentation_recipe(model="cinema-unet-tiny", weights=str(pretrained))
        downstream.train_downstream(broken, discs, tmp_path / "other")


def test_a_value_and_a_class_are_learned_from_ed_and_es(discs, tmp_path):
    fields = {**RUN, "views": ["SAX", "4CH"], "optimiser": {**OPTIMISER, "epochs": 1}, "validate_every": 1}
    value = TabularRecipe.model_validate(fields)
    model = load_model(downstream.train_downstream(value, discs, tmp_path / "value"))
    assert model.config.encoder.in_channels == 2
    labels = discs.labels()["lvef"]
    assert labels.min() < model.config.offset[0] < labels.max()
    metrics = json.loads((tmp_path / "value" / "metrics.json").read_text())
    assert 0 < metrics["test"]["mae"] < 60
    group = TabularRecipe.model_validate({**fields, "label": "group", "target": "class", "task": "group"})
    model = load_model(downstream.train_downstream(group, discs, tmp_path / "class"))
    assert model.card.tasks["group"]["labels"] == ["narrow", "wide"]
    assert {"mcc", "accuracy", "auroc_wide"} <= set(model.card.tasks["group"]["metrics"]["test"])
    with pytest.raises(TrainingError, match="fewer than two classes"):
        same = TabularRecipe.model_validate({**fields, "label": "vendor", "target": "class"})
        downstream.train_downstream(same, discs, tmp_path / "same")
    with pytest.raises(TrainingError, match="target: class"):
        text = TabularRecipe.model_validate({**fields, "label": "group"})
        downstream.train_downstream(text, discs, tmp_path / "text")


@pytest.mark.parametrize("way", ["heat-maps", "coordinates"])
def test_landmarks_are_learned_both_ways(way, discs, tmp_path):
    fields = {**RUN, "way": way, "optimiser": {**OPTIMISER, "epochs": 1}, "validate_every": 1, "augment": TURNED}
    recipe = LandmarkRecipe.model_validate(fields)
    downstream.train_downstream(recipe, discs, tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert metrics["n"] == 4 * 2 * 3
    assert 0 < metrics["distance_mm_all"] < 60


def test_studies_that_cannot_be_used_are_left_out_and_counted(tmp_path, caplog):
    store = write_store(tmp_path / "store", count=12)
    writing = StudyStore(store.path, mode="a")
    keys = store.keys()
    writing.annotate(keys[0], {})
    bare, drawn, _, _ = beating(50, geometry=False)
    writing.write(bare, key=keys[1])
    writing.annotate(keys[1], drawn)
    recipe = segmentation_recipe(optimiser={**OPTIMISER, "epochs": 1})
    final = downstream.train_downstream(recipe, StudyStore(store.path), tmp_path / "run")
    assert sum(load_model(final).card.provenance["studies"].values()) == 10
    assert "no masks of SAX" in caplog.text
    assert "pixels: true" in caplog.text
    for key in keys:
        writing.annotate(key, {})
    with pytest.raises(TrainingError, match="no study of part 'train'"):
        downstream.train_downstream(recipe, StudyStore(store.path), tmp_path / "none")


def test_a_recipe_that_could_not_choose_its_epoch_is_refused(discs, tmp_path):
    with pytest.raises(RecipeError, match="validate_every"):
        downstream.train_downstream(segmentation_recipe(validate_every=3), discs, tmp_path / "run")


@pytest.mark.parametrize(
    ("samples", "batch", "chunk", "expected"),
    [
        (100, 64, None, (64, 1)),
        (100, 64, 16, (16, 4)),
        (20, 64, None, (16, 1)),
        (30, 64, None, (30, 1)),
        (1, 64, 4, (1, 1)),
    ],
)
def test_a_batch_fits_the_training_set_and_the_device(samples, batch, chunk, expected):
    assert downstream.batches_of(samples, batch, chunk) == expected


def test_frames_of_the_source_are_those_of_the_store_on_the_grid(discs):
    source = GridSource(discs, GridSpec.from_dict(load_model("cinema-tiny").card.transform))
    key = discs.keys()[0]
    frame, labels = source.frame(key, "SAX", 2), source.labels(key, "SAX", 2)
    assert frame.shape == (1, 96, 96, 8)
    assert labels.shape == (96, 96, 8)
    assert frame[0][labels == 1].mean() > 0.8
    assert frame[0][labels == 2].mean() < 0.5


def run_command(*words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 0


def test_the_commands_run_these_recipes_by_their_kind(discs, tmp_path, capsys):
    for name, recipe in (("masked", masked_recipe()), ("masks", segmentation_recipe())):
        fields = recipe.model_dump(mode="json")
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(fields))
    common = ["--store", str(discs.path), "--set", "optimiser.epochs=1"]
    run_command("pretrain", str(tmp_path / "masked.yaml"), *common, "--out", str(tmp_path / "one"))
    weights = ["--weights", str(tmp_path / "one" / "final"), "--out", str(tmp_path / "two")]
    run_command("finetune", str(tmp_path / "masks.yaml"), *common, *weights)
    assert f"model: {tmp_path / 'two' / 'final'}" in capsys.readouterr().out
    assert load_model(tmp_path / "two" / "final").card.name == "cinema-unetr-tiny"
