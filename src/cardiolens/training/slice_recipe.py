"""Recipes of SLIViT (Avram et al. 2024): the trunk on 2D images with or without labels, and volumes end to end.

Where the paper gives no number, the default is fast.ai's or PyTorch's, which it says it took, or is marked as ours.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cardiolens.training.recipe import LabelledRecipe, OptimiserRecipe, RunRecipe, Strict

Share = Annotated[float, Field(gt=0, le=1)]


class SliceAugmentRecipe(Strict):
    """Random resized crop and flip from left to right, the same for every slice of a volume."""

    crop: tuple[Share, Share] = (0.08, 1.0)  # share of the area that is kept (PyTorch's default)
    ratio: float = Field(4 / 3, ge=1)  # widest shape of a crop; its inverse the narrowest
    flip: float = Field(0.5, ge=0, le=1)


class FinderRecipe(Strict):
    """The search for the learning rate (fast.ai's defaults)."""

    low: float = Field(1e-7, gt=0)
    high: float = Field(10.0, gt=0)
    steps: int = Field(100, ge=10)


class SliceRunRecipe(RunRecipe):
    """What all three kinds have."""

    devices: int = 1
    model: str = "slivit-tiny"
    augment: SliceAugmentRecipe = SliceAugmentRecipe()
    find_lr: FinderRecipe | None = FinderRecipe()  # null takes optimiser.lr as it stands
    optimiser: OptimiserRecipe
    own_split: bool = True  # take the data set's own split where it has one, and `split` where it has none
    architecture: dict[str, Any] = Field(default_factory=dict)  # settings other than the model's, as `layers: 1`
    workers: int = Field(0, ge=0)  # processes that prepare slices ahead; 0 does it in between

    @field_validator("devices")
    @classmethod
    def _one_device(cls, value: int) -> int:
        if value != 1:
            raise ValueError("slice models train on one device")
        return value


class ImagesRecipe(SliceRunRecipe):
    """Pretraining of a trunk on 2D images."""

    model: str = "slivit-trunk-tiny"
    sets: tuple[str, ...] = ()  # .npz files, folders with train/CLASS/, stores of studies; --store names one instead
    checkpoint_every: int = Field(10, ge=1)  # epochs


class Slices2dRecipe(ImagesRecipe):
    """Supervised: the class of an image, of one list for all sets."""

    kind: Literal["slices2d"] = "slices2d"


class SimCLRRecipe(ImagesRecipe):
    """Without labels: two random looks at an image are to be told from those at all others (Chen et al. 2020)."""

    kind: Literal["simclr"] = "simclr"
    find_lr: FinderRecipe | None = None
    temperature: float = Field(0.1, gt=0)
    projection: int = Field(128, ge=2)  # width of the embedding that the loss sees
    contrast: float = Field(0.4, ge=0, lt=1)  # brightness and contrast change by up to this share; ours, of grey images
    blur: float = Field(0.5, ge=0, le=1)  # probability


class SlicesRecipe(SliceRunRecipe, LabelledRecipe):
    """Values and conditions of a volume, or its class, end to end."""

    kind: Literal["slices"] = "slices"
    task: str = "slices"  # name in the card
    values: tuple[str, ...] = ()  # columns of numbers: L1
    conditions: tuple[str, ...] = ()  # columns of 0 and 1: binary cross-entropy
    classes: str | None = None  # a column of class numbers: cross-entropy; by itself
    data: dict[str, Any] = Field(default_factory=dict)  # of `open_volumes`, as {kind: sax, phase: ES}
    slices: int | None = Field(None, ge=2)  # other than the model's
    shuffle: int | None = None  # seed of one random order of each volume's slices
    patience: int | None = Field(5, ge=1)  # epochs without a better one until the run stops; None never
    resamples: int = Field(1000, ge=10)  # of the bootstrap
    level: float = Field(0.9, gt=0, lt=1)  # of its interval

    @model_validator(mode="after")
    def _something_to_learn(self) -> SlicesRecipe:
        if self.classes is not None and (self.values or self.conditions):
            raise ValueError("`classes` stands by itself: leave `values` and `conditions` out")
        if not (self.classes or self.values or self.conditions):
            raise ValueError("nothing to learn: name columns in `values` or `conditions`, or one as `classes`")
        return self
