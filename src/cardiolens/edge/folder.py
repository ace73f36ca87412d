"""The folder of an exported model: graphs, card, limits, and a list of files with their hashes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cardiolens.engine import HeadFacts
from cardiolens.errors import CheckpointError
from cardiolens.files import sha256_of
from cardiolens.models.card import Card
from cardiolens.models.domain_limits import DomainLimits

Precision = Literal["fp32", "int8"]
FORMAT = "cardiolens-edge-1"
FILE = "edge.json"
ENCODER: Mapping[Precision, str] = {"fp32": "encoder.onnx", "int8": "encoder.int8.onnx"}
HEADS, DOMAIN, LIMITS, CARD = "heads.onnx", "domain.onnx", "domain.npz", "card.json"
_LIMITS = ("limits", "cutoff", "low", "high", "counts")


@dataclass(frozen=True)
class EdgeFolder:
    """What `edge.json` tells.

    Attributes:
        path: the folder.
        files: name to SHA-256.
        heads: by task.
        parity: precision to what `edge.parity` found: greatest and mean differences from PyTorch, and the verdict.
        fields: everything else that is told.
    """

    path: Path
    files: Mapping[str, str]
    heads: Mapping[str, HeadFacts]
    parity: Mapping[str, Mapping[str, Any]]
    fields: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> EdgeFolder:
        """Read `edge.json`; files are checked when they are used.

        Raises:
            CheckpointError: no exported model there, or of another format.
        """
        folder = Path(path).expanduser()
        try:
            fields = json.loads((folder / FILE).read_text(encoding="utf-8"))
            if fields["format"] != FORMAT:
                raise ValueError(f"format {fields['format']!r}, this version reads {FORMAT!r}")
            heads = {task: HeadFacts(str(kind), int(outputs)) for task, (kind, outputs) in fields["heads"].items()}
            return cls(folder, dict(fields["files"]), heads, dict(fields["parity"]), fields)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{folder} is no exported model ({error}); make one with: cardiolens export MODEL --out {folder}"
            ) from error

    def checked(self, name: str) -> Path:
        """A file of the export whose content is what was written.

        Raises:
            CheckpointError: it is missing, or not as it was exported.
        """
        path = self.path / name
        if name not in self.files or not path.is_file():
            raise CheckpointError(f"{path} is missing; export the model again, or copy the whole folder")
        if sha256_of(path) != self.files[name]:
            raise CheckpointError(f"{path} is not as it was exported; copy the whole folder again")
        return path

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Which encoders there are."""
        return tuple(precision for precision, name in ENCODER.items() if name in self.files)

    def card(self) -> Card:
        """The model's card."""
        return Card.read(self.checked(CARD))

    def limits(self) -> DomainLimits | None:
        """Of the out-of-domain reference; None where the model has none."""
        if LIMITS not in self.files:
            return None
        path = self.checked(LIMITS)
        try:
            with np.load(path, allow_pickle=False) as found:
                return DomainLimits(**{name: found[name] for name in _LIMITS})
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{path} cannot be read ({error}); export the model again") from error


def write_limits(limits: DomainLimits, path: Path) -> None:
    """`domain.npz`: plain arrays."""
    np.savez(path, **{name: getattr(limits, name) for name in _LIMITS})
