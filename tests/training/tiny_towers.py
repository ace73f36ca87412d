"""A pretraining small enough to compute in double precision, and one batch for it."""

import torch

from cardiolens.models.card import Card
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mvit import MViTConfig
from cardiolens.models.text import TextConfig, TextEncoder
from cardiolens.text.tokenizer import ReportTokenizer
from cardiolens.training.contrastive import ContrastiveModule
from cardiolens.training.pairs import ContrastBatch
from cardiolens.training.recipe import PretrainRecipe

VIDEO = MViTConfig(
    frames=4, crop=16, channels=1, width=8, head_width=8, stage_starts=(1,), kv_stride=(2, 1), mlp_ratio=2.0
)
REPORTS = ["LVEF is 31 %.", "Normal study.", "The left atrium is dilated. No effusion.", "Severe mitral regurgitation."]
OWNER = [0, 1, 1, 2, 3, 3, 3]  # the studies have one, two, one and three clips


def recipe(chunk=None, augment=0.0, **objective):
    fields = {
        "name": "x",
        "augment": {"severity": augment},
        "optimiser": {"lr": 1e-3, "batch": 2, "epochs": 1, "chunk": chunk},
        "objective": {"flood": 0.0} | objective,
    }
    return PretrainRecipe.model_validate(fields)


def module(settings, dropout=0.0):
    """A tiny pretraining in double precision, always with the same weights."""
    torch.manual_seed(0)
    tokenizer = ReportTokenizer.train(REPORTS, vocabulary=200)
    size = {"width": 16, "layers": 2, "heads": 2, "hidden": 32, "positions": 32, "max_tokens": 32}
    config = TextConfig(len(tokenizer), **size, dropout=dropout)
    model = DualEncoder(VIDEO, card=Card(name="x"), embed_dim=12, text=TextEncoder(config, tokenizer))
    return ContrastiveModule(model, settings).double().train()


def whole_batch(built):
    clips = torch.rand(len(OWNER), 1, 4, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    tokens, mask = built.model.text_tower().tokenize(REPORTS)
    return ContrastBatch(clips, torch.tensor(OWNER), tokens, mask, 0)
