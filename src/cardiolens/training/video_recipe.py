"""Recipes of EchoAI (arXiv 2311.12582): masked pretraining on loops, and a label of a loop.

The paper gives AMP, gradient accumulation over 4 GPUs, AdamW, cosine annealing and 90 % masking; other defaults are
VideoMAE's (Tong et al. 2022) or are marked as ours.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from cardiolens.study import View
from cardiolens.training.cine_recipe import GridAugmentRecipe, Interval
from cardiolens.training.recipe import LabelledRecipe, RunRecipe


class LoopAugmentRecipe(GridAugmentRecipe):
    """Random gamma and an affine in the plane, the same for every frame of a clip; light, and ours."""

    gamma: Interval = (0.8, 1.25)
    rotate_deg: float = Field(10.0, ge=0, le=180)
    shift: float = Field(0.05, ge=0, lt=1)
    zoom: float = Field(0.1, ge=0, lt=1)
    shear: float = Field(0.0, ge=0, lt=1)


class LoopRecipe(RunRecipe):
    """What all runs on loops have: a model of EchoAI, how clips are cut, which loops of a set.

    `store` is any set of loops that `open_volumes` knows: EchoNet-Dynamic, a folder of videos with labels.csv, or a
    store of CMR studies, each plane of whose cines is a loop.
    """

    model: str = "echoai-tiny"
    volumes: str | None = None  # kind of the set, where what lies there does not tell; see `open_volumes`
    views: tuple[View, ...] = ()  # of a store's cines; none named takes all
    planes: Literal["all", "middle"] = "all"  # of each view of a store's cines
    official_split: bool = True  # the set's own split where it has one and `split.file` names no other
    frames: int | None = Field(None, ge=1)  # of a clip; None is the model's own number
    stride: int | Literal["even", "model"] = (
        "model"  # every so many-th frame; "even": frames spread over the whole loop
    )
    short_side: int | None = Field(None, ge=8)  # pixels of the shorter image side before the crop; None as the model's
    augment: LoopAugmentRecipe = LoopAugmentRecipe()
    workers: int = Field(0, ge=0)  # processes that read and prepare loops ahead; 0 does it in between
    checkpointing: bool = False  # recompute activations in the backward pass: less memory, more time
    check: bool = True  # look at every loop before the start and leave out what cannot be read; without, such a loop
    # stops the run

    @field_validator("stride")
    @classmethod
    def _positive(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("a stride is at least 1")
        return value


class MaskedVideoRecipe(LoopRecipe):
    """Masked pretraining: a random clip of every loop a step, hidden tubelets predicted from the visible."""

    kind: Literal["masked_video"] = "masked_video"
    mask_ratio: float = Field(0.9, gt=0, lt=1)
    masking: Literal["tube", "random"] = "tube"  # VideoMAE's; the paper does not say
    normalise: bool = True  # learn the pixels of a tubelet less their mean, over their spread
    checkpoint_every: int = Field(10, ge=1)  # epochs


class VideoRecipe(LoopRecipe, LabelledRecipe):
    """A number or a yes-or-no of a loop, end to end.

    `model` is an autoencoder ("echoai-base") or has a head ("echoai-ef-base"); its encoder is kept.  What is measured
    is the mean over the clips of a loop, and over the planes of a study.
    """

    kind: Literal["video"] = "video"
    devices: int = 1
    task: str = "ef"  # name in the card
    label: str = "ef"  # column of the set's labels
    target: Literal["value", "condition"] = "value"
    unit: str = "%"
    test_clips: int = Field(3, ge=1)  # of a loop, evenly spread, whose predictions are averaged; ours
    drop_path: float = Field(0.1, ge=0, lt=1)
    validate_every: int = Field(1, ge=1)  # epochs
    patience: int | None = Field(None, ge=1)  # validations without a better one until the run stops; None never
    resamples: int = Field(2000, ge=100)  # of the bootstrap intervals

    @field_validator("devices")
    @classmethod
    def _one_device(cls, value: int) -> int:
        if value != 1:
            raise ValueError("this training runs on one device; `optimiser.chunk` makes a large batch fit")
        return value
