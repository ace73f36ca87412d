"""What the outputs of a model of volumes are, one by one: values, conditions, classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from cardiolens.errors import CheckpointError, InputError

Kind = Literal["value", "condition", "class", "raw"]


@dataclass(frozen=True)
class Answers:
    """One entry an output.

    Attributes:
        names: columns of the labels; of classes, their names.
        kinds: "value" (offset + scale * logit, in the label's unit), "condition" (a probability by itself), "class" (a
            share among all outputs that are classes), "raw" where a published file does not say.
        offset, scale: of the values, in training the mean and spread of the label; empty for 0 and 1.
    """

    names: tuple[str, ...] = ("output",)
    kinds: tuple[Kind, ...] = ("raw",)
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("names", "kinds"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON gives lists
        for name in ("offset", "scale"):
            object.__setattr__(self, name, tuple(float(v) for v in getattr(self, name)))
        lengths = {len(self.names), len(self.kinds)} | {len(v) for v in (self.offset, self.scale) if v}
        if len(lengths) != 1 or not self.names or set(self.kinds) - set(get_args(Kind)):
            raise CheckpointError(f"not valid outputs: one name and one of {get_args(Kind)} each, got {self}")

    def __len__(self) -> int:
        return len(self.names)

    def at(self, kind: Kind) -> list[int]:
        """Numbers of the outputs of a kind."""
        return [number for number, own in enumerate(self.kinds) if own == kind]

    def predict(self, logits: Tensor) -> Tensor:
        """(batch, outputs) in the terms of each output.

        Raises:
            InputError: what the outputs are is not known.
        """
        if "raw" in self.kinds:
            raise InputError(
                "the file does not say what its outputs are: set model.config = dataclasses.replace(model.config, "
                'answers=Answers(("lvef",), ("value",))), or take model(volumes)'
            )
        out = logits.clone()
        values, conditions, classes = (self.at(kind) for kind in ("value", "condition", "class"))
        if values and self.scale:
            out = out * logits.new_tensor([s if k == "value" else 1.0 for s, k in self._pairs(self.scale)])
        if values and self.offset:
            out = out + logits.new_tensor([o if k == "value" else 0.0 for o, k in self._pairs(self.offset)])
        out[:, conditions] = torch.sigmoid(logits[:, conditions])
        if classes:
            out[:, classes] = logits[:, classes].softmax(1)
        return out

    def _pairs(self, numbers: tuple[float, ...]) -> list[tuple[float, Kind]]:
        return list(zip(numbers, self.kinds, strict=True))
