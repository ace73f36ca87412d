"""The BERT tower: from a local folder, frozen in part, pooled in three ways."""

import pytest
import torch

from cardiolens.errors import CheckpointError
from cardiolens.models.text import TextConfig, TextEncoder
from cardiolens.text.tokenizer import ReportTokenizer

CORPUS = ["Left ventricular ejection fraction is 55.2 %.", "No late gadolinium enhancement."]
SMALL = {"width": 16, "layers": 3, "heads": 2, "hidden": 32, "positions": 32, "max_tokens": 32}


@pytest.fixture(scope="module")
def tokenizer():
    return ReportTokenizer.train(CORPUS, vocabulary=200)


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    """A BERT folder as the Hugging Face hub has them."""
    torch.manual_seed(0)
    where = tmp_path_factory.mktemp("bert")
    TextEncoder(TextConfig(vocabulary=len(tokenizer), **SMALL), tokenizer).bert.save_pretrained(where)
    tokenizer.save(where)
    (where / "tokenizer.json").unlink()  # published BERTs often have vocab.txt alone
    return where


def test_a_local_folder_gives_the_same_states_as_transformers(folder):
    from transformers import BertModel, BertTokenizerFast

    encoder = TextEncoder.from_pretrained(folder, max_tokens=32).eval()
    theirs = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokens = BertTokenizerFast.from_pretrained(folder)(CORPUS, padding=True, return_tensors="pt")
    ids, mask = encoder.tokenize(CORPUS)
    assert torch.equal(ids, tokens["input_ids"])
    assert torch.equal(mask.long(), tokens["attention_mask"])
    with torch.inference_mode():
        assert torch.allclose(encoder(ids, mask), theirs(**tokens).last_hidden_state[:, 0], atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_every_pooling_leaves_padding_out(folder, pooling):
    encoder = TextEncoder.from_pretrained(folder, pooling=pooling, max_tokens=32).eval()
    ids, mask = encoder.tokenize(["Normal.", CORPUS[0]])
    short, short_mask = encoder.tokenize(["Normal."])
    with torch.inference_mode():
        assert torch.allclose(encoder(ids, mask)[0], encoder(short, short_mask)[0], atol=1e-5)


def test_freezing_keeps_embeddings_and_first_layers_from_training(folder):
    encoder = TextEncoder.from_pretrained(folder, freeze_layers=2, max_tokens=32)
    encoder(*encoder.tokenize(CORPUS)).sum().backward()
    trained = {name for name, p in encoder.bert.named_parameters() if p.grad is not None}
    assert trained
    assert all(name.startswith("encoder.layer.2.") for name in trained)


def test_a_folder_without_config_or_with_missing_weights_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        TextEncoder.from_pretrained(tmp_path)
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    lost = next(name for name in state if name.endswith("layer.0.output.dense.weight"))
    save_file({k: v for k, v in state.items() if k != lost}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"layer\.0\.output\.dense\.weight"):
        TextEncoder.from_pretrained(tmp_path)


def test_tokenizer_and_model_must_fit(tokenizer):
    with pytest.raises(CheckpointError, match="words"):
        TextEncoder(TextConfig(vocabulary=30522, **SMALL), tokenizer)
    with pytest.raises(CheckpointError, match="pooling"):
        TextConfig(pooling="median")
