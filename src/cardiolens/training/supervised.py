"""Learning LVEF or conditions of a study from its clips: modes `finetune`, `transfer`, `linear` of Shad et al."""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Sequence
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
from cardiolens.models.mil import GatedAttentionMIL, MILOutput
from cardiolens.stats import split_conformal
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.training.data import BagBatch, ClipSource, StudyBags, bag_loader, pad_bags
from cardiolens.training.features import ClipTable, StudyFeatures, encoder_table, look_table
from cardiolens.training.recipe import FinetuneRecipe
from cardiolens.training.run import Bar, KeepState, RunFolder, TrainingModule, make_trainer
from cardiolens.training.tasks import ConditionTask, Task, ValueTask, condition_task, value_task
from cardiolens.transforms import ClipTransform, augmix

logger = logging.getLogger(__name__)

_EVALUATION_BATCH = 8  # studies


class BagLearner(TrainingModule):
    """An encoder, its projection and a gated-attention head under the loss of a task."""

    def __init__(self, model: DualEncoder, recipe: FinetuneRecipe, task: Task, *, from_features: bool) -> None:
        super().__init__(recipe)
        self.model, self.settings, self.task, self.from_features = model, recipe, task, from_features
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

    def forward(self, items: Tensor, sizes: Sequence[int]) -> MILOutput:
        """What the head says of each study, from clips or features of all studies behind one another."""
        features = items if self.from_features else self.model.features(items)
        bags, mask = pad_bags(self.model.project(features), sizes)
        found: MILOutput = self.head(bags, mask)
        return found

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
        loss = self.task.loss(self(items, batch.sizes), batch.targets)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.sizes))
        return loss

    def validation_step(self, batch: BagBatch, batch_idx: int) -> None:
        error = self.task.error(self(batch.items, batch.sizes), batch.targets)
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

    With `each`, every condition gets a run folder of its own below `out`, and `metrics.json` gathers them.

    Args:
        recipe: what to do.
        store: studies with the recipe's labels in `labels.csv`.
        out: run folder.
        cache_folder: where prepared clips and a frozen encoder's features are kept; by default features in the run
            folder, clips in memory.

    Returns:
        the folder of the final model; with `each`, that of the runs.
    """
    folder = RunFolder(out, recipe)
    split = folder.split(store)
    if not recipe.each:
        return _run(recipe, folder, store, split, cache_folder, None)
    train = take_fraction(split["train"], recipe.fraction, recipe.fraction_seed)
    task = condition_task(recipe, store, split, train)
    gathered: dict[str, Any] = {}
    for name in task.labels:
        own = RunFolder(out / name, recipe)
        split.save(own.path / "split.json")
        _run(recipe, own, store, split, cache_folder or out / "cache", name)
        for part, figures in json.loads((own.path / "metrics.json").read_text()).items():
            if isinstance(figures, dict) and "conditions" in figures:
                gathered.setdefault(part, {"conditions": {}})["conditions"] |= figures["conditions"]
    (out / "metrics.json").write_text(json.dumps({**gathered, "left_out": dict(task.left_out)}, indent=1))
    return out


def _run(
    recipe: FinetuneRecipe,
    folder: RunFolder,
    store: StudyStore,
    split: Split,
    cache_folder: Path | None,
    only: str | None,
) -> Path:
    """One model."""
    if folder.finished:
        logger.warning("%s is finished; nothing to do", folder.path)
        return folder.final
    L.seed_everything(recipe.seed, verbose=False)
    train_keys = take_fraction(split["train"], recipe.fraction, recipe.fraction_seed)
    task: Task
    if recipe.target == "value":
        task = value_task(recipe, store, split)
    else:
        task = condition_task(recipe, store, split, train_keys, only)
    model = load_model(recipe.model, weights=recipe.weights)
    _refuse_other_split(model, store, split)
    model.heads[recipe.task] = GatedAttentionMIL(task.head(model.embed_dim))
    source = ClipSource(store, ClipTransform.from_dict(model.card.transform), cache=recipe.cache, folder=cache_folder)
    frozen = recipe.mode != "transfer" and recipe.augment.severity == 0
    cache = encoder_table(cache_folder or folder.path, model, source) if frozen else None
    module = BagLearner(model, recipe, task, from_features=frozen)
    loaders = [
        bag_loader(
            _bags(module, source, cache, keys, train=train),
            batch=recipe.optimiser.batch if train else _EVALUATION_BATCH,
            seed=recipe.seed,
            train=train,
        )
        for keys, train in ((train_keys, True), (split["val"], False))
    ]
    callbacks: list[Callback] = [KeepBest(folder)] if recipe.select == "best" else []
    title = Bar(f"finetune {only or recipe.name}", len(train_keys))
    trainer = make_trainer(folder, [*callbacks, KeepState(folder), title])
    resume = folder.resume if folder.resume.exists() else None
    module.train()
    trainer.fit(module, loaders[0], loaders[1], ckpt_path=resume, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if recipe.select == "best":
        module.load_state_dict(load_file(folder.path / "best.safetensors"))
    _finish(folder, module, source, cache, split)
    return folder.final


def _refuse_other_split(model: DualEncoder, store: StudyStore, split: Split) -> None:
    """Weights that learned from another split of this very store have seen studies that are held out here."""
    start = model.card.provenance
    if start.get("data_hash") == store.hash() and start.get("split_hash") != split.hash:
        raise TrainingError(
            f"the weights learned from another split of this store ({start.get('split_hash')}, here {split.hash}), so "
            "held-out studies would not be held out; give the split.json of their run as `split.file`"
        )


def _bags(
    module: BagLearner, source: ClipSource, cache: ClipTable | None, keys: Sequence[str], *, train: bool
) -> StudyBags:
    features: dict[str, StudyFeatures] | None = None
    if cache is not None:
        features = cache.compute(keys, "features")
    sampling = module.settings.plane_sampling if train else "all"
    seed, targets = module.settings.seed, module.task.targets
    return StudyBags(source, keys, targets, seed=seed, plane_sampling=sampling, features=features)


@torch.inference_mode()
def _predict(module: BagLearner, source: ClipSource, cache: ClipTable | None, keys: Sequence[str]) -> Tensor:
    """Outputs (study, label)."""
    module.eval()
    bags = _bags(module, source, cache, keys, train=False)
    found: list[Tensor] = []
    for batch in bag_loader(bags, batch=_EVALUATION_BATCH, seed=0, train=False):
        assert isinstance(batch, BagBatch)  # noqa: S101 - the loader's own collate
        found.append(module(batch.items.to(module.device), batch.sizes).output.cpu())
    return torch.cat(found)


def _finish(folder: RunFolder, module: BagLearner, source: ClipSource, cache: ClipTable | None, split: Split) -> None:
    """Predict every held-out part, fit interval and domain reference where there is a calibration part, save."""
    recipe, model, task = module.settings, module.model, module.task
    card: dict[str, Any] = {**task.card(), "mode": recipe.mode}
    metrics: dict[str, Any] = {}
    for part in [part for part in split.parts if part != "train"]:
        predicted = _predict(module, source, cache, split[part])
        truth = torch.tensor([task.targets[key] for key in split[part]])
        _write_predictions(folder.path / f"predictions_{part}.csv", split[part], task, truth, predicted)
        figures = task.metrics(predicted, truth)
        metrics |= {f"{part}_mae": figures["mae"]} if isinstance(task, ValueTask) else {part: figures}
        if part == "calibration" and isinstance(task, ValueTask):
            residuals = (predicted - truth).abs()[:, 0]
            quantile = split_conformal(residuals.tolist(), recipe.coverage)
            card["conformal"] = {"coverage": recipe.coverage, "quantile": round(quantile, 4), "n": len(truth)}
    if "calibration" in split.parts and recipe.domain:
        _fit_domain(folder, model, source, cache or encoder_table(folder.path, model, source), split)
    card["metrics"] = metrics
    model.card.tasks[recipe.task] = card
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


def _write_predictions(path: Path, keys: Sequence[str], task: Task, truth: Tensor, predicted: Tensor) -> None:
    """A row a study, `key,label,pred`; for conditions a row a study and condition, `key,condition,label,score`."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        if not isinstance(task, ConditionTask):
            writer.writerow(["key", "label", "pred"])
            writer.writerows(zip(keys, truth[:, 0].tolist(), predicted[:, 0].tolist(), strict=True))
            return
        writer.writerow(["key", "condition", "label", "score"])
        for key, labels, scores in zip(keys, truth.tolist(), predicted.tolist(), strict=True):
            for name, label, score in zip(task.labels, labels, scores, strict=True):
                writer.writerow([key, name, "" if math.isnan(label) else int(label), f"{score:.6f}"])
