"""Models by name: every published layout, every bad file, round trips, and where weights are looked for."""

import json
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cardiolens import hub
from cardiolens.errors import CheckpointError
from cardiolens.hub import list_models, load_model, save_model
from cardiolens.models import locate
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.layouts import legacy_name
from cardiolens.models.mil import GatedAttentionMIL, MILConfig
from cardiolens.text.tokenizer import ReportTokenizer

sys.path.insert(0, str(Path(__file__).parent / "models"))
from published import kinetics_names, published

POS = "video_encoder.cls_positional_encoding.pos_embed_"


@pytest.fixture(scope="module")
def authors():
    """The authors' state dict, without the `model.` that Lightning puts in front."""
    return published("mvit_b_16")


@pytest.fixture(autouse=True)
def no_weights_about(monkeypatch, tmp_path):
    """Neither a weights folder nor a Hugging Face cache of this machine takes part."""
    monkeypatch.delenv("CARDIOLENS_WEIGHTS", raising=False)
    monkeypatch.setattr(locate, "_cached", lambda hub_id: None)


def lightning(state, **more):
    return {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}, "epoch": 599} | more


def same(model, other):
    mine, theirs = model.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


# Published layouts ---------------------------------------------------------------------------------------------------


def test_every_wrapping_of_the_authors_file_gives_the_same_model(authors, tmp_path):
    torch.save(lightning(authors), tmp_path / "a.ckpt")
    torch.save(authors, tmp_path / "b.pt")
    save_file(lightning(authors)["state_dict"], tmp_path / "c.safetensors")
    torch.save(authors, tmp_path / "d.pth", _use_new_zipfile_serialization=False)
    first = load_model("shad-mvit-b16", weights=tmp_path / "a.ckpt")
    assert torch.equal(first.video_encoder.pos_space, authors[f"{POS}spatial"][0])
    for name in ("b.pt", "c.safetensors", "d.pth"):
        assert same(first, load_model("shad-mvit-b16", weights=str(tmp_path / name))), name
    assert "CC-BY-NC" in first.card.licence.weights
    assert first.card.provenance["file"] == "a.ckpt"


def test_pytorchvideo_file_brings_its_classifier_and_no_projection(authors, tmp_path, caplog):
    torch.save({"model_state": kinetics_names(authors)}, tmp_path / "MVIT_B_16x4.pyth")
    with caplog.at_level(logging.WARNING):
        model = load_model("shad-mvit-b16", weights=tmp_path / "MVIT_B_16x4.pyth")
    assert torch.equal(model.video_encoder.pos_time, authors[f"{POS}temporal"][0] + 0.5)
    assert model.classifier.out_features == 400
    assert any("projection" in note and "untrained" in note for note in model.card.notes)
    assert "projection" in caplog.text
    assert model.video_encoder.config.pool_norm_eps == 1e-5


def test_torchvision_file_brings_its_own_norm_eps(tmp_path):
    torch.save(published("mvit_torchvision"), tmp_path / "mvit_v1_b.pth")
    model = load_model("shad-mvit-b16", weights=tmp_path / "mvit_v1_b.pth")
    assert model.video_encoder.blocks[3].attn.pool_q.norm.eps == 1e-6
    assert model.video_encoder.blocks[3].norm1.eps == 1e-6
    assert model.card.architecture["video"]["pool_norm_eps"] == 1e-6


def test_text_tower_in_the_file_is_set_aside_by_name_and_a_head_is_loaded(authors, tmp_path):
    whole = authors | published("mil_classification_mil") | {"text_encoder.embeddings.weight": torch.zeros(3, 2)}
    torch.save(lightning(whole), tmp_path / "whole.ckpt")
    model = load_model("shad-mvit-b16", weights=tmp_path / "whole.ckpt")
    assert model.heads["mil"].config.kind == "classification"
    assert torch.equal(model.heads["mil"].predict.weight, whole["classifier_head.fc.0.weight"])
    assert any("set aside" in note and "text_encoder.embeddings.weight" in note for note in model.card.notes)


