"""Embeddings in two dimensions, and how far what lies together belongs together."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cardiolens.errors import InputError
from cardiolens.study import View

Method = Literal["tsne", "umap", "pca"]
METHODS: tuple[Method, ...] = ("tsne", "umap", "pca")
Neighbours = npt.NDArray[np.int64]
_PERPLEXITY = 30.0
_UMAP_NEIGHBOURS = 15
_MOST_ASKED = 20_000
_COMPONENTS = 50  # principal components that t-SNE and UMAP start from


def project(rows: npt.ArrayLike, method: Method = "tsne", seed: int = 0) -> npt.NDArray[np.float64]:
    """(n, width) to (n, 2): t-SNE (van der Maaten & Hinton 2008), UMAP (McInnes et al. 2018) or principal components.

    t-SNE and UMAP start from the first 50 principal components; the same seed gives the same map.

    Raises:
        InputError: fewer than four rows, NaN, an unknown method, or UMAP where umap-learn is not installed.
    """
    values = np.asarray(rows, dtype=np.float64)
    if values.ndim != 2 or len(values) < 4:
        raise InputError(f"a map needs four or more vectors (n, width), got shape {values.shape}")
    if not np.isfinite(values).all():
        raise InputError("a map of vectors with NaN cannot be made")
    if method not in METHODS:
        raise InputError(f"the method of a map is {', '.join(METHODS)}, not {method!r}")
    if method == "pca":
        return _principal(values, 2)
    reduced = _principal(values, min(_COMPONENTS, *values.shape))
    if method == "umap":
        return _umap(reduced, seed)
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(values) - 1) / 3)
    start = "pca" if np.ptp(reduced) > 0 else "random"
    found: npt.NDArray[np.float64] = TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(
        reduced
    )
    return found.astype(np.float64)


def view_mixing(
    rows: npt.ArrayLike, views: Sequence[View | str], k: int = 10, *, patients: Sequence[str] | None = None
) -> float:
    """Share of the k nearest clips that are of the same view: 1 where views keep apart, least where they mix.

    `expected_share` is what neighbours drawn at random would give.

    Args:
        rows: (clip, width) of unit length.
        patients: (clip,) neighbours of the same patient are not counted; give it, since clips of one study resemble
            each other for reasons other than what they show.

    Raises:
        InputError: lengths that differ, or no possible neighbour.
    """
    return neighbour_share(rows, [str(view) for view in views], k, patients=patients)


def neighbour_share(
    rows: npt.ArrayLike, groups: Sequence[str], k: int = 10, *, patients: Sequence[str] | None = None
) -> float:
    """Mean share of the k nearest (by cosine, of other patients) that are of the same group; as `asked` counts."""
    chosen = asked(len(groups))
    near = nearest(rows, k, patients=patients, of=chosen)
    group = np.unique(list(groups), return_inverse=True)[1]
    if len(group) != len(np.asarray(rows)):
        raise InputError(f"as many groups as vectors: {len(group)} and {len(np.asarray(rows))}")
    there = near >= 0
    same = (group[near] == group[chosen, None]) & there
    return float((same.sum(1) / there.sum(1)).mean())


def neighbour_correlation(
    rows: npt.ArrayLike, values: npt.ArrayLike, k: int = 10, *, patients: Sequence[str] | None = None
) -> float:
    """Pearson correlation of a number with its mean over the k nearest of other patients; NaN where one is constant."""
    number = np.asarray(values, dtype=np.float64)
    if number.shape != (len(np.asarray(rows)),) or not np.isfinite(number).all():
        raise InputError(f"as many finite values as vectors: {number.shape} for {len(np.asarray(rows))}")
    chosen = asked(len(number))
    near = nearest(rows, k, patients=patients, of=chosen)
    there = near >= 0
    mean, own = np.where(there, number[near], 0.0).sum(1) / there.sum(1), number[chosen]
    if np.ptp(mean) == 0 or np.ptp(own) == 0:
        return float("nan")
    return float(np.corrcoef(own, mean)[0, 1])


def asked(n: int) -> Neighbours:
    """Rows whose neighbours are counted: all, or of more than 20,000 that many, drawn once and for all."""
    if n <= _MOST_ASKED:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, size=_MOST_ASKED, replace=False))


def nearest(
    rows: npt.ArrayLike,
    k: int,
    *,
    patients: Sequence[str] | None = None,
    of: Neighbours | None = None,
    block: int = 512,
) -> Neighbours:
    """(len(of), k) numbers of the rows nearest by cosine, of other patients; -1 where there are fewer.

    Args:
        of: numbers of the rows asked for; None for all.
    """
    values = np.asarray(rows, dtype=np.float32)
    n = len(values)
    own = [str(i) for i in range(n)] if patients is None else list(patients)
    if values.ndim != 2 or n != len(own):
        raise InputError(f"as many patients as vectors (n, width): {len(own)} for {values.shape}")
    patient = np.unique(own, return_inverse=True)[1]
    if k < 1 or n < 2 or patient.max() == 0:
        raise InputError("neighbours of other patients need clips of two or more patients, and k of 1 or more")
    chosen = np.arange(n) if of is None else of
    reach = min(k, n - 1)
    found = np.empty((len(chosen), reach), dtype=np.int64)
    for start in range(0, len(chosen), block):
        part = chosen[start : start + block]
        similarity = values[part] @ values.T
        similarity[patient[part, None] == patient[None]] = -np.inf
        near = np.argpartition(-similarity, reach - 1, axis=1)[:, :reach]
        possible = np.isfinite(np.take_along_axis(similarity, near, axis=1))
        found[start : start + block] = np.where(possible, near, -1)
    return found


def expected_share(groups: Sequence[str], patients: Sequence[str] | None = None) -> float:
    """What `neighbour_share` would be if neighbours were drawn at random among the clips of other patients."""
    n = len(groups)
    own = [str(i) for i in range(n)] if patients is None else list(patients)
    group, patient = (np.unique(names, return_inverse=True)[1] for names in (list(groups), own))
    table = np.zeros((patient.max() + 1, group.max() + 1))
    np.add.at(table, (patient, group), 1.0)
    others = table.sum(0)[group] - table[patient, group]
    return float(np.mean(others / np.maximum(n - table.sum(1)[patient], 1)))


def _principal(values: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """(n, count or 2) scores, each component turned so that its largest loading is positive."""
    left, size, right = np.linalg.svd(values - values.mean(0), full_matrices=False)
    count = min(count, len(size))
    largest = right[np.arange(count), np.abs(right[:count]).argmax(1)]
    scores: npt.NDArray[np.float64] = left[:, :count] * size[:count] * np.where(largest < 0, -1.0, 1.0)
    return scores if count >= 2 else np.pad(scores, ((0, 0), (0, 2 - count)))


def _umap(values: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    try:
        umap: Any = importlib.import_module("umap")
    except ImportError as error:
        raise InputError(
            "method umap needs the package umap-learn: pip install 'cardiolens[maps]'; or take tsne or pca"
        ) from error
    neighbours = min(_UMAP_NEIGHBOURS, len(values) - 1)
    reducer = umap.UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1)
    return np.asarray(reducer.fit_transform(values), dtype=np.float64)
