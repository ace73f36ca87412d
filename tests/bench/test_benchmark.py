"""Systems on common ground: every kind runs, a killed comparison goes on, figures are those of the answers."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from cardiolens.bench import load_bench, run_bench
from cardiolens.bench.compare import MEAN, compare
from cardiolens.bench.readers import ends_by_motion, moved
from cardiolens.bench.recipe import BenchRecipe
from cardiolens.bench.systems import Standardised
from cardiolens.bench.targets import DISEASE, targets_of
from cardiolens.datasets.splits import Split
from cardiolens.errors import RecipeError, TrainingError
from cine_store import write_store

OPTIMISER = {"lr": 1e-3, "batch": 4, "epochs": 1}
SYSTEMS = {
    "resnet": {"reads": "clips", "model": "shad-resnet3d-tiny"},
    "cinema": {"reads": "frames", "model": "cinema-tiny", "views": ["SAX"], "sizes": {"SAX": [32, 32, 2]}},
    "slices": {"reads": "stack", "model": "slivit-tiny"},
}


def recipe(**changes):
    fields = {
        "name": "small",
        "systems": SYSTEMS,
        "optimiser": OPTIMISER,
        "accelerator": "cpu",
        "split": {"fractions": {"train": 0.4, "val": 0.2, "test": 0.4}},
        "conditions": ["wide", "strong"],
        "least": 1,
    }
    return BenchRecipe.model_validate({**fields, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = write_store(tmp_path_factory.mktemp("bench") / "store", 20)
    labels = made.labels()
    labels["wide"] = (labels["group"] == "wide").astype(float)
    labels["strong"] = (labels["lvef"] > labels["lvef"].median()).astype(float)
    type(made)(made.path, mode="a").write_labels(labels)
    return type(made)(made.path)


def test_every_kind_of_system_runs_and_a_comparison_goes_on_where_it_stopped(store, tmp_path, monkeypatch):
    from cardiolens.bench import run

    done, true = [], run.train_system

    def killed(asked, *rest):
        if asked.name == "small_slices_0":
            raise ConnectionAbortedError("power cut")
        done.append(asked.name)
        return true(asked, *rest)

    monkeypatch.setattr(run, "train_system", killed)
    with pytest.raises(ConnectionAbortedError):
        run_bench(recipe(), store, tmp_path / "out")
    monkeypatch.setattr(run, "train_system", true)
    kept = (tmp_path / "out" / "runs" / "resnet_0" / "predictions.csv").read_bytes()
    page = run_bench(recipe(), store, tmp_path / "out", table=tmp_path / "rows.csv")
    assert done == ["small_resnet_0", "small_cinema_0"]
    assert (tmp_path / "out" / "runs" / "resnet_0" / "predictions.csv").read_bytes() == kept
    text = page.read_text()
    assert "not a medical device" in text
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert set(rows["system"]) == set(SYSTEMS)
    assert set(rows["target"]) == {"lvef", DISEASE, MEAN, "wide", "strong"}
    assert rows["n"].eq(8).all()
    assert rows.loc[rows["system"] == "resnet", "p"].isna().all()
    assert rows.loc[(rows["system"] != "resnet") & (rows["metric"] == "mae"), "p"].notna().all()
    costs = pd.read_csv(tmp_path / "out" / "costs.csv").set_index("system")
    assert (costs["parameters"] > 10_000).all()
    assert (costs["inference_seconds"] > 0).all()
    with pytest.raises(TrainingError, match="another recipe"):
        run_bench(recipe(seed=1), store, tmp_path / "out")
    monkeypatch.setattr(type(store), "hash", lambda self: "other")
    with pytest.raises(TrainingError, match="other studies"):
        run_bench(recipe(), store, tmp_path / "out")


def answers(folder, name, said, true, seed=0):
    run = folder / f"{name}_{seed}"
    run.mkdir(parents=True)
    keys = [f"s_p{i:03d}/a" for i in range(len(true))]
    table = pd.DataFrame({"part": "test", "key": keys})
    for column in true:
        table[column], table[f"true {column}"] = said[column], true[column]
    table.to_csv(run / "predictions.csv", index=False)
    cost = {"parameters": 1, "train_seconds": 2.0, "inference_seconds": 0.5, "unread": {"test": 0}, "left_out": {}}
    (run / "cost.json").write_text(json.dumps(cost))


def test_figures_and_tests_tell_a_good_system_from_a_bad_one_and_seeds_are_averaged(tmp_path):
    rng = np.random.default_rng(0)
    true = pd.DataFrame({"lvef": rng.uniform(20, 70, 120), DISEASE: rng.random(120) < 0.5})
    true["strong"] = true[DISEASE] & (rng.random(120) < 0.6)
    true = true.astype(float)
    good, bad = true.copy(), true.copy()
    for column, noise in (("lvef", 3.0), (DISEASE, 0.3), ("strong", 0.3)):
        good[column] += noise * rng.standard_normal(120)
        bad[column] = true[column].mean() + 4 * noise * rng.standard_normal(120)
    off = pd.DataFrame({"lvef": 2.0, DISEASE: 0.0, "strong": 0.0}, index=true.index)
    answers(tmp_path, "good", good + off, true, 0)
    answers(tmp_path, "good", good - off, true, 1)
    answers(tmp_path, "bad", bad, true, 0)
    systems = {"good": SYSTEMS["resnet"], "bad": SYSTEMS["resnet"]}
    found = compare(recipe(systems=systems, seeds=[0, 1]), tmp_path, {"version": "x"})
    rows = found.rows.set_index(["system", "target", "metric"])
    assert rows.loc[("good", "lvef", "mae"), "value"] == pytest.approx(np.abs(good["lvef"] - true["lvef"]).mean())
    for target, metric in (("lvef", "mae"), (DISEASE, "auroc"), ("strong", "auroc"), (MEAN, "auroc")):
        one, other = rows.loc[("good", target, metric)], rows.loc[("bad", target, metric)]
        assert one["low"] < one["value"] < one["high"]
        assert other["difference"] == pytest.approx(other["value"] - one["value"], abs=1e-9)
        assert other["p"] <= other["p_adjusted"] < 0.05
        assert other["difference_low"] * other["difference_high"] > 0
    assert found.costs.set_index("system").loc["good", "seeds"] == 2


def test_systems_measured_on_different_labels_are_not_compared(tmp_path):
    true = pd.DataFrame({"lvef": [40.0, 50.0, 60.0], DISEASE: [0.0, 1.0, 1.0]})
    answers(tmp_path, "one", true, true)
    answers(tmp_path, "other", true, true.assign(lvef=[41.0, 50.0, 60.0]))
    with pytest.raises(TrainingError, match="one and other were measured on different labels"):
        compare(recipe(systems={"one": SYSTEMS["resnet"], "other": SYSTEMS["resnet"]}), tmp_path, {})


def test_whether_any_condition_is_present_is_unknown_where_one_that_could_be_is(store, monkeypatch):
    keys = store.keys()
    labels = store.labels().loc[list(keys)]
    labels["wide"], labels["strong"], labels["never_asked"] = 0.0, 0.0, np.nan
    labels.loc[keys[0], ["wide", "strong"]] = 1.0, np.nan
    labels.loc[keys[1], "strong"] = np.nan
    monkeypatch.setattr(type(store), "labels", lambda self: labels)
    split = Split({"train": tuple(keys[:10]), "val": tuple(keys[10:12]), "test": tuple(keys[12:])})
    found = targets_of(store, split, label="lvef", conditions=["wide", "strong", "never_asked"], least=1)
    disease = found.table[DISEASE]
    assert disease[keys[0]] == 1 and np.isnan(disease[keys[1]]) and (disease[list(keys[2:])] == 0).all()


def test_a_normal_study_has_no_condition(store, monkeypatch):
    keys = store.keys()
    labels = store.labels().loc[list(keys)]
    labels["normal"] = [0.0, 1.0] * (len(keys) // 2)
    labels["wide"] = 1.0 - labels["normal"]
    monkeypatch.setattr(type(store), "labels", lambda self: labels)
    split = Split({"train": tuple(keys[:10]), "val": tuple(keys[10:12]), "test": tuple(keys[12:])})
    found = targets_of(store, split, label="lvef", conditions=["wide", "normal"], least=1)
    assert found.table[DISEASE].tolist() == found.table["wide"].tolist()
    assert "normal" in found.names


def test_many_conditions_do_not_hide_a_clear_difference_of_their_mean(tmp_path):
    rng = np.random.default_rng(1)
    names = [f"c{i}" for i in range(27)]
    true = pd.DataFrame({"lvef": rng.uniform(20, 70, 150), DISEASE: rng.random(150) < 0.5})
    true = pd.concat([true, pd.DataFrame(rng.random((150, 27)) < 0.1, columns=names)], axis=1).astype(float)
    good, bad = true + 0.8 * rng.standard_normal(true.shape), true + 3 * rng.standard_normal(true.shape)
    answers(tmp_path, "good", good, true)
    answers(tmp_path, "bad", bad, true)
    systems = {"good": SYSTEMS["resnet"], "bad": SYSTEMS["resnet"]}
    rows = compare(recipe(systems=systems), tmp_path, {}).rows.set_index(["system", "target", "metric"])
    clear = rows.loc[("bad", MEAN, "auroc")]
    assert clear["p_adjusted"] < 1e-3
    assert clear["p_adjusted"] <= 3 * clear["p"]  # three tests in the summary, whatever the count of conditions


def test_resamples_without_a_case_of_the_one_condition_do_not_hide_a_difference(tmp_path):
    rng = np.random.default_rng(2)
    true = pd.DataFrame({"lvef": rng.uniform(20, 70, 180), DISEASE: 1.0, "rare": [1.0] * 5 + [0.0] * 175})
    answers(tmp_path, "good", true + 0.1 * rng.standard_normal(true.shape), true)
    answers(tmp_path, "bad", true.assign(rare=rng.standard_normal(180)), true)
    systems = {"good": SYSTEMS["resnet"], "bad": SYSTEMS["resnet"]}
    rows = compare(recipe(systems=systems), tmp_path, {}).rows.set_index(["system", "target", "metric"])
    assert rows.loc[("bad", MEAN, "auroc"), "p"] < 0.05


def test_targets_leave_out_rare_conditions_and_ignore_unknown_labels(store):
    keys = store.keys()
    split = Split({"train": tuple(keys[:10]), "val": tuple(keys[10:12]), "test": tuple(keys[12:])})
    found = targets_of(store, split, label="lvef", conditions=["wide", "vendor"], least=1)
    assert found.names == ("lvef", DISEASE, "wide")
    assert "vendor" in found.left_out
    wanted = found.of(keys[:4])
    wanted[0, 0] = wanted[1, 2] = torch.nan
    logits = torch.zeros(4, 3, requires_grad=True)
    loss = found.loss(logits, wanted)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad[0, 0] == logits.grad[1, 2] == 0
    assert (logits.grad != 0).sum() == 10
    with pytest.raises(TrainingError, match="has no mass"):
        targets_of(store, split, label="mass", conditions=[], least=1)


def test_recipes_that_contradict_themselves_are_refused(tmp_path):
    for system, told in (
        ({"reads": "masks", "model": "cinema-tiny"}, "has none"),
        ({"reads": "clips"}, "names the network"),
        ({"reads": "clips", "model": "x", "pretrain": "a.yaml", "weights": "b"}, "one of the two"),
        ({"reads": "clips", "model": "x", "pretrain": "absent.yaml"}, "no pretraining recipe"),
    ):
        path = tmp_path / "bench.yaml"
        path.write_text(yaml.safe_dump({"name": "x", "optimiser": OPTIMISER, "systems": {"one": system}}))
        with pytest.raises(RecipeError, match=told):
            load_bench(path)


def test_the_bundled_recipe_names_recipes_and_models_that_exist():
    from cardiolens.models.registry import MODELS

    found = load_bench("recipes/bench_tiny.yaml")
    assert all(system.model in MODELS for system in found.systems.values() if system.model)
    assert {system.reads for system in found.systems.values()} == {"clips", "frames", "stack", "masks"}


def test_end_systole_is_where_the_middle_differs_most_and_one_phase_is_its_own():
    frames = np.zeros((2, 6, 16, 16), np.uint8)
    frames[:, 3, 6:10, 6:10] = 9
    frames[:, 5, 0, 0] = 255  # at the edge
    assert ends_by_motion(frames) == (0, 3)
    assert ends_by_motion(frames[:, :1]) == (0, 0)


def test_images_of_a_sample_move_alike():
    images = torch.zeros(3, 2, 20, 20)
    images[..., 4:9, 10:14] = 1.0
    found = moved(images, np.random.default_rng(3))
    assert found.shape == images.shape
    assert torch.equal(found[0, 0], found[2, 1])
    assert not torch.equal(found, images)


def test_features_of_a_single_clip_are_standardised_by_those_seen_before():
    layer, clips = Standardised(4), 10 + torch.randn(64, 4)
    for _ in range(50):
        layer(clips)
    one = layer(clips[:1])
    layer.eval()
    assert torch.allclose(one, layer(clips[:1])) and layer(clips).abs().mean() < 2