# The authors' own loader ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["pytorchvideo", "torchvision"])
def test_legacy_keys_leave_exactly_the_position_tables_at_kinetics(authors, tmp_path, layout):
    torch.save(lightning(authors), tmp_path / "a.ckpt")
    state = published("mvit_torchvision") if layout == "torchvision" else kinetics_names(authors)
    torch.save(state, tmp_path / "k400.pth")
    plain = load_model("shad-mvit-b16", weights=tmp_path / "a.ckpt").state_dict()
    legacy = load_model("shad-mvit-b16", weights=tmp_path / "a.ckpt", legacy_keys=True, kinetics=tmp_path / "k400.pth")
    kinetics = load_model("shad-mvit-b16", weights=tmp_path / "k400.pth").state_dict()
    found = legacy.state_dict()
    lost = {name for name in plain if not torch.equal(plain[name], found[name])}
    assert lost == {"video_encoder.pos_space", "video_encoder.pos_time"}
    assert all(torch.equal(found[name], kinetics[name]) for name in lost)
    assert any("legacy_keys" in note for note in legacy.card.notes)
    assert legacy.video_encoder.config.pool_norm_eps == 1e-5


def test_legacy_names_are_those_of_str_strip(authors):
    lost = [name for name in authors if legacy_name(f"model.{name}") != name]
    assert lost == [f"{POS}spatial", f"{POS}temporal"]


def test_legacy_keys_are_refused_where_they_have_no_meaning(authors, tmp_path):
    torch.save(lightning(authors), tmp_path / "a.ckpt")
    torch.save(kinetics_names(authors), tmp_path / "k400.pth")
    b16, ckpt, k400 = "shad-mvit-b16", tmp_path / "a.ckpt", tmp_path / "k400.pth"
    with pytest.raises(CheckpointError, match="kinetics=FILE"):
        load_model(b16, weights=ckpt, legacy_keys=True)
    with pytest.raises(CheckpointError, match="legacy_keys=True"):
        load_model(b16, weights=ckpt, kinetics=k400)
    with pytest.raises(CheckpointError, match="no Kinetics file"):
        load_model(b16, weights=ckpt, legacy_keys=True, kinetics=ckpt)
    with pytest.raises(CheckpointError, match="legacy_keys concerns"):
        load_model(b16, weights=k400, legacy_keys=True, kinetics=k400)
    with pytest.raises(CheckpointError, match="give weights="):
        load_model(b16, legacy_keys=True, kinetics=k400)


# Bad files -----------------------------------------------------------------------------------------------------------


def test_missing_extra_and_misshapen_tensors_are_named_with_both_shapes(authors, tmp_path):
    state = dict(authors)
    del state["video_encoder.blocks.3.attn.q.weight"]
    state["video_encoder.blocks.16.norm1.weight"] = torch.zeros(7)
    state["video_proj.weight"] = torch.zeros(512, 700)
    torch.save(lightning(state), tmp_path / "bad.ckpt")
    with pytest.raises(CheckpointError) as caught:
        load_model("shad-mvit-b16", weights=tmp_path / "bad.ckpt")
    text = str(caught.value)
    assert "missing: video_encoder.blocks.3.attn.q.weight (384, 384)" in text
    assert "video_encoder.blocks.16.norm1.weight (7,)" in text
    assert "video_proj.weight is (512, 700) in the file, the model needs (512, 768)" in text
    assert "Mend:" in text


@pytest.mark.parametrize("key", ["video_proj.weight", "video_proj.bias", f"{POS}class", f"{POS}spatial"])
def test_any_one_missing_tensor_is_an_error(authors, tmp_path, key):
    torch.save({name: tensor for name, tensor in authors.items() if name != key}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=key):
        load_model("shad-mvit-b16", weights=tmp_path / "bad.pt")


def test_many_faults_are_counted_not_listed(authors, tmp_path):
    torch.save({name: tensor for name, tensor in authors.items() if ".blocks.5." not in name}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=r"and \d+ more"):
        load_model("shad-mvit-b16", weights=tmp_path / "bad.pt")


def test_a_32_frame_file_points_to_the_32_frame_model(tmp_path):
    torch.save(published("mvit_b_32"), tmp_path / "b32.pt")
    with pytest.raises(CheckpointError, match=r"\(1, 16, 96\).*\(1, 8, 96\).*shad-mvit-b32"):
        load_model("shad-mvit-b16", weights=tmp_path / "b32.pt")


