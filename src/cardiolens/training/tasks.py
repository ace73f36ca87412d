"""What a head is taught: one number of a study under the Huber loss, or conditions under weighted cross-entropy.

A task knows its labels, the head that fits them, its loss, how well predictions did, and what a part for calibration
tells of them; the training around it is the same (`supervised`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.datasets.splits import Split
from cardiolens.errors import StatsError, TrainingError
from cardiolens.models.mil import MILConfig, MILOutput
from cardiolens.objectives import huber
from cardiolens.stats import split_conformal
from cardiolens.store import StudyStore
from cardiolens.training.calibration import LEAST, PREVALENCE, calibrate_condition
from cardiolens.training.recipe import FinetuneRecipe

logger = logging.getLogger(__name__)

Targets = Mapping[str, tuple[float, ...]]
"""Key of a study to its labels; NaN where one is not known."""


class Outputs(NamedTuple):
    """What a head says of the studies of a part: logits and outputs in its unit, (study, label) each."""

    logits: Tensor
    output: Tensor


class Task(Protocol):
    """One head's job.

    Attributes:
        labels: names of what it predicts, in the order of its outputs.
        targets: key of a study to a label each.
    """

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def targets(self) -> Targets: ...

    def head(self, embed_dim: int) -> MILConfig: ...

    def loss(self, found: MILOutput, targets: Tensor) -> Tensor: ...

    def error(self, found: MILOutput, targets: Tensor) -> Tensor:
        """What validation tries to make small."""
        ...

    def metrics(self, part: str, predicted: Tensor, targets: Tensor) -> dict[str, Any]:
        """Figures of one part of the split from outputs and targets (study, label), by the names they are kept by."""
        ...

    def calibrate(self, found: Outputs, targets: Tensor) -> dict[str, Any]:
        """What the part `calibration` adds to the head's entry of the card."""
        ...

    def table(self, keys: Sequence[str], predicted: Tensor, targets: Tensor) -> Iterator[Sequence[object]]:
        """Rows of `predictions_<part>.csv`, the header first."""
        ...

    def card(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class ValueTask:
    """One number, such as LVEF in percent."""

    label: str
    unit: str
    delta: float
    targets: Targets
    coverage: float = 0.9

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.label,)

    def head(self, embed_dim: int) -> MILConfig:
        return MILConfig(kind="regression", embed_dim=embed_dim)

    def loss(self, found: MILOutput, targets: Tensor) -> Tensor:
        return huber(found.output, targets, delta=self.delta)

    def error(self, found: MILOutput, targets: Tensor) -> Tensor:
        return (found.output - targets).abs().mean()

    def metrics(self, part: str, predicted: Tensor, targets: Tensor) -> dict[str, Any]:
        return {f"{part}_mae": round(float((predicted - targets).abs().mean()), 4)}

    def calibrate(self, found: Outputs, targets: Tensor) -> dict[str, Any]:
        """The conformal quantile of the interval around a value."""
        residuals = (found.output - targets).abs()[:, 0]
        quantile = split_conformal(residuals.tolist(), self.coverage)
        return {"conformal": {"coverage": self.coverage, "quantile": round(quantile, 4), "n": len(targets)}}

    def table(self, keys: Sequence[str], predicted: Tensor, targets: Tensor) -> Iterator[Sequence[object]]:
        """A row a study."""
        yield "key", "label", "pred"
        yield from zip(keys, targets[:, 0].tolist(), predicted[:, 0].tolist(), strict=True)

    def card(self) -> dict[str, Any]:
        return {"kind": "regression", "unit": self.unit, "label": self.label}


