"""Recipes: every hyperparameter of a run in one YAML file, checked before anything starts."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cardiolens.clips import PlaneSampling
from cardiolens.errors import RecipeError

_LATER = (
    "freeze_norm",
    "workers",
    "target",
    "labels",
    "each",
    "pretrain_split",
    "sensitivity",
)  # settings that did not exist from the start, see `RunRecipe.hash`
_LATER_OPTIMISER = ("chunk", "end_lr", "layer_decay")


class Strict(BaseModel):
    """Settings: an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitRecipe(Strict):
    """A split file, or fractions by patient and the seed that deals them."""

    file: str | None = None
    fractions: dict[str, float] = Field(default_factory=lambda: {"train": 0.66, "val": 0.34})
    seed: int = 0


class TextRecipe(Strict):
    """How reports become tokens and one vector."""

    pretrained: str | None = None  # folder of a Hugging Face BERT; None trains a small one from random weights
    vocabulary: Annotated[int, Field(ge=100)] | Literal["package"] = "package"  # of the small one: that of the
    # package, or so many words learned from the training reports
    sections: Literal["all", "findings"] = "all"  # of a report that sentences are drawn from; "findings": what was
    # seen and concluded, without indication, technique and comparison
    sentences: int = Field(5, ge=1)  # drawn anew at each step (Shad et al.)
    max_tokens: int = Field(128, ge=8)
    pooling: Literal["cls", "mean", "max"] = "mean"
    freeze_layers: int = Field(6, ge=0)


class AugmentRecipe(Strict):
    """AugMix; severity 0 switches it off."""

    severity: float = Field(3.0, ge=0, le=10)
    width: int = Field(3, ge=1)


class ContrastRecipe(Strict):
    """The contrastive objective; the paper gives no temperature or video_weight (lambda), these are ConVIRT's."""

    temperature: float = Field(0.1, gt=0)
    video_weight: float = Field(0.75, ge=0, le=1)
    flood: float = Field(0.5, ge=0)
    centre: bool = (
        False  # subtract the batch mean of each tower before normalising; not the paper's, helps from scratch
    )


