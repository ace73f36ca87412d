"""SLIViT: the published layout by name against what the authors' own code computed; slice counts; the ablations."""

import json

import pytest
import torch
from published import expected, given, published, relative_error
from safetensors.torch import save_file

from cardiolens import load_model
from cardiolens.errors import CheckpointError, InputError
from cardiolens.hub import save_model
from cardiolens.models.answers import Answers
from cardiolens.models.slivit import SLIViT, SLIViTConfig
from cardiolens.models.trunk import SliceClassifier, SliceClassifierConfig, TrunkConfig

TOLERANCE = 1e-5
SMALL = TrunkConfig(depths=(1, 1, 1, 1), widths=(8, 8, 16, 16), channels=1, layer_scale=0.1)


def small(**changes):
    fields = {"trunk": SMALL, "slices": 6, "size": 32, "layers": 2, "width": 16, "mlp": 16, "heads": 2, "head_width": 8}
    torch.manual_seed(0)
    return SLIViT(SLIViTConfig(**{**fields, **changes})).eval()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("slivit") / "slivit.safetensors"
    save_file(published("slivit_t8"), path)
    return path


def test_a_published_file_reproduces_the_authors_features_and_output(file):
    model, truth = load_model("slivit", weights=file), expected("slivit_t8")
    assert (model.config.slices, model.config.size, model.config.heads) == (8, 256, 20)
    volumes = given("slices8", (2, 3, 256, 2048)).unflatten(3, (8, 256)).permute(0, 3, 1, 2, 4)
    with torch.inference_mode():
        assert relative_error(model.feature_map(volumes)[:, ::32, ::2, ::8], truth["feature_sub"]) < TOLERANCE
        assert relative_error(model(volumes), truth["output"]) < TOLERANCE
        with pytest.raises(InputError, match="does not say"):
            model.predict(volumes)


def test_another_slice_count_interpolates_the_position_table_and_says_so(file, caplog):
    before = published("slivit_t8")["pos_embedding"]
    with caplog.at_level("WARNING"):
        model = load_model("slivit", weights=file, slices=15)
    assert "the position table is interpolated" in caplog.text
    after = model.pos_embedding.detach()
    torch.testing.assert_close(after[:, 0], before[:, 0])
    torch.testing.assert_close(after[:, 1::2], before[:, 1:])
    torch.testing.assert_close(after[:, 2], (before[:, 1] + before[:, 2]) / 2)
    assert any("made for 8 slices, set to 15: the position table is" in note for note in model.card.notes)
    assert model.card.transform["slices"] == 15


def test_a_file_with_a_missing_or_misshapen_tensor_is_refused_by_name(tmp_path):
    state = {"pos_embedding": torch.zeros(1, 4, 16), "to_patch_embedding.1.weight": torch.zeros(768 * 4)}
    save_file(state, tmp_path / "cut.safetensors")
    with pytest.raises(CheckpointError, match="lacks parts of its transformer"):
        load_model("slivit", weights=tmp_path / "cut.safetensors")
    model = small()
    whole = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    del whole["feature_extractor.1.stages.0.layers.0.dwconv.bias"]
    save_file(whole, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="does not fit slivit-tiny"):
        load_model("slivit-tiny", weights=tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="cannot be loaded as slivit-r3d-tiny"):
        load_model("slivit-r3d-tiny", weights=tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="for SLIViT alone"):
        load_model("slivit-r3d-tiny", slices=4)


def test_positions_start_at_the_slice_index_and_so_leave_the_order_out_until_they_are_trained():
    model, volumes = small(), torch.rand(2, 6, 1, 32, 32)
    torch.testing.assert_close(model.pos_embedding[0, :, 3], torch.arange(7.0))
    tokens = model.tokens(volumes)
    turned = tokens[:, torch.tensor([3, 0, 5, 1, 4, 2])]
    torch.testing.assert_close(model.integrate(tokens), model.integrate(turned), atol=0.3, rtol=0.3)
    with torch.no_grad():
        model.pos_embedding.normal_()
    assert (model.integrate(tokens) - model.integrate(turned)).abs().max() > 0.05


def test_attention_to_neighbours_hears_of_no_slice_further_away():
    model = small(neighbours=True, layers=1, cut="slices")
    tokens = torch.rand(1, 6, 16, requires_grad=True)
    inside = model.transformer(tokens + model.pos_embedding[:, 1:], torch.eye(6, dtype=torch.bool))
    assert inside.shape == (1, 6, 16)
    (gradient,) = torch.autograd.grad(
        model.transformer(tokens, (torch.arange(6)[:, None] - torch.arange(6)).abs() <= 1)[0, 0].sum(), tokens
    )
    assert (gradient[0, 2:] == 0).all()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert not torch.allclose(model.integrate(tokens), model.integrate(tokens[:, order]))