@dataclass(frozen=True)
class ConditionTask:
    """Conditions, each present or absent; positives weigh as many times as there are negatives to one of them in the
    training part (Shad et al.)."""

    labels: tuple[str, ...]
    targets: Targets
    positive_weight: tuple[float, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    sensitivity: float | None = None

    def one(self, name: str) -> ConditionTask:
        """The task of one of these conditions alone."""
        at = self.labels.index(name)
        targets = {key: (row[at],) for key, row in self.targets.items()}
        return ConditionTask((name,), targets, (self.positive_weight[at],), sensitivity=self.sensitivity)

    def head(self, embed_dim: int) -> MILConfig:
        return MILConfig(kind="classification", outputs=len(self.labels), embed_dim=embed_dim)

    def loss(self, found: MILOutput, targets: Tensor) -> Tensor:
        """Binary cross-entropy, the mean over what is known."""
        known = torch.isfinite(targets)
        weight = torch.tensor(self.positive_weight, device=targets.device).expand_as(targets)
        return F.binary_cross_entropy_with_logits(
            found.logits[known], targets[known], pos_weight=weight[known], reduction="sum"
        ) / known.sum().clamp(min=1)

    def error(self, found: MILOutput, targets: Tensor) -> Tensor:
        return self.loss(found, targets)

    def metrics(self, part: str, predicted: Tensor, targets: Tensor) -> dict[str, Any]:
        """AUROC with DeLong limits per condition; one without both classes has none, and says so."""
        from cardiolens.stats import auroc

        out: dict[str, Any] = {}
        for column, name in enumerate(self.labels):
            known = torch.isfinite(targets[:, column])
            truth, scores = targets[known, column], predicted[known, column]
            row: dict[str, Any] = {"n": int(known.sum()), "positive": int(truth.sum())}
            try:
                found = auroc(truth.int().numpy(), scores.double().numpy())
                row |= {"auroc": round(found.auc, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
            except StatsError as error:
                row["not_computed"] = str(error)
            out[name] = row
        areas = [row["auroc"] for row in out.values() if "auroc" in row]
        return {part: {"conditions": out, "mean_auroc": round(sum(areas) / len(areas), 4) if areas else None}}

    def calibrate(self, found: Outputs, targets: Tensor) -> dict[str, Any]:
        """Platt scaling and operating threshold of every condition that is seen often enough; the others are named."""
        conditions: dict[str, dict[str, Any]] = {}
        left_out: dict[str, str] = {}
        for column, name in enumerate(self.labels):
            truth, logits = (values[:, column].double().numpy() for values in (targets, found.logits))
            fitted = calibrate_condition(truth, logits, self.sensitivity)
            if isinstance(fitted, str):
                left_out[name] = fitted
                logger.warning("%s is not calibrated: %s", name, fitted)
            else:
                conditions[name] = fitted
        rule = "greatest Youden index" if self.sensitivity is None else f"sensitivity of {self.sensitivity:g} or more"
        return {
            "calibration": {
                "method": "Platt scaling of the logit",
                "threshold": rule,
                "least": LEAST,
                "prevalence": PREVALENCE,
                "conditions": conditions,
                "left_out": left_out,
            }
        }

    def table(self, keys: Sequence[str], predicted: Tensor, targets: Tensor) -> Iterator[Sequence[object]]:
        """A row a study and condition; the label is empty where it is not known."""
        yield "key", "condition", "label", "score"
        for key, labels, scores in zip(keys, targets.tolist(), predicted.tolist(), strict=True):
            for name, label, score in zip(self.labels, labels, scores, strict=True):
                yield key, name, "" if math.isnan(label) else int(label), f"{score:.6f}"

    def card(self) -> dict[str, Any]:
        return {"kind": "classification", "labels": list(self.labels), "left_out": dict(self.left_out)}


def value_task(recipe: FinetuneRecipe, store: StudyStore, split: Split) -> ValueTask:
    """The recipe's `label`; every study of the split must have one.

    Raises:
        TrainingError: no such column, or a study without the label.
    """
    labels = store.labels()
    if recipe.label not in labels.columns:
        have = ", ".join(map(str, labels.columns)) or "no columns"
        raise TrainingError(f"{store.path}: labels.csv has no column '{recipe.label}' (it has {have})")
    values = labels[recipe.label].astype(float).to_dict()
    missing = [key for part in split.parts.values() for key in part if not math.isfinite(values.get(key, math.nan))]
    if missing:
        raise TrainingError(f"{len(missing)} studies of the split have no '{recipe.label}', first {missing[0]}")
    targets = {str(k): (float(v),) for k, v in values.items()}
    return ValueTask(recipe.label, recipe.unit, recipe.huber_delta, targets, recipe.coverage)


def condition_task(recipe: FinetuneRecipe, store: StudyStore, split: Split, train: Sequence[str]) -> ConditionTask:
    """The recipe's conditions; those without both classes among the training studies are left out.

    Raises:
        TrainingError: no such column, values other than 0, 1 and empty, or nothing left to learn.
    """
    from cardiolens.text.conditions import CONDITIONS

    table = store.labels()
    known = [c.column for c in CONDITIONS if c.column in table.columns]
    asked = recipe.labels or tuple(known)
    absent = [name for name in asked if name not in table.columns]
    if absent or not asked:
        what = ", ".join(absent) or "one of the 35 conditions"
        raise TrainingError(f"{store.path}: labels.csv has no column for {what}; `cardiolens label` makes them")
    values = table[list(asked)].astype(float)
    odd = [name for name in asked if not values[name].dropna().isin([0.0, 1.0]).all()]
    if odd:
        raise TrainingError(f"{store.path}: labels.csv, column {odd[0]}: a condition is 0, 1 or empty")
    at_train = values.reindex(list(train))
    positive, negative = (at_train == 1.0).sum(), (at_train == 0.0).sum()
    left_out = {
        name: f"{int(positive[name])} with and {int(negative[name])} without it among the training studies"
        for name in asked
        if not (positive[name] and negative[name])
    }
    for name, why in left_out.items():
        logger.warning("%s is left out: %s", name, why)
    kept = tuple(name for name in asked if name not in left_out)
    if not kept:
        raise TrainingError(f"nothing to learn: {'; '.join(f'{name} has {why}' for name, why in left_out.items())}")
    rows = values[list(kept)].reindex([key for part in split.parts.values() for key in part])
    targets = {str(key): tuple(float(v) for v in row) for key, row in zip(rows.index, rows.to_numpy(), strict=True)}
    weight = tuple(float(negative[n] / positive[n]) for n in kept)
    return ConditionTask(kept, targets, weight, left_out, recipe.sensitivity)
