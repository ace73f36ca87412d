"""A set of beating discs in memory: the more they shrink, the higher their EF."""

from pathlib import Path

import numpy as np
import pandas as pd

from cardiolens.datasets.splits import Split
from cardiolens.errors import ReadError
from cardiolens.volume import Volume


class Discs:
    """A `VolumeSet`; with `broken`, that loop cannot be read, and with `short`, that one has too few frames."""

    name = "discs"
    path = Path("discs")

    def __init__(self, count=16, *, own_split=True, broken=None, short=None):
        self.count, self.own_split, self.broken, self.short = count, own_split, broken, short

    def keys(self):
        return tuple(f"p{index:02d}/a" for index in range(self.count))

    def _share(self, key):
        return np.random.default_rng([7, int(key[1:3])]).uniform(0.4, 0.9)

    def load(self, key):
        if key == self.broken:
            raise ReadError(f"{key}: damaged")
        rng = np.random.default_rng(int(key[1:3]))
        times = np.arange(3 if key == self.short else 24)
        radius = 9 * (1 - (1 - self._share(key)) * (0.5 - 0.5 * np.cos(2 * np.pi * times / 8)))
        at = np.arange(40) - 19.5
        disc = np.hypot(at[:, None], at[None])[None] < radius[:, None, None]
        return Volume((200 * disc + rng.uniform(0, 40, disc.shape)).astype(np.uint8), "time", source=key)

    def labels(self):
        ef = {key: 100 * (1 - self._share(key) ** 2) for key in self.keys()}
        table = pd.DataFrame({"ef": ef}).rename_axis("key")
        table["low"] = (table["ef"] < table["ef"].median()).astype(float)
        table.loc[self.keys()[0], "ef"] = np.nan
        return table

    def split(self):
        if not self.own_split:
            return None
        keys, n = self.keys(), self.count
        return Split({"train": keys[: n // 2], "val": keys[n // 2 : 3 * n // 4], "test": keys[3 * n // 4 :]})

    def hash(self):
        return "discs0"
