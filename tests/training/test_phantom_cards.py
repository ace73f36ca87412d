"""The card of a pretraining says where all that it learned from was rendered."""

import pytest

from cardiolens.hub import load_model
from cardiolens.training.kinds import PRETRAINING, pretrain_any

TRUNK = {"trunk": {"depths": [1, 1, 1, 1], "widths": [8, 8, 16, 16]}, "size": 32}
OWN = {
    "pretrain": {"text": {"freeze_layers": 0, "max_tokens": 48}},
    "slices2d": {"architecture": TRUNK, "find_lr": None},
    "simclr": {"architecture": TRUNK, "projection": 8},
}


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("rendered", [True, False])
def test_the_card_says_whether_the_phantom_made_the_training_set(kind, rendered, small_store, tmp_path, monkeypatch):
    monkeypatch.setattr("cardiolens.training.start.is_rendered", lambda study: rendered)
    fields = {
        "name": kind,
        "accelerator": "cpu",
        "split": {"fractions": {"train": 0.1, "val": 0.1, "test": 0.8}},
        "optimiser": {"lr": 1e-3, "batch": 4, "epochs": 1, "max_steps": 1},
    }
    recipe = PRETRAINING[kind].model_validate(fields | OWN[kind])
    provenance = load_model(pretrain_any(recipe, small_store, tmp_path / "run")).card.provenance
    assert provenance.get("phantom", False) is rendered
