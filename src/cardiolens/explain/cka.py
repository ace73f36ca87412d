"""Centred kernel alignment (Kornblith et al. 2019, arXiv 1905.00414) between 2D trunks, slice by slice.

As in Avram et al. 2024: each slice of each volume goes through both trunks by itself, and the two maps are compared
over their places.  The paper gives no more than that; that places are the examples and channels the features is ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cardiolens.errors import InputError
from cardiolens.models.trunk import trunk_map

FloatArray = npt.NDArray[np.float64]
TOP = 0.05


def linear_cka(x: Tensor, y: Tensor, *, debiased: bool = True) -> float:
    """Likeness of two sets of features of the same examples.

    Args:
        x, y: (example, feature); the numbers of features may differ.
        debiased: by the unbiased estimate of HSIC (Song et al. 2012), without which few examples of many features
            always look alike; may then fall below 0.

    Raises:
        InputError: other numbers of examples, or too few (two; debiased four).
    """
    fewest = 4 if debiased else 2
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < fewest:
        raise InputError(f"CKA compares (example, feature) of {fewest} examples or more: {x.shape}, {y.shape}")
    k, m = (_kernel(features.double(), debiased) for features in (x, y))
    scale = float(_inner(k, k, debiased) * _inner(m, m, debiased))
    return float(_inner(k, m, debiased)) / math.sqrt(scale) if scale > 0 else math.nan


def _kernel(features: Tensor, debiased: bool) -> Tensor:
    """(example, example) products, centred; debiased: U-centred with an empty diagonal."""
    products = features @ features.T
    n = len(products)
    if not debiased:
        return products - products.mean(0) - products.mean(1, keepdim=True) + products.mean()
    products = products - torch.diag(products.diagonal())
    means = products.sum(0) / (n - 2)
    centred = products - means - means[:, None] + products.sum() / ((n - 1) * (n - 2))
    return centred - torch.diag(centred.diagonal())


def _inner(k: Tensor, m: Tensor, debiased: bool) -> Tensor:
    n = len(k)
    return (k * m).sum() / (n * (n - 3) if debiased else 1)


@dataclass(frozen=True)
class PairLikeness:
    """CKA of two trunks over all slices.

    Attributes:
        scores: (slice,) of all volumes; slices without any variation are left out.
        overall, top: mean of all, and of the highest 5 %.
    """

    first: str
    second: str
    scores: FloatArray

    @property
    def overall(self) -> float:
        return float(self.scores.mean())

    @property
    def highest(self) -> FloatArray:
        """The highest 5 % of the scores."""
        return np.sort(self.scores)[-max(1, math.ceil(TOP * self.scores.size)) :]

    @property
    def top(self) -> float:
        return float(self.highest.mean())


@torch.inference_mode()
def compare_trunks(
    trunks: Mapping[str, nn.Module], volumes: Iterable[Tensor], *, debiased: bool = True
) -> list[PairLikeness]:
    """Every pair of trunks over the slices of volumes.

    Args:
        trunks: name -> a model with a `feature_extractor` (SLIViT or `SliceClassifier`).
        volumes: (slice, row, col) in [0, 1].

    Raises:
        InputError: fewer than two trunks, or no slice to compare over.
    """
    if len(trunks) < 2:
        raise InputError(f"two trunks or more can be compared, got {', '.join(trunks) or 'none'}")
    pairs = list(combinations(trunks, 2))
    found: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    for model in trunks.values():
        model.eval()
    for volume in volumes:
        maps = {name: _maps(model, volume) for name, model in trunks.items()}
        for a, b in pairs:
            found[a, b] += [linear_cka(x, y, debiased=debiased) for x, y in zip(maps[a], maps[b], strict=True)]
    likeness = []
    for (a, b), scores in found.items():
        kept = np.array([score for score in scores if math.isfinite(score)])
        if kept.size == 0:
            raise InputError(f"no slice on which {a} and {b} say anything: blank volumes?")
        likeness.append(PairLikeness(a, b, kept))
    return likeness


def _maps(model: nn.Module, volume: Tensor) -> Tensor:
    """(slice, place, channel) of the trunk's map of every slice by itself."""
    channels = model.config.trunk.channels  # type: ignore[union-attr] # of both kinds of models
    device = next(model.parameters()).device
    images = volume[:, None].expand(-1, int(channels), -1, -1).to(device)  # type: ignore[arg-type]
    return trunk_map(model.feature_extractor, images).flatten(2).transpose(1, 2).cpu()  # type: ignore[arg-type]


def likeness_p(one: FloatArray, other: FloatArray) -> float:
    """Two-sided Welch t-test of two distributions of scores, as the paper takes it.

    Slices of one volume are no independent cases, so it says too much; see the distributions.
    """
    from scipy.stats import ttest_ind

    return float(ttest_ind(one, other, equal_var=False).pvalue)
