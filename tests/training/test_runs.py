import json

import pytest
import torch
from safetensors.torch import load_file

from cardiolens.datasets.splits import Split
from cardiolens.errors import TrainingError
from cardiolens.hub import load_model
from cardiolens.training import contrastive, supervised
from cardiolens.training.data import ClipSource
from cardiolens.training.recipe import FinetuneRecipe, PretrainRecipe
from cardiolens.transforms import ClipTransform

PRETRAIN = {
    "name": "small",
    "split": {"fractions": {"train": 0.25, "val": 0.25, "calibration": 0.25, "test": 0.25}},
    "text": {"vocabulary": 200, "freeze_layers": 0, "max_tokens": 48},
    "optimiser": {"lr": 1e-3, "batch": 4, "epochs": 3, "schedule": "cosine", "clip_norm": 1.0},
    "augment": {"severity": 2.0, "width": 2},
    "objective": {"centre": True},
    "checkpoint_every": 2,
    "accelerator": "cpu",
}
FINETUNE = {
    "name": "small_lvef",
    "split": PRETRAIN["split"],
    "augment": {"severity": 0},
    "optimiser": {"lr": 1e-3, "batch": 4, "epochs": 4, "schedule": "cosine"},
    "coverage": 0.7,
    "accelerator": "cpu",
}


def pretrain_recipe(**changes):
    return PretrainRecipe.model_validate({**PRETRAIN, **changes})


def finetune_recipe(**changes):
    return FinetuneRecipe.model_validate({**FINETUNE, **changes})


def killed_at(module_class, monkeypatch, epoch, batch):
    """Make one training step of one epoch die, as a power cut would, and undo it."""
    step = module_class.training_step

    def dying(self, data, batch_idx):
        if (self.current_epoch, batch_idx) == (epoch, batch):
            raise ConnectionAbortedError("power cut")
        return step(self, data, batch_idx)

    monkeypatch.setattr(module_class, "training_step", dying)


@pytest.fixture(scope="module")
def pretrained(small_store, tmp_path_factory):
    return contrastive.pretrain(pretrain_recipe(), small_store, tmp_path_factory.mktemp("run") / "pretrain")


@pytest.fixture(scope="module")
def few(pretrained):
    """A split of eight studies, each in the part that the pretraining had it in."""
    whole = Split.load(pretrained.parent / "split.json")
    path = pretrained.parent / "few.json"
    Split({part: whole[part][:count] for part, count in (("train", 4), ("val", 2), ("test", 2))}).save(path)
    return {"file": str(path)}


def test_pretraining_leaves_a_model_that_loads_with_its_provenance(pretrained, small_store):
    model = load_model(pretrained)
    assert model.embed_text(["LVEF is 20 %."]).shape == (1, 512)
    provenance = model.card.provenance
    assert provenance["data_hash"] == small_store.hash()
    assert provenance["recipe_hash"] == pretrain_recipe().hash
    assert (pretrained.parent / "checkpoints" / "epoch_0002" / "card.json").exists()
    timing = json.loads((pretrained.parent / "timing.json").read_text())
    assert set(timing) == {"data", "forward", "backward"}
    assert min(timing.values()) > 0