def test_pickled_objects_are_never_run(authors, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": {}, "hyper_parameters": Bomb()}, tmp_path / "bomb.ckpt")
    with pytest.raises(CheckpointError, match=r"weights_only.*torch\.save"):
        load_model("shad-mvit-b16", weights=tmp_path / "bomb.ckpt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError):
        load_model("shad-mvit-b16", weights=tmp_path / "plain.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".safetensors"])
def test_damaged_files_are_one_clear_message(authors, tmp_path, suffix):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    small = {name: tensor for name, tensor in authors.items() if name.startswith("video_proj")}
    save_file(small, whole) if suffix == ".safetensors" else torch.save(lightning(small), whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for content in (cut, tmp_path / f"empty{suffix}"):
        content.touch()
        with pytest.raises(CheckpointError, match="copy it again"):
            load_model("shad-mvit-b16", weights=content)


def test_files_without_tensors_or_of_an_unknown_layout_say_what_they_hold(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="epoch"):
        load_model("shad-mvit-b16", weights=tmp_path / "a.pt")
    torch.save({"stem.weight": torch.zeros(1)}, tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match=r"stem\.weight"):
        load_model("shad-mvit-b16", weights=tmp_path / "b.pt")
    torch.save(published("mil_regression_mil"), tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="is a head"):
        load_model("shad-mvit-b16", weights=tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="no such weights file"):
        load_model("shad-mvit-b16", weights="nowhere.ckpt")


# Our own checkpoints -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """A tiny model with everything that a finished one has."""
    torch.manual_seed(0)
    tokenizer = ReportTokenizer.train(["Normal left ventricle. LVEF is 60 %."], vocabulary=300)
    model = load_model("shad-mvit-tiny", text={"tokenizer": tokenizer})
    model.heads["lvef"] = GatedAttentionMIL(MILConfig())
    model.card.tasks["lvef"] = {"kind": "regression", "unit": "%", "conformal": {"quantile": 7.123456789012345}}
    model.card.tag = "test"
    return model.eval()


def answers(model):
    clips = torch.rand(2, 1, 16, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        embedded = model.embed(clips)
        return embedded, model.heads["lvef"](embedded[None]).output, model.embed_text(["Normal left ventricle."])


def test_saved_and_loaded_a_model_is_the_same_to_the_bit(trained, tmp_path):
    save_model(trained, tmp_path / "m")
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["card.json", "model.safetensors", "tokenizer"]
    loaded = load_model("shad-mvit-tiny", weights=tmp_path / "m")
    assert loaded.text_encoder is None  # waits until it is needed
    assert loaded.has_text
    assert all(torch.equal(a, b) for a, b in zip(answers(trained), answers(loaded), strict=True))
    assert same(trained, loaded)
    assert loaded.card.tasks == trained.card.tasks
    assert loaded.card.transform == {"frames": 16, "short_side": 128, "crop": 64, "channels": 1}
    by_folder = load_model(tmp_path / "m")
    save_model(by_folder, tmp_path / "again")  # brings the waiting text tower along
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("m", "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_half_precision_halves_the_encoders_and_keeps_the_heads(trained, tmp_path):
    save_model(trained, tmp_path / "m", dtype="float16")
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert stored["video_encoder.patch.weight"].dtype == torch.float16
    assert stored["heads.lvef.predict.weight"].dtype == torch.float32
    loaded = load_model("shad-mvit-tiny", weights=tmp_path / "m")
    assert loaded.card.dtype == "float16"
    assert loaded.video_proj.weight.dtype == torch.float32
    for found, exact in zip(answers(loaded), answers(trained), strict=True):
        assert torch.allclose(found, exact, atol=5e-3 * exact.abs().max().item())


def test_a_domain_reference_travels_with_the_weights(tmp_path):
    from cardiolens.models.domain import DomainReference

    model = load_model("shad-mvit-tiny")
    model.domain = DomainReference(200)
    model.domain.low.uniform_()
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.card.domain == {"dim": 200}
    assert torch.equal(loaded.domain.low, model.domain.low)


def test_a_head_of_its_own_and_a_kinetics_model_make_the_round_trip(authors, tmp_path):
    head = load_model("shad-mil-classification")
    save_model(head, tmp_path / "head")
    assert same(head, load_model("shad-mil-classification", weights=tmp_path / "head"))
    torch.save(kinetics_names(authors), tmp_path / "k400.pth")
    model = load_model("shad-mvit-b16", weights=tmp_path / "k400.pth")
    save_model(model, tmp_path / "b16")
    assert same(model, load_model(tmp_path / "b16"))


def test_changed_weights_or_card_are_noticed(trained, tmp_path):
    folder = save_model(trained, tmp_path / "m")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match="sha256"):
        load_model(folder)
    (folder / "card.json").write_text(json.dumps(card | {"colour": "blue"}))
    with pytest.raises(CheckpointError, match="colour"):
        load_model(folder)
    (folder / "card.json").unlink()
    with pytest.raises(CheckpointError, match=r"card\.json"):
        load_model("shad-mvit-tiny", weights=folder)


def test_a_checkpoint_is_loaded_under_its_own_name_only(trained, tmp_path):
    folder = save_model(trained, tmp_path / "m")
    with pytest.raises(CheckpointError, match="holds shad-mvit-tiny"):
        load_model("shad-mvit-b16", weights=folder)


def test_saving_replaces_a_checkpoint_and_nothing_else(trained, tmp_path):
    folder = save_model(trained, tmp_path / "m")
    save_model(load_model("shad-mvit-tiny"), folder)
    assert not (folder / "tokenizer").exists()
    (folder / "notes.txt").write_text("keep me")
    with pytest.raises(CheckpointError, match=r"notes\.txt"):
        save_model(trained, folder)
    assert (folder / "notes.txt").exists()


def test_a_failed_save_leaves_the_older_checkpoint_and_no_litter(trained, tmp_path, monkeypatch):
    folder = save_model(trained, tmp_path / "m")
    before = (folder / "card.json").read_text()

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cardiolens.models.build.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_model(trained, folder)
    assert (folder / "card.json").read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


# Names and places ----------------------------------------------------------------------------------------------------


def test_names_and_patterns():
    assert {"shad-mvit-b16", "shad-mvit-b32", "shad-mvit-tiny", "shad-mvit-b16:cmr_c0.1"} <= set(list_models())
    assert set(list_models("shad-mil-*")) == {"shad-mil-regression", "shad-mil-classification"}
    with pytest.raises(CheckpointError, match="shad-mvit-b16"):
        load_model("shad-mvit-b17")


def test_bundled_and_own_weights_are_listed_by_tag(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(locate, "BUNDLED", tmp_path / "package")
    assert "shad-mvit-tiny:phantom" not in list_models()
    save_model(trained, tmp_path / "package" / "shad-mvit-tiny" / "phantom")
    save_model(trained, tmp_path / "mine" / "shad-mvit-tiny" / "site-a")
    monkeypatch.setenv("CARDIOLENS_WEIGHTS", str(tmp_path / "mine"))
    assert {"shad-mvit-tiny:phantom", "shad-mvit-tiny:site-a"} <= set(list_models())
    assert same(load_model("shad-mvit-tiny:phantom"), load_model("shad-mvit-tiny", weights="site-a"))
    with pytest.raises(CheckpointError, match="phantom"):
        load_model("shad-mvit-tiny:other")
    with pytest.raises(CheckpointError, match="not both"):
        load_model("shad-mvit-tiny:phantom", weights="site-a")


@pytest.mark.parametrize("spelling", [("shad-mvit-b16:cmr_c0.1", None), ("shad-mvit-b16", "rohanshad/cmr_c0.1")])
def test_a_hub_id_offline_names_the_file_to_bring_and_its_place(spelling, monkeypatch, tmp_path):
    def no_network(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", no_network)
    name, weights = spelling
    with pytest.raises(CheckpointError, match=r"huggingface\.co/rohanshad/cmr_c0\.1.*CARDIOLENS_WEIGHTS"):
        load_model(name, weights)
    monkeypatch.setenv("CARDIOLENS_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointError, match=str(tmp_path / "rohanshad" / "cmr_c0.1")):
        load_model(name, weights)


def test_a_brought_hub_file_is_found_and_its_licence_shown(authors, tmp_path, monkeypatch, caplog):
    place = tmp_path / "rohanshad" / "cmr_c0.1"
    place.mkdir(parents=True)
    torch.save(lightning(authors), place / "last.ckpt")
    monkeypatch.setenv("CARDIOLENS_WEIGHTS", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        model = load_model("shad-mvit-b16:cmr_c0.1")
    assert "CC-BY-NC 4.0" in caplog.text
    assert model.card.licence.weights.startswith("CC-BY-NC 4.0")
    assert model.card.tag == "cmr_c0.1"
    (place / "second.ckpt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"second\.ckpt"):
        load_model("shad-mvit-b16:cmr_c0.1")


def test_untrained_models_say_so(caplog):
    with caplog.at_level(logging.WARNING):
        model = load_model("shad-mvit-tiny")
    assert "untrained" in caplog.text
    assert any("untrained" in note for note in model.card.notes)
    assert isinstance(model, DualEncoder)
    assert not model.training


def test_listing_imports_no_torch_and_the_verb_prints_licences():
    code = "import sys, cardiolens; cardiolens.list_models(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    shown = subprocess.run(
        [sys.executable, "-m", "cardiolens", "models", "--json"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "CARDIOLENS_WEIGHTS": ""},
        timeout=120,
    )
    rows = {row["name"]: row for row in json.loads(shown.stdout)}
    assert rows["shad-mvit-b16:cmr_c0.1"]["licence"].startswith("CC-BY-NC 4.0")
    assert rows.keys() == set(hub.list_models())
