"""Learning one number of a study (LVEF) from its clips: modes `finetune`, `transfer`, `linear` of Shad et al."""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file, save_file
from torch import Tensor

from cardiolens._version import __version__
from cardiolens.datasets.splits import Split, take_fraction
from cardiolens.errors import TrainingError
from cardiolens.hub import load_model, save_model
from cardiolens.inference import fit_domain_rows
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mil import GatedAttentionMIL, MILConfig
from cardiolens.objectives import huber
from cardiolens.stats import split_conformal
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.training.data import BagBatch, ClipSource, StudyBags, bag_loader, pad_bags
from cardiolens.training.features import ClipTable, StudyFeatures, encoder_table, look_table
from cardiolens.training.recipe import FinetuneRecipe
from cardiolens.training.run import Bar, KeepState, RunFolder, TrainingModule, make_trainer
from cardiolens.transforms import ClipTransform, augmix

logger = logging.getLogger(__name__)

_EVALUATION_BATCH = 8  # studies


class BagRegressor(TrainingModule):
    """An encoder, its projection and a gated-attention head under the Huber loss in the label's unit."""

    def __init__(self, model: DualEncoder, recipe: FinetuneRecipe, *, from_features: bool) -> None:
        super().__init__(recipe)
        self.model, self.settings, self.from_features = model, recipe, from_features
        frozen: list[torch.nn.Module] = [p for p in (model.text_encoder, model.text_proj) if p is not None]
        if recipe.mode != "transfer":
            frozen.append(model.video_encoder)
        if recipe.mode == "linear":
            frozen.append(model.video_proj)
        for part in frozen:
            part.requires_grad_(False)
        self.frozen = frozen

    @property
    def head(self) -> GatedAttentionMIL:
        head = self.model.heads[self.settings.task]
        assert isinstance(head, GatedAttentionMIL)  # noqa: S101 - built by `finetune`
        return head

    def forward(self, items: Tensor, sizes: Sequence[int]) -> Tensor:
        """(study,) predictions in the label's unit from clips or features of all studies behind one another."""
        features = items if self.from_features else self.model.features(items)
        bags, mask = pad_bags(self.model.project(features), sizes)
        predicted: Tensor = self.head(bags, mask).output[:, 0]
        return predicted

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        for part in self.frozen:
            part.eval()

    def training_step(self, batch: BagBatch, batch_idx: int) -> Tensor:
        items = batch.items
        if not self.from_features:
            augment = self.settings.augment
            generator = self.augment_generator(batch.epoch, batch_idx)
            items = augmix(items, generator, severity=augment.severity, width=augment.width)
        loss = huber(self(items, batch.sizes), batch.targets, delta=self.settings.huber_delta)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.sizes))
        return loss

    def validation_step(self, batch: BagBatch, batch_idx: int) -> None:
        error = (self(batch.items, batch.sizes) - batch.targets).abs().mean()
        self.log("val", error, batch_size=len(batch.sizes))


class KeepBest(Callback):
    """Keeps the weights of the epoch with the least validation error in the run folder."""

    def __init__(self, folder: RunFolder) -> None:
        self.weights, self.score = folder.path / "best.safetensors", folder.path / "best.json"

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        error = float(trainer.callback_metrics["val"])
        kept = json.loads(self.score.read_text()) if self.score.exists() else {"val": math.inf}
        if error >= kept["val"]:
            return
        part = self.weights.with_suffix(".part")
        save_file({name: value.contiguous() for name, value in pl_module.state_dict().items()}, part)
        part.replace(self.weights)
        self.score.write_text(json.dumps({"val": error, "epoch": trainer.current_epoch}))


