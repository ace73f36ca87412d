"""What downstream runs of the CineMA family have in common, and the first of them: structures of every voxel.

A task knows which samples a study gives, how they become a loss and a validation error, and what is reported of a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from cardiolens.annotation import Annotation
from cardiolens.models.card import Card
from cardiolens.objectives import dice_and_cross_entropy, soft_dice
from cardiolens.segmentation import STRUCTURES
from cardiolens.stats.overlap import dice, hd95_mm
from cardiolens.study import View
from cardiolens.training.cine_data import GridSource, lacking_views
from cardiolens.training.cine_models import CineModel, dense_model
from cardiolens.training.cine_recipe import SegmentationRecipe

Rows = list[dict[str, Any]]
Tensors = Mapping[str, Tensor]


class CineTask(Protocol):
    """One downstream task."""

    def model(self) -> tuple[CineModel, Card]:
        """The network that is to be trained, and the card of its start."""
        ...

    def why_not(self, source: GridSource, key: str) -> str | None:
        """The reason why a study cannot be used, or None."""
        ...

    def moments(self, source: GridSource, key: str) -> Iterator[int]:
        """Numbers of a study's samples."""
        ...

    def sample(self, source: GridSource, key: str, moment: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Images and targets by view, without a batch axis."""
        ...

    def loss(self, model: Any, images: dict[str, Tensor], targets: Tensors) -> Tensor: ...

    def error(self, model: Any, images: dict[str, Tensor], targets: Tensors) -> Tensor:
        """What validation tries to make small."""
        ...

    def report(self, model: Any, source: GridSource, keys: Sequence[str]) -> tuple[Rows, dict[str, Any]]:
        """Rows of `predictions_<part>.csv` and figures of a part of the split."""
        ...

    def entry(self) -> dict[str, Any]:
        """For the card."""
        ...


def moments_of(drawn: Annotation) -> tuple[int, ...]:
    """Phases of an annotation that are samples: ED, then ES, where both are known and drawn; else all drawn ones."""
    ends = (drawn.ed, drawn.es)
    known = all(phase is not None and phase in drawn.phases for phase in ends)
    return tuple(phase for phase in ends if phase is not None) if known else drawn.phases


class SegmentationTask:
    """Structures of every voxel of each view at ED and ES."""

    def __init__(self, recipe: SegmentationRecipe) -> None:
        self.recipe = recipe
        self.numbers = [STRUCTURES[name] for name in recipe.structures]
        table = torch.zeros(max(STRUCTURES.values()) + 1, dtype=torch.long)
        table[self.numbers] = torch.arange(1, len(self.numbers) + 1)
        self._class_of = table  # number of a structure to class of the network

    def model(self) -> tuple[CineModel, Card]:
        return dense_model(self.recipe, len(self.numbers) + 1, self.recipe.dropout)

    def why_not(self, source: GridSource, key: str) -> str | None:
        lacking = lacking_views(source, key, self.recipe.views)
        if lacking:
            return lacking
        drawn = source.annotations(key)
        bare = [str(view) for view in self.recipe.views if view not in drawn or drawn[view].labels is None]
        if bare:
            return f"no masks of {', '.join(bare)}"
        unknown = {
            name for view in self.recipe.views for name in self.recipe.structures if name not in drawn[view].structures
        }
        return f"masks without {', '.join(sorted(unknown))}" if unknown else None

    def moments(self, source: GridSource, key: str) -> Iterator[int]:
        yield from range(min(len(moments_of(source.annotations(key)[view])) for view in self.recipe.views))

    def sample(self, source: GridSource, key: str, moment: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        images, targets = {}, {}
        for view in self.recipe.views:
            phase = moments_of(source.annotations(key)[view])[moment]
            images[view.value] = source.frame(key, view, phase)
            targets[view.value] = self._class_of[source.labels(key, view, phase)]
        return images, targets

    def loss(self, model: Any, images: dict[str, Tensor], targets: Tensors) -> Tensor:
        logits = model(images)
        return torch.stack([dice_and_cross_entropy(logits[view], labels) for view, labels in targets.items()]).mean()

    def error(self, model: Any, images: dict[str, Tensor], targets: Tensors) -> Tensor:
        """1 - mean Dice of the structures, hard, on the grid."""
        found = []
        for view, logits in model(images).items():
            classes = torch.arange(1, logits.shape[1], device=logits.device).view(1, -1, *[1] * (logits.ndim - 2))
            predicted, true = (labels[:, None] == classes for labels in (logits.argmax(1), targets[view]))
            found.append(soft_dice(predicted.float(), true.float()).mean())
        return torch.stack(found).mean()

    def report(self, model: Any, source: GridSource, keys: Sequence[str]) -> tuple[Rows, dict[str, Any]]:
        """Dice and HD95 on the grid of the cine by structure and frame; ejection fraction from voxels of the stack."""
        rows: Rows = []
        for key in keys:
            for moment in self.moments(source, key):
                found = predicted_masks(model, source, key, self.sample(source, key, moment)[0], self.numbers)
                for view in self.recipe.views:
                    drawn = source.annotations(key)[view]
                    phase = moments_of(drawn)[moment]
                    name = "ED" if phase == drawn.ed else "ES" if phase == drawn.es else str(phase)
                    rows += self._compare(key, view, name, found[view], drawn.at(phase), source)
        return rows, summary_of(rows)

    def _compare(
        self,
        key: str,
        view: View,
        frame: str,
        found: np.ndarray[Any, Any],
        true: np.ndarray[Any, Any],
        source: GridSource,
    ) -> Rows:
        """A row a structure; where the window does not reach, the network has said nothing, an error too."""
        cine, _ = source.views(key)[view]
        rows = []
        for name in self.recipe.structures:
            pair = [labels == STRUCTURES[name] for labels in (found, true)]
            row: dict[str, Any] = {"key": key, "view": view.value, "frame": frame, "structure": name}
            row |= {"voxels": int(pair[0].sum()), "true_voxels": int(pair[1].sum()), "dice": dice(*pair)}
            if cine.spacing_mm is not None and cine.slice_positions_mm is not None:
                step = float(np.diff(cine.slice_positions_mm).mean()) if cine.n_slices > 1 else 1.0
                row["hd95_mm"] = hd95_mm(pair[0], pair[1], (step, *cine.spacing_mm))
            rows.append(row)
        return rows

    def entry(self) -> dict[str, Any]:
        return {"kind": "segmentation", "structures": list(self.recipe.structures)}


def predicted_masks(
    model: Any, source: GridSource, key: str, images: dict[str, Tensor], numbers: Sequence[int]
) -> dict[View, np.ndarray[Any, Any]]:
    """What a segmenter says of one sample, (slice, row, col) on the grid of each cine, numbers of `STRUCTURES`."""
    device = next(model.parameters()).device
    logits = model({view: image[None].to(device) for view, image in images.items()})
    table = np.array([0, *numbers], dtype=np.uint8)
    out = {}
    for name, values in logits.items():
        shares = values[0].softmax(0).cpu().numpy()
        placement = source.placement(key, View(name))
        back = placement.probabilities_to_source(shares)
        out[View(name)] = table[back.argmax(0)]  # beyond the window all shares are 0, and the background comes first
    return out


def summary_of(rows: Rows) -> dict[str, Any]:
    """Mean Dice and HD95 by view and structure, and the error of ejection fractions in points."""
    out: dict[str, Any] = {}
    for view in dict.fromkeys(row["view"] for row in rows):
        for name in dict.fromkeys(row["structure"] for row in rows):
            here = [row for row in rows if row["view"] == view and row["structure"] == name]
            far = [row["hd95_mm"] for row in here if np.isfinite(row.get("hd95_mm", np.nan))]
            entry = {"n": len(here), "dice": round(float(np.mean([row["dice"] for row in here])), 4)}
            if far:
                entry |= {"hd95_mm": round(float(np.mean(far)), 3), "hd95_n": len(far)}
            if view == View.SAX.value and name != "LV myocardium":
                entry |= _fractions(here)
            out.setdefault(view, {})[name] = entry
        out[view]["mean_dice"] = round(float(np.mean([row["dice"] for row in rows if row["view"] == view])), 4)
    return out


def _fractions(rows: Rows) -> dict[str, Any]:
    """Mean absolute error of EF = (ED - ES) / ED by voxel counts, where ED and ES are both there."""
    errors = []
    for key in dict.fromkeys(row["key"] for row in rows):
        ends = {row["frame"]: row for row in rows if row["key"] == key}
        if not {"ED", "ES"} <= set(ends) or not ends["ED"]["true_voxels"]:
            continue
        true = 100.0 * (1.0 - ends["ES"]["true_voxels"] / ends["ED"]["true_voxels"])
        found = 100.0 * (1.0 - ends["ES"]["voxels"] / ends["ED"]["voxels"]) if ends["ED"]["voxels"] else 0.0
        errors.append(abs(found - true))
    return {"ef_mae": round(float(np.mean(errors)), 3), "ef_n": len(errors)} if errors else {}
