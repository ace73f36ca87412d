"""What `info` tells of models, exports, indexes and stores, and of what is none of these."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from cardiolens.about import describe
from cardiolens.cli import build_app
from cardiolens.errors import CardiolensError, InputError
from cardiolens.search import EmbeddingIndex
from cardiolens.store import StudyStore
from synthetic_studies import beating_study


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = StudyStore(tmp_path_factory.mktemp("about") / "store", mode="a")
    for i in range(3):
        out.write(beating_study(i, sax=7, report="Normal." if i else None), key=f"s_p{i}/a{i}")
    return out.path


def run(*words):
    return CliRunner().invoke(build_app(), ["info", *map(str, words)])


def test_a_bundled_model_is_told_by_its_name_with_or_without_tag():
    found = describe("shad-mvit-tiny:phantom")
    assert found == describe("shad-mvit-tiny")
    assert found["is"] == "model"
    assert found["trained"]
    assert found["parameters"] == sum(found["parameters_by_part"].values()) > 1e6
    assert found["tasks"]["diagnoses"]["labels"] == 35
    assert found["transform"]["crop"] == 64
    assert found["licence"]["weights"] == "Apache-2.0"


def test_a_model_folder_has_as_many_parameters_as_the_network(predictor_folder):
    from cardiolens.hub import load_model

    network = load_model(predictor_folder)
    found = describe(str(predictor_folder))
    of_video = sum(p.numel() for p in network.video_encoder.parameters())
    assert found["parameters_by_part"]["video_encoder"] == of_video
    assert found["tasks"]["lvef"]["test_mae"] == 3.25
    assert found["domain_check"]


def test_an_untrained_architecture_says_so():
    found = describe("shad-mvit-b16")
    assert (found["is"], found["trained"]) == ("model", False)


def test_a_store_is_counted(store):
    found = describe(str(store))
    assert (found["is"], found["studies"], found["with_report"]) == ("store", 3, 2)
    assert found["views"] == {"SAX": 3, "2CH": 3, "4CH": 3}
    assert found["planes_a_study"] == 9


def test_an_index_is_told(tmp_path):
    rows = np.eye(3, 8, dtype=np.float32)
    index = EmbeddingIndex(("a", "a", "b"), ("SAX", "4CH", "SAX"), (0, 0, 0), rows, {"model": "m", "model_hash": "h"})
    found = describe(str(index.save(tmp_path / "i.safetensors")))
    assert (found["is"], found["clips"], found["studies"], found["model_hash"]) == ("index", 3, 2, "h")
    assert (found["graphs"], found["searched"]) == (None, "exactly")


def test_what_is_nothing_of_these_is_told(tmp_path):
    with pytest.raises(InputError, match="no file or folder is called so"):
        describe(str(tmp_path / "nowhere"))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.txt").write_text("x")
    with pytest.raises(InputError, match="nothing that cardiolens wrote"):
        describe(str(tmp_path / "x"))
    with pytest.raises(CardiolensError):
        describe(str(tmp_path / "x" / "a.txt"))


def test_it_answers_without_importing_torch():
    code = (
        "import sys; sys.modules['torch'] = None; from cardiolens.about import describe; "
        "print(describe('shad-mvit-tiny:phantom')['parameters'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) > 1e6


def test_the_command_prints_words_or_json_and_an_estimate(store, predictor_folder):
    words = run(store)
    assert words.exit_code == 0
    assert "studies: 3" in words.output
    assert "not a medical device" in words.output
    done = run(store, "--memory", "--job", "embed", "-m", predictor_folder, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["estimate"]
    assert found["studies"] == 3
    assert found["memory_mib"] == pytest.approx(sum(found["parts_mib"].values()), abs=0.2)
    for wrong in (["--memory"], ["--memory", "-m", "x", "--recipe", "y"], ["-m", "x"], ["--memory", "--job", "x"]):
        assert isinstance(run(store, *wrong).exception, InputError)
    assert isinstance(run("shad-mvit-tiny", "--memory", "-m", "x").exception, InputError)


def test_an_estimate_of_a_recipe_takes_any_set_that_its_kind_takes(tmp_path, pytestconfig):
    path, recipe = tmp_path / "set.npz", pytestconfig.rootpath / "recipes" / "slivit_tiny_pretrain2d.yaml"
    pairs = (("images", np.zeros((6, 28, 28), np.uint8)), ("labels", (np.arange(6) % 2)[:, None]))
    np.savez(path, **{f"{part}_{what}": array for part in ("train", "val", "test") for what, array in pairs})
    done = run(path, "--memory", "--recipe", recipe)
    assert done.exit_code == 0, done.output
    assert "slices2d of 6 studies (6 samples)" in done.output
    assert isinstance(run(path, "--memory").exception, InputError)
