"""A `DualEncoder` as an engine: computed by PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from cardiolens.engine import HeadFacts, Pooled, Values
from cardiolens.errors import CheckpointError
from cardiolens.models.card import Card
from cardiolens.models.domain import domain_features
from cardiolens.models.domain_limits import DomainLimits
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mil import GatedAttentionMIL


class TorchEngine:
    """Some clips at a time on a device."""

    name = "torch"
    notes: tuple[str, ...] = ()

    def __init__(self, model: DualEncoder, batch_size: int = 16, device: str | torch.device = "cpu") -> None:
        self.model = model.to(device).eval()
        self.batch_size = batch_size
        self.device = torch.device(device)

    @property
    def card(self) -> Card:
        return self.model.card

    @property
    def heads(self) -> Mapping[str, HeadFacts]:
        found = {task: head for task, head in self.model.heads.items() if isinstance(head, GatedAttentionMIL)}
        return {task: HeadFacts(head.config.kind, head.config.outputs) for task, head in found.items()}

    @property
    def domain(self) -> DomainLimits | None:
        return None if self.model.domain is None else self.model.domain.reading()

    @torch.inference_mode()
    def encode(self, clips: Values) -> tuple[Values, Values]:
        parts = torch.split(torch.from_numpy(clips), self.batch_size)
        features = torch.cat([self.model.features(part.to(self.device)) for part in parts])
        return _array(features), _array(self.model.project(features))

    @torch.inference_mode()
    def measure(self, task: str, features: Values) -> Pooled:
        found = self.model.measure(task, torch.from_numpy(features)[None].to(self.device))
        return Pooled(_array(found.logits[0]), _array(found.attention[0]), _array(found.output[0]))

    @torch.inference_mode()
    def distances(self, embeddings: Values, clips: Values) -> tuple[Values, Values]:
        reference = self.model.domain
        if reference is None:
            raise CheckpointError(f"{self.card.full_name} carries no reference of the studies it learned from")
        rows = domain_features(torch.from_numpy(embeddings), torch.from_numpy(clips)).to(self.device)
        return _array(rows[:, reference.embedding_dim :]), reference.distances(rows)

    def provenance(self) -> dict[str, Any]:
        return {"torch": torch.__version__, "device": str(self.device)}


def _array(values: Tensor) -> Values:
    return cast(Values, values.float().cpu().numpy().astype(np.float32, copy=False))
