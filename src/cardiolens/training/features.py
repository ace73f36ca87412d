"""What a frozen encoder says of every clip, computed once and kept: any head then trains in seconds."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cardiolens.models.domain import STATISTICS, image_statistics
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.study import View
from cardiolens.training.data import ClipSource

logger = logging.getLogger(__name__)

Where = tuple[View, int]
StudyFeatures = Mapping[Where, Tensor]


def state_hash(module: nn.Module) -> str:
    """SHA-256 over names and values of a module's weights, first 16 hex digits."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class FeatureCache:
    """One file a study: encoder features (clip, width) and image statistics (clip, k) of all usable planes.

    Files lie under the hash of the encoder and carry the content hash of the study; either changing makes them anew.
    """

    def __init__(self, folder: Path, model: DualEncoder, source: ClipSource, *, batch: int = 16) -> None:
        self.model, self.source, self.batch = model, source, batch
        what = state_hash(model.video_encoder) + str(source.transform) + str(STATISTICS)
        digest = hashlib.sha256(what.encode())
        self.folder = folder / digest.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)

    def compute(self, keys: Sequence[str], title: str = "features") -> dict[str, tuple[StudyFeatures, StudyFeatures]]:
        """Key to (features, image statistics) by (view, plane); resumes where it was stopped."""
        missing = [key for key in keys if not self._path(key).exists() or not self._is_current(key)]
        for key in track(missing, description=title, disable=len(missing) < 3):
            self._write(key)
        return {key: self._read(key) for key in keys}

    def _path(self, key: str) -> Path:
        return self.folder / (key.replace("/", "__") + ".safetensors")

    def _is_current(self, key: str) -> bool:
        with safe_open(self._path(key), framework="pt") as file:
            return bool((file.metadata() or {}).get("content") == self.source.store.hash_of(key))

    def _write(self, key: str) -> None:
        import numpy as np

        where = self.source.planes(key, "all", np.random.default_rng(0))
        device = next(self.model.video_encoder.parameters()).device
        was_training = self.model.training
        self.model.eval()
        features, looks = [], []
        with torch.inference_mode():
            for start in range(0, len(where), self.batch):
                clips = torch.stack([self.source.clip(key, *w) for w in where[start : start + self.batch]])
                features.append(self.model.features(clips.to(device)).float().cpu())
                looks.append(image_statistics(clips))
        self.model.train(was_training)
        part = self._path(key).with_suffix(".part")
        metadata = {
            "content": self.source.store.hash_of(key),
            "planes": " ".join(f"{view}:{plane}" for view, plane in where),
        }
        save_file({"features": torch.cat(features), "look": torch.cat(looks)}, part, metadata)
        part.replace(self._path(key))

    def _read(self, key: str) -> tuple[StudyFeatures, StudyFeatures]:
        with safe_open(self._path(key), framework="pt") as file:
            names = [name.split(":") for name in file.metadata()["planes"].split()]
            features, look = file.get_tensor("features"), file.get_tensor("look")
        where = [(View(view), int(plane)) for view, plane in names]
        return dict(zip(where, features, strict=True)), dict(zip(where, look, strict=True))
