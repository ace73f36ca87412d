"""Mitral hinge points and LV apex in a long axis, as heat-maps or as coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cardiolens.models.card import Card
from cardiolens.objectives import dice_and_heat, heat_maps, soft_argmax, wing
from cardiolens.training.cine_data import GridSource, lacking_views
from cardiolens.training.cine_models import CineModel, dense_model, tabular_model
from cardiolens.training.cine_recipe import LandmarkRecipe
from cardiolens.training.cine_tasks import Rows, Tensors, moments_of

_PEAK = 0.5  # a heat below this share of the greatest is taken for none, so that far noise moves no landmark


class LandmarkTask:
    """Landmarks of one view at ED and ES."""

    def __init__(self, recipe: LandmarkRecipe) -> None:
        self.recipe, self.view = recipe, recipe.views[0]
        self.name = self.view.value

    def model(self) -> tuple[CineModel, Card]:
        count = len(self.recipe.names)
        if self.recipe.way == "heat-maps":
            return dense_model(self.recipe, count, self.recipe.dropout)
        return tabular_model(self.recipe, frames=1, outputs=2 * count, kind="coordinates")

    def why_not(self, source: GridSource, key: str) -> str | None:
        lacking = lacking_views(source, key, self.recipe.views)
        if lacking:
            return lacking
        drawn = source.annotations(key).get(self.view)
        if drawn is None or not drawn.landmarks:
            return f"no landmarks of {self.name}"
        seen = [source.points(key, self.view, phase, self.recipe.names) for phase in moments_of(drawn)]
        return None if all(bool(torch.isfinite(points).any()) for points in seen) else "landmarks outside the plane"

    def moments(self, source: GridSource, key: str) -> Iterator[int]:
        yield from range(len(moments_of(source.annotations(key)[self.view])))

    def sample(self, source: GridSource, key: str, moment: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        phase = moments_of(source.annotations(key)[self.view])[moment]
        points = source.points(key, self.view, phase, self.recipe.names)
        return {self.name: source.frame(key, self.view, phase)}, {self.name: points}

    def loss(self, model: Any, images: dict[str, Tensor], targets: Tensors) -> Tensor:
        points, size = targets[self.name], _size(images[self.name])
        if self.recipe.way == "heat-maps":
            return dice_and_heat(model(images)[self.name], heat_maps(points, size, sigma=self.recipe.sigma))
        extent = points.new_tensor(size)
        return wing(model(images).unflatten(1, (-1, 2)) * extent, points)

    def places(self, model: Any, images: dict[str, Tensor]) -> Tensor:
        """(batch, landmark, 2), x and y on the grid."""
        if self.recipe.way == "coordinates":
            found: Tensor = model.predict(images)
            extent = found.new_tensor(_size(images[self.name]))
            return found * extent
        heat = model(images)[self.name].sigmoid()
        peak = heat.amax((2, 3), keepdim=True)
        return soft_argmax(torch.where(heat >= _PEAK * peak, heat, torch.zeros_like(heat)))

    def error(self, model: Any, images: dict[str, Tensor], targets: Tensors) -> Tensor:
        """Mean distance in pixels of the grid."""
        far = torch.linalg.vector_norm(self.places(model, images) - targets[self.name], dim=-1)
        return torch.as_tensor(far[torch.isfinite(far)].mean())

    def report(self, model: Any, source: GridSource, keys: Sequence[str]) -> tuple[Rows, dict[str, Any]]:
        """Places in pixels of the cine, and distances in mm where its spacing is known."""
        rows: Rows = []
        device = next(model.parameters()).device
        for key in keys:
            cine, placement = source.views(key)[self.view]
            drawn = source.annotations(key)[self.view]
            for moment in self.moments(source, key):
                images, targets = self.sample(source, key, moment)
                at = self.places(model, {self.name: images[self.name][None].to(device)})[0].cpu().numpy()
                found, true = (placement.points_to_source(p) for p in (at, targets[self.name].numpy()))
                for name, place, truth in zip(self.recipe.names, found, true, strict=True):
                    row = {"key": key, "view": self.name, "phase": moments_of(drawn)[moment], "landmark": name}
                    row |= {"row": round(float(place[0]), 2), "col": round(float(place[1]), 2)}
                    row |= {"true_row": round(float(truth[0]), 2), "true_col": round(float(truth[1]), 2)}
                    if cine.spacing_mm is not None:
                        away = (place - truth) * np.array(cine.spacing_mm)
                        row["distance_mm"] = round(float(np.hypot(*away)), 3)
                    rows.append(row)
        return rows, self._summary(rows)

    def _summary(self, rows: Rows) -> dict[str, Any]:
        out: dict[str, Any] = {"n": len(rows)}
        for name in (*self.recipe.names, "all"):
            far = [row.get("distance_mm", np.nan) for row in rows if name in (row["landmark"], "all")]
            known = [value for value in far if np.isfinite(value)]
            out[f"distance_mm_{name}"] = round(float(np.mean(known)), 3) if known else None
        return out

    def entry(self) -> dict[str, Any]:
        return {"kind": "landmarks", "landmarks": list(self.recipe.names), "way": self.recipe.way, "view": self.name}


def _size(image: Tensor) -> tuple[int, int]:
    return int(image.shape[2]), int(image.shape[3])
