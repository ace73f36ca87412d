"""Recipes of CineMA (Fu et al. 2025): masked pretraining, and what is learned from it.

Where the paper gives no number, the default is that of the authors' code (github.com/mathpluscode/CineMA) or is marked
as ours.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from cardiolens.annotation import LANDMARKS
from cardiolens.segmentation import STRUCTURES
from cardiolens.study import View
from cardiolens.training.recipe import LabelledRecipe, RunRecipe, Strict

Interval = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]


class GridAugmentRecipe(Strict):
    """Random gamma, then an affine of each view by itself; each of the two with its probability.

    Turning, moving, zooming and shearing are in the plane of the image: the planes of a stack move together.
    """

    probability: float = Field(0.5, ge=0, le=1)
    gamma: Interval = (0.5, 1.5)
    rotate_deg: float = Field(180.0, ge=0, le=180)
    shift: float = Field(0.25, ge=0, lt=1)  # at most this share of the field
    zoom: float = Field(0.2, ge=0, lt=1)
    shear: float = Field(0.1, ge=0, lt=1)  # named by the paper without a number; ours
    dropout: float = Field(0.0, ge=0, le=1)  # probability that a box of the image is blanked, the labels kept
    dropout_size: tuple[int, int, int] = (40, 40, 2)  # of that box, voxels


class CineRecipe(RunRecipe):
    """What all runs on whole frames have: a model of the CineMA family, its views, its grid."""

    model: str = "cinema-tiny"
    views: tuple[View, ...] = tuple(View)
    sizes: dict[View, tuple[int, ...]] = Field(default_factory=dict)  # other grid sizes than the model's, by view;
    # for a start from random weights
    pixels: bool = False  # take a pixel for a voxel of the grid where a cine has no spacing
    augment: GridAugmentRecipe = GridAugmentRecipe()
    workers: int = Field(0, ge=0)  # processes that read and prepare frames ahead; 0 does it in between
    checkpointing: bool = False  # recompute activations in the backward pass: less memory, more time

    @field_validator("views")
    @classmethod
    def _each_once(cls, value: tuple[View, ...]) -> tuple[View, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("name one view or more, each once")
        return value


class MaskedRecipe(CineRecipe):
    """Masked pretraining: one random frame of a study a step, hidden patches predicted from the visible."""

    kind: Literal["masked"] = "masked"
    mask_ratio: float = Field(0.75, gt=0, lt=1)
    checkpoint_every: int = Field(10, ge=1)  # epochs


class DownstreamRecipe(CineRecipe, LabelledRecipe):
    """What the three downstream tasks have: start, share of the labels, early stopping.

    `model` is an autoencoder ("cinema-base"), whose encoder is kept, or a baseline ("cinema-unet", "cinema-resnet50").
    """

    devices: int = 1
    views: tuple[View, ...] = (View.SAX,)
    drop_path: float = Field(0.1, ge=0, lt=1)
    validate_every: int = Field(20, ge=1)  # epochs
    patience: int | None = Field(5, ge=1)  # validations without a better one until the run stops; None never

    @field_validator("devices")
    @classmethod
    def _one_device(cls, value: int) -> int:
        if value != 1:
            raise ValueError("downstream training runs on one device; `optimiser.chunk` makes a large batch fit")
        return value


class SegmentationRecipe(DownstreamRecipe):
    """Structures of each voxel, from masks in the store; Dice and cross-entropy."""

    kind: Literal["segmentation"] = "segmentation"
    task: str = "segmentation"
    structures: tuple[str, ...] = ("LV cavity", "LV myocardium", "RV cavity")  # others count as background
    dropout: float = Field(0.1, ge=0, lt=1)  # within the decoder

    @field_validator("structures")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in STRUCTURES]
        if unknown or not value:
            raise ValueError(f"unknown structures {unknown}; there are {', '.join(STRUCTURES)}")
        return tuple(sorted(set(value), key=lambda name: STRUCTURES[name]))


class TabularRecipe(DownstreamRecipe):
    """A value or a class of a study from its ED and ES frames, which enter as two channels."""

    kind: Literal["tabular"] = "tabular"
    task: str = "lvef"
    label: str = "lvef"  # column of labels.csv
    target: Literal["value", "class"] = "value"
    unit: str = "%"
    classes: tuple[str, ...] = ()  # in the order of the outputs; none named: those of the training studies, sorted
    label_smoothing: float = Field(0.1, ge=0, lt=1)  # for classes

    @model_validator(mode="after")
    def _classes_only(self) -> TabularRecipe:
        if self.classes and self.target == "value":
            raise ValueError("`classes` go with `target: class`")
        return self


class LandmarkRecipe(DownstreamRecipe):
    """Mitral hinge points and apex in a long-axis view, as heat-maps or as coordinates."""

    kind: Literal["landmarks"] = "landmarks"
    task: str = "landmarks"
    views: tuple[View, ...] = (View.CH4,)
    way: Literal["heat-maps", "coordinates"] = "heat-maps"
    sigma: float = Field(3.0, gt=0)  # of a heat-map, pixels of the grid
    names: tuple[str, ...] = LANDMARKS
    dropout: float = Field(0.1, ge=0, lt=1)  # within the decoder of heat-maps

    @field_validator("views")
    @classmethod
    def _one_view(cls, value: tuple[View, ...]) -> tuple[View, ...]:
        if len(value) != 1 or value[0] is View.SAX:
            raise ValueError("landmarks are of one long-axis view: 2CH, 3CH or 4CH")
        return value

    @field_validator("names")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or set(value) - set(LANDMARKS):
            raise ValueError(f"landmarks are {', '.join(LANDMARKS)}")
        return value
