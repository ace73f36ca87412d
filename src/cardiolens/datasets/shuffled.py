"""Volumes whose slices stand in a random order of their own: what order is worth to a model."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cardiolens.datasets.volumes import VolumeSet
from cardiolens.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.datasets.splits import Split


def order_of(seed: int, key: str, count: int) -> npt.NDArray[np.int64]:
    """The order of the slices of a volume in one shuffled copy."""
    return np.random.default_rng([seed, zlib.crc32(key.encode())]).permutation(count)


class Shuffled:
    """One shuffled copy of a set: the order is a function of (seed, key), and the same at every load."""

    def __init__(self, volumes: VolumeSet, seed: int) -> None:
        self.volumes, self.seed = volumes, seed

    @property
    def name(self) -> str:
        return f"{self.volumes.name}, slices in random order (seed {self.seed})"

    @property
    def path(self) -> Path:
        return self.volumes.path

    def keys(self) -> tuple[str, ...]:
        return self.volumes.keys()

    def load(self, key: str) -> Volume:
        volume = self.volumes.load(key)
        images = volume.images[order_of(self.seed, key, len(volume))]
        return Volume(images, volume.along, source=volume.source, spacing_mm=volume.spacing_mm, notes=volume.notes)

    def labels(self) -> pd.DataFrame:
        return self.volumes.labels()

    def split(self) -> Split | None:
        return self.volumes.split()

    def hash(self) -> str:
        return f"{self.volumes.hash()}-{self.seed}"
