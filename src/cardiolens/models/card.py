"""The card that travels with the weights: what the model is, how input is prepared, what it measures, its licence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cardiolens.errors import CheckpointError

UNKNOWN_LICENCE = "not stated in the file; ask its publisher"


class Licence(BaseModel):
    """Licences of the code, of the weights and of the data they were trained on."""

    model_config = ConfigDict(extra="forbid")
    code: str = "Apache-2.0"
    weights: str = UNKNOWN_LICENCE
    data: str = UNKNOWN_LICENCE


class Card(BaseModel):
    """Everything about a model but its numbers; stored as `card.json` beside `model.safetensors`.

    Attributes:
        name, tag: "shad-mvit-tiny", "phantom".
        architecture: what the network is built from.
        transform: arguments of `ClipTransform`, the same in training and in prediction.
        tasks: for each head its kind, unit, conformal interval and metrics.
        domain: of the out-of-domain reference, or None when there is none.
        source: where the weights came from.
        notes: what a user must know (untrained, projection missing, tensors set aside).
        provenance: version of the package, hashes of recipe, data and split, date.
        dtype: of the stored weights; computing is in float32.
        sha256: of `model.safetensors`; checked at every load.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)
    name: str
    tag: str | None = None
    architecture: dict[str, Any] = Field(default_factory=dict)
    transform: dict[str, Any] = Field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    domain: dict[str, Any] | None = None
    licence: Licence = Field(default_factory=Licence)
    source: str = ""
    notes: list[str] = Field(default_factory=list)
    provenance: dict[str, Any] = Field(default_factory=dict)
    dtype: Literal["float32", "float16"] = "float32"
    sha256: str | None = None

    @property
    def full_name(self) -> str:
        """Name with tag, as `load_model` takes it; without where there is none."""
        return f"{self.name}:{self.tag}" if self.tag else self.name

    def to_json(self) -> str:
        """The card as stored: keys in the order above, numbers exact."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read `card.json`; `CheckpointError` names the field that is wrong."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(
                f"{path.parent}: no card.json; a checkpoint is a folder with model.safetensors and card.json"
            ) from None
        except (ValidationError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} is not a model card of this version: {error}") from error
