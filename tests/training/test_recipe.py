from pathlib import Path

import pytest

from cardiolens.errors import RecipeError
from cardiolens.training.cine_recipe import MaskedRecipe
from cardiolens.training.kinds import DOWNSTREAM, PRETRAINING
from cardiolens.training.recipe import FinetuneRecipe, PretrainRecipe, load_any, load_recipe
from cardiolens.training.run import learning_rate

RECIPES = sorted(
    path
    for path in (Path(__file__).resolve().parents[2] / "recipes").glob("*.yaml")
    if not path.stem.startswith("bench_")
)


def kinds_of(path):
    return PRETRAINING if "pretrain" in path.name or "simclr" in path.name else DOWNSTREAM


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_of_the_repository_loads_and_is_named_after_its_file(path):
    assert load_any(path, kinds_of(path)).name == path.stem


def test_the_paper_recipe_carries_the_paper_s_numbers():
    recipe = load_recipe(next(p for p in RECIPES if p.stem == "shad_pretrain"), PretrainRecipe)
    o = recipe.optimiser
    assert (o.lr, o.weight_decay, o.eps, o.batch, o.epochs) == (4.8e-5, 1e-6, 1e-8, 32, 600)
    assert (o.schedule, o.decay_at, o.decay) == ("step", (300,), 0.1)
    assert (recipe.objective.flood, recipe.text.sentences, recipe.text.freeze_layers) == (0.5, 5, 6)
    assert (recipe.model, recipe.clips_per_study, recipe.checkpoint_every) == ("shad-mvit-b16", "1", 10)


def write(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


MINIMAL = "kind: finetune\nname: x\noptimiser: {lr: 1e-4, batch: 2, epochs: 3}\n"


def test_overrides_reach_nested_settings_and_change_the_hash(tmp_path):
    path = write(tmp_path, MINIMAL)
    plain = load_recipe(path, FinetuneRecipe)
    changed = load_recipe(path, FinetuneRecipe, ["optimiser.epochs=7", "mode=transfer"])
    assert (changed.optimiser.epochs, changed.mode) == (7, "transfer")
    assert plain.hash != changed.hash
    assert plain.hash == load_recipe(path, FinetuneRecipe).hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "optimizer: {}\n", "unknown key 'optimizer'; did you mean 'optimiser'"),
        (MINIMAL.replace("batch", "bacth"), "unknown key 'optimiser.bacth'; did you mean 'batch'"),
        (MINIMAL.replace("1e-4", "-1"), "optimiser.lr: .*greater than 0"),
        (MINIMAL + "mode: magic\n", "mode: .*finetune"),
        (MINIMAL + "devices: 4\n", "devices: .*one device"),
        ("- a\n- b\n", "mapping"),
        ("a: [1\n", "not YAML"),
        (MINIMAL.replace("kind: finetune", "kind: pretrain"), "kind"),
        (MINIMAL.replace("epochs: 3", "epochs: 3, decay_at: [2]"), "schedule: step"),
    ],
)
def test_a_bad_recipe_says_what_is_wrong_where(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(write(tmp_path, text), FinetuneRecipe)
    assert "recipe.yaml" in str(caught.value)


def test_a_recipe_that_is_not_there_is_one_clear_message(tmp_path):
    with pytest.raises(RecipeError, match=r"nothing\.yaml: cannot be read"):
        load_recipe(tmp_path / "nothing.yaml", FinetuneRecipe)


def test_an_override_without_value_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="key=value"):
        load_recipe(write(tmp_path, MINIMAL), FinetuneRecipe, ["mode"])


def test_the_learning_rate_warms_up_steps_and_falls_as_a_cosine(tmp_path):
    def rate(settings, epoch):
        recipe = load_recipe(write(tmp_path, MINIMAL), FinetuneRecipe, [f"optimiser.{s}" for s in settings])
        return learning_rate(recipe.optimiser, epoch)

    assert rate([], 2.5) == 1e-4
    assert rate(["warmup_epochs=2"], 1.0) == pytest.approx(5e-5)
    steps = ["epochs=600", "schedule=step", "decay_at=[300]"]
    assert rate(steps, 299.9) == 1e-4
    assert rate(steps, 300) == pytest.approx(1e-5)
    cosine = ["epochs=10", "schedule=cosine"]
    assert rate(cosine, 5) == pytest.approx(5e-5)
    assert rate(cosine, 10) == pytest.approx(0)


def of_file(name, kinds):
    return load_any(next(path for path in RECIPES if path.stem == name), kinds)


def test_the_recipes_of_cinema_carry_the_numbers_of_the_paper():
    recipe = of_file("cinema_pretrain", PRETRAINING)
    assert isinstance(recipe, MaskedRecipe)
    o = recipe.optimiser
    assert (o.epochs, o.batch * recipe.devices, o.warmup_epochs) == (800, 128, 10)
    assert (o.weight_decay, o.betas, o.clip_norm) == (0.05, (0.9, 0.95), 5.0)
    assert [learning_rate(o, epoch) for epoch in (5, 10, 800)] == pytest.approx([5e-4, 1e-3, 1e-6])
    table = {"cinema_sax": (4000, 50, 100), "cinema_lvef": (800, 10, 20), "cinema_diagnosis": (800, 10, 20)}
    table |= {"cinema_landmarks": (400, 10, 20), "cinema_coordinates": (400, 10, 20)}
    for name, (epochs, warmup, every) in table.items():
        recipe = of_file(name, DOWNSTREAM)
        o = recipe.optimiser
        assert (o.epochs, o.warmup_epochs, o.lr, o.end_lr, o.batch) == (epochs, warmup, 1e-3, 1e-5, 64)
        assert (recipe.validate_every, recipe.patience, o.layer_decay, recipe.drop_path) == (every, 5, 0.75, 0.1)


def test_a_recipe_of_a_kind_that_a_command_does_not_run_is_refused_by_name(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("kind: masked\nname: x\noptimiser: {lr: 0.1, batch: 1, epochs: 1}\n")
    with pytest.raises(RecipeError, match="finetune, segmentation, tabular, landmarks"):
        load_any(path, DOWNSTREAM)
    assert load_any(path, PRETRAINING).name == "x"
    path.write_text("kind: segmentation\nname: x\nstructures: [scar]\noptimiser: {lr: 0.1, batch: 1, epochs: 1}\n")
    with pytest.raises(RecipeError, match="unknown structures"):
        load_any(path, DOWNSTREAM)