@pytest.mark.parametrize(
    "changes", [{"integrator": "mean"}, {"integrator": "lstm"}, {"trunk": TrunkConfig("resnet", (1,) * 4, (8,) * 4, 1)}]
)
def test_variants_of_the_ablation_answer_and_learn(changes):
    model = small(**changes)
    model(torch.rand(2, 6, 1, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["slivit-tiny", "slivit-trunk-tiny", "slivit-r2plus1d-tiny", "slivit-vit3d-tiny"])
def test_models_by_name_come_back_from_a_folder_bit_for_bit(name, tmp_path):
    model = load_model(name)
    if isinstance(model, SliceClassifier):
        model = SliceClassifier(SliceClassifierConfig(model.config.trunk, 96, ("CNV", "NORMAL")), model.card)
        given_ = torch.rand(2, 1, 96, 96)
    else:
        given_ = torch.rand(1, model.config.slices, 1, 96, 96)
    save_model(model.eval(), tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "card.json").read_text())["transform"]["size"] == 96
    with torch.inference_mode():
        assert torch.equal(model(given_), again(given_))


def test_a_convnext_of_transformers_fills_the_trunk_and_the_card_says_what_is_untrained(tmp_path):
    trunk = load_model("slivit-trunk-tiny")
    names = {"feature_extractor.0": "embeddings", "feature_extractor.1": "encoder"}
    state = {}
    for name, tensor in trunk.state_dict().items():
        part = next((ours for ours in names if name.startswith(ours)), None)
        state["convnext." + (name if part is None else names[part] + name.removeprefix(part))] = tensor.clone()
    save_file(state, tmp_path / "model.safetensors")
    model = load_model("slivit-tiny", weights=tmp_path / "model.safetensors")
    for name, tensor in trunk.feature_extractor.state_dict().items():
        assert torch.equal(model.feature_extractor.state_dict()[name], tensor)
    assert any("only the trunk is of the file" in note for note in model.card.notes)


def test_a_trunk_goes_into_a_slivit_of_the_same_design_only():
    model, other = small(), SliceClassifier(SliceClassifierConfig(SMALL, 32))
    model.take_trunk(other)
    assert torch.equal(
        model.feature_extractor[0].patch_embeddings.weight, other.feature_extractor[0].patch_embeddings.weight
    )
    with pytest.raises(CheckpointError, match="that of the weights"):
        small(trunk=TrunkConfig("resnet", (1,) * 4, (8,) * 4, 1)).take_trunk(other)


def test_answers_are_given_each_in_its_own_terms():
    answers = Answers(("lvef", "hcm"), ("value", "condition"), (50.0, 0.0), (10.0, 1.0))
    torch.testing.assert_close(answers.predict(torch.tensor([[1.0, 0.0]])), torch.tensor([[60.0, 0.5]]))
    classes = Answers(("a", "b", "c"), ("class",) * 3).predict(torch.randn(4, 3))
    torch.testing.assert_close(classes.sum(1), torch.ones(4))
    with pytest.raises(CheckpointError, match="one name"):
        Answers(("lvef",), ("value", "condition"))


def test_a_token_is_a_slice_where_the_paper_is_followed_and_channels_of_all_slices_in_the_released_cut():
    volumes = torch.rand(1, 6, 1, 32, 32)
    other = volumes.clone()
    other[:, 5] = 1.0 - other[:, 5]
    change = {}
    for cut in ("slices", "memory"):
        model = small(cut=cut)
        change[cut] = (model.tokens(volumes) - model.tokens(other)).abs().amax((0, 2))
    assert change["slices"][:3].max() < 0.01 * change["slices"][5]  # next to nothing, through the trunk's wide kernels
    assert change["memory"].min() > 0.1 * change["memory"].max()
    with pytest.raises(CheckpointError, match="no slice"):
        small(neighbours=True)


def test_wrong_slices_and_too_few_are_refused():
    with pytest.raises(InputError, match="set_slices"):
        small()(torch.rand(1, 5, 1, 32, 32))
    with pytest.raises(CheckpointError, match="two slices or more"):
        SLIViTConfig(slices=1)


def test_r2plus1d_has_as_many_parameters_as_torchvisions():
    from cardiolens.models.resnet3d import ResNet3d, ResNet3dConfig

    network = ResNet3d(ResNet3dConfig(block="factorised"))
    assert sum(p.numel() for p in network.parameters()) == 31_505_325 - 400 * 513
