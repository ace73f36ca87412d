"""Values and classes of a study from its ED and ES frames: LVEF, diagnosis, sex, age, BMI, vendor."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cardiolens.errors import StatsError, TrainingError
from cardiolens.models.card import Card
from cardiolens.objectives import cross_entropy, mse
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.training.cine_data import GridSource, lacking_views
from cardiolens.training.cine_models import CineModel, tabular_model
from cardiolens.training.cine_recipe import TabularRecipe
from cardiolens.training.cine_tasks import Rows, Tensors

logger = logging.getLogger(__name__)


class TabularTask:
    """One column of labels.csv.

    A value is learned in units of its spread among the training studies; a class by its number in `classes`.

    Args:
        train: keys of the training studies that the recipe takes.

    Raises:
        TrainingError: no such column, values that are no numbers, or nothing to tell apart.
    """

    def __init__(self, recipe: TabularRecipe, store: StudyStore, train: Sequence[str]) -> None:
        self.recipe = recipe
        table = store.labels()
        if recipe.label not in table.columns:
            have = ", ".join(map(str, table.columns)) or "no columns"
            raise TrainingError(f"{store.path}: labels.csv has no column '{recipe.label}' (it has {have})")
        column = table[recipe.label].dropna()
        self.classes: tuple[str, ...] = ()
        self.offset, self.scale = 0.0, 1.0
        if recipe.target == "class":
            said = {str(key): _name(value) for key, value in column.items()}
            self.classes = recipe.classes or tuple(sorted({said[key] for key in train if key in said}))
            if len(self.classes) < 2:
                raise TrainingError(f"'{recipe.label}' has fewer than two classes among the training studies")
            self.targets: Mapping[str, float] = {
                k: float(self.classes.index(v)) for k, v in said.items() if v in self.classes
            }
            return
        try:
            self.targets = {str(key): float(value) for key, value in column.items()}
        except (TypeError, ValueError) as error:
            raise TrainingError(f"'{recipe.label}' holds texts ({error}); set `target: class`") from error
        known = [self.targets[key] for key in train if math.isfinite(self.targets.get(key, math.nan))]
        if len(set(known)) < 2:
            raise TrainingError(f"'{recipe.label}' is known of {len(known)} training studies, or the same in all")
        self.offset, self.scale = float(np.mean(known)), float(np.std(known))

    def model(self) -> tuple[CineModel, Card]:
        if self.classes:
            return tabular_model(self.recipe, frames=2, outputs=len(self.classes), kind="classification")
        head = {"outputs": 1, "kind": "regression", "offset": (self.offset,), "scale": (self.scale,)}
        return tabular_model(self.recipe, frames=2, **head)

    def why_not(self, source: GridSource, key: str) -> str | None:
        lacking = lacking_views(source, key, self.recipe.views)
        if lacking:
            return lacking
        if not math.isfinite(self.targets.get(key, math.nan)):
            return f"no '{self.recipe.label}'" + (f" among {', '.join(self.classes)}" if self.classes else "")
        try:
            for view in self.recipe.views:
                ends_of(source, key, view)
        except TrainingError as error:
            return str(error)
        return None

    def moments(self, source: GridSource, key: str) -> Iterator[int]:
        yield 0

    def sample(self, source: GridSource, key: str, moment: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        images = {
            view.value: torch.cat([source.frame(key, view, phase) for phase in ends_of(source, key, view)])
            for view in self.recipe.views
        }
        return images, {"value": torch.tensor([self.targets[key]])}

    def loss(self, model: Any, images: dict[str, Tensor], targets: Tensors) -> Tensor:
        logits = model(images)
        if self.classes:
            return cross_entropy(logits, targets["value"][:, 0].long(), smoothing=self.recipe.label_smoothing)
        return mse(logits, (targets["value"] - self.offset) / self.scale)

    def error(self, model: Any, images: dict[str, Tensor], targets: Tensors) -> Tensor:
        """Absolute error of a value; of classes the cross-entropy, which a small validation part still tells apart
        (the paper takes MCC; see `report`)."""
        if self.classes:
            return cross_entropy(model(images), targets["value"][:, 0].long())
        found: Tensor = model.predict(images)
        return (found - targets["value"]).abs().mean()

    def report(self, model: Any, source: GridSource, keys: Sequence[str]) -> tuple[Rows, dict[str, Any]]:
        device = next(model.parameters()).device
        found = []
        for key in keys:
            images = {view: image[None].to(device) for view, image in self.sample(source, key, 0)[0].items()}
            found.append(model.predict(images)[0].cpu().double().numpy())
        predicted, true = np.stack(found), np.array([self.targets[key] for key in keys])
        if not self.classes:
            rows: Rows = [
                {"key": key, "label": t, "pred": round(float(p[0]), 4)}
                for key, t, p in zip(keys, true, predicted, strict=True)
            ]
            return rows, {"n": len(keys), "mae": round(float(np.abs(predicted[:, 0] - true).mean()), 4)}
        rows = [
            {"key": key, "label": self.classes[int(t)], "pred": self.classes[int(p.argmax())]}
            | {f"p_{name}": round(float(share), 6) for name, share in zip(self.classes, p, strict=True)}
            for key, t, p in zip(keys, true, predicted, strict=True)
        ]
        return rows, _class_figures(true.astype(int), predicted, self.classes)

    def entry(self) -> dict[str, Any]:
        if self.classes:
            return {"kind": "classification", "labels": list(self.classes), "label": self.recipe.label}
        return {"kind": "regression", "label": self.recipe.label, "unit": self.recipe.unit}


def ends_of(source: GridSource, key: str, view: View) -> tuple[int, int]:
    """Phases of ED and ES in a view: its own, or those of the short axis where that has as many phases.

    Raises:
        TrainingError: they are not known.
    """
    drawn, cines = source.annotations(key), source.views(key)
    for name in (view, View.SAX):
        if name not in drawn or drawn[name].ed is None or drawn[name].es is None:
            continue
        if name is not view and (name not in cines or cines[name][0].n_phases != cines[view][0].n_phases):
            continue
        ed, es = drawn[name].ed, drawn[name].es
        assert ed is not None and es is not None  # noqa: S101 - looked at above
        return ed, es
    raise TrainingError("ED and ES are not known")


def _name(value: object) -> str:
    """A class by name: whole numbers without a point, as pandas makes of them where some are missing."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _class_figures(true: np.ndarray[Any, Any], shares: np.ndarray[Any, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy, Matthews correlation of several classes (Gorodkin 2004), and AUROC of each against the rest."""
    from cardiolens.stats import auroc

    said = shares.argmax(1)
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, (true, said), 1)
    n, right, rows, cols = table.sum(), np.trace(table), table.sum(1), table.sum(0)
    spread = math.sqrt(float((n**2 - (rows**2).sum()) * (n**2 - (cols**2).sum())))
    figures: dict[str, Any] = {"n": int(n), "accuracy": round(float(right / n), 4)}
    figures["mcc"] = round(float(n * right - rows @ cols) / spread, 4) if spread else None
    for number, name in enumerate(classes):
        try:
            figures[f"auroc_{name}"] = round(auroc((true == number).astype(int), shares[:, number]).auc, 4)
        except StatsError as error:
            logger.debug("no AUROC of %s: %s", name, error)
            figures[f"auroc_{name}"] = None
    return figures