class OptimiserRecipe(Strict):
    """AdamW with optional warm-up and one of two decays: by steps of epochs, or cosine to `end_lr`; or one cycle.

    `chunk` is for a batch that does not fit on the device: so many clips, and so many reports, pass the towers at a
    time.  Loss and gradients are those of the whole batch (gradient caching, Gao et al. 2021, arXiv 2101.06983).
    """

    lr: float = Field(gt=0)
    weight_decay: float = Field(0.01, ge=0)
    eps: float = Field(1e-8, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    batch: int = Field(ge=1)  # studies a step and process; with `devices: 4` a step has four times as many
    chunk: int | None = Field(None, ge=1)  # pretraining: clips that pass the towers at a time; None takes all at once
    epochs: int = Field(ge=1)
    max_steps: int = -1
    warmup_epochs: float = Field(0.0, ge=0)
    schedule: Literal["constant", "step", "cosine", "one_cycle"] = "constant"
    decay_at: tuple[int, ...] = ()
    decay: float = Field(0.1, gt=0)
    clip_norm: float | None = None
    end_lr: float = Field(0.0, ge=0)  # what a cosine ends at
    layer_decay: float = Field(1.0, gt=0, le=1)  # CineMA: rate of each layer in that of the layer above it

    @model_validator(mode="after")
    def _steps_need_epochs(self) -> OptimiserRecipe:
        if (self.schedule == "step") != bool(self.decay_at):
            raise ValueError("`decay_at` goes with `schedule: step`, and only with it")
        return self


class RunRecipe(Strict):
    """What every run has."""

    name: str
    seed: int = 0
    model: str = "shad-mvit-tiny"
    weights: str | None = None  # checkpoint to start from; None starts from random weights
    store: str | None = None  # the --store flag overrides
    split: SplitRecipe = SplitRecipe()
    optimiser: OptimiserRecipe
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"  # also 32, bf16, 16
    accelerator: str = "auto"
    devices: int = Field(1, ge=1)
    cache: bool = True  # keep transformed clips in memory (float16)

    @field_validator("precision", mode="before")
    @classmethod
    def _short_precision(cls, value: object) -> object:
        return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}.get(str(value), value)

    @property
    def hash(self) -> str:
        """SHA-256 of every setting, first 16 hex digits.

        Settings that recipes did not have from the start count only where they are set, so that a recipe keeps its
        hash when a later version of the package knows more settings.
        """
        fields = self.model_dump()
        later = {name: fields.pop(name) for name in _LATER if name in fields}
        fields |= {name: value for name, value in later.items() if value != type(self).model_fields[name].default}
        for name in _LATER_OPTIMISER:
            if fields["optimiser"][name] == OptimiserRecipe.model_fields[name].default:
                del fields["optimiser"][name]
        if fields.get("text", {}).get("sections") == "all":
            del fields["text"]["sections"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


class PretrainRecipe(RunRecipe):
    """Contrastive pretraining of a video and a text tower on studies with reports.

    With several `devices` each process takes its share of the studies, and every clip meets the reports of all.
    """

    kind: Literal["pretrain"] = "pretrain"
    augment: AugmentRecipe = AugmentRecipe()
    text: TextRecipe = TextRecipe()
    clips_per_study: Literal["1", "views", "all"] = "1"
    plane_sampling: PlaneSampling = "all"  # which planes of a view the draw is made from
    objective: ContrastRecipe = ContrastRecipe()
    checkpoint_every: int = Field(10, ge=1)  # epochs
    freeze_norm: bool = False  # batch normalisation keeps the statistics that it starts from (3D ResNets)
    workers: int = Field(0, ge=0)  # processes that read and prepare clips ahead; 0 does it in between

    @field_validator("clips_per_study", mode="before")
    @classmethod
    def _number_is_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value


class LabelledRecipe(RunRecipe):
    """What every run that learns labels has."""

    task: str = "task"  # name in the card
    pretrain_split: str | None = None  # split file of the run that the weights come from; None: looked for beside them
    fraction: float = Field(1.0, gt=0, le=1)  # of the training patients; the other parts stay whole
    fraction_seed: int = 0


class FinetuneRecipe(LabelledRecipe):
    """One number or some conditions of a study from its bag of clips."""

    kind: Literal["finetune"] = "finetune"
    augment: AugmentRecipe = AugmentRecipe()
    devices: int = 1
    mode: Literal["finetune", "transfer", "linear"] = "finetune"
    task: str = "lvef"  # name of the head
    target: Literal["value", "conditions"] = "value"
    label: str = "lvef"  # column of labels.csv, for a value
    unit: str = "%"
    labels: tuple[str, ...] = ()  # columns of labels.csv, for conditions; none named takes all of the 35 that are there
    each: bool = False  # one model a condition, as in the paper; else one head for all
    plane_sampling: PlaneSampling = "random_half"
    huber_delta: float = Field(5.0, gt=0)  # in the label's unit; not given by the paper, ours
    select: Literal["best", "last"] = "best"  # epoch kept, by validation error
    coverage: float = Field(0.9, gt=0, lt=1)  # of the prediction interval, from the part `calibration` of the split
    sensitivity: float | None = Field(None, gt=0, le=1)  # of the threshold of a condition; None: greatest Youden index
    domain: bool = True  # fit the out-of-domain reference, where there is such a part

    @field_validator("devices")
    @classmethod
    def _one_device(cls, value: int) -> int:
        if value != 1:
            raise ValueError("fine-tuning runs on one device: bags of clips are not dealt between processes")
        return value

    @field_validator("optimiser")
    @classmethod
    def _whole_bags(cls, value: OptimiserRecipe) -> OptimiserRecipe:
        if value.chunk is not None:
            raise ValueError("`chunk` is for pretraining; here set `batch` lower")
        return value

    @model_validator(mode="after")
    def _conditions_only(self) -> FinetuneRecipe:
        if self.target == "value" and (self.labels or self.each):
            raise ValueError("`labels` and `each` go with `target: conditions`")
        return self


Recipe = TypeVar("Recipe", bound=RunRecipe)


def load_any(path: Path, kinds: Mapping[str, type[RunRecipe]], overrides: Sequence[str] = ()) -> RunRecipe:
    """Read a recipe of one of several kinds; one that does not say its kind is of the first.

    Raises:
        RecipeError: as `load_recipe`, or of another kind.
    """
    kind = _read(path).get("kind", next(iter(kinds)))
    if kind not in kinds:
        raise RecipeError(f"{path}: kind is {kind!r}; this command runs {', '.join(kinds)}")
    return load_recipe(path, kinds[kind], overrides)


def load_recipe(path: Path, kind: type[Recipe], overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `key.sub=value` overrides.

    Raises:
        RecipeError: not YAML, an unknown key (with the nearest known one), a value out of range.
    """
    fields = _read(path)
    for override in overrides:
        _apply(fields, override)
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise RecipeError(f"{path}: " + "; ".join(_explain(kind, e) for e in error.errors())) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}); recipes/ holds examples") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of settings, see recipes/ for examples")
    return fields


def _apply(fields: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    if not equals:
        raise RecipeError(f"--set takes key=value, got '{override}'")
    *outer, last = name.split(".")
    for key in outer:
        fields = fields.setdefault(key, {})
        if not isinstance(fields, dict):
            raise RecipeError(f"--set {override}: '{key}' holds no settings")
    fields[last] = yaml.safe_load(value)


def _explain(kind: type[BaseModel], error: Any) -> str:
    """One pydantic complaint in a line, with the nearest known key for an unknown one."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where or 'recipe'}: {error['msg']}"
    model: Any = kind
    for part in error["loc"][:-1]:
        model = model.model_fields[part].annotation
    near = difflib.get_close_matches(str(error["loc"][-1]), list(model.model_fields), n=1)
    return f"unknown key '{where}'" + (f"; did you mean '{near[0]}'?" if near else "")