def test_a_killed_and_resumed_pretraining_ends_bitwise_as_an_unbroken_one(
    pretrained, small_store, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        killed_at(contrastive.ContrastiveModule, patch, epoch=1, batch=1)
        with pytest.raises(ConnectionAbortedError):
            contrastive.pretrain(pretrain_recipe(), small_store, tmp_path / "broken")
    assert not (tmp_path / "broken" / "final").exists()
    resumed = contrastive.pretrain(pretrain_recipe(), small_store, tmp_path / "broken")
    unbroken, after = (load_file(folder / "model.safetensors") for folder in (pretrained, resumed))
    assert unbroken.keys() == after.keys()
    assert all(torch.equal(unbroken[name], after[name]) for name in unbroken)


def test_another_seed_ends_elsewhere(pretrained, small_store, tmp_path):
    other = contrastive.pretrain(pretrain_recipe(seed=1), small_store, tmp_path / "other")
    first, second = (load_file(folder / "model.safetensors") for folder in (pretrained, other))
    assert not torch.equal(first["video_proj.weight"], second["video_proj.weight"])


@pytest.mark.parametrize("mode", ["finetune", "linear", "transfer"])
def test_each_mode_trains_what_it_should_and_nothing_else(pretrained, few, small_store, tmp_path, mode):
    once = {**FINETUNE["optimiser"], "epochs": 1}
    recipe = finetune_recipe(mode=mode, weights=str(pretrained), select="last", optimiser=once, split=few)
    final = supervised.finetune(recipe, small_store, tmp_path / mode)
    before, after = (load_file(folder / "model.safetensors") for folder in (pretrained, final))
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert (
        moved
        == {
            "finetune": {"video_proj"},
            "linear": set(),
            "transfer": {"video_encoder", "video_proj"},
        }[mode]
    )


def test_finetuning_leaves_interval_domain_reference_predictions_and_metrics(pretrained, small_store, tmp_path, capsys):
    final = supervised.finetune(finetune_recipe(weights=str(pretrained)), small_store, tmp_path / "run")
    assert capsys.readouterr().out == ""
    card = load_model(final).card
    assert card.tasks["lvef"]["conformal"]["n"] == 12
    assert card.domain["n_fit"] == 12
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    rows = (tmp_path / "run" / "predictions_test.csv").read_text().splitlines()
    errors = [abs(float(a) - float(b)) for _, a, b in (row.split(",") for row in rows[1:])]
    assert len(errors) == 12
    assert metrics["test_mae"] == pytest.approx(sum(errors) / 12, abs=1e-3)


def test_a_killed_and_resumed_transfer_run_ends_bitwise_as_an_unbroken_one(few, small_store, tmp_path, monkeypatch):
    optimiser = {**FINETUNE["optimiser"], "epochs": 2, "batch": 2}
    recipe = finetune_recipe(mode="transfer", augment={"severity": 2.0}, optimiser=optimiser, split=few)
    unbroken = supervised.finetune(recipe, small_store, tmp_path / "unbroken")
    with monkeypatch.context() as patch:
        killed_at(supervised.BagLearner, patch, epoch=1, batch=1)
        with pytest.raises(ConnectionAbortedError):
            supervised.finetune(recipe, small_store, tmp_path / "broken")
    resumed = supervised.finetune(recipe, small_store, tmp_path / "broken")
    first, second = (load_file(folder / "model.safetensors") for folder in (unbroken, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_folder_of_another_recipe_is_refused(pretrained, small_store):
    with pytest.raises(TrainingError, match="another recipe"):
        contrastive.pretrain(pretrain_recipe(seed=5), small_store, pretrained.parent)


def test_weights_that_learned_from_patients_who_are_held_out_here_are_refused(pretrained, small_store, tmp_path):
    other = {"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}, "seed": 1}
    with pytest.raises(TrainingError, match="patients of the pretraining split's 'train' are in the held-out parts"):
        supervised.finetune(finetune_recipe(weights=str(pretrained), split=other), small_store, tmp_path / "run")


def test_a_missing_label_is_refused_before_training(small_store, tmp_path):
    with pytest.raises(TrainingError, match=r"no column 'gls'.*lvef"):
        supervised.finetune(finetune_recipe(label="gls"), small_store, tmp_path / "run")


def test_nan_loss_stops_the_run_with_advice(small_store, tmp_path, monkeypatch):
    monkeypatch.setattr(contrastive, "flood", lambda loss, level: loss * float("nan"))
    with pytest.raises(TrainingError, match=r"lower optimiser\.lr"):
        contrastive.pretrain(pretrain_recipe(), small_store, tmp_path / "run")


def test_finetuning_learns_a_signal_that_is_there(small_store, tmp_path):
    recipe = finetune_recipe(
        split={"fractions": {"train": 0.6, "val": 0.2, "test": 0.2}},
        optimiser={"lr": 2e-3, "batch": 8, "epochs": 80, "schedule": "cosine"},
    )
    supervised.finetune(recipe, small_store, tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    spread = 15.0  # mean absolute deviation of labels that are even between 15 and 75
    assert metrics["test_mae"] < 0.7 * spread


def test_the_centre_is_the_batch_mean_in_training_and_folds_into_the_layer():
    torch.manual_seed(0)
    layer, centre = torch.nn.Linear(6, 4), contrastive.Centre(4, active=True, momentum=1.0)
    inputs = torch.randn(32, 6)
    centred = centre(layer(inputs))
    assert centred.mean(0).abs().max() < 1e-6
    centre.eval()
    before = layer.bias.clone()
    with centre.folded(layer):
        assert torch.allclose(layer(inputs), centred, atol=1e-6)
    assert torch.equal(layer.bias, before)
    assert torch.equal(contrastive.Centre(4, active=False)(inputs), inputs)


def test_prepared_clips_are_read_from_disk_and_made_anew_when_the_study_changes(small_store, tmp_path, monkeypatch):
    transform = ClipTransform(frames=4, short_side=40, crop=32)
    key = small_store.keys()[0]
    first = ClipSource(small_store, transform, cache=True, folder=tmp_path).clip(key, "4CH", 0)
    monkeypatch.setattr(type(small_store), "frames", lambda *_: pytest.fail("the prepared clip was not used"))
    assert torch.equal(ClipSource(small_store, transform, cache=True, folder=tmp_path).clip(key, "4CH", 0), first)
    monkeypatch.undo()
    monkeypatch.setattr(type(small_store), "hash_of", lambda *_: "another content")
    prepared = []
    frames = type(small_store).frames
    monkeypatch.setattr(type(small_store), "frames", lambda *a: prepared.append(a) or frames(*a))
    ClipSource(small_store, transform, cache=True, folder=tmp_path).clip(key, "4CH", 0)
    assert prepared
