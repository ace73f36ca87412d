"""Report encoder: BERT (Devlin et al. 2019) from transformers, pooled to one vector a text."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cardiolens.errors import CheckpointError, InputError
from cardiolens.text.tokenizer import ReportTokenizer

log = logging.getLogger(__name__)

Pooling = Literal["cls", "mean", "max"]


@dataclass(frozen=True)
class TextConfig:
    """Architecture of the text tower; the defaults are BERT-base.

    Attributes:
        vocabulary: number of entries, at most for a tokenizer still to be trained, exact for a tower.
        width, layers, heads, hidden: of the transformer.
        positions: longest text the position table allows; max_tokens: where texts are cut.
        freeze_layers: the embeddings and so many first layers do not train (6 in Shad et al.; 0 trains everything).
        pooling: "cls", "mean" or "max" over the tokens; the paper does not say, so the choice is ours.
    """

    vocabulary: int = 30522
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    positions: int = 512
    max_tokens: int = 256
    freeze_layers: int = 0
    pooling: Pooling = "cls"
    dropout: float = 0.1
    norm_eps: float = 1e-12
    activation: str = "gelu"
    token_types: int = 2

    def __post_init__(self) -> None:
        if self.pooling not in ("cls", "mean", "max"):
            raise CheckpointError(f"text pooling must be cls, mean or max, not {self.pooling!r}")
        if not 0 <= self.freeze_layers <= self.layers:
            raise CheckpointError(f"freeze_layers must lie between 0 and {self.layers}, got {self.freeze_layers}")
        if self.max_tokens > self.positions:
            raise CheckpointError(f"max_tokens {self.max_tokens} exceeds the {self.positions} positions of the model")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class TextEncoder(nn.Module):
    """Texts in, (batch, width) out.  Importing transformers waits until one is built."""

    def __init__(self, config: TextConfig, tokenizer: ReportTokenizer) -> None:
        super().__init__()
        from transformers.models.bert.configuration_bert import BertConfig
        from transformers.models.bert.modeling_bert import BertModel

        if len(tokenizer) != config.vocabulary:
            raise CheckpointError(f"the tokenizer has {len(tokenizer)} words, the text model {config.vocabulary}")
        self.config = config
        self.tokenizer = tokenizer
        bert = BertConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.hidden,
            max_position_embeddings=config.positions,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
            layer_norm_eps=config.norm_eps,
            hidden_act=config.activation,
            type_vocab_size=config.token_types,
            pad_token_id=tokenizer.pad_id,
        )
        self.bert = BertModel(bert, add_pooling_layer=False)
        self._freeze(config.freeze_layers)

    def configure(self, *, pooling: Pooling, max_tokens: int, freeze_layers: int) -> None:
        """Change what needs no other weights; `CheckpointError` where the tower is too small for it."""
        self.config = replace(self.config, pooling=pooling, max_tokens=max_tokens, freeze_layers=freeze_layers)
        self.bert.requires_grad_(True)
        self._freeze(freeze_layers)

    def _freeze(self, layers: int) -> None:
        if layers == 0:
            return
        frozen = [self.bert.embeddings, *self.bert.encoder.layer[:layers]]
        for parameter in (p for module in frozen for p in module.parameters()):
            parameter.requires_grad_(False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Pool the last layer.

        Args:
            ids: (batch, token) int64; mask: (batch, token) bool, True for a real token.

        Returns:
            (batch, width).
        """
        states: Tensor = self.bert(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        if self.config.pooling == "cls":
            return states[:, 0]
        real = mask[..., None]
        if self.config.pooling == "mean":
            return states.masked_fill(~real, 0.0).sum(1) / real.sum(1)
        return states.masked_fill(~real, float("-inf")).amax(1)

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Texts to ids and mask (batch, token) on the CPU; texts cut at `max_tokens` are logged."""
        if isinstance(texts, str):
            raise InputError("give a list of texts, not one text")
        batch = self.tokenizer(texts, max_tokens=self.config.max_tokens)
        if batch.truncated:
            log.info("%d of %d texts were cut at %d tokens", batch.truncated, len(texts), self.config.max_tokens)
        return torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, freeze_layers: int = 6, pooling: Pooling = "cls", max_tokens: int = 256
    ) -> TextEncoder:
        """Load a BERT from a local Hugging Face folder (config.json, weights, vocab.txt or tokenizer.json).

        The network is never asked.  `CheckpointError` names what the folder lacks.
        """
        from transformers.models.bert.configuration_bert import BertConfig
        from transformers.models.bert.modeling_bert import BertModel

        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise CheckpointError(f"{folder}: no config.json; give the local folder of a Hugging Face BERT")
        try:
            found = BertConfig.from_pretrained(folder, local_files_only=True)
            loaded: Any = BertModel.from_pretrained(
                folder, local_files_only=True, add_pooling_layer=False, output_loading_info=True, dtype=torch.float32
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{folder} cannot be loaded as a BERT: {error}") from error
        bert, report = loaded
        if report["missing_keys"]:
            raise CheckpointError(f"{folder}: the weights lack {', '.join(sorted(report['missing_keys'])[:5])}")
        config = TextConfig(
            vocabulary=found.vocab_size,
            width=found.hidden_size,
            layers=found.num_hidden_layers,
            heads=found.num_attention_heads,
            hidden=found.intermediate_size,
            positions=found.max_position_embeddings,
            max_tokens=min(max_tokens, found.max_position_embeddings),
            freeze_layers=min(freeze_layers, found.num_hidden_layers),
            pooling=pooling,
            dropout=found.hidden_dropout_prob,
            norm_eps=found.layer_norm_eps,
            activation=found.hidden_act,
            token_types=found.type_vocab_size,
        )
        encoder = cls(config, ReportTokenizer.load(folder))
        encoder.bert.load_state_dict(bert.state_dict(), strict=True)
        return encoder
