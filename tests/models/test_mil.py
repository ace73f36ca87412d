"""Gated-attention head: published numbers, and the same answer alone and in a batch."""

import pytest
import torch
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st
from published import expected, given, published, relative_error

from cardiolens import load_model
from cardiolens.errors import CardiolensError, CheckpointError
from cardiolens.models.mil import GatedAttentionMIL, MILConfig


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_head_reproduces_the_published_numbers(kind, tmp_path):
    name = f"mil_{kind}_mil"
    torch.save({"state_dict": {f"model.{k}": v for k, v in published(name).items()}}, tmp_path / "head.ckpt")
    head = load_model(f"shad-mil-{kind}", weights=tmp_path / "head.ckpt")
    truth = expected(name)
    with torch.inference_mode():
        found = head(given("bag", (9, 512))[None])
    for field in ("logits", "attention_raw", "output"):
        assert relative_error(getattr(found, field), truth[field]) < 1e-5, field
    assert found.attention.sum() == pytest.approx(1)


@pytest.mark.parametrize("kind", ["regression", "classification"])
@settings(max_examples=25, deadline=None)
@sampled(sizes=st.lists(st.integers(1, 20), min_size=2, max_size=6), seed=st.integers(0, 2**31), rubbish=st.booleans())
def test_a_study_gets_the_same_answer_alone_and_in_a_batch(kind, sizes, seed, rubbish):
    torch.manual_seed(seed)
    head = GatedAttentionMIL(MILConfig(kind=kind, outputs=2)).eval()
    bags = [torch.randn(n, 512) for n in sizes]
    padded = torch.full((len(sizes), max(sizes), 512), float("nan") if rubbish else 0.0)
    mask = torch.zeros(padded.shape[:2], dtype=torch.bool)
    for i, bag in enumerate(bags):
        padded[i, : len(bag)], mask[i, : len(bag)] = bag, True
    together = head(padded, mask)
    for i, bag in enumerate(bags):
        alone = head(bag[None])
        assert torch.allclose(together.logits[i], alone.logits[0], atol=1e-6)
        assert torch.allclose(together.attention[i, : len(bag)], alone.attention[0], atol=1e-6)
        assert (together.attention[i, len(bag) :] == 0).all()


def test_a_study_without_clips_is_refused_by_its_place():
    head = GatedAttentionMIL()
    mask = torch.tensor([[True, False], [False, False]])
    with pytest.raises(CardiolensError, match=r"study \[1\]"):
        head(torch.zeros(2, 2, 512), mask)
    with pytest.raises(ValueError, match=r"study \[0\]"):
        head(torch.zeros(1, 0, 512))


@pytest.mark.parametrize(
    ("bag", "mask"),
    [((9, 512), None), ((1, 9, 256), None), ((1, 9, 512), torch.ones(1, 8).bool()), ((1, 9, 512), torch.ones(1, 9))],
)
def test_wrong_shapes_are_refused(bag, mask):
    with pytest.raises(ValueError, match="must be"):
        GatedAttentionMIL()(torch.zeros(bag), mask)


def test_regression_starts_at_57_percent_and_has_no_layer_norm():
    head = GatedAttentionMIL().eval()
    assert head.norm is None
    assert head(torch.zeros(1, 3, 512)).output.item() == pytest.approx(57)
    assert GatedAttentionMIL(MILConfig(kind="classification")).norm is not None


def test_gradients_stay_finite_with_padding():
    head = GatedAttentionMIL(MILConfig(kind="classification"))
    mask = torch.tensor([[True, False, False], [True, True, True]])
    head(torch.randn(2, 3, 512), mask).logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_a_head_of_the_other_kind_is_refused_with_the_right_name(tmp_path):
    torch.save(published("mil_classification_mil"), tmp_path / "head.pt")
    with pytest.raises(CheckpointError, match=r"layernorm.*shad-mil-classification"):
        load_model("shad-mil-regression", weights=tmp_path / "head.pt")


def test_a_head_is_found_beside_its_encoder(tmp_path):
    whole = published("mil_regression_mil") | {"video_proj.weight": torch.zeros(512, 768)}
    torch.save({"state_dict": {f"model.{k}": v for k, v in whole.items()}}, tmp_path / "whole.ckpt")
    head = load_model("shad-mil-regression", weights=tmp_path / "whole.ckpt")
    assert any("video_proj.weight" in note for note in head.card.notes)
