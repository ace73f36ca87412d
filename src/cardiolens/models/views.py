"""Which views a model takes and in which sizes: the settings of CineMA's encoder, and checks of what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.cinema_sizes import CINEMA_SIZES
from cardiolens.study import View

Images = Mapping[str, Tensor]

_RAW_INTENSITY = 16.0  # no scaled or standardised image goes beyond this, every DICOM grey scale does


@dataclass(frozen=True)
class EncoderConfig:
    """Every number of the encoder; the defaults are those of the published base size.

    Attributes:
        views: view -> size in pixels, (row, col) for a plane, (row, col, depth) for a stack; the order is kept.
        in_channels: frames that enter side by side: 1, or 2 for ED and ES.
        stem_channels: of the two scales of the stem.
        patches: in-plane patch of the first scale, of the second, and of the tokens; in depth it is always 1.
        stem_depth: masked blocks at each scale.
        width, layers, heads: of the transformer.
        drop_path: rate of the last layer; it grows linearly from 0 in the first.
    """

    views: Mapping[str, tuple[int, ...]]
    in_channels: int = 1
    stem_channels: tuple[int, int] = (64, 128)
    patches: tuple[int, int, int] = (4, 2, 2)
    stem_depth: int = 2
    width: int = 768
    layers: int = 12
    heads: int = 12
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", clean_views(self.views, step=prod(self.patches)))
        for name in ("stem_channels", "patches"):
            object.__setattr__(self, name, tuple(int(v) for v in getattr(self, name)))  # JSON gives lists
        counts = (self.in_channels, self.stem_depth, self.width, self.layers, self.heads, *self.patches)
        if min(*counts, *self.stem_channels) < 1 or self.width % self.heads or not 0 <= self.drop_path < 1:
            raise CheckpointError(f"not a valid encoder architecture: {self}")

    @classmethod
    def of(
        cls,
        size: str,
        views: Sequence[str] | None = None,
        *,
        in_channels: int = 1,
        drop_path: float = 0.0,
        sizes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> EncoderConfig:
        """The encoder of a named size.

        >>> EncoderConfig.of("base", ["SAX"]).tokens("SAX")
        2304

        Args:
            size: "tiny", "base", "large" or "huge".
            views: which of the four; None for all.
            sizes: other image sizes, by view.

        Raises:
            InputError: no such size or view.
        """
        if size not in CINEMA_SIZES:
            raise InputError(f"CineMA has no size {size!r}; there are {', '.join(CINEMA_SIZES)}")
        whole = cls(**CINEMA_SIZES[size]["encoder"])
        chosen = whole if views is None else whole.only(views)
        resized = dict(chosen.views) | {name: tuple(n) for name, n in (sizes or {}).items()}
        return replace(chosen, views=resized, in_channels=in_channels, drop_path=drop_path)

    def only(self, views: Sequence[str]) -> EncoderConfig:
        """The same with some of its views, in its own order; `InputError` names one that it has not."""
        wanted = check_names(views, self.views)
        return replace(self, views={view: size for view, size in self.views.items() if view in wanted})

    def patch(self, view: str) -> tuple[int, ...]:
        """Pixels of a token, (row, col[, depth])."""
        step = prod(self.patches)
        return (step, step, 1)[: len(self.views[view])]

    def grid(self, view: str) -> tuple[int, ...]:
        """Tokens along (row, col[, depth])."""
        return tuple(n // p for n, p in zip(self.views[view], self.patch(view), strict=True))

    def tokens(self, view: str) -> int:
        """Number of tokens of a view."""
        return prod(self.grid(view))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def clean_views(views: Mapping[str, Any], step: int = 1) -> dict[str, tuple[int, ...]]:
    """View -> size with plain names and whole numbers.

    Raises:
        InputError: an unknown view, or none.
        CheckpointError: rows or columns that are no multiple of `step`.
    """
    names = check_names(views, [view.value for view in View])
    found = {name: tuple(int(n) for n in size) for name, size in zip(names, views.values(), strict=True)}
    for view, size in found.items():
        if len(size) not in (2, 3) or min(size) < 1 or size[0] % step or size[1] % step:
            raise CheckpointError(
                f"{view}: {size} is no image size for this network; give (row, col) or (row, col, depth), rows and "
                f"columns multiples of {step}"
            )
    return found


def check_names(views: Sequence[str] | Mapping[str, Any], have: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Names of views, plain; `InputError` where one is unknown or none is given."""
    names = [view.value if isinstance(view, View) else str(view) for view in views]
    unknown = [name for name in names if name not in have]
    if unknown or not names:
        what = f"unknown view {', '.join(unknown)}" if unknown else "no view given"
        raise InputError(f"{what}; there are {', '.join(have)}")
    return names


class TakesViews(Protocol):
    """Settings that say which images a model takes."""

    @property
    def views(self) -> Mapping[str, tuple[int, ...]]: ...
    @property
    def in_channels(self) -> int: ...


def check_images(images: Images, config: TakesViews, *, every: bool) -> dict[str, Tensor]:
    """The images in the model's order of views, after looking at names, shapes and grey levels.

    Args:
        every: whether all views of the model must be there, or any of them will do.

    Raises:
        InputError: naming the view and what is wrong with it.
    """
    names = check_names(images, config.views)
    missing = [view for view in config.views if view not in names]
    if every and missing:
        raise InputError(
            f"missing view {', '.join(missing)}: the model takes {', '.join(config.views)}, got {', '.join(names)}; "
            "take a model of the views at hand"
        )
    given = dict(zip(names, images.values(), strict=True))
    batch = next(iter(given.values())).shape[0]
    for view, image in given.items():
        want = (batch, config.in_channels, *config.views[view])
        if not isinstance(image, Tensor) or tuple(image.shape) != want:
            raise InputError(
                f"{view} must be (batch, channel, row, col{', depth' if len(want) == 5 else ''}) = {want}, "
                f"got {tuple(image.shape)}; bring it to the grid of the model's card first"
            )
        if not image.is_floating_point():
            raise InputError(f"{view} must be floating point in [0, 1], got {image.dtype}")
        low, high = (float(v) for v in torch.aminmax(image.detach())) if image.numel() else (0.0, 0.0)
        if not (low > -_RAW_INTENSITY and high < _RAW_INTENSITY):  # also catches NaN
            raise InputError(f"{view} must lie in [0, 1], it reaches from {low:g} to {high:g}; scale it first")
    return {view: given[view] for view in config.views if view in given}
