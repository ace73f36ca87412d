"""What computes a model's answers: `Engine`, behind which PyTorch or ONNX Runtime stands; arrays are numpy's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cardiolens.models.card import Card
from cardiolens.models.domain_limits import DomainLimits

Values = npt.NDArray[np.float32]


class HeadFacts(NamedTuple):
    """A head: "regression" or "classification", and how many values it gives."""

    kind: str
    outputs: int


class Pooled(NamedTuple):
    """What a head says of one study: logits (n,), attention (clip,) that adds up to 1, output (n,) in its own unit."""

    logits: Values
    attention: Values
    output: Values


@runtime_checkable
class Engine(Protocol):
    """A trained model of clips, ready to answer.

    Attributes:
        name: "torch", "onnx" or "onnx-int8".
        card: of the model.
        heads: by task.
        domain: limits of the out-of-domain reference; None where the model has none.
        notes: what a reader of every answer must know of this way of computing.
    """

    @property
    def name(self) -> str: ...
    @property
    def card(self) -> Card: ...
    @property
    def heads(self) -> Mapping[str, HeadFacts]: ...
    @property
    def domain(self) -> DomainLimits | None: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def encode(self, clips: Values) -> tuple[Values, Values]:
        """(clip, channel, time, row, col) in [0, 1] -> features (clip, width), unit embeddings (clip, 512)."""

    def measure(self, task: str, features: Values) -> Pooled:
        """What a head says of a study's clips, from their features (clip, width)."""

    def distances(self, embeddings: Values, clips: Values) -> tuple[Values, Values]:
        """Image statistics (clip, statistic), and the distances (clip, 2) that `domain` judges."""

    def provenance(self) -> dict[str, Any]:
        """Versions and settings that enter the result."""
