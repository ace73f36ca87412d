"""The recipe of a comparison: which systems, from which pretraining, on which budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from cardiolens.study import View
from cardiolens.training.recipe import OptimiserRecipe, RunRecipe, Strict, load_recipe

Reads = Literal["clips", "frames", "stack", "masks"]


class SystemRecipe(Strict):
    """One competitor.

    `reads` says what it sees of a study: "clips" (planes over time, one a view in training, all when measured, brought
    together by gated attention), "frames" (whole views at ED and ES on a grid), "stack" (the short axis as slices
    at ED and ES), "masks" (what the bundled segmenter draws, measured: nothing but the last step learns).
    """

    reads: Reads
    model: str = ""  # name of the network, as `cardiolens models` lists it; none for masks
    words: str = ""
    pretrain: str | None = None  # recipe of its pretraining, beside this recipe; None starts from random weights
    pretrain_set: tuple[str, ...] = ()  # settings of that recipe to change, as with --set
    weights: str | None = None  # or a model folder to start from
    views: tuple[View, ...] = (View.SAX,)  # of frames
    sizes: dict[View, tuple[int, ...]] = Field(default_factory=dict)  # of frames; smaller windows than the model's own
    lr: float | None = Field(None, gt=0)  # in place of the common one
    phases: int = Field(6, ge=2)  # of masks: how many of the cycle are drawn

    @model_validator(mode="after")
    def _whole(self) -> SystemRecipe:
        if (self.reads == "masks") == bool(self.model):
            raise ValueError("`model` names the network of a system; `reads: masks` has none")
        if self.pretrain is not None and self.weights is not None:
            raise ValueError("`pretrain` and `weights`: give one of the two")
        return self


class BenchRecipe(RunRecipe):
    """Systems on the same split, budget and targets; the first one is what the others are tested against."""

    kind: Literal["benchmark"] = "benchmark"
    model: str = ""
    systems: dict[str, SystemRecipe] = Field(min_length=1)
    seeds: tuple[int, ...] = (0,)
    label: str = "lvef"  # column of labels.csv that is a value
    unit: str = "%"
    conditions: tuple[str, ...] = ()  # columns that are 0 or 1; none named takes the 35 that are there
    least: int = Field(5, ge=1)  # cases and non-cases that a condition needs in the test part
    level: float = Field(0.95, gt=0, lt=1)

    @field_validator("devices")
    @classmethod
    def _one_device(cls, value: int) -> int:
        if value != 1:
            raise ValueError("a comparison runs on one device: what it measures is cost, too")
        return value

    def run_of(self, name: str, seed: int, weights: str | None) -> SystemRun:
        """The recipe of one system's training."""
        system = self.systems[name]
        optimiser = self.optimiser if system.lr is None else self.optimiser.model_copy(update={"lr": system.lr})
        common: dict[str, Any] = {
            field: getattr(self, field)
            for field in ("precision", "accelerator", "cache", "label", "unit", "conditions", "least", "split")
        }
        return SystemRun(
            name=f"{self.name}_{name}_{seed}",
            seed=seed,
            model=system.model,
            weights=weights,
            optimiser=OptimiserRecipe.model_validate(optimiser.model_dump()),
            system=system,
            **common,
        )


class SystemRun(RunRecipe):
    """One system, one seed."""

    kind: Literal["benchmark_run"] = "benchmark_run"
    system: SystemRecipe
    label: str
    unit: str
    conditions: tuple[str, ...]
    least: int


def load_bench(path: str | Path, overrides: tuple[str, ...] = ()) -> BenchRecipe:
    """Read a recipe; pretraining recipes are looked for beside it.

    Raises:
        RecipeError: not YAML, unknown or contradicting settings, a pretraining recipe that is not there.
    """
    from cardiolens.errors import RecipeError

    path = Path(path)
    recipe = load_recipe(path, BenchRecipe, overrides)
    found = {}
    for name, system in recipe.systems.items():
        if system.pretrain is None:
            found[name] = system
            continue
        beside = path.parent / system.pretrain
        if not beside.is_file():
            raise RecipeError(f"{path}: system {name}: no pretraining recipe {beside}")
        found[name] = system.model_copy(update={"pretrain": str(beside)})
    return recipe.model_copy(update={"systems": found})
