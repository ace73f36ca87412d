"""What a frozen encoder says of every clip, computed once and kept: any head then trains in seconds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cardiolens.models.domain import STATISTICS, image_statistics
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.progress import track
from cardiolens.study import View
from cardiolens.training.data import ClipSource

Where = tuple[View, int]
StudyFeatures = Mapping[Where, Tensor]


def state_hash(module: nn.Module) -> str:
    """SHA-256 over names and values of a module's weights, first 16 hex digits."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class ClipTable:
    """A vector for every usable plane of every study, one file a study, made once.

    Files lie under the hash of what measures and carry the content hash of their study; a change makes them anew.
    """

    def __init__(
        self, folder: Path, source: ClipSource, what: str, measure: Callable[[Tensor], Tensor], *, batch: int = 16
    ) -> None:
        self.source, self.measure, self.batch = source, measure, batch
        self.folder = folder / hashlib.sha256((what + str(source.transform)).encode()).hexdigest()[:16]

    def compute(self, keys: Sequence[str], title: str) -> dict[str, StudyFeatures]:
        """Key to (view, plane) to a vector; resumes where it was stopped."""
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [key for key in keys if not self._path(key).exists() or not self._is_current(key)]
        for key in track(missing, title):
            self._write(key)
        return {key: self._read(key) for key in keys}

    def _path(self, key: str) -> Path:
        return self.folder / (key.replace("/", "__") + ".safetensors")

    def _is_current(self, key: str) -> bool:
        with safe_open(self._path(key), framework="pt") as file:
            return bool((file.metadata() or {}).get("content") == self.source.store.hash_of(key))

    def _write(self, key: str) -> None:
        where = self.source.planes(key, "all", np.random.default_rng(0))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(where), self.batch):
                clips = torch.stack([self.source.clip(key, *w) for w in where[start : start + self.batch]])
                parts.append(self.measure(clips).float().cpu())
        part = self._path(key).with_suffix(f".{os.getpid()}.part")
        metadata = {
            "content": self.source.store.hash_of(key),
            "planes": " ".join(f"{view}:{plane}" for view, plane in where),
        }
        save_file({"rows": torch.cat(parts)}, part, metadata)
        part.replace(self._path(key))

    def _read(self, key: str) -> StudyFeatures:
        with safe_open(self._path(key), framework="pt") as file:
            names = [name.split(":") for name in file.metadata()["planes"].split()]
            rows = file.get_tensor("rows")
        return dict(zip([(View(view), int(plane)) for view, plane in names], rows, strict=True))


def encoder_table(folder: Path, model: DualEncoder, source: ClipSource) -> ClipTable:
    """Features (clip, width) of the model's encoder as it is now, in evaluation mode."""

    def measure(clips: Tensor) -> Tensor:
        was_training = model.video_encoder.training
        model.video_encoder.eval()
        features = model.features(clips.to(model.video_proj.weight.device))
        model.video_encoder.train(was_training)
        return features

    return ClipTable(folder / "features", source, state_hash(model.video_encoder), measure)


def look_table(folder: Path, source: ClipSource) -> ClipTable:
    """Image statistics (clip, k) that the out-of-domain reference compares."""
    return ClipTable(folder / "look", source, str(STATISTICS), image_statistics)