def finetune(recipe: FinetuneRecipe, store: StudyStore, out: Path, cache_folder: Path | None = None) -> Path:
    """Run, or go on with, a fine-tuning; leaves `final/`, `predictions_<part>.csv` and `metrics.json` in `out`.

    Args:
        recipe: what to do.
        store: studies with the recipe's label in `labels.csv`.
        out: run folder.
        cache_folder: where prepared clips and a frozen encoder's features are kept; by default features in the run
            folder, clips in memory.

    Returns:
        the folder of the final model.
    """
    folder = RunFolder(out, recipe)
    if folder.finished:
        logger.warning("%s is finished; nothing to do", out)
        return folder.final
    L.seed_everything(recipe.seed, verbose=False)
    split = folder.split(store)
    targets = _targets(store, recipe, split)
    model = load_model(recipe.model, weights=recipe.weights)
    _refuse_other_split(model, store, split)
    model.heads[recipe.task] = GatedAttentionMIL(MILConfig(kind="regression", embed_dim=model.embed_dim))
    source = ClipSource(store, ClipTransform.from_dict(model.card.transform), cache=recipe.cache, folder=cache_folder)
    frozen = recipe.mode != "transfer" and recipe.augment.severity == 0
    cache = encoder_table(cache_folder or out, model, source) if frozen else None
    module = BagRegressor(model, recipe, from_features=frozen)
    train_keys = take_fraction(split["train"], recipe.fraction, recipe.fraction_seed)
    loaders = [
        bag_loader(
            _bags(module, source, cache, keys, targets, train=train),
            batch=recipe.optimiser.batch if train else _EVALUATION_BATCH,
            seed=recipe.seed,
            train=train,
        )
        for keys, train in ((train_keys, True), (split["val"], False))
    ]
    callbacks: list[Callback] = [KeepBest(folder)] if recipe.select == "best" else []
    title = Bar(f"finetune {recipe.name}", len(train_keys))
    trainer = make_trainer(folder, [*callbacks, KeepState(folder), title])
    resume = folder.resume if folder.resume.exists() else None
    module.train()
    trainer.fit(module, loaders[0], loaders[1], ckpt_path=resume, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if recipe.select == "best":
        module.load_state_dict(load_file(folder.path / "best.safetensors"))
    _finish(folder, module, source, cache, split, targets)
    return folder.final


def _refuse_other_split(model: DualEncoder, store: StudyStore, split: Split) -> None:
    """Weights that learned from another split of this very store have seen studies that are held out here."""
    start = model.card.provenance
    if start.get("data_hash") == store.hash() and start.get("split_hash") != split.hash:
        raise TrainingError(
            f"the weights learned from another split of this store ({start.get('split_hash')}, here {split.hash}), so "
            "held-out studies would not be held out; give the split.json of their run as `split.file`"
        )


def _targets(store: StudyStore, recipe: FinetuneRecipe, split: Split) -> dict[str, float]:
    """Key to label; every study of the split must have one."""
    labels = store.labels()
    if recipe.label not in labels.columns:
        have = ", ".join(map(str, labels.columns)) or "no columns"
        raise TrainingError(f"{store.path}: labels.csv has no column '{recipe.label}' (it has {have})")
    values = labels[recipe.label].astype(float).to_dict()
    missing = [key for part in split.parts.values() for key in part if not math.isfinite(values.get(key, math.nan))]
    if missing:
        raise TrainingError(f"{len(missing)} studies of the split have no '{recipe.label}', first {missing[0]}")
    return {str(key): value for key, value in values.items()}


def _bags(
    module: BagRegressor,
    source: ClipSource,
    cache: ClipTable | None,
    keys: Sequence[str],
    targets: Mapping[str, float],
    *,
    train: bool,
) -> StudyBags:
    features: dict[str, StudyFeatures] | None = None
    if cache is not None:
        features = cache.compute(keys, "features")
    sampling = module.settings.plane_sampling if train else "all"
    return StudyBags(source, keys, targets, seed=module.settings.seed, plane_sampling=sampling, features=features)


@torch.inference_mode()
def _predict(
    module: BagRegressor,
    source: ClipSource,
    cache: ClipTable | None,
    keys: Sequence[str],
    targets: Mapping[str, float],
) -> list[float]:
    module.eval()
    bags = _bags(module, source, cache, keys, targets, train=False)
    found: list[float] = []
    for batch in bag_loader(bags, batch=_EVALUATION_BATCH, seed=0, train=False):
        assert isinstance(batch, BagBatch)  # noqa: S101 - the loader's own collate
        found += module(batch.items.to(module.device), batch.sizes).tolist()
    return found


def _finish(
    folder: RunFolder,
    module: BagRegressor,
    source: ClipSource,
    cache: ClipTable | None,
    split: Split,
    targets: Mapping[str, float],
) -> None:
    """Predict every held-out part, fit interval and domain reference where there is a calibration part, save."""
    recipe, model = module.settings, module.model
    task: dict[str, Any] = {"kind": "regression", "unit": recipe.unit, "label": recipe.label, "mode": recipe.mode}
    metrics: dict[str, float] = {}
    for part in [part for part in split.parts if part != "train"]:
        predicted = _predict(module, source, cache, split[part], targets)
        truth = [targets[key] for key in split[part]]
        _write_predictions(folder.path / f"predictions_{part}.csv", split[part], truth, predicted)
        residuals = (torch.tensor(predicted) - torch.tensor(truth)).abs()
        metrics[f"{part}_mae"] = round(float(residuals.mean()), 4)
        if part == "calibration":
            quantile = split_conformal(residuals.tolist(), recipe.coverage)
            task["conformal"] = {"coverage": recipe.coverage, "quantile": round(quantile, 4), "n": len(truth)}
    if "calibration" in split.parts and recipe.domain:
        _fit_domain(folder, model, source, cache or encoder_table(folder.path, model, source), split)
    task["metrics"] = metrics
    model.card.tasks[recipe.task] = task
    model.card.provenance = {
        "version": __version__,
        "recipe": recipe.name,
        "recipe_hash": recipe.hash,
        "data_hash": source.store.hash(),
        "split_hash": split.hash,
        "epochs": recipe.optimiser.epochs,
        "start": model.card.provenance,
    }
    (folder.path / "metrics.json").write_text(json.dumps({**metrics, **model.card.provenance}, indent=1))
    save_model(model, folder.final)


def _fit_domain(folder: RunFolder, model: DualEncoder, source: ClipSource, features: ClipTable, split: Split) -> None:
    """What studies of this kind look like, from the training studies; its limit from the calibration studies."""
    looks = look_table(folder.path, source)

    @torch.inference_mode()
    def rows(part: str) -> list[tuple[Tensor, list[View]]]:
        found, seen = features.compute(split[part], "features"), looks.compute(split[part], "image statistics")
        device = model.video_proj.weight.device
        return [
            (
                torch.cat([model.project(_stack(found[key]).to(device)).cpu(), _stack(seen[key])], 1),
                [view for view, _ in found[key]],
            )
            for key in split[part]
        ]

    fit_domain_rows(model, [pair[0] for pair in rows("train")], rows("calibration"))


def _stack(rows: StudyFeatures) -> Tensor:
    return torch.stack(list(rows.values()))


def _write_predictions(path: Path, keys: Sequence[str], truth: Sequence[float], predicted: Sequence[float]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "label", "pred"])
        writer.writerows(zip(keys, truth, predicted, strict=True))
