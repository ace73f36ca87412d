"""EchoAI by name: published layouts in small, bad files, round trips, what an absent file asks for."""

import re

import pytest
import torch
from safetensors.torch import save_file

from cardiolens.errors import CheckpointError
from cardiolens.hub import describe_models, load_model, save_model
from cardiolens.models import locate
from cardiolens.models.checkpoint import shapes_of
from cardiolens.models.videomae_layout import LAYOUTS, split


@pytest.fixture(autouse=True)
def no_weights_about(monkeypatch):
    """Neither a weights folder nor a Hugging Face cache of this machine takes part."""
    monkeypatch.delenv("CARDIOLENS_WEIGHTS", raising=False)
    monkeypatch.setattr(locate, "_cached", lambda hub_id: None)
    monkeypatch.setattr(locate, "_cached_file", lambda hub_id, file: None)


def published(model, layout):
    """A model's tensors in a published layout; what lies in one matrix there is put together."""
    state, taken = {}, {}
    for name, tensor in model.state_dict().items():
        if ".attn.kv." in name:
            keys, values = tensor.chunk(2)
            taken[name.replace(".kv.", ".k.")], taken[name.replace(".kv.", ".v.")] = keys, values
        else:
            taken[name] = tensor
    for name, shape in split(shapes_of(model)).items():
        slot = layout.slot(name, shape)
        if slot.third is None:
            state[slot.name] = taken[name].clone()
        else:
            whole = state.setdefault(slot.name, torch.empty(slot.shape))
            whole.chunk(3)[slot.third].copy_(taken[name])
    return state


def drawn(name):
    """A model by name whose tensors are all drawn, but the bias of the keys, which no published file has."""
    model = load_model(name)
    torch.manual_seed(1)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.normal_()
            if key.endswith("attn.kv.bias"):
                parameter[: len(parameter) // 2] = 0
    return model


def same(model, other):
    mine, theirs = model.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("name", ["echoai-tiny", "echoai-ef-tiny"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_published_layout_loads_by_name_strictly(name, number, tmp_path):
    model = drawn(name)
    layout = LAYOUTS["videomae" if name == "echoai-tiny" else "vivit"][number]
    state = published(model, layout)
    save_file(state, tmp_path / "model.safetensors")
    found = load_model(name, weights=tmp_path / "model.safetensors")
    assert same(found, model)
    assert torch.equal(found.encoder.position, model.encoder.position)
    assert found.card.provenance["layout"] == layout.title
    assert "NC" in found.card.licence.weights
    assert any("everyday life" in note for note in found.card.notes)
    lost = next(key for key in state if ".1." in key and key.endswith(("q_bias", "query.bias")))
    save_file({key: tensor for key, tensor in state.items() if key != lost}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=re.escape(f"missing: {lost}")):
        load_model(name, weights=tmp_path / "model.safetensors")


def test_the_authors_wrapped_checkpoint_is_read_without_unpickling(tmp_path):
    model = drawn("echoai-tiny")
    torch.save({"model": published(model, LAYOUTS["videomae"][2])}, tmp_path / "checkpoint.pth")
    assert same(load_model("echoai-tiny", weights=tmp_path / "checkpoint.pth"), model)


def test_a_file_of_another_kind_says_under_which_name_to_load_it(tmp_path):
    save_file(published(drawn("echoai-tiny"), LAYOUTS["videomae"][0]), tmp_path / "mae.safetensors")
    with pytest.raises(CheckpointError, match=r"a masked autoencoder.*load it as echoai-base, echoai-tiny"):
        load_model("echoai-ef-tiny", weights=tmp_path / "mae.safetensors")
    with pytest.raises(CheckpointError, match="of another shape"):
        load_model("echoai-base", weights=tmp_path / "mae.safetensors")
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no layout known"):
        load_model("echoai-tiny", weights=tmp_path / "other.safetensors")


def test_the_outputs_of_a_published_head_are_counted_and_not_guessed(tmp_path):
    model = drawn("echoai-ef-tiny")
    state = published(model, LAYOUTS["vivit"][0])
    state["classifier.weight"], state["classifier.bias"] = torch.zeros(5, 96), torch.zeros(5)
    save_file(state, tmp_path / "head.safetensors")
    found = load_model("echoai-ef-tiny", weights=tmp_path / "head.safetensors")
    assert found.config.answers.kinds == ("raw",) * 5
    with pytest.raises(Exception, match="does not say what its outputs are"):
        found.predict(torch.rand(1, 1, 16, 64, 64))


@pytest.mark.parametrize("name", ["echoai-tiny", "echoai-ef-tiny"])
def test_a_model_comes_back_from_its_folder(name, tmp_path):
    model = drawn(name)
    found = load_model(save_model(model, tmp_path / "model"))
    assert same(found, model)
    assert found.config == model.config
    assert found.card.transform == model.card.transform
    half = load_model(save_model(model, tmp_path / "half", dtype="float16"))
    assert torch.allclose(half.encoder.embed.weight, model.encoder.embed.weight, atol=5e-3)


def test_published_weights_that_are_not_here_are_asked_for_by_file_and_licence():
    listed = {info.name: info for info in describe_models("echoai-*")}
    assert set(listed) == {
        *("echoai-base", "echoai-base:kinetics", "echoai-tiny"),
        *("echoai-ef-base", "echoai-ef-base:kinetics", "echoai-ef-tiny"),
    }
    assert "NC" in listed["echoai-base:kinetics"].licence
    with pytest.raises(CheckpointError, match=r"MCG-NJU/videomae-base/pytorch_model\.bin are not on this machine"):
        load_model("echoai-base:kinetics")
