"""A run that learns labels: its share of the training patients, the check of its weights, its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L

from cardiolens.datasets.splits import Split, take_fraction
from cardiolens.errors import RecipeError
from cardiolens.hub import save_model
from cardiolens.models.card import Card
from cardiolens.training.overlap import refuse_seen
from cardiolens.training.recipe import LabelledRecipe
from cardiolens.training.run import RunFolder

STOPPED = "stopped_early.json"


class LabelledRun:
    """From the split to the card; what is between is each kind's own.

    Every part of the split but `train` is whole whatever share of the training patients is taken.

    Attributes:
        train: keys of the training part that the recipe takes.
    """

    def __init__(self, folder: RunFolder, recipe: LabelledRecipe, split: Split, data_hash: str) -> None:
        """Set the seeds and take the share."""
        L.seed_everything(recipe.seed, verbose=False)
        self.folder, self.settings, self.split, self.data_hash = folder, recipe, split, data_hash
        self.train = take_fraction(split["train"], recipe.fraction, recipe.fraction_seed)
        self._start: dict[str, Any] = {}
        self._checked: list[str] = []

    def starts_from(self, start: Card) -> None:
        """Take note of what the weights are.

        Raises:
            TrainingError: they have learned from patients that the split holds out.
        """
        recipe, self._start = self.settings, dict(start.provenance)
        self._checked = refuse_seen(
            self._start,
            self.split,
            data_hash=self.data_hash,
            weights=recipe.weights,
            named=recipe.pretrain_split,
            keep=self.folder.path,
        )

    def share(self, part: str) -> tuple[str, ...]:
        """Keys of a part of the split that the recipe takes."""
        return self.train if part == "train" else self.split[part]

    def provenance(self, **facts: Any) -> dict[str, Any]:
        """For the card of what was trained."""
        start = self._start if self.settings.weights is not None else {}
        checked = "; ".join(self._checked) or None
        facts = {**facts, "held_out_checked": checked, "start": facts.get("start", start)}
        return self.folder.provenance(self.split, self.data_hash, **facts)

    def conclude(self, model: Any, entry: dict[str, Any], metrics: dict[str, Any], **facts: Any) -> Path:
        """Write the model with its card, and `metrics.json`.

        Args:
            model: with a card.
            entry: what the card says of the task beside its metrics.
            metrics: by part of the split.
            facts: more for the provenance.

        Returns:
            the folder of the final model.
        """
        stopped = self.folder.path / STOPPED
        early = json.loads(stopped.read_text())["epoch"] if stopped.exists() else None
        model.card.tasks[self.settings.task] = {**entry, "metrics": metrics}
        model.card.provenance = self.provenance(**facts, stopped_early=early)
        (self.folder.path / "metrics.json").write_text(json.dumps({**metrics, **model.card.provenance}, indent=1))
        save_model(model, self.folder.final)
        return self.folder.final


def refuse_unvalidated(epochs: int, every: int) -> None:
    """`RecipeError` where validation would never take place."""
    if every > epochs:
        raise RecipeError(f"validate_every is {every} and epochs are {epochs}: the epoch to keep could not be chosen")
