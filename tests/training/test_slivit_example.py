"""The example and the how-to of SLIViT run as they stand."""

import importlib.util
import re
import shlex

import pytest

from cardiolens import load_model
from cardiolens.datasets.splits import make_split, refuse_overlap
from cardiolens.training.kinds import DOWNSTREAM, PRETRAINING
from cardiolens.training.recipe import load_any


def test_the_example_goes_from_a_generated_medmnist_file_to_figures(tmp_path, pytestconfig, monkeypatch, capsys):
    path = pytestconfig.rootpath / "examples" / "slivit_medmnist.py"
    spec = importlib.util.spec_from_file_location("slivit_medmnist", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr("sys.argv", ["slivit_medmnist.py", "--out", str(tmp_path / "run"), "--quick"])
    example.main()
    assert re.search(r"ROC AUC 0\.\d+ \[0\.\d+, [01]\.\d+\], 12 test volumes", capsys.readouterr().out)
    model = load_model(tmp_path / "run" / "slivit" / "final")
    assert model.config.answers.kinds == ("condition",)
    assert model.card.provenance["start"]["recipe"] == "slivit_tiny_pretrain2d"


def commands_of(page):
    """Every `cardiolens pretrain` and `finetune` of a page, with lines joined."""
    text = page.read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if re.match(r"\s+cardiolens (pretrain|finetune) ", line)]


def test_every_command_of_the_how_to_names_a_recipe_and_settings_that_are_valid(pytestconfig):
    lines = commands_of(pytestconfig.rootpath / "docs" / "how-to" / "train-slivit.md")
    assert len(lines) > 8
    for line in lines:
        words = shlex.split(line.partition("#")[0])
        sets = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
        kinds = PRETRAINING if words[1] == "pretrain" else DOWNSTREAM
        recipe = load_any(pytestconfig.rootpath / words[2], kinds, sets)
        assert recipe.name.startswith("slivit"), line


@pytest.mark.parametrize("pretraining", ["pretrain2d", "simclr"])
def test_the_laptop_s_pretraining_holds_out_the_patients_that_fine_tuning_is_measured_on(pytestconfig, pretraining):
    first, then = (
        load_any(pytestconfig.rootpath / "recipes" / f"slivit_tiny_{name}.yaml", PRETRAINING | DOWNSTREAM).split
        for name in (pretraining, "finetune")
    )
    keys = [f"patient{number}/study" for number in range(60)]
    frames = [f"{key}:SAX:{plane}:0" for key in keys for plane in range(2)]
    refuse_overlap(make_split(frames, first.fractions, first.seed), make_split(keys, then.fractions, then.seed))


@pytest.mark.slow
def test_the_how_to_s_laptop_part_works_on_a_phantom_cohort(tmp_path, pytestconfig):
    from cardiolens.cli import main
    from cardiolens.phantom.cohort import make_cohort
    from cardiolens.store import StudyStore

    make_cohort(tmp_path / "cohort", 12, 3, format="store", matrix=48, phases=8, sax_planes=4)
    store = StudyStore(tmp_path / "cohort", mode="a")
    labels = store.labels()
    labels["left_ventricular_dilation"] = [place % 2 for place in range(len(labels))]  # 12 patients: some of each
    store.write_labels(labels)
    root = pytestconfig.rootpath
    for line in commands_of(root / "docs" / "how-to" / "train-slivit.md"):
        words = shlex.split(line.partition("#")[0])
        if "cohorts/tiny" not in words:
            continue
        words = [str(tmp_path / "cohort") if word == "cohorts/tiny" else word for word in words]
        words = [str(root / word) if word.startswith("recipes/") else word for word in words]
        words = [str(tmp_path / word) if word.startswith("runs/") else word for word in words]
        words = [w.replace("weights=runs/", f"weights={tmp_path}/runs/") for w in words]
        if "--out" not in words:
            name = load_any(root / words[2].removeprefix(f"{root}/"), PRETRAINING | DOWNSTREAM).name
            words += ["--out", str(tmp_path / "runs" / name)]
        quick = [
            "optimiser.epochs=1",
            "optimiser.warmup_epochs=0",
            "split={fractions: {train: 0.5, val: 0.25, test: 0.25}}",
        ]
        quick += ["find_lr=null"]
        with pytest.raises(SystemExit) as left:
            main([*words[1:], *(word for change in quick for word in ("--set", change))])
        assert left.value.code == 0, line
