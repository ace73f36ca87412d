"""Is this study of the kind that the model learned from?  A reference that travels with the weights.

Two views of every clip are compared with the training studies: image statistics (grey levels, noise, motion, texture),
which no network can learn to ignore, and the network's own embedding.  Both distances are Mahalanobis
distances under a Gaussian (Lee et al. 2018); the embedding's covariance is that of probabilistic PCA (Tipping and
Bishop 1999), so that it can be estimated from some hundred studies.  The limit comes from studies held out of the fit,
by the rank rule of split-conformal prediction: of new studies of the same kind, at most a stated share is flagged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import CheckpointError, TrainingError
from cardiolens.models.domain_limits import MIN_STUDIES, DomainLimits
from cardiolens.models.look_names import PLAIN, STATISTICS, Statistic
from cardiolens.models.texture import texture_statistics
from cardiolens.study import View

__all__ = ["MIN_STUDIES", "PLAIN", "STATISTICS", "DomainReference", "Statistic", "domain_features", "image_statistics"]

_TINY = 1e-6
_USUAL = 0.9  # share of held-out clips whose distance is within what is called usual in a view
_ROWS = 1 + len(View)


def image_statistics(clips: Tensor) -> Tensor:
    """Measure each clip: see `STATISTICS` for the columns, the plain ones first, then `texture_statistics`.

    Levels are in units of the clip's grey scale [0, 1]; noise, texture, edge and motion measures are natural
    logarithms, since they vary by factors.  Nothing depends on the other clips of the batch.

    Args:
        clips: (clip, channel, time, row, col), float in [0, 1]; the first channel is measured.

    Returns:
        (clip, len(STATISTICS)), float32, finite also for a constant or a one-frame clip.
    """
    if clips.ndim != 5 or min(clips.shape[1:]) < 1 or min(clips.shape[-2:]) < 8:
        raise ValueError(
            f"clips must be (clip, channel, time, row, col) of at least 8x8 pixels, got {tuple(clips.shape)}"
        )
    return torch.cat([movie_statistics(movie) for movie in torch.split(clips[:, 0].float(), 16)])


def movie_statistics(movie: Tensor) -> Tensor:
    """`image_statistics` of movies (clip, time, row, col), all at once."""
    still = movie[:, :: max(1, movie.shape[1] // 4)]  # four frames tell of noise, texture and detail
    plain = [_levels(movie), _details(still), _spectrum(still), _motion(movie)]
    return torch.cat([*plain, texture_statistics(movie)], dim=1)


def _log(values: Tensor) -> Tensor:
    return torch.log(values.clamp_min(1e-5))


def _levels(movie: Tensor) -> Tensor:
    """Eight columns of grey levels; movie (clip, time, row, col)."""
    flat = movie.flatten(1)
    levels = torch.quantile(
        flat[:, :: max(1, flat.shape[1] // 50_000)], flat.new_tensor([0.05, 0.25, 0.5, 0.75, 0.95]), dim=1
    )
    bins = (flat.clamp(0, 1) * 31.999).long()
    histogram = torch.zeros(flat.shape[0], 32, device=flat.device).scatter_add_(1, bins, torch.ones_like(flat))
    share = histogram / histogram.sum(1, keepdim=True)
    entropy = -(share * torch.log(share.clamp_min(_TINY))).sum(1)
    rows, cols = movie.shape[-2:]
    centre = movie[..., rows // 4 : rows - rows // 4, cols // 4 : cols - cols // 4]
    border_sum = movie.sum((-1, -2)) - centre.sum((-1, -2))
    border = (border_sum / (rows * cols - centre.shape[-1] * centre.shape[-2])).mean(1)
    ratio = torch.log((centre.mean((1, 2, 3)) + 0.02) / (border + 0.02))
    return torch.cat([levels.T, torch.stack([(flat < 0.04).float().mean(1), entropy, ratio], 1)], 1)


def _details(movie: Tensor) -> Tensor:
    """Seven columns of noise, texture and edges within the frames; movie (clip, time, row, col)."""
    fine = movie[..., 2:, :] - 2 * movie[..., 1:-1, :] + movie[..., :-2, :]
    fine = fine[..., 2:] - 2 * fine[..., 1:-1] + fine[..., :-2]  # Immerkaer 1996: noise times 6
    spread = fine.flatten(1).abs().median(1).values / 0.6745
    noise = _log(spread / 6)
    bounded = torch.maximum(torch.minimum(fine, 3 * spread.view(-1, 1, 1, 1)), -3 * spread.view(-1, 1, 1, 1))
    power = bounded.square().mean((1, 2, 3)) + 1e-12
    along = (bounded[..., 1:, :] * bounded[..., :-1, :]).mean((1, 2, 3)) / power
    across = (bounded[..., 1:] * bounded[..., :-1]).mean((1, 2, 3)) / power
    tails = _log(fine.pow(4).mean((1, 2, 3)) / (fine.square().mean((1, 2, 3)).square() + 1e-12))
    local = (F.avg_pool2d(movie.square(), 5, 1) - F.avg_pool2d(movie, 5, 1).square()).clamp_min(0).sqrt()
    texture = torch.quantile(local[..., ::2, ::2].flatten(1), local.new_tensor([0.25, 0.5]), dim=1)
    rise = movie[..., 2:, 1:-1] - movie[..., :-2, 1:-1]
    run = movie[..., 1:-1, 2:] - movie[..., 1:-1, :-2]
    edges = 0.5 * torch.hypot(rise, run)
    strong = torch.quantile(edges[..., ::2, ::2].flatten(1), 0.95, dim=1)
    density = (edges > 0.08).float().mean((1, 2, 3))
    return torch.stack(
        [noise, 0.5 * (along + across), tails, _log(texture[0]), _log(texture[1]), _log(strong), _log(density)], 1
    )


def _spectrum(movie: Tensor) -> Tensor:
    """Two columns: slope of log power on log frequency over 0.05 to 0.45 cycles a pixel, and log share above 0.25."""
    rows, cols = movie.shape[-2:]
    window = torch.hann_window(rows, device=movie.device)[:, None] * torch.hann_window(cols, device=movie.device)[None]
    power = torch.fft.rfft2((movie - movie.mean((-1, -2), keepdim=True)) * window).abs().square().mean(1)
    members, centred, high, all_but_mean = _rings(rows, cols)
    power = power.flatten(1)
    log_power = torch.stack([torch.log(power[:, inside.to(movie.device)].mean(1) + 1e-12) for inside in members], 1)
    centred = centred.to(movie.device)
    slope = (log_power * centred).sum(1) / centred.square().sum()
    share = power[:, high.to(movie.device)].sum(1) / (power[:, all_but_mean.to(movie.device)].sum(1) + 1e-12)
    return torch.stack([slope, _log(share)], 1)


@lru_cache
def _rings(rows: int, cols: int) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
    """Places in the flattened half spectrum of each ring of frequencies, its centred log frequency, places of all
    frequencies above 0.25 and above 0.02; small images lack some rings.  Kept: constants of an exported graph."""
    frequency = torch.hypot(torch.fft.fftfreq(rows)[:, None], torch.fft.rfftfreq(cols)[None]).flatten()
    rings = torch.bucketize(frequency, torch.linspace(0.05, 0.45, 13))
    members = [inside for ring in range(1, 13) if len(inside := (rings == ring).nonzero()[:, 0])]
    log_ring = torch.stack([torch.log(frequency[inside].mean()) for inside in members])
    high, all_but_mean = ((frequency > limit).nonzero()[:, 0] for limit in (0.25, 0.02))
    return members, log_ring - log_ring.mean(), high, all_but_mean


def _motion(movie: Tensor) -> Tensor:
    """Five columns of change over time."""
    moving = movie.var(1, unbiased=False)
    share = moving.mean((1, 2)) / (movie.var((1, 2, 3), unbiased=False) + _TINY)
    deviation = moving.sqrt().flatten(1)
    still, peak = torch.quantile(deviation, deviation.new_tensor([0.1, 0.95]), dim=1)
    if movie.shape[1] >= 3:
        second = movie[:, 2:] - 2 * movie[:, 1:-1] + movie[:, :-2]
        frame_noise = second.flatten(1).abs().median(1).values / 0.6745 / math.sqrt(6)
    else:
        frame_noise = torch.zeros_like(share)
    harmonics = torch.fft.rfft(movie - movie.mean(1, keepdim=True), dim=1).abs().square().mean((2, 3))
    slow = harmonics[:, 1:4].sum(1) / (harmonics[:, 1:].sum(1) + _TINY)
    return torch.stack([_log(share), _log(peak), _log(still), _log(frame_noise), slow], 1)


class _Gaussian(nn.Module):
    """Mean and a low-rank covariance; the distance is about 1 for a clip of the fit, whatever the dimension."""

    centre: Tensor
    scale: Tensor
    basis: Tensor
    rest: Tensor

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.register_buffer("basis", torch.zeros(dim, rank))  # directions divided by their standard deviation
        self.register_buffer("rest", torch.ones(1))  # 1 / standard deviation in every other direction

    def fit(self, features: Tensor, shrinkage: float, *, own_scale: bool) -> None:
        """Estimate from features (clip, dim); `own_scale` standardises each column first."""
        features = features.double()
        centre = features.mean(0)
        spread = (features - centre).square().mean(0).sqrt()
        overall = spread.square().mean().sqrt().clamp_min(1e-9)
        scale = spread.clamp_min(1e-3 * overall) if own_scale else overall.expand_as(spread)
        values = (features - centre) / scale
        variances, directions = torch.linalg.eigh(values.T @ values / len(values))
        variances, directions = variances.flip(0).clamp_min(0), directions.flip(1)
        variances = (1 - shrinkage) * variances + shrinkage * variances.mean()
        kept, left = variances[: self.rank], variances[self.rank :]
        self.centre.copy_(centre)
        self.scale.copy_(scale)
        self.basis.copy_(directions[:, : self.rank] / kept.sqrt())
        self.rest.copy_((left.mean() if len(left) else kept[-1]).rsqrt())

    def forward(self, features: Tensor) -> Tensor:
        """Mahalanobis distance over the square root of the dimension; (clip, dim) -> (clip,)."""
        values = (features.float() - self.centre) / self.scale
        inside = values @ self.basis
        if self.rank == features.shape[1]:
            return inside.square().mean(1).sqrt()
        directions = F.normalize(self.basis, dim=0)
        outside = (values.square().sum(1) - (values @ directions).square().sum(1)).clamp_min(0)
        return ((inside.square().sum(1) + outside * self.rest.square()) / features.shape[1]).sqrt()


class DomainReference(nn.Module):
    """What in-domain clips look like; buffers only, so it is saved with the weights.

    A clip's features are its embedding followed by its `image_statistics` (`domain_features`).  Both distances of a
    clip are divided by what is usual in its view, since views differ; the medians over a study's clips, divided by
    their limit, give its score.  A score above `threshold` means: unlike the studies the model learned from.
    """

    limits: Tensor
    cutoff: Tensor
    low: Tensor
    high: Tensor
    counts: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.embedding_dim = dim - len(STATISTICS)
        if self.embedding_dim < 1:
            raise CheckpointError(f"a domain reference needs more than {len(STATISTICS)} features, got {dim}")
        self.look = _Gaussian(len(STATISTICS), len(STATISTICS))
        self.embedding = _Gaussian(self.embedding_dim, min(32, self.embedding_dim))
        # Rows: all views together, then each view.
        self.register_buffer("limits", torch.ones(_ROWS, 2))  # usual distance of a clip: look, embedding
        self.register_buffer("cutoff", torch.full((_ROWS, 2), torch.nan))  # limit: of a study, of a single clip
        self.register_buffer("low", torch.zeros(_ROWS, len(STATISTICS)))
        self.register_buffer("high", torch.zeros(_ROWS, len(STATISTICS)))
        self.register_buffer("counts", torch.zeros(1 + _ROWS))  # studies of the fit; held out, by row

    @property
    def threshold(self) -> float:
        """Score above which a study is out of domain, 1; `CheckpointError` before `fit` or loading."""
        return self.reading().threshold

    def reading(self) -> DomainLimits:
        """The limits, in numpy: what judges a study once its distances are known."""
        names = ("limits", "cutoff", "low", "high", "counts")
        return DomainLimits(**{name: getattr(self, name).detach().cpu().numpy().copy() for name in names})

    @torch.no_grad()
    def fit(
        self,
        train: Sequence[Tensor],
        held_out: Sequence[tuple[Tensor, Sequence[View]]],
        *,
        quantile: float = 0.98,
        shrinkage: float = 0.005,
    ) -> dict[str, Any]:
        """Learn the reference.

        Args:
            train: one (clip, dim) tensor a study; some hundred studies, not fewer than ten.
            held_out: the same with the view of each clip, of studies that took no part in this fit; at least 10, and
                1 / (1 - quantile) of them for the quantile to mean what it says.
            quantile: share of new in-domain studies that pass, whole or with any one view alone.
            shrinkage: of the eigenvalues towards their mean.

        Returns:
            What a model card says of it: counts, quantile, threshold.

        Raises:
            TrainingError: too few studies, or features of another width.
        """
        if len(train) < MIN_STUDIES or len(held_out) < MIN_STUDIES:
            raise TrainingError(
                f"an out-of-domain reference needs {MIN_STUDIES} studies to fit and {MIN_STUDIES} held out, "
                f"got {len(train)} and {len(held_out)}"
            )
        every = [*train, *(features for features, _ in held_out)]
        if any(study.ndim != 2 or study.shape[1] != self.dim or len(study) < 1 for study in every):
            raise TrainingError(f"each study's domain features must be (clip, {self.dim})")
        pooled = torch.cat(list(train)).float()
        self.look.fit(pooled[:, self.embedding_dim :], shrinkage, own_scale=True)
        self.embedding.fit(pooled[:, : self.embedding_dim], shrinkage, own_scale=False)
        groups: list[list[tuple[Tensor, Sequence[View]]]] = [
            list(held_out),
            *([_only(pair, view) for pair in held_out] for view in View),
        ]
        groups = [[pair for pair in group if len(pair[0])] for group in groups]
        for row, group in enumerate(groups):
            known = group if len(group) >= MIN_STUDIES else groups[0]  # a rare view is held to what all views show
            parts = torch.cat([self.parts(features) for features, _ in known])
            self.limits[row] = torch.stack([_upper(part, _USUAL) for part in parts.T])
            self._range(row, [features for features, _ in known])
        reading = self.reading()
        for row, group in enumerate(groups):
            known = group if len(group) >= MIN_STUDIES else groups[0]
            scaled = [torch.from_numpy(reading.scaled(self.distances(one[0]), one[1])) for one in known]
            studies = torch.stack([part.median(0).values.max() for part in scaled])
            self.cutoff[row, 0] = _upper(studies, quantile)
            self.cutoff[row, 1] = _upper(torch.cat(scaled).amax(1), quantile)
        self.counts.copy_(torch.tensor([len(train), *map(len, groups)]))
        held_out_by_view = {str(view): len(group) for view, group in zip(View, groups[1:], strict=True)}
        return {
            "dim": self.dim,
            "quantile": quantile,
            "threshold": self.threshold,
            "n_fit": len(train),
            "n_held_out": len(held_out),
            "n_held_out_by_view": held_out_by_view,
        }

    def _range(self, row: int, studies: Sequence[Tensor]) -> None:
        """Where the image statistics of a group of studies lie, for `reasons`."""
        seen = torch.stack([study[:, self.embedding_dim :].float().median(0).values for study in studies])
        margin = 0.1 * (seen.amax(0) - seen.amin(0)) + _TINY
        self.low[row], self.high[row] = seen.amin(0) - margin, seen.amax(0) + margin

    def unsure_of(self, views: Iterable[View]) -> list[View]:
        """Those of the views that fewer than ten held-out studies had, so that they are held to all views' limits."""
        return self.reading().unsure_of(views)

    def parts(self, features: Tensor) -> Tensor:
        """(clip, 2): distance of the look and of the embedding."""
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise ValueError(f"domain features must be (clip, {self.dim}), got {tuple(features.shape)}")
        embedding, look = features[:, : self.embedding_dim], features[:, self.embedding_dim :]
        return torch.stack([self.look(look), self.embedding(embedding)], 1)

    @torch.no_grad()
    def distances(self, features: Tensor) -> npt.NDArray[np.float32]:
        """`parts` in numpy."""
        found: npt.NDArray[np.float32] = self.parts(features).cpu().numpy()
        return found

    def score(self, features: Tensor, views: Sequence[View]) -> Tensor:
        """Score of each clip by itself, (clip,): above 1 for few single clips of in-domain studies."""
        return torch.from_numpy(self.reading().score(self.distances(features), views))

    def study_score(self, features: Tensor, views: Sequence[View]) -> float:
        """Score of a study from all its clips (clip, dim) and their views; compare with `threshold`."""
        return self.reading().study_score(self.distances(features), views)

    def reasons(self, features: Tensor, views: Sequence[View], most: int = 6) -> list[str]:
        """In plain words, the measured properties of a study (clip, dim) outside the range of the reference studies."""
        look = features[:, self.embedding_dim :].float().cpu().numpy()
        return self.reading().reasons(look, self.distances(features), views, most)


def _only(pair: tuple[Tensor, Sequence[View]], view: View) -> tuple[Tensor, Sequence[View]]:
    """The clips of one view; none where the study has none."""
    features, views = pair
    if len(views) != len(features):
        raise TrainingError(f"one view a clip, got {len(views)} views for {len(features)} clips")
    kept = [i for i, of in enumerate(views) if of == view]
    return features[kept], [view] * len(kept)


def _upper(scores: Tensor, quantile: float) -> Tensor:
    """The split-conformal upper quantile: the ceil((n + 1) q)-th smallest, at most the greatest."""
    rank = min(len(scores), math.ceil((len(scores) + 1) * quantile))
    return scores.sort().values[rank - 1]


def domain_features(embeddings: Tensor, clips: Tensor) -> Tensor:
    """Features for `DomainReference`: embeddings (clip, d) beside the statistics of clips (clip, c, t, h, w)."""
    return torch.cat([embeddings.float(), image_statistics(clips).to(embeddings.device)], 1)
