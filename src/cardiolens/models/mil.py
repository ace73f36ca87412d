"""Gated-attention pooling over the clips of a study (Ilse et al. 2018, arXiv 1802.04712), as Shad et al. use it.

A study is a bag of clip embeddings; the head weighs the clips, adds them up and predicts one value or some logits.
Bags of different sizes are padded and masked, so a study gets the same answer alone and in a batch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import InputError

if TYPE_CHECKING:
    from cardiolens.models.card import Card


@dataclass(frozen=True)
class MILConfig:
    """Architecture of a head.

    Attributes:
        kind: "regression" (output = 100 * logits: a percentage) or "classification" (output = sigmoid of logits).
        outputs: number of values predicted.
        embed_dim: width of a clip embedding.
        layer_norm: LayerNorm before the pooling; the paper has it for classification only.
        initial: value of the last bias at the start, in output units over 100; 0.57 for LVEF in the paper.
        projection: width of the encoder's features where the head has a projection of its own, to unit vectors of
            `embed_dim`; None where it takes the model's embeddings.
    """

    kind: Literal["regression", "classification"] = "regression"
    outputs: int = 1
    embed_dim: int = 512
    hidden: int = 256
    gate: int = 128
    dropout: float = 0.25
    layer_norm: bool | None = None
    initial: float = 0.57
    projection: int | None = None

    def __post_init__(self) -> None:
        if self.layer_norm is None:
            object.__setattr__(self, "layer_norm", self.kind == "classification")

    @property
    def in_width(self) -> int:
        """Width of what the head takes: embeddings, or features that it projects itself."""
        return self.projection or self.embed_dim

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class MILOutput(NamedTuple):
    """logits (batch, n); attention_raw (batch, clip) before softmax, -inf at padding; attention (batch, clip), adds up
    to 1 a study; output (batch, n) in the head's unit: percent, or probability."""

    logits: Tensor
    attention_raw: Tensor
    attention: Tensor
    output: Tensor


class GatedAttentionMIL(nn.Module):
    """Embeddings of a study's clips -> one prediction and a weight for each clip.

    A head that was trained together with a projection of its own takes the encoder's features instead, so that many
    such heads share one encoder; `DualEncoder.measure` gives each what it takes.

    `card` is set where a head was loaded by its own name; the card of a `DualEncoder` describes the heads within it.
    """

    card: Card | None = None

    def __init__(self, config: MILConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MILConfig()
        self.instance = nn.Sequential(
            nn.Linear(config.embed_dim, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
        )
        self.norm = nn.LayerNorm(config.hidden) if config.layer_norm else None
        self.gate_tanh = nn.Linear(config.hidden, config.gate)
        self.gate_sigmoid = nn.Linear(config.hidden, config.gate)
        self.gate_weight = nn.Linear(config.gate, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.predict = nn.Linear(config.hidden, config.outputs)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)
        if config.kind == "regression":
            nn.init.constant_(self.predict.bias, config.initial)
        self.projection = nn.Linear(config.projection, config.embed_dim) if config.projection else None

    def forward(self, bag: Tensor, mask: Tensor | None = None) -> MILOutput:
        """Pool each bag and predict.

        Args:
            bag: (batch, clip, `config.in_width`); what stands at padding does not matter, not even NaN.
            mask: (batch, clip) bool, True for a real clip; None when there is no padding.

        Raises:
            InputError: wrong shapes, or a study without a single clip.
        """
        return self.pool(bag, self._check(bag, mask))

    def pool(self, bag: Tensor, mask: Tensor) -> MILOutput:
        """`forward` of bags and masks that are known to be right."""
        bag = bag.masked_fill(~mask[..., None], 0.0)
        if self.projection is not None:
            bag = F.normalize(self.projection(bag), dim=-1)
        instances = self.instance(bag)
        if self.norm is not None:
            instances = self.norm(instances)
        gated = torch.tanh(self.gate_tanh(instances)) * torch.sigmoid(self.gate_sigmoid(instances))
        raw = self.gate_weight(gated)[..., 0].masked_fill(~mask, float("-inf"))
        attention = torch.softmax(raw, dim=1)
        pooled = (attention[:, None] @ instances)[:, 0]
        logits = self.predict(self.dropout(pooled))
        output = 100 * logits if self.config.kind == "regression" else torch.sigmoid(logits)
        return MILOutput(logits, raw, attention, output)

    def _check(self, bag: Tensor, mask: Tensor | None) -> Tensor:
        if bag.ndim != 3 or bag.shape[-1] != self.config.in_width:
            own = self.projection is not None
            raise InputError(
                f"a bag must be (study, clip, {self.config.in_width}), got {tuple(bag.shape)}; "
                + ("this head projects the encoder's features itself, see DualEncoder.measure" if own else "")
                + ("add a leading axis for a single study" if not own or bag.ndim == 2 else "")
            )
        if mask is None:
            mask = torch.ones(bag.shape[:2], dtype=torch.bool, device=bag.device)
        if mask.shape != bag.shape[:2] or mask.dtype != torch.bool:
            raise InputError(
                f"the mask must be bool of shape {tuple(bag.shape[:2])}, got {mask.dtype} {tuple(mask.shape)}"
            )
        empty = (~mask.any(1)).nonzero()[:, 0].tolist()
        if empty:
            raise InputError(f"no clip at all in study {empty} of the batch; leave such studies out")
        return mask


def with_projection(head: GatedAttentionMIL, layer: nn.Linear) -> GatedAttentionMIL:
    """The same head with a copy of the model's projection as its own: it says the same when that one is trained on."""
    if head.projection is not None:
        return head
    own = GatedAttentionMIL(replace(head.config, projection=layer.in_features)).train(head.training)
    state = {f"projection.{name}": value for name, value in layer.state_dict().items()}
    own.load_state_dict({**head.state_dict(), **state})
    own.card = head.card
    return own.to(layer.weight.device)
