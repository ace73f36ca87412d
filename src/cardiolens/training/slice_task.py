"""What is learned of a volume: values by L1, conditions by binary cross-entropy, classes by cross-entropy."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.datasets.splits import patient_of
from cardiolens.errors import StatsError, TrainingError
from cardiolens.models.answers import Answers, Kind
from cardiolens.stats import auroc, bootstrap
from cardiolens.training.slice_recipe import SlicesRecipe

log = logging.getLogger(__name__)

Rows = list[dict[str, Any]]


class SliceTask:
    """Columns of a table of labels.

    Values are learned in units of their spread among the training volumes.

    Attributes:
        answers: what the outputs are.
        targets: key -> (label,) float32, NaN where not known; a key with nothing known is not among them.

    Raises:
        TrainingError: a column that is not there, holds other numbers, or does not vary in training; a class that is
            held out and not taught.
    """

    def __init__(
        self, recipe: SlicesRecipe, table: pd.DataFrame, train: Sequence[str], held_out: Sequence[str], where: str
    ) -> None:
        self.recipe = recipe
        names = [recipe.classes] if recipe.classes is not None else [*recipe.values, *recipe.conditions]
        missing = [name for name in names if name not in table.columns]
        if missing:
            have = ", ".join(map(str, table.columns)) or "none"
            raise TrainingError(f"{where}: no label {', '.join(missing)}; there are {have}")
        wanted = table[names].astype(float)
        known = wanted[wanted.notna().any(axis=1)]
        rows = torch.tensor(known.to_numpy(), dtype=torch.float32)
        self.targets = {str(key): row for key, row in zip(known.index, rows, strict=True)}
        taught = known.loc[[key for key in train if key in known.index]]
        for name in names:
            if taught[name].nunique() < 2:
                raise TrainingError(f"'{name}' is the same, or unknown, in all training volumes: nothing to learn")
        if recipe.classes is not None:
            self.answers = self._classes(known[recipe.classes], taught[recipe.classes], held_out)
        else:
            self.answers = self._columns(known, taught)

    def _classes(self, column: pd.Series[float], taught: pd.Series[float], held_out: Sequence[str]) -> Answers:
        if (column != column.round()).any() or (column < 0).any():
            raise TrainingError(f"'{column.name}' must hold class numbers from 0")
        asked = column[column.index.isin(list(held_out))]
        strange = asked[~asked.isin(taught)]
        if len(strange):
            named = ", ".join(f"{number:.0f}" for number in sorted(set(strange)))
            raise TrainingError(
                f"'{column.name}': of class {named} there are {len(strange)} held-out volumes (first "
                f"{strange.index[0]}) and none to learn from; take more of the training patients (`fraction`), deal "
                "another split, or empty the label of volumes that are not to be measured"
            )
        names = tuple(f"{column.name}_{number}" for number in range(int(taught.max()) + 1))
        kinds: list[Kind] = ["class" for _ in names]
        return Answers(names, tuple(kinds))

    def _columns(self, known: pd.DataFrame, taught: pd.DataFrame) -> Answers:
        offset, scale, kinds = [], [], list[Kind]()
        for name in self.recipe.values:
            offset.append(float(taught[name].mean()))
            scale.append(float(taught[name].std(ddof=0)))
            kinds.append("value")
        for name in self.recipe.conditions:
            if not set(known[name].dropna()) <= {0.0, 1.0}:
                raise TrainingError(f"'{name}' is no condition: 0 and 1 are needed; numbers belong in `values`")
            offset.append(0.0)
            scale.append(1.0)
            kinds.append("condition")
        return Answers((*self.recipe.values, *self.recipe.conditions), tuple(kinds), tuple(offset), tuple(scale))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over what is known, summed over the kinds; in training and in validation."""
        if self.recipe.classes is not None:
            return F.cross_entropy(logits, targets[:, 0].long())
        parts = []
        known = ~targets.isnan()
        values, conditions = self.answers.at("value"), self.answers.at("condition")
        if values:
            offset, scale = (targets.new_tensor(v)[values] for v in (self.answers.offset, self.answers.scale))
            wanted, seen = (targets[:, values] - offset) / scale, known[:, values]
            parts.append(((logits[:, values] - wanted.nan_to_num()).abs() * seen).sum() / seen.sum().clamp(min=1))
        if conditions:
            wanted, seen = targets[:, conditions], known[:, conditions]
            each = F.binary_cross_entropy_with_logits(logits[:, conditions], wanted.nan_to_num(), reduction="none")
            parts.append((each * seen).sum() / seen.sum().clamp(min=1))
        return torch.stack(parts).sum()

    def rows(self, keys: Sequence[str], predicted: Tensor) -> Rows:
        """A row a volume: what is true and what was said."""
        rows: Rows = []
        for key, said in zip(keys, predicted.tolist(), strict=True):
            row: dict[str, Any] = {"key": key}
            true = self.targets[key].tolist()
            if self.recipe.classes is not None:
                row[self.recipe.classes] = int(true[0])
            for number, name in enumerate(self.answers.names):
                if self.recipe.classes is None:
                    row[name] = "" if math.isnan(true[number]) else round(true[number], 6)
                row[f"{name}_pred"] = round(said[number], 6)
            rows.append(row)
        return rows

    def figures(self, keys: Sequence[str], predicted: Tensor) -> dict[str, Any]:
        """By output: of values R2 and MAE, of conditions and classes ROC AUC and PR AUC, with bootstrap limits."""
        true = torch.stack([self.targets[key] for key in keys]).double().numpy()
        said, patients = predicted.double().numpy(), np.array([patient_of(key) for key in keys])
        found: dict[str, Any] = {}
        for number, (name, kind) in enumerate(zip(self.answers.names, self.answers.kinds, strict=True)):
            column = (true[:, 0] == number).astype(float) if kind == "class" else true[:, number]
            here = ~np.isnan(column)
            data = column[here], said[here, number], patients[here]
            metrics = ("r2", "mae") if kind == "value" else ("auroc", "average_precision")
            found[name] = {"n": int(here.sum())} | {m: _limits(m, *data, self.recipe) for m in metrics}
        if self.recipe.classes is not None:
            found["accuracy"] = round(float((said.argmax(1) == true[:, 0]).mean()), 4)
        return found

    def entry(self) -> dict[str, Any]:
        """For the card."""
        return {"kind": "volumes", "names": list(self.answers.names), "kinds": list(self.answers.kinds)}


def _limits(metric: str, true: Any, said: Any, patients: Any, recipe: SlicesRecipe) -> dict[str, float] | None:
    """A figure with the percentile limits of a bootstrap by patient; None where it cannot be computed."""
    columns = (said, true) if metric in ("r2", "mae") else (true, said)
    try:
        if metric == "auroc":
            auroc(true, said)
        found = bootstrap(metric, *columns, patients=patients, n_resamples=recipe.resamples, level=recipe.level)
    except StatsError as error:
        log.warning("no %s: %s", metric, error)
        return None
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
