"""Attention as pictures: every map beside the cine, the rollout over it, and both on one sheet."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cardiolens.explain.maps import Align, AttentionMap, AttentionMaps
from cardiolens.explain.tiles import RGB, columns_for, gathered, line, resized, under, widened

FloatArray = npt.NDArray[np.float32]

_STRONGEST = 0.75  # share of the heat's colour where it is largest
_SHEET_PHASES = 8
_TOP = 95.0  # percentile of a heat that gets the last colour


def cine_frames(clip: Tensor, edge: int) -> RGB:
    """The clip (channel, time, row, col) in grey: (time, edge, edge, 3)."""
    grey = clip.float().mean(0).clamp(0, 1).cpu().numpy()
    frames = [resized((255 * frame).round().astype(np.uint8), edge, smooth=True) for frame in grey]
    pictures: RGB = np.repeat(np.stack(frames)[..., None], 3, axis=-1)
    return pictures


def coloured(values: FloatArray, low: float, high: float) -> RGB:
    """Values to the colours of "inferno", `low` dark and `high` light: shape (..., 3)."""
    scaled = (values - low) / max(high - low, 1e-12)
    colours: RGB = _palette()[(255 * np.clip(scaled, 0, 1)).round().astype(np.uint8)]
    return colours


def tiled(maps: AttentionMaps, clip: Tensor, *, edge: int = 112, align: Align = "resize") -> RGB:
    """Every map in a tile of its own beside the cine: (time, row, col, 3).

    A tile runs from the least to the greatest value of its map over the whole clip; the label gives both in multiples
    of an even spread, so that a map that is flat can be told from one that is not.
    """
    tiles = [under("cine", "", cine_frames(clip, edge))]
    for one in maps:
        values = one.full(maps.size, align).numpy()
        low, high = float(values.min()), float(values.max())
        frames = np.stack([resized(frame, edge, smooth=False) for frame in coloured(values, low, high)])
        tiles.append(under(*_words(one, low, high), frames))
    return np.stack([gathered([tile[i] for tile in tiles]) for i in range(maps.size[0])])


def overlay(maps: AttentionMaps, clip: Tensor, *, edge: int = 448) -> RGB:
    """The rollout in colour over the cine in grey, stronger where there is more of it: (time, edge, edge, 3)."""
    return blended(clip, maps.full_rollout().numpy(), edge=edge)


def blended(clip: Tensor, heat: FloatArray, *, edge: int = 448) -> RGB:
    """Any heat (time, row, col) over a clip (channel, time, row, col).

    The colours run from 0 to the 95th percentile of the heat, so that a few patches do not drown the others.
    """
    high = max(float(np.percentile(heat, _TOP)), 1e-12)
    grey = cine_frames(clip, edge).astype(np.float32)
    out = np.empty_like(grey)
    for i, frame in enumerate(heat):
        share = resized((255 * np.clip(frame / high, 0, 1)).round().astype(np.uint8), edge, smooth=True)
        weight = _STRONGEST * share[..., None].astype(np.float32) / 255
        out[i] = (1 - weight) * grey[i] + weight * _palette()[share]
    mixed: RGB = out.round().astype(np.uint8)
    return mixed


def contact_sheet(maps: AttentionMaps, clip: Tensor, *, title: str, edge: int = 112, align: Align = "resize") -> RGB:
    """One picture (row, col, 3): the cine and the rollout over it at some phases, then every map's mean over time."""
    phases = np.unique(np.linspace(0, maps.size[0] - 1, _SHEET_PHASES).round().astype(int))
    cine, over = cine_frames(clip, edge), overlay(maps, clip, edge=edge)
    tiles = [under("cine", f"frame {i}", cine[i : i + 1])[0] for i in phases]
    tiles += [under("rollout", f"frame {i}", over[i : i + 1])[0] for i in phases]
    means = []
    for one in maps:
        mean = one.full(maps.size, align).mean(0).numpy()
        low, high = float(mean.min()), float(mean.max())
        picture = resized(coloured(mean, low, high), edge, smooth=False)
        means.append(under(*_words(one, low, high), picture[None])[0])
    top, bottom = (
        gathered(tiles, columns=len(phases)),
        gathered(means, columns=max(len(phases), columns_for(len(means)))),
    )
    wide = max(top.shape[1], bottom.shape[1])
    parts = [line(title, wide, 15), widened(top, wide)]
    words = "each patch's attention to the cls token, mean over the clip; range in multiples of an even spread"
    parts += [line(words, wide, 12, faint=True)]
    return np.concatenate([*parts, widened(bottom, wide)])


def _words(one: AttentionMap, low: float, high: float) -> tuple[str, str]:
    return f"block {one.block} head {one.head}", f"{low * one.keys:.2g} - {high * one.keys:.2g} x"


@cache
def _palette() -> RGB:
    from matplotlib import colormaps

    return np.asarray((255 * colormaps["inferno"](np.arange(256))[:, :3]).round(), dtype=np.uint8)
