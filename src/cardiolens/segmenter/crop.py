"""Where to look: a square window on the image, sized by the heart in it, so that no millimetre is needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 128
"""Pixels along a side of what the networks read."""
REACH = 4.7
"""Side of the window in standard deviations of the heart's pixels about their mean (both axes together)."""


@dataclass(frozen=True)
class Window:
    """A square on an image in pixels: `row`, `col` of its middle (pixel centres at whole numbers) and its `side`."""

    row: float
    col: float
    side: float

    @classmethod
    def whole(cls, rows: int, cols: int) -> Window:
        """The smallest that holds all of an image."""
        return cls((rows - 1) / 2, (cols - 1) / 2, float(max(rows, cols)))

    @classmethod
    def around(cls, heart: npt.NDArray[np.floating] | npt.NDArray[np.bool_]) -> Window | None:
        """Around weights (..., row, col), all planes and phases together; None where there is nothing."""
        weights = np.asarray(heart, dtype=np.float64).reshape(-1, *heart.shape[-2:]).sum(0)
        total = weights.sum()
        if total <= 0:
            return None
        row, col = (np.arange(n, dtype=np.float64) for n in weights.shape)
        by_row, by_col = weights.sum(1) / total, weights.sum(0) / total
        middle = float(by_row @ row), float(by_col @ col)
        spread = by_row @ (row - middle[0]) ** 2 + by_col @ (col - middle[1]) ** 2
        return cls(*middle, side=max(REACH * float(np.sqrt(spread)), 8.0))

    def differs(self, other: Window, share: float) -> bool:
        """Whether middle or side are further apart than `share` of the side."""
        away = max(abs(self.row - other.row), abs(self.col - other.col)) / self.side
        return bool(max(away, abs(np.log(self.side / other.side))) > share)

    def grid(self, rows: int, cols: int) -> Tensor:
        """(1, SIDE, SIDE, 2) for `grid_sample` (align_corners=False) on an image of this size."""
        offset = ((torch.arange(SIDE) + 0.5) / SIDE - 0.5) * self.side
        y = 2 * (self.row + offset + 0.5) / rows - 1
        x = 2 * (self.col + offset + 0.5) / cols - 1
        return torch.stack([x[None, :].expand(SIDE, SIDE), y[:, None].expand(SIDE, SIDE)], dim=-1)[None].float()

    def cut(self, images: Tensor) -> Tensor:
        """(n, channel, row, col) -> (n, channel, SIDE, SIDE), averaged where the window is coarser; 0 outside."""
        rows, cols = images.shape[-2:]
        images = smoothed(images, self.side / SIDE)
        grid = self.grid(rows, cols).to(images.device).expand(len(images), -1, -1, -1)
        return F.grid_sample(images, grid, align_corners=False)

    def put_back(self, maps: Tensor, rows: int, cols: int) -> Tensor:
        """(n, channel, SIDE, SIDE) -> (n, channel, rows, cols), interpolated; 0 outside the window."""
        y = (torch.arange(rows) - self.row) / self.side * 2
        x = (torch.arange(cols) - self.col) / self.side * 2
        grid = torch.stack([x[None, :].expand(rows, cols), y[:, None].expand(rows, cols)], dim=-1)[None].float()
        return F.grid_sample(maps, grid.expand(len(maps), -1, -1, -1), align_corners=False)


def smoothed(images: Tensor, step: float) -> Tensor:
    """(n, channel, row, col) blurred as sampling at every `step` pixels needs; unchanged up to 1.2."""
    if step <= 1.2:
        return images
    sigma = 0.35 * step
    reach = max(1, round(2.5 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).to(images)
    n, channels = images.shape[:2]
    flat = images.reshape(n * channels, 1, *images.shape[-2:])
    flat = F.conv2d(F.pad(flat, (reach, reach, 0, 0), mode="replicate"), taps.view(1, 1, 1, -1))
    flat = F.conv2d(F.pad(flat, (0, 0, reach, reach), mode="replicate"), taps.view(1, 1, -1, 1))
    return flat.view(n, channels, *images.shape[-2:])
