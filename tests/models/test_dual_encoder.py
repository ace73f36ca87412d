"""What a dual encoder takes, refuses and gives."""

import logging
import math
import subprocess
import sys

import pytest
import torch

from cardiolens import load_model
from cardiolens.errors import CardiolensError, CheckpointError
from cardiolens.text.tokenizer import ReportTokenizer

REPORTS = ["The left ventricle is dilated. LVEF is 31.5 %.", "Normal study."]


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    tokenizer = ReportTokenizer.train(REPORTS, vocabulary=400)
    return load_model("shad-mvit-tiny", text={"tokenizer": tokenizer})


def test_clips_and_reports_share_a_space_of_unit_vectors(tiny):
    with torch.inference_mode():
        clips, texts = tiny.embed(torch.rand(3, 1, 16, 64, 64)), tiny.embed_text(REPORTS)
    assert clips.shape == (3, 512)
    assert texts.shape == (2, 512)
    assert torch.allclose(torch.cat([clips, texts]).norm(dim=1), torch.ones(5), atol=1e-5)


def test_three_channels_are_taken_as_grey_by_a_grey_model(tiny):
    clips = torch.rand(1, 1, 16, 64, 64)
    assert torch.allclose(tiny.embed(clips), tiny.embed(clips.expand(-1, 3, -1, -1, -1)), atol=1e-5)


@pytest.mark.parametrize(
    "shape", [(16, 64, 64), (1, 2, 16, 64, 64), (1, 1, 15, 64, 64), (1, 1, 16, 224, 224), (1, 1, 16, 64, 63)]
)
def test_clips_of_another_shape_are_refused_with_the_right_one(tiny, shape):
    with pytest.raises(ValueError, match=r"16 frames, 64 rows, 64 columns") as caught:
        tiny.embed(torch.zeros(shape))
    assert isinstance(caught.value, CardiolensError)


@pytest.mark.parametrize(
    "clips",
    [
        torch.zeros(1, 1, 16, 64, 64, dtype=torch.uint8),
        torch.full((1, 1, 16, 64, 64), 255.0),
        torch.full((1, 1, 16, 64, 64), float("nan")),
    ],
    ids=["bytes", "unscaled", "nan"],
)
def test_clips_that_were_never_scaled_are_refused(tiny, clips):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        tiny.embed(clips)


def test_standardised_clips_are_warned_of(tiny, caplog):
    with caplog.at_level(logging.WARNING):
        tiny.features(torch.rand(1, 1, 16, 64, 64) * 4 - 2)
    assert "standardised" in caplog.text


def test_attention_maps_come_one_a_block_and_add_up_to_one(tiny):
    maps = tiny.attention_maps(torch.rand(2, 1, 16, 64, 64))
    config = tiny.video_encoder.config
    heads = [config.width_of(block) // config.head_width for block in range(config.depth)]
    assert [tuple(m.shape[:2]) for m in maps] == [(2, n) for n in heads]
    assert maps[0].shape[2] == 1 + math.prod(config.grid)
    assert all(torch.allclose(m.sum(-1), torch.ones(()), atol=1e-5) for m in maps)


def test_padding_does_not_change_the_embedding_of_a_report(tiny):
    with torch.inference_mode():
        together, alone = tiny.embed_text(REPORTS), tiny.embed_text(REPORTS[1:])
    assert torch.allclose(together[1], alone[0], atol=1e-5)


def test_one_text_in_place_of_a_list_is_refused(tiny):
    with pytest.raises(CardiolensError, match="list of texts"):
        tiny.embed_text("Normal study.")


def test_embedding_text_without_a_tower_says_what_to_give():
    with pytest.raises(CheckpointError, match="pretrained"):
        load_model("shad-mvit-tiny").embed_text(["Normal."])


def test_contrastive_step_reaches_both_towers(tiny):
    model = load_model("shad-mvit-tiny", text={"tokenizer": tiny.text_tower().tokenizer}).train()
    (model.embed(torch.rand(2, 1, 16, 64, 64)) * model.embed_text(REPORTS)).sum().backward()
    assert model.video_encoder.patch.weight.grad.abs().sum() > 0
    assert model.text_encoder.bert.embeddings.word_embeddings.weight.grad.abs().sum() > 0


def test_video_alone_does_not_import_transformers():
    code = (
        "import sys, torch, cardiolens\n"
        "model = cardiolens.load_model('shad-mvit-tiny')\n"
        "model.embed(torch.zeros(1, 1, 16, 64, 64))\n"
        "assert 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
