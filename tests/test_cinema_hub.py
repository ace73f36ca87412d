"""CineMA by name: the authors' layout in small, bad files, round trips, what an absent file asks for."""

import logging
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cardiolens.errors import CheckpointError
from cardiolens.hub import describe_models, list_models, load_model, save_model
from cardiolens.models import locate
from cardiolens.models.cinema_layout import CINEMA
from cardiolens.models.convmae import ConvMAE, ConvMAEConfig
from cardiolens.models.convvit import ConvViT
from cardiolens.models.unetr import ConvUNetR, ConvUNetRConfig

sys.path.insert(0, str(Path(__file__).parent / "models"))
from small_cinema import images_of, small_mae


@pytest.fixture(autouse=True)
def no_weights_about(monkeypatch):
    """Neither a weights folder nor a Hugging Face cache of this machine takes part."""
    monkeypatch.delenv("CARDIOLENS_WEIGHTS", raising=False)
    monkeypatch.setattr(locate, "_cached", lambda hub_id: None)
    monkeypatch.setattr(locate, "_cached_file", lambda hub_id, file: None)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return load_model("cinema-tiny")


def authors_state(model):
    """A model's tensors in the authors' names and shapes."""
    state = {}
    for name, tensor in model.state_dict().items():
        slot = CINEMA.slot(name, tuple(tensor.shape))
        state[slot.name] = tensor.reshape(slot.shape).clone()
    return state


def written(folder, state):
    save_file(state, folder / "cinema.safetensors")
    return folder / "cinema.safetensors"


def same(model, other):
    mine, theirs = model.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_the_authors_layout_comes_back_with_its_licence_and_how_its_images_lie(tiny, tmp_path):
    found = load_model("cinema-tiny", weights=written(tmp_path, authors_state(tiny)))
    assert isinstance(found, ConvMAE)
    assert same(found, tiny)
    assert found.card.licence.weights.startswith("MIT")
    assert found.card.transform["axes"] == "col-row"
    assert any("transpose" in note for note in found.card.notes)
    assert tiny.card.transform["axes"] == "row-col"


def test_views_frames_and_outputs_are_read_off_the_file(tiny, tmp_path):
    heads = ConvViT.from_pretrained(tiny, ["2CH", "4CH"], outputs=6, kind="coordinates")
    found = load_model("cinema-convvit-tiny", weights=written(tmp_path, authors_state(heads)))
    assert same(found, heads)
    config = found.config
    assert (list(config.encoder.views), config.encoder.in_channels, config.outputs) == (["2CH", "4CH"], 2, 6)
    assert any("does not say what its logits are" in note for note in found.card.notes)
    segmenter = ConvUNetR.from_pretrained(tiny, ["4CH"], classes=3)
    found = load_model("cinema-unetr-tiny", weights=written(tmp_path, authors_state(segmenter)))
    assert same(found, segmenter)
    assert (list(found.config.encoder.views), found.config.classes) == (["4CH"], 3)
    assert list(found.card.transform["views"]) == ["4CH"]


def test_missing_extra_and_misshapen_tensors_are_named(tiny, tmp_path):
    state = authors_state(tiny)
    del state["encoder.blocks.1.attn.kv.bias"]
    state["encoder.blocks.9.norm1.bias"] = torch.zeros(3)
    state["enc_down_dict.lax_3c.linear.weight"] = torch.zeros(128, 5)
    with pytest.raises(CheckpointError) as caught:
        load_model("cinema-tiny", weights=written(tmp_path, state))
    text = str(caught.value)
    assert "missing: encoder.blocks.1.attn.kv.bias (256,)" in text
    assert "encoder.blocks.9.norm1.bias (3,)" in text
    assert "enc_down_dict.lax_3c.linear.weight is (128, 5) in the file, the model needs (128, 128)" in text


def test_a_position_table_that_is_not_ours_is_refused(tiny, tmp_path):
    table = tiny.encoder.stems["SAX"].position.clone()
    name = "enc_down_dict.sax.pos_embed"
    assert load_model("cinema-tiny", weights=written(tmp_path, authors_state(tiny) | {name: table}))
    for wrong in (table + 0.01, table[:, :-1].clone()):
        with pytest.raises(CheckpointError, match=f"{name} .* another image size"):
            load_model("cinema-tiny", weights=written(tmp_path, authors_state(tiny) | {name: wrong}))


