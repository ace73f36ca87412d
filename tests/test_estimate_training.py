"""Estimates of trainings, against the tensors that lived at once in a run of the same recipe."""

import pytest

from cardiolens.errors import InputError
from cardiolens.estimate import traced
from cardiolens.estimate_training import estimate_training
from cardiolens.training import downstream, pretraining
from cardiolens.training.kinds import DOWNSTREAM, PRETRAINING, pretrain_any
from cine_store import SIZES, write_store

FACTOR = 1.5  # within which an estimate of memory must lie
CINES = {"sizes": SIZES, "views": ["SAX", "4CH"]}
SAX = {**CINES, "views": ["SAX"], "validate_every": 1, "structures": ["LV cavity", "LV myocardium"]}
LOOPS = {"frames": 4, "stride": "even"}
TRUNK = {"depths": [1, 1, 1, 1], "widths": [24, 48, 96, 96]}
IMAGES = {"architecture": {"trunk": TRUNK, "size": 64}, "find_lr": None}
WHOLE = {"trunk": TRUNK, "size": 64, "width": 32, "mlp": 64, "heads": 2, "head_width": 16, "layers": 1}
KINDS = {
    "masked": CINES,
    "segmentation": SAX,
    "tabular": {**CINES, "validate_every": 1},
    "masked_video": LOOPS,
    "video": {**LOOPS, "label": "lvef"},
    "slices2d": IMAGES,
    "simclr": {**IMAGES, "projection": 8},
    "slices": {"values": ["lvef"], "slices": 2, "architecture": WHOLE, "find_lr": None, "resamples": 10},
}
STEPS = {"masked": 2, "tabular": 2, "slices": 2}  # epochs, where one is a single step: a second one has moments as well

EPOCHS = [{"lr": 1e-3, "batch": 4, "epochs": epochs} for epochs in (1, 40)]


def recipe_of(kind, **changes):
    fields = {
        "name": kind,
        "accelerator": "cpu",
        "split": {"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}},
        "optimiser": {"lr": 1e-3, "batch": 8 if "architecture" in KINDS[kind] else 4, "epochs": STEPS.get(kind, 1)},
    }
    return (PRETRAINING | DOWNSTREAM)[kind].model_validate(fields | KINDS[kind] | changes)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("estimated") / "store", count=8)


def run(recipe, store, out):
    """Train by a recipe of any kind."""
    if type(recipe) in PRETRAINING.values():
        return pretrain_any(recipe, store, out)
    if recipe.kind == "video":
        from cardiolens.training.video import train_video
        from cardiolens.training.video_data import open_loops

        return train_video(recipe, open_loops(recipe, store.path), out)
    if recipe.kind == "slices":
        from cardiolens.training.slices import open_set, train_slices

        return train_slices(recipe, open_set(recipe, store.path), out)
    return downstream.train_downstream(recipe, store, out)


@pytest.mark.parametrize("kind", KINDS)
def test_the_estimate_is_near_what_lives_at_once_in_a_run(kind, store, tmp_path, monkeypatch):
    recipe, peaks = recipe_of(kind), []
    for module in (pretraining, downstream):
        fit, given = module.fit, []

        def counted(*args, fit=fit, given=given, **options):
            peaks.append(traced(lambda: given.append(fit(*args, **options)))[0])
            return given[0]

        monkeypatch.setattr(module, "fit", counted)
    found = estimate_training(recipe, store.path)
    run(recipe, store, tmp_path / "run")
    made = sum(size for name, size in found.parts_mib.items() if name not in ("process", "cache"))
    assert peaks[0] / 2**20 / FACTOR < made < peaks[0] / 2**20 * FACTOR


def test_longer_trainings_take_longer_and_what_cannot_be_learned_is_refused(store):
    one, two = (estimate_training(recipe_of("masked_video", frames=4, optimiser=o), store.path) for o in EPOCHS)
    assert two.seconds > one.seconds
    assert (one.studies, one.items) == (two.studies, "samples") == (12, "samples")
    assert two.parts_mib["network at work"] == one.parts_mib["network at work"]
    with pytest.raises(InputError, match="kind finetune"):
        estimate_training(DOWNSTREAM["finetune"].model_validate({"name": "r", "optimiser": EPOCHS[0]}), store.path)
