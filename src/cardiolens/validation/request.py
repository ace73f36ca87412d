"""What is asked of a validation, and what its parts work from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cardiolens.errors import StatsError
from cardiolens.store import StudyStore
from cardiolens.validation.cohort import Cohort
from cardiolens.validation.readings import Reader, Readings


@dataclass(frozen=True)
class Settings:
    """How to validate.

    Attributes:
        level, n_resamples, seed: of limits, of the bootstrap, of every draw.
        minimum: patients below which a subgroup gets no figure.
        few: positives below which limits of a condition are marked as not to be relied on.
        projection: "tsne", "umap" or "pca", for the maps; at most `map_clips` clips are drawn.
    """

    level: float = 0.95
    n_resamples: int = 2000
    seed: int = 0
    minimum: int = 10
    few: int = 10
    projection: Literal["tsne", "umap", "pca"] = "tsne"
    map_clips: int = 4000

    def __post_init__(self) -> None:
        if not 0.5 <= self.level < 1:
            raise StatsError(f"level: must lie in [0.5, 1), got {self.level:g}")
        if self.n_resamples < 100:
            raise StatsError(f"limits need at least 100 resamples, got {self.n_resamples}")
        if self.projection not in ("tsne", "umap", "pca"):
            raise StatsError(f"unknown projection {self.projection!r}; known: tsne, umap, pca")


@dataclass(frozen=True, eq=False)
class Case:
    """Everything at hand: the cohort, what the model and the baseline said of it, and where things lie."""

    settings: Settings
    store: StudyStore
    cohort: Cohort
    reader: Reader
    readings: Readings
    base_reader: Reader | None
    baseline: Readings | None
    out: Path

    @property
    def shared(self) -> list[str]:
        """Conditions that the model and the labels both name, in the model's order."""
        return [name for name in self.readings.conditions.columns if name in self.cohort.labels.columns]
