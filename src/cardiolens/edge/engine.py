"""An exported model as an engine: computed by ONNX Runtime, PyTorch is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cardiolens.edge.folder import DOMAIN, ENCODER, HEADS, EdgeFolder, Precision
from cardiolens.engine import HeadFacts, Pooled, Values
from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.card import Card
from cardiolens.models.domain_limits import DomainLimits


class OnnxEngine:
    """The graphs of an exported folder, ready to answer.

    >>> Predictor(OnnxEngine("edge", "int8"))(study).lvef_pct                    # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | Path,
        precision: Precision = "fp32",
        *,
        batch_size: int = 16,
        threads: int | None = None,
        judged: bool = True,
    ) -> None:
        """Open an export.

        Args:
            folder: that `cardiolens export` wrote.
            precision: of the encoder's weights; "int8" is refused where the export found it too far off.
            batch_size: clips at once; bounds the memory.
            threads: of ONNX Runtime; None for one a core.
            judged: False while the export is being compared with the network.

        Raises:
            CheckpointError: no export, a file missing or changed, or 8 bits too far from the network.
            InputError: onnxruntime is not installed.
        """
        held = EdgeFolder.open(folder)
        if precision not in held.precisions:
            there = ", ".join(held.precisions) or "nothing"
            raise CheckpointError(f"{held.path} holds {there}, not {precision}; export the model again")
        found = held.parity.get(precision, {})
        if judged and not found.get("good", False):
            raise CheckpointError(
                f"{held.path}: {precision} is too far from the network ({found.get('why', 'not compared')}; "
                "parity.md says more); take --engine onnx"
            )
        self.name = "onnx" if precision == "fp32" else f"onnx-{precision}"
        self.notes: tuple[str, ...] = (_note(found),) if judged and precision != "fp32" else ()
        self.card: Card = held.card()
        self.heads: Mapping[str, HeadFacts] = held.heads
        self.domain: DomainLimits | None = held.limits()
        self._batch_size = batch_size
        self._told = {"precision": precision, "exported_with": held.fields["cardiolens"]}
        self._encoder = _session(held.checked(ENCODER[precision]), threads)
        self._heads = _session(held.checked(HEADS), threads)
        self._domain = None if self.domain is None else _session(held.checked(DOMAIN), threads)

    def encode(self, clips: Values) -> tuple[Values, Values]:
        """See `Engine.encode`."""
        parts = [self._encoder.run(["features", "embeddings"], {"clips": part}) for part in self._parts(clips)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def measure(self, task: str, features: Values) -> Pooled:
        """See `Engine.measure`."""
        if task not in self.heads:
            raise CheckpointError(f"{self.card.full_name} has no head '{task}' (heads: {', '.join(self.heads)})")
        names = [f"{task}.{what}" for what in Pooled._fields]
        return Pooled(*self._heads.run(names, {"features": features}))

    def distances(self, embeddings: Values, clips: Values) -> tuple[Values, Values]:
        """See `Engine.distances`."""
        if self._domain is None:
            raise CheckpointError(f"{self.card.full_name} carries no reference of the studies it learned from")
        pairs = zip(self._parts(embeddings), self._parts(clips), strict=True)
        parts = [self._domain.run(["look", "distances"], {"embeddings": e, "clips": c}) for e, c in pairs]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def provenance(self) -> dict[str, Any]:
        """Versions and precision."""
        import onnxruntime

        return {"onnxruntime": onnxruntime.__version__, **self._told}

    def _parts(self, rows: Values) -> list[Values]:
        return [rows[start : start + self._batch_size] for start in range(0, len(rows), self._batch_size)]


def _note(found: Mapping[str, Any]) -> str:
    lvef = found["differences"].get("lvef_points")
    far = "" if lvef is None else f", in which LVEF differed by up to {lvef['max']:.2f} points"
    return (
        f"Computed with 8-bit weights; interval, thresholds and out-of-domain limits are those of full precision, from "
        f"which {found['studies']} studies were compared{far}."
    )


def _session(path: Path, threads: int | None) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError("--engine onnx needs onnxruntime: pip install 'cardiolens[edge]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each failure, none public
        raise CheckpointError(f"{path} cannot be run ({str(error).splitlines()[0]}); export the model again") from error
