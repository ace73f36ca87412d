"""What the order of slices is worth to a model: its figures on copies of a set whose slices are shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiolens.datasets.shuffled import order_of
from cardiolens.errors import InputError
from cardiolens.progress import track
from cardiolens.stats import weighted
from cardiolens.training.slice_data import SliceSource
from cardiolens.training.slice_models import VolumeModel
from cardiolens.training.slices import predict_volumes

FloatArray = npt.NDArray[np.float64]


def shuffled_predictions(
    model: VolumeModel, source: SliceSource, keys: Sequence[str], *, copies: int = 100, seed: int = 0
) -> Tensor:
    """(copy, key, output): what a model says when a volume's slices stand in random orders of their own."""
    found = []
    for copy in track(range(copies), "shuffled copies"):

        def turned(key: str, copy: int = copy) -> Tensor:
            slices = source.slices(key)
            return slices[torch.from_numpy(order_of(seed + copy, key, len(slices)))]

        found.append(predict_volumes(model, SliceSource(turned, cache=False), keys))
    return torch.stack(found)


@dataclass(frozen=True, eq=False)
class OrderStudy:
    """A figure in order and over the shuffled copies.

    Attributes:
        in_order: on the set as it is.
        shuffled: (copy,).
        rank: place of `in_order` among all, 1 the best (ties halve).
    """

    metric: str
    in_order: float
    shuffled: FloatArray

    @property
    def rank(self) -> float:
        sign = -1.0 if self.metric in ("mae", "rmse") else 1.0
        better = float((sign * self.shuffled > sign * self.in_order).sum())
        return 1.0 + better + 0.5 * float((self.shuffled == self.in_order).sum())

    @property
    def lost(self) -> float:
        """In order less the mean over the copies."""
        return self.in_order - float(self.shuffled.mean())


def order_study(metric: str, labels: npt.ArrayLike, in_order: npt.ArrayLike, shuffled: npt.ArrayLike) -> OrderStudy:
    """One output's figure in order and shuffled.

    Args:
        metric: of `stats.weighted`: "r2", "mae", "auroc", "average_precision", ...
        labels, in_order: (key,).
        shuffled: (copy, key).
    """
    if metric not in weighted.BY_NAME:
        raise InputError(f"unknown metric {metric!r}; known: {', '.join(weighted.BY_NAME)}")
    of = weighted.BY_NAME[metric]
    true, ones = np.asarray(labels, dtype=np.float64), np.ones(len(np.asarray(labels)))

    def figure(said: FloatArray) -> float:
        first, second = (true, said) if metric in ("auroc", "average_precision") else (said, true)
        return float(of(first, second, ones))

    rows = np.asarray(shuffled, dtype=np.float64)
    return OrderStudy(metric, figure(np.asarray(in_order, dtype=np.float64)), np.array([figure(row) for row in rows]))
