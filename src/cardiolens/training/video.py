"""A label of a loop from its clips, end to end: EchoAI's fine-tuning."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.datasets.cine_volumes import item_of
from cardiolens.datasets.splits import patient_of
from cardiolens.datasets.volumes import VolumeSet
from cardiolens.errors import StatsError, TrainingError
from cardiolens.hub import load_model
from cardiolens.models.answers import Answers
from cardiolens.models.card import Card, Licence
from cardiolens.models.multiview import layer_groups
from cardiolens.models.transformer import set_checkpointing
from cardiolens.models.videomae import VideoMAE
from cardiolens.models.vivit import ViViT, ViViTConfig
from cardiolens.training.downstream import batches_of, fit_best, write_rows
from cardiolens.training.labelled import LabelledRun, refuse_unvalidated
from cardiolens.training.masked_video import augmented
from cardiolens.training.run import RunFolder, TrainingModule
from cardiolens.training.start import rendered_set
from cardiolens.training.video_data import (
    LoopClips,
    LoopSource,
    VideoBatch,
    loop_loader,
    split_of,
    transform_for,
)
from cardiolens.training.video_recipe import VideoRecipe

logger = logging.getLogger(__name__)

_EVALUATION_BATCH = 8  # clips
_FIGURES = {"value": ("mae", "rmse", "r2", "bias"), "condition": ("auroc", "average_precision")}


class VideoModule(TrainingModule):
    """An encoder and a head under the squared error of a value, in units of its spread, or the cross-entropy of a
    condition."""

    def __init__(self, model: ViViT, recipe: VideoRecipe) -> None:
        super().__init__(recipe)
        self.model, self.settings = model, recipe

    def parameter_groups(self) -> list[dict[str, Any]]:
        return layer_groups(self.model, self.settings.optimiser.layer_decay, self.settings.optimiser.weight_decay)

    def training_step(self, batch: VideoBatch, batch_idx: int) -> Tensor:
        clips = augmented(batch.clips, self.settings.augment, self.augment_generator(batch.epoch, batch_idx))
        logits = self.model(clips)[:, 0].float()
        if self.settings.target == "condition":
            loss = F.binary_cross_entropy_with_logits(logits, batch.targets)
        else:
            answers = self.model.config.answers
            loss = F.mse_loss(logits, (batch.targets - answers.offset[0]) / answers.scale[0])
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.studies))
        return loss

    def validation_step(self, batch: VideoBatch, batch_idx: int) -> None:
        """Of the clip in the middle: absolute error of a value, cross-entropy of a condition."""
        if self.settings.target == "condition":
            error = F.binary_cross_entropy_with_logits(self.model(batch.clips)[:, 0].float(), batch.targets)
        else:
            error = (self.model.predict(batch.clips)[:, 0].float() - batch.targets).abs().mean()
        self.log("val", error, batch_size=len(batch.studies))


def train_video(recipe: VideoRecipe, volumes: VolumeSet, out: Path) -> Path:
    """Run, or go on with, a training; leaves `final/`, `predictions_<part>.csv` and `metrics.json` in `out`.

    Every part of the split but `train` is whole whatever share of the training patients is taken.

    Returns:
        the folder of the final model.

    Raises:
        TrainingError: no such label, nothing to learn from, weights that learned from held-out patients, a loss that is
            no number, a folder of another run.
        RecipeError: validation that would never take place.
    """
    refuse_unvalidated(recipe.optimiser.epochs, recipe.validate_every)
    folder = RunFolder(out, recipe)
    if folder.told_finished():
        return folder.final
    split = split_of(folder, recipe, volumes)
    run = LabelledRun(folder, recipe, split, volumes.hash())
    targets = targets_of(recipe, volumes)
    model, start = start_model(recipe, [targets.get(key, math.nan) for key in run.train])
    run.starts_from(start)
    source = LoopSource(volumes, transform_for(recipe, start), cache=recipe.cache)
    parts = {
        part: source.usable(run.share(part), part, out, targets)
        if recipe.check
        else tuple(key for key in run.share(part) if math.isfinite(targets.get(key, math.nan)))
        for part in split.parts
    }
    module = VideoModule(model, recipe)
    best = _fit(folder, module, source, parts, targets)
    metrics = {part: _measure(folder, module, source, part, parts[part], targets) for part in parts if part != "train"}
    entry = {
        "kind": "regression" if recipe.target == "value" else "classification",
        "label": recipe.label,
        **({"unit": recipe.unit} if recipe.target == "value" else {}),
        "clips": recipe.test_clips,
    }
    return run.conclude(
        model,
        entry,
        metrics,
        data_set=volumes.name,
        best_epoch=best["epoch"],
        loops={part: len(keys) for part, keys in parts.items()},
        phantom=rendered_set(volumes, parts["train"]) or None,
    )


def targets_of(recipe: VideoRecipe, volumes: VolumeSet) -> dict[str, float]:
    """The recipe's label by key, NaN where it is not known.

    Raises:
        TrainingError: no such column, or a condition that is neither 0 nor 1.
    """
    table = volumes.labels()
    if recipe.label not in table.columns:
        have = ", ".join(map(str, table.columns)) or "none"
        raise TrainingError(f"{volumes.path}: no label of numbers is called '{recipe.label}'; there are {have}")
    found = {str(key): float(value) for key, value in table[recipe.label].items()}
    odd = {value for value in found.values() if not math.isnan(value)} - {0.0, 1.0}
    if recipe.target == "condition" and odd:
        raise TrainingError(
            f"'{recipe.label}' is {min(odd):g} somewhere; a condition is 0 or 1 (or set `target: value`)"
        )
    return found


def start_model(recipe: VideoRecipe, known: Sequence[float]) -> tuple[ViViT, Card]:
    """The recipe's encoder under a new head, and the card of what it starts from.

    Args:
        known: labels of the training loops, NaN where there is none.

    Raises:
        TrainingError: another kind of model, or labels that are the same everywhere.
    """
    values = np.array([value for value in known if math.isfinite(value)])
    if len(set(values.tolist())) < 2:
        raise TrainingError(f"'{recipe.label}' is known of {len(values)} training loops, or the same in all")
    start = load_model(recipe.model, weights=recipe.weights)
    if not isinstance(start, VideoMAE | ViViT):
        raise TrainingError(f"{recipe.model} is no video transformer; take echoai-base or echoai-tiny")
    card = start.card
    assert card is not None  # noqa: S101 - load_model gives one
    transform = transform_for(recipe, card)
    if recipe.target == "value":
        answers = Answers((recipe.label,), ("value",), (float(values.mean()),), (float(values.std()),))
    else:
        answers = Answers((recipe.label,), ("condition",))
    encoder = replace(start.config.encoder, frames=transform.frames, drop_path=recipe.drop_path)
    model = ViViT(ViViTConfig(encoder, answers))
    model.encoder.start_from(start.encoder)
    name = card.name if isinstance(start, ViViT) else card.name.replace("echoai-", "echoai-ef-")
    licence = card.licence if recipe.weights is not None else Licence()
    model.card = Card(name=name, transform=transform.to_dict(), licence=licence, architecture=model.architecture())
    set_checkpointing(model, recipe.checkpointing)
    return model, card


def _fit(
    folder: RunFolder,
    module: VideoModule,
    source: LoopSource,
    parts: Mapping[str, tuple[str, ...]],
    targets: Mapping[str, float],
) -> dict[str, Any]:
    """Train, or go on, and take the weights of the best validation; gives its epoch and error."""
    recipe = module.settings
    batch, accumulate = batches_of(len(parts["train"]), recipe.optimiser.batch, recipe.optimiser.chunk)
    loaders = [
        loop_loader(
            LoopClips(source, parts[part], targets, seed=recipe.seed, train=part == "train"),
            batch=batch if part == "train" else _EVALUATION_BATCH,
            seed=recipe.seed,
            train=part == "train",
            workers=recipe.workers if part == "train" else 0,
        )
        for part in ("train", "val")
    ]
    return fit_best(
        folder,
        module,
        loaders,
        studies=len(parts["train"]),
        patience=recipe.patience,
        validate_every=recipe.validate_every,
        accumulate=accumulate,
    )


@torch.inference_mode()
def _measure(
    folder: RunFolder,
    module: VideoModule,
    source: LoopSource,
    part: str,
    keys: Sequence[str],
    targets: Mapping[str, float],
) -> dict[str, Any]:
    """Figures of one part with bootstrap limits over its patients; writes its predictions."""
    module.eval()
    recipe, transform = module.settings, source.transform
    found: dict[str, list[float]] = {}
    label: dict[str, float] = {}
    for key in keys:
        loop = source.loop(key)
        clips = torch.stack([transform.clip(loop, start) for start in transform.starts(len(loop), recipe.test_clips)])
        found.setdefault(item_of(key), []).append(float(module.model.predict(clips.to(module.device))[:, 0].mean()))
        label[item_of(key)] = targets[key]
    rows = [
        {
            "key": item,
            "patient": patient_of(item),
            "label": label[item],
            "pred": round(float(np.mean(said)), 6),
            "loops": len(said),
        }
        for item, said in found.items()
    ]
    write_rows(folder.path / f"predictions_{part}.csv", rows)
    return figures(rows, recipe)


def figures(rows: Sequence[Mapping[str, Any]], recipe: VideoRecipe) -> dict[str, Any]:
    """Each figure of the target with its 95 % limits, patients resampled; None where it cannot be had."""
    from cardiolens.stats import bootstrap
    from cardiolens.stats.weighted import BY_NAME

    pred, label = (np.array([float(row[name]) for row in rows]) for name in ("pred", "label"))
    columns = (pred, label) if recipe.target == "value" else (label > 0, pred)
    patients = [str(row["patient"]) for row in rows]
    out: dict[str, Any] = {"n": len(rows), "patients": len(set(patients))}
    for name in _FIGURES[recipe.target]:
        try:
            got = bootstrap(name, *columns, patients=patients, n_resamples=recipe.resamples)
            out |= {name: round(got.value, 4), f"{name}_low": round(got.low, 4), f"{name}_high": round(got.high, 4)}
        except StatsError as error:
            logger.warning("no limits of %s: %s", name, error)
            value = float(BY_NAME[name](*columns, np.ones(len(rows))))
            out[name] = round(value, 4) if math.isfinite(value) else None
    return out
