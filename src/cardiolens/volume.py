"""`Volume`: images in a row, over time or through depth, of any modality; what is no CMR cine.

An echocardiogram loop, an OCT volume, a CT patch, the short-axis stack of one phase: models that ask no more than
images in their order take this noun.  `Cine` and `Study` stay the nouns of CMR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cardiolens.errors import GeometryError, InputError

Along = Literal["time", "depth"]
_KINDS = "buif"  # numbers; objects would have been unpickled somewhere


@dataclass(frozen=True, eq=False)
class Volume:
    """Images of one size in their order.

    Attributes:
        images: (image, row, col) grey, or (image, row, col, 3) colour; native dtype.
        along: what runs from image to image: "time" of a loop, "depth" of a volume.
        source: the file it came from, for messages (no patient identifier).
        times_ms: (image,) of each image of a loop, ascending; None when unknown.
        spacing_mm: (row, col) distance between pixel centres; None when unknown.
        step_mm: distance between the images of a volume; None when unknown.
        attributes: facts that identify nobody (frame rate, manufacturer, ...).
        notes: what the reader found and did.

    Geometry is never invented: what is absent is None.
    """

    images: npt.NDArray[Any]
    along: Along
    source: str = field(default="", kw_only=True)
    times_ms: npt.NDArray[np.float64] | None = field(default=None, kw_only=True)
    spacing_mm: tuple[float, float] | None = field(default=None, kw_only=True)
    step_mm: float | None = field(default=None, kw_only=True)
    attributes: Mapping[str, str | float] = field(default_factory=dict, kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        shape = self.images.shape
        grey, colour = len(shape) == 3, len(shape) == 4 and shape[-1] == 3
        if not (grey or colour) or min(shape) < 1 or self.images.dtype.kind not in _KINDS:
            raise InputError(
                f"{self.source}: images must be numbers (image, row, col) or (image, row, col, 3), got "
                f"{self.images.dtype} {shape}"
            )
        if self.along not in ("time", "depth"):
            raise InputError(f"{self.source}: images run along 'time' or 'depth', not {self.along!r}")
        if self.times_ms is not None:
            times = np.asarray(self.times_ms, dtype=np.float64)
            if times.shape != (len(self),) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
                raise GeometryError(f"{self.source}: times must ascend, one for each of {len(self)} images")
            object.__setattr__(self, "times_ms", times)
        lengths = (*(self.spacing_mm or ()), *(() if self.step_mm is None else (self.step_mm,)))
        if not all(np.isfinite(v) and v > 0 for v in lengths):
            raise GeometryError(f"{self.source}: distances must be above 0 mm, got {lengths}")

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def __repr__(self) -> str:
        return f"Volume({self.along}, shape={self.images.shape}, source={self.source!r})"

    @property
    def in_colour(self) -> bool:
        return self.images.ndim == 4
