"""From a `Volume` to the slices that a model takes: so many of them, equally spaced, square, stretched, grey.

The transform in a model's card, the same in training and in prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import CheckpointError, InputError
from cardiolens.volume import Volume

if TYPE_CHECKING:
    from torch import Tensor

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def equally_spaced(count: int, wanted: int) -> npt.NDArray[np.intp]:
    """Numbers of `wanted` images of `count`, first and last among them; images repeat where there are too few."""
    return np.rint(np.linspace(0, count - 1, wanted)).astype(np.intp)


@dataclass(frozen=True)
class SliceTransform:
    """Attributes:
    slices: of the result; None for one image (a 2D set).
    size: edge in pixels; an image that is not square is squeezed, as the published preprocessing does.
    stretch: percentiles of the chosen images that become 0 and 1.
    """

    slices: int | None = 32
    size: int = 256
    stretch: tuple[float, float] = (2.0, 98.0)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> SliceTransform:
        """As a card has it; `CheckpointError` for another kind of transform."""
        try:
            low, high = fields["stretch"]
            return cls(fields.get("slices"), int(fields["size"]), (float(low), float(high)))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"card.json: not a transform of slices ({error}); has {sorted(fields)}") from error

    def __call__(self, volume: Volume) -> Tensor:
        """(slice, row, col), float32 in [0, 1].

        Raises:
            InputError: a volume with one slice.
        """
        if self.slices is None:
            raise InputError("this transform is of single images, not of volumes; its card belongs to a 2D trunk")
        if len(volume) < 2:
            raise InputError(
                f"{volume.source}: a volume with one slice: a model of volumes has nothing to bring together; give "
                "the whole stack, or take a model of images"
            )
        return self.images(volume.images[equally_spaced(len(volume), self.slices)])

    def images(self, images: npt.NDArray[Any]) -> Tensor:
        """(image, row, col) or (image, row, col, 3), any numbers -> (image, size, size), float32 in [0, 1]."""
        import torch
        import torch.nn.functional as F

        grey = images @ _LUMA if images.ndim == 4 else images
        grey = np.nan_to_num(grey.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = np.percentile(grey, self.stretch)
        stretched = np.clip((grey - low) / max(float(high - low), 1e-6), 0.0, 1.0)
        tensor = torch.from_numpy(np.ascontiguousarray(stretched, dtype=np.float32))[:, None]
        if tensor.shape[2:] != (self.size, self.size):
            tensor = F.interpolate(tensor, (self.size, self.size), mode="bilinear", antialias=True)
        return tensor[:, 0].clamp(0.0, 1.0)
