"""SLIViT's runs: pretraining of the trunk, fine-tuning of volumes, killed and resumed, refused where they must be."""

import csv
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cardiolens import load_model
from cardiolens.cli import main
from cardiolens.datasets.shuffled import Shuffled
from cardiolens.datasets.volumes import open_volumes
from cardiolens.errors import CheckpointError, RecipeError, TrainingError
from cardiolens.training import slice_images, slices
from cardiolens.training.recipe import load_recipe
from cardiolens.training.slice_recipe import SimCLRRecipe, Slices2dRecipe, SlicesRecipe
from cardiolens.training.start import rendered_set

TRUNK = {"depths": [1, 1, 1, 1], "widths": [8, 8, 16, 16]}
SMALL = {"trunk": TRUNK, "size": 32, "width": 16, "mlp": 16, "heads": 2, "head_width": 8, "layers": 1}
OPTIMISER = {"lr": 3e-3, "batch": 4, "epochs": 2, "schedule": "one_cycle"}
RUN = {"name": "small", "accelerator": "cpu", "optimiser": OPTIMISER, "resamples": 20}
FIND = {"low": 1e-5, "high": 1.0, "steps": 12}


def volumes_file(path, train=16, other=8, depth=6):
    """Bright balls of two sizes on noise: the size is the class."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[-1 : 1 : depth * 1j, -1:1:20j, -1:1:20j]
    arrays = {}
    for part, count in (("train", train), ("val", other), ("test", other)):
        labels = np.arange(count) % 2
        images = np.stack([np.where(x**2 + y**2 + z**2 < (0.3 + 0.5 * label) ** 2, 160, 20) for label in labels])
        arrays[f"{part}_images"] = (images + rng.integers(0, 40, images.shape)).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    np.savez_compressed(path, **arrays)
    return path


def images_file(path, several=False):
    rng = np.random.default_rng(1)
    arrays = {}
    for part, count in (("train", 16), ("val", 8), ("test", 8)):
        labels = np.arange(count) % 2
        images = rng.integers(0, 40, (count, 20, 20))
        for number, label in enumerate(labels):
            images[number, :, : 5 + 10 * label] += 150
        arrays[f"{part}_images"] = images.astype(np.uint8)
        arrays[f"{part}_labels"] = (np.stack([labels, 1 - labels, labels], 1) if several else labels[:, None]).astype(
            np.uint8
        )
    np.savez_compressed(path, **arrays)
    return path


def slices_recipe(**changes):
    fields = {**RUN, "model": "slivit-tiny", "slices": 6, "classes": "label", "find_lr": FIND, "architecture": SMALL}
    return SlicesRecipe.model_validate({**fields, **changes})


def images_recipe(kind=Slices2dRecipe, **changes):
    fields = {k: v for k, v in RUN.items() if k != "resamples"} | {"architecture": {"trunk": TRUNK, "size": 32}}
    return kind.model_validate({**fields, "checkpoint_every": 1, "find_lr": None, **changes})


def killed_at(monkeypatch, epoch, batch):
    """Make one training step die, as a power cut would."""
    step = slices.SliceModule.training_step

    def dying(self, data, batch_idx):
        if (self.current_epoch, batch_idx) == (epoch, batch):
            raise ConnectionAbortedError("power cut")
        return step(self, data, batch_idx)

    monkeypatch.setattr(slices.SliceModule, "training_step", dying)


def assert_same(first, second):
    one, other = (load_file(folder / "model.safetensors") for folder in (first, second))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def balls(tmp_path_factory):
    return open_volumes(volumes_file(tmp_path_factory.mktemp("balls") / "balls.npz"))


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trunk")
    recipe = images_recipe(sets=[str(images_file(folder / "bars.npz"))])
    return slice_images.pretrain_images(recipe, slice_images.open_mixture(recipe, None), folder / "run")


def test_a_killed_and_resumed_fine_tuning_ends_bitwise_as_an_unbroken_one(trunk, balls, tmp_path, monkeypatch):
    recipe = slices_recipe(weights=str(trunk), architecture={**SMALL, "dropout": 0.2})
    whole = slices.train_slices(recipe, balls, tmp_path / "whole")
    with monkeypatch.context() as patch:
        killed_at(patch, epoch=1, batch=2)
        with pytest.raises(ConnectionAbortedError):
            slices.train_slices(recipe, balls, tmp_path / "broken")
    resumed = slices.train_slices(recipe, balls, tmp_path / "broken")
    assert_same(whole, resumed)
    found = json.loads((tmp_path / "whole" / "lr_find.json").read_text())
    model = load_model(resumed)
    assert model.card.provenance["lr"] == found["lr"] in found["rates"]
    assert (tmp_path / "whole" / "lr_find.png").stat().st_size > 1000
    assert model.card.provenance["start"]["recipe"] == "small"
    assert model.card.transform["slices"] == model.config.slices == 6
    with (tmp_path / "whole" / "predictions_test.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert abs(float(rows[0]["label_0_pred"]) + float(rows[0]["label_1_pred"]) - 1.0) < 1e-5


def test_balls_of_two_sizes_are_told_apart_and_figures_have_their_limits(balls, tmp_path):
    optimiser = {**OPTIMISER, "epochs": 12}
    recipe = slices_recipe(
        classes=None, conditions=["label"], optimiser=optimiser, find_lr=None, patience=None, augment={"crop": (0.8, 1)}
    )
    final = slices.train_slices(recipe, balls, tmp_path / "run")
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["label"]
    assert figures["auroc"]["value"] > 0.9
    assert figures["average_precision"]["low"] <= figures["average_precision"]["value"]
    assert load_model(final).config.answers.kinds == ("condition",)


@pytest.mark.parametrize(
    ("model", "architecture"),
    [
        ("slivit-r3d-tiny", {"crop": 32, "width": 8}),
        ("slivit-r2plus1d-tiny", {"crop": 32, "width": 8}),
        ("slivit-vit3d-tiny", {"crop": 32, "width": 16, "layers": 1, "layers_depth": 1}),
    ],
)
def test_baselines_train_by_the_same_recipe(model, architecture, balls, tmp_path):
    recipe = slices_recipe(model=model, architecture=architecture, find_lr=None, optimiser={**OPTIMISER, "epochs": 1})
    found = load_model(slices.train_slices(recipe, balls, tmp_path / "run"))
    assert (found.card.name, found.config.slices, found.config.size) == (model, 6, 32)


def test_values_and_conditions_with_gaps_are_learned_in_one_run(balls, tmp_path):
    class Gappy:
        name, path, keys, load, split, hash = "gappy", balls.path, balls.keys, balls.load, balls.split, balls.hash

        def labels(self):
            table = balls.labels()
            table["ef"] = 40.0 + 20.0 * table["label"] + np.arange(len(table)) % 3
            table.loc[table.index[:3], "ef"] = np.nan
            table.loc[table.index[3], ["ef", "label"]] = np.nan
            return table

    once = {**OPTIMISER, "epochs": 1}
    recipe = slices_recipe(classes=None, values=["ef"], conditions=["label"], find_lr=None, optimiser=once)
    model = load_model(slices.train_slices(recipe, Gappy(), tmp_path / "run"))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["volumes"]["train"] == 15
    assert {"r2", "mae"} <= metrics["test"]["ef"].keys()
    assert 45 < model.config.answers.offset[0] < 57


def test_a_run_that_gets_no_better_stops_early(balls, tmp_path):
    still = {**OPTIMISER, "lr": 1e-12, "epochs": 12, "batch": 16}
    recipe = slices_recipe(optimiser=still, find_lr=None, patience=2)
    provenance = load_model(slices.train_slices(recipe, balls, tmp_path / "run")).card.provenance
    assert provenance["stopped_early"] == provenance["best_epoch"] + 2 < 11


def test_a_killed_and_resumed_simclr_ends_bitwise_as_an_unbroken_one(tmp_path, monkeypatch):
    recipe = images_recipe(SimCLRRecipe, sets=[str(images_file(tmp_path / "bars.npz"))], projection=8)
    mixture = slice_images.open_mixture(recipe, None)
    whole = slice_images.pretrain_images(recipe, mixture, tmp_path / "whole")
    with monkeypatch.context() as patch:
        killed_at(patch, epoch=1, batch=1)
        with pytest.raises(ConnectionAbortedError):
            slice_images.pretrain_images(recipe, mixture, tmp_path / "broken")
    assert_same(whole, slice_images.pretrain_images(recipe, mixture, tmp_path / "broken"))
    assert load_model(whole).classifier is None


def test_a_mixture_of_sets_has_one_list_of_classes(trunk, tmp_path):
    assert load_model(trunk).config.classes == ("bars:0", "bars:1")
    paths = [images_file(tmp_path / "bars.npz"), images_file(tmp_path / "findings.npz", several=True)]
    recipe = images_recipe(sets=[str(path) for path in paths], optimiser={**OPTIMISER, "epochs": 1})
    mixture = slice_images.open_mixture(recipe, None)
    assert mixture.classes == ("bars:0", "bars:1", "findings:0", "findings:1", "findings:2")
    assert mixture.target("train_00001/findings:image").tolist() == [0, 0, 1, 0, 1]
    assert mixture.target("train_00000/bars:image").tolist() == [1, 0, 0, 0, 0]
    model = load_model(slice_images.pretrain_images(recipe, mixture, tmp_path / "run"))
    assert model.config.several
    assert model.card.provenance["images"] == {"train": 32, "val": 16}


def test_frames_of_a_store_are_images_by_view(small_store):
    recipe = images_recipe(store=str(small_store.path), split={"fractions": {"train": 0.75, "val": 0.25}})
    mixture = slice_images.open_mixture(recipe, None)
    assert mixture.classes == ("4CH", "SAX")
    split = mixture.split(recipe)
    assert len(split["train"]) == 36 * 4 * 2
    assert mixture.target(next(key for key in split["val"] if ":SAX:" in key)).tolist() == [1.0]
    assert mixture.load(split["val"][0]).shape == (48, 48)


def test_a_set_is_the_phantom_s_by_its_cines_or_by_the_manifest_beside_it(small_store, tmp_path, monkeypatch):
    (tmp_path / "labels.csv").write_text("file,ef\na.avi,50\n")
    loops = open_volumes(tmp_path)
    assert not rendered_set(loops, loops.keys())
    (tmp_path / "manifest.json").write_text(json.dumps({"kind": "cardiolens phantom echo"}))
    assert rendered_set(loops, loops.keys()) and rendered_set(Shuffled(loops, 0), loops.keys())
    stacks, planes = open_volumes(small_store.path), open_volumes(small_store.path, kind="cines")
    for rendered in (False, True):
        monkeypatch.setattr("cardiolens.training.start.is_rendered", lambda study, rendered=rendered: rendered)
        assert rendered_set(stacks, stacks.keys()) is rendered_set(planes, planes.keys()) is rendered


@pytest.mark.parametrize(("taught", "asked", "named"), [([0, 1], 5, "5"), ([0, 2], 1, "1")])
def test_a_class_that_is_asked_for_and_was_never_taught_is_refused_by_name(taught, asked, named, tmp_path):
    path = volumes_file(tmp_path / "set.npz")
    with np.load(path) as file:
        arrays = dict(file)
    for part in ("train", "val", "test"):
        arrays[f"{part}_labels"] = np.array(taught, dtype=np.uint8)[arrays[f"{part}_labels"]]
    arrays["test_labels"][:3] = asked
    np.savez_compressed(path, **arrays)
    words = rf"of class {named} there are 3 held-out volumes \(first test_00000/volume\) and none.*`fraction`"
    with pytest.raises(TrainingError, match=words):
        slices.train_slices(slices_recipe(), open_volumes(path), tmp_path / "run")


def test_what_cannot_be_learned_is_refused_with_a_reason(balls, trunk, tmp_path):
    with pytest.raises(TrainingError, match=r"no label lvef; there are label"):
        slices.train_slices(slices_recipe(classes=None, values=["lvef"]), balls, tmp_path / "a")
    with pytest.raises(TrainingError, match="2D trunk"):
        slices.train_slices(
            slices_recipe(model="slivit-r3d-tiny", weights=str(trunk), architecture={}), balls, tmp_path / "b"
        )
    with pytest.raises(CheckpointError, match="that of the weights"):
        slices.train_slices(slices_recipe(weights=str(trunk), architecture={}), balls, tmp_path / "c")
    with pytest.raises(TrainingError, match="not a setting"):
        slices.train_slices(slices_recipe(architecture={"depth": 3}), balls, tmp_path / "d")
    flat = open_volumes(volumes_file(tmp_path / "flat.npz", depth=1))
    with pytest.raises(TrainingError, match="one slice"):
        slices.train_slices(slices_recipe(), flat, tmp_path / "e")
    with pytest.raises(RecipeError, match="nothing to learn"):
        load_recipe(_written(tmp_path / "r.yaml"), SlicesRecipe)


def _written(path):
    path.write_text("kind: slices\nname: x\noptimiser: {lr: 0.1, batch: 1, epochs: 1}\n")
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [("finetune", SlicesRecipe), ("pretrain2d", Slices2dRecipe), ("simclr", SimCLRRecipe)],
)
def test_shipped_recipes_are_valid(name, kind, pytestconfig):
    for twin in (f"slivit_{name}", f"slivit_tiny_{name}"):
        recipe = load_recipe(pytestconfig.rootpath / "recipes" / f"{twin}.yaml", kind)
        assert recipe.name == twin
        assert load_model(recipe.model).card.name == recipe.model


def test_the_public_command_fine_tunes_on_a_medmnist_file_and_prints_results_alone(tmp_path, pytestconfig, capsys):
    path = volumes_file(tmp_path / "set.npz", train=8, other=4)
    recipe = pytestconfig.rootpath / "recipes" / "slivit_tiny_finetune.yaml"
    changes = ["classes=label", "values=[]", "optimiser.epochs=1", "slices=4", "resamples=20"]
    changes += ["accelerator=cpu", "architecture={size: 32}", "find_lr={steps: 10}"]
    sets = [word for change in changes for word in ("--set", change)]
    with pytest.raises(SystemExit) as left:
        main(["finetune", str(recipe), "--store", str(path), "--out", str(tmp_path / "r"), *sets])
    assert left.value.code == 0
    printed = f"model: {tmp_path}/r/final\npredictions and metrics: {tmp_path}/r\n"
    assert capsys.readouterr().out == printed
    assert load_model(tmp_path / "r" / "final").config.slices == 4


@pytest.mark.slow
def test_the_full_size_takes_a_training_step(tmp_path):
    """ConvNeXt-T on 4 slices of 256 x 256, one step: 50 million parameters, a minute on one core."""
    path = volumes_file(tmp_path / "set.npz", train=2, other=2, depth=4)
    recipe = slices_recipe(
        model="slivit", slices=4, architecture={}, find_lr=None, optimiser={**OPTIMISER, "batch": 2, "epochs": 1}
    )
    model = load_model(slices.train_slices(recipe, open_volumes(path), tmp_path / "run"))
    assert model.config.trunk.depths == (3, 3, 9, 3)
    assert 45e6 < sum(parameter.numel() for parameter in model.parameters()) < 55e6
    table = model.pos_embedding.detach()
    assert not torch.equal(table[0, :, 0], torch.arange(5.0))