def test_a_file_of_another_model_is_told_by_the_name_to_load_it_under(tiny, tmp_path):
    file = written(tmp_path, authors_state(ConvUNetR.from_pretrained(tiny, ["SAX"])))
    for name in ("cinema-tiny", "cinema-convvit-tiny", "cinema-unetr-base"):
        with pytest.raises(CheckpointError, match="load it as cinema-unetr-tiny"):
            load_model(name, weights=file)
    with pytest.raises(CheckpointError, match="has no published layout"):
        load_model("cinema-unet-tiny", weights=file)
    with pytest.raises(CheckpointError, match=r"no layout known for cinema-tiny; its tensors are called a\.b"):
        load_model("cinema-tiny", weights=written(tmp_path, {"a.b": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=r"without its card\.json"):
        load_model("cinema-tiny", weights=written(tmp_path, dict(tiny.state_dict())))


def test_options_of_the_video_models_are_refused(tiny, tmp_path):
    file = written(tmp_path, authors_state(tiny))
    with pytest.raises(CheckpointError, match="concern the models of Shad"):
        load_model("cinema-tiny", weights=file, legacy_keys=True, kinetics=file)
    with pytest.raises(CheckpointError, match="no text tower"):
        load_model("cinema-tiny", text={"tokenizer": "x"})


def test_absent_weights_ask_for_the_very_file(monkeypatch, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        load_model("cinema-base:pretrained")
    assert "Bring pretrained/cinema.safetensors from https://huggingface.co/mathpluscode/CineMA" in str(caught.value)
    monkeypatch.setenv("CARDIOLENS_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointError, match="give a tag: acdc-sax, mnms-sax"):
        load_model("cinema-unetr-base", weights="mathpluscode/CineMA")
    place = tmp_path / "mathpluscode/CineMA/finetuned/segmentation/acdc_sax/acdc_sax_0.safetensors"
    with pytest.raises(CheckpointError, match=str(place)):
        load_model("cinema-unetr-base:acdc-sax")
    place.parent.mkdir(parents=True)
    save_file({"a.b": torch.zeros(1)}, place)
    with pytest.raises(CheckpointError, match=r"acdc_sax_0\.safetensors has no layout"):
        load_model("cinema-unetr-base:acdc-sax")


def test_published_weights_are_listed_with_their_licence():
    rows = {row.name: row for row in describe_models("cinema-*")}
    assert rows["cinema-base:pretrained"].licence == "MIT"
    assert rows["cinema-base:pretrained"].weights.endswith(
        "mathpluscode/CineMA/blob/main/pretrained/cinema.safetensors"
    )
    assert {"cinema-tiny", "cinema-huge", "cinema-unetr-large", "cinema-convvit-base", "cinema-unet"} <= set(
        list_models()
    )


@pytest.mark.parametrize("name", ["cinema-tiny", "cinema-unetr-tiny", "cinema-convvit-tiny"])
def test_a_checkpoint_folder_comes_back_the_same(name, tmp_path, caplog):
    torch.manual_seed(0)
    model = load_model(name)
    model.card.tasks = {"segmentation": {"structures": ["LV cavity"]}}
    save_model(model, tmp_path / "kept")
    with caplog.at_level(logging.INFO):
        found = load_model(tmp_path / "kept")
    assert same(found, model)
    assert found.config == model.config
    assert found.card.transform == model.card.transform
    assert found.card.tasks == model.card.tasks
    assert not found.training
    assert not any(tensor.is_meta for tensor in found.buffers())


def test_half_precision_keeps_the_heads(tiny, tmp_path):
    heads = ConvViT.from_pretrained(tiny, ["4CH"], outputs=2)
    save_model(heads, tmp_path / "half", dtype="float16")
    found = load_model(tmp_path / "half")
    assert torch.equal(found.heads["cls"].weight, heads.heads["cls"].weight)
    kept, halved = heads.encoder.stems["4CH"].linear.weight, found.encoder.stems["4CH"].linear.weight
    assert halved.dtype == torch.float32
    assert torch.equal(halved, kept.half().float())


def test_a_model_of_no_named_size_asks_for_a_card(tmp_path):
    mae = small_mae()
    assert mae.card is None
    with pytest.raises(CheckpointError, match=r"set model\.card"):
        save_model(mae, tmp_path / "kept")


def test_other_image_sizes_and_views_come_back_from_a_folder(tmp_path):
    config = ConvMAEConfig.of("tiny", ["2CH"], sizes={"2CH": (64, 96)})
    model = ConvUNetR(ConvUNetRConfig.like(config, classes=2, drop_path=0.0)).eval()
    save_model(model, tmp_path / "kept")
    found = load_model(tmp_path / "kept")
    images = images_of(config.encoder, batch=1)
    with torch.inference_mode():
        assert torch.equal(found(images)["2CH"], model(images)["2CH"])
    assert found.card.transform["views"] == {"2CH": {"size": [64, 96], "spacing_mm": [2.0, 2.0]}}


def test_a_started_model_says_where_its_encoder_comes_from(tiny, tmp_path):
    mae = load_model("cinema-tiny", weights=written(tmp_path, authors_state(tiny)))
    model = ConvUNetR.from_pretrained(mae, ["SAX"])
    assert model.card.name == "cinema-unetr-tiny"
    assert model.card.transform["axes"] == "col-row"
    assert "encoder of cinema-tiny" in model.card.notes[0]
    assert "MIT" in model.card.licence.weights
    assert ConvUNetR.from_pretrained(tiny, ["SAX"]).card.notes[0].startswith("untrained")
