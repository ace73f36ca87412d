"""From the frames of one plane to a clip for the network.

The transform travels with the weights: the one in a model's card is used at training, at prediction and in the app.
The arithmetic is numpy's, so that it is the same where there is no PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import CheckpointError, ReadError

if TYPE_CHECKING:
    from torch import Tensor

Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ClipTransform:
    """One plane to one clip: uniform frames in time, short side resized, centre cropped, scaled to [0, 1].

    The geometry in pixels (short side 264, crop 224) is that of Shad et al.'s published inputs; the percentiles between
    which intensities are scaled are our choice, since MR units are arbitrary.

    Attributes:
        frames: frames kept, evenly spaced over the cycle; a plane with fewer repeats some.
        short_side: pixels of the shorter image side after resizing.
        crop: side of the centred square that is kept, pixels.
        channels: 1, or 3 copies of the grey image.
        percentiles: intensities of the plane (over time and space) that become 0 and 1.
    """

    frames: int = 16
    short_side: int = 264
    crop: int = 224
    channels: int = 1
    percentiles: tuple[float, float] = (0.5, 99.5)

    def __post_init__(self) -> None:
        object.__setattr__(self, "percentiles", (float(self.percentiles[0]), float(self.percentiles[1])))
        if self.crop > self.short_side or min(self.frames, self.crop) < 1 or self.channels not in (1, 3):
            raise CheckpointError(f"impossible clip transform {self}; crop must fit the short side, channels be 1 or 3")

    def __call__(self, plane: npt.NDArray[Any]) -> Tensor:
        """`clip` as a tensor of PyTorch."""
        import torch

        return torch.from_numpy(self.clip(plane))

    def clip(self, plane: npt.NDArray[Any]) -> Frames:
        """Make a clip of one plane.

        Args:
            plane: (time, row, col), any real dtype.

        Returns:
            (channels, frames, crop, crop), float32 in [0, 1].

        Raises:
            ReadError: a plane of another shape or with NaN.
        """
        if plane.ndim != 3 or min(plane.shape) < 1:
            raise ReadError(f"a plane must be (time, row, col), got shape {plane.shape}")
        frames = np.ascontiguousarray(plane[evenly(plane.shape[0], self.frames)], dtype=np.float32)
        if not np.isfinite(frames).all():
            raise ReadError("a plane holds NaN or infinite pixels")
        frames = fit(frames, self.short_side, self.crop)
        low, high = np.percentile(frames, self.percentiles)
        scaled = np.clip((frames - np.float32(low)) / np.float32(max(float(high - low), 1e-6)), 0.0, 1.0)
        return np.repeat(scaled[None], self.channels, axis=0)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "percentiles": list(self.percentiles)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ClipTransform:
        """Rebuild from a model card; an unknown field is an error, never ignored."""
        unknown = set(fields) - set(cls.__dataclass_fields__)
        if unknown:
            raise CheckpointError(f"the card's transform has unknown fields {sorted(unknown)}; update cardiolens")
        return cls(**fields)


def evenly(length: int, count: int) -> npt.NDArray[np.int64]:
    """(count,) frames spread evenly over `length`, the first and the last among them; the middle ones rounded down.

    Positions are rounded to float32 before, counted from the nearer end, as `torch.linspace` does.

    >>> evenly(5, 3).tolist()
    [0, 2, 4]
    """
    last = float(length - 1)
    step = float(np.float32(last) / np.float32(max(count - 1, 1)))
    number = np.arange(count, dtype=np.float64)
    from_start = (number < count // 2) | (count == 1)
    place = np.where(from_start, step * number, last - step * (count - 1 - number))
    return place.astype(np.float32).astype(np.int64)


def fit(frames: npt.NDArray[Any], short_side: int, crop: int) -> Frames:
    """(time, row, col) float32 -> (time, crop, crop): the shorter side resized, the centre kept."""
    rows, cols = frames.shape[-2:]
    scale = short_side / min(rows, cols)
    size = (max(short_side, int(rows * scale)), max(short_side, int(cols * scale)))
    top, left = (size[0] - crop) // 2, (size[1] - crop) // 2
    if size == (rows, cols):
        return np.ascontiguousarray(frames[:, top : top + crop, left : left + crop], dtype=np.float32)
    fitted = _resized(np.asarray(frames, dtype=np.float32), 2, *resizing(cols, size[1], left, crop))
    return _resized(fitted, 1, *resizing(rows, size[0], top, crop))


def _resized(frames: Frames, axis: int, places: npt.NDArray[np.intp], weights: Frames) -> Frames:
    """Weighted sum of a few neighbours along an axis."""
    shape = (-1, 1) if axis == 1 else (-1,)
    total: Frames = frames.take(places[0], axis) * weights[0].reshape(shape)
    for place, weight in zip(places[1:], weights[1:], strict=True):
        total += frames.take(place, axis) * weight.reshape(shape)
    return total


@lru_cache(maxsize=256)
def resizing(size: int, new: int, first: int, count: int) -> tuple[npt.NDArray[np.intp], Frames]:
    """Bilinear resizing with antialiasing along one axis: which pixels, and with what weight, make a new one.

    A triangle as wide as an input pixel where the image grows, as an output pixel where it shrinks, pixel centres at
    halves: to the last bits as `torch.nn.functional.interpolate(mode="bilinear", antialias=True)`.

    Args:
        size, new: pixels before and after.
        first, count: of the new pixels only these.

    Returns:
        (tap, count) places and weights; a pixel with fewer neighbours has weights of 0.
    """
    half, scale = np.float32(0.5), np.float32(size) / np.float32(new)
    support = max(scale, np.float32(1))
    taps = 2 * int(np.ceil(support)) + 1
    places, weights = np.zeros((taps, count), dtype=np.intp), np.zeros((taps, count), dtype=np.float32)
    for column in range(count):
        centre = scale * np.float32(first + column + 0.5)
        low, stop = max(int(centre - support + half), 0), min(int(centre + support + half), size)
        away = (np.arange(low, stop, dtype=np.float32) - centre + half) * (np.float32(1) / support)
        near = np.maximum(np.float32(0), np.float32(1) - np.abs(away))
        places[: stop - low, column] = np.arange(low, stop)
        weights[: stop - low, column] = near / near.sum()
    used = weights.any(1)
    return places[used], weights[used]
