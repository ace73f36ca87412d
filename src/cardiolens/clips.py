"""Which planes of a study become clips: the bag that every model of a study reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from cardiolens.errors import ReadError
from cardiolens.study import Cine, Study, View
from cardiolens.transforms import ClipTransform, Frames

if TYPE_CHECKING:
    from torch import Tensor

PlaneSampling = Literal["random_half", "alternate", "all"]


@dataclass(frozen=True)
class Bag:
    """The clips of one study.

    Attributes:
        clips: (clip, channel, time, row, col), float32 in [0, 1].
        views: the view of each clip.
        planes: the plane of each clip within its cine.
    """

    clips: Tensor
    views: tuple[View, ...]
    planes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.views)


def choose_planes(
    n_planes: int, sampling: PlaneSampling = "all", generator: np.random.Generator | None = None
) -> list[int]:
    """Planes of one view to use.

    A stack of more than five planes loses its first and last; then a random half (Shad et al.), every second one (their
    published code) or all remain.  A view of up to five planes keeps them all, but for sampling.
    """
    planes = list(range(n_planes))
    if n_planes > 5:
        planes = planes[1:-1]
    if len(planes) == 1 or sampling == "all":
        return planes
    if sampling == "alternate":
        return planes[::2]
    if generator is None:
        raise ValueError("plane sampling 'random_half' needs a generator")
    half = generator.choice(len(planes), size=(len(planes) + 1) // 2, replace=False)
    return [planes[i] for i in sorted(half)]


class Cut(NamedTuple):
    """A `Bag` in numpy: clips (clip, channel, time, row, col), with the view and the plane of each."""

    clips: Frames
    views: tuple[View, ...]
    planes: tuple[int, ...]


def clips_of(
    source: Study | Cine, transform: ClipTransform, plane_sampling: PlaneSampling = "all", seed: int = 0
) -> Bag:
    """Cut a study, or one cine, into clips.

    Raises:
        ReadError: there is no cine to cut.
    """
    import torch

    found = cut(source, transform, plane_sampling, seed)
    return Bag(torch.from_numpy(found.clips), found.views, found.planes)


def cut(source: Study | Cine, transform: ClipTransform, plane_sampling: PlaneSampling = "all", seed: int = 0) -> Cut:
    """`clips_of` without PyTorch."""
    generator = np.random.default_rng(seed)
    clips: list[Frames] = []
    views: list[View] = []
    chosen: list[int] = []
    for cine in (source,) if isinstance(source, Cine) else source.cines:
        for plane in choose_planes(cine.n_slices, plane_sampling, generator):
            clips.append(transform.clip(cine.frames[plane]))
            views.append(cine.view)
            chosen.append(plane)
    if not clips:
        raise ReadError("the study holds no cine, so there is nothing for a model to read")
    return Cut(np.stack(clips), tuple(views), tuple(chosen))
