"""Learning LVEF or conditions of a study from its clips: modes `finetune`, `transfer`, `linear` of Shad et al."""

from __future__ import annotations

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

from cardiolens.augmix import augmix
from cardiolens.datasets.splits import Split, take_fraction
from cardiolens.errors import TrainingError
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mil import GatedAttentionMIL, MILOutput
from cardiolens.store import StudyStore
from cardiolens.training.data import BagBatch, bag_loader, pad_bags
from cardiolens.training.recipe import FinetuneRecipe
from cardiolens.training.results import conclude, fit_reference, study_bags
from cardiolens.training.run import Bar, KeepState, RunFolder, TrainingModule, fit
from cardiolens.training.start import Start, add_head
from cardiolens.training.tasks import ConditionTask, Task, condition_task, value_task

logger = logging.getLogger(__name__)

_EVALUATION_BATCH = 8  # studies


class BagLearner(TrainingModule):
    """An encoder, its projection and a gated-attention head under the loss of a task."""

    def __init__(self, model: DualEncoder, recipe: FinetuneRecipe, task: Task, *, from_features: bool) -> None:
        super().__init__(recipe)
        self.model, self.settings, self.task, self.from_features = model, recipe, task, from_features
        self.strict_loading = False  # states hold what trains, see `on_save_checkpoint`
        others = [head for name, head in model.heads.items() if name != recipe.task]
        frozen = [part for part in (model.text_encoder, model.text_proj, model.domain, *others) if part is not None]
        if recipe.mode != "transfer":
            frozen.append(model.video_encoder)
        if recipe.mode == "linear" or self.head.projection is not None:
            frozen.append(model.video_proj)
        for part in frozen:
            part.requires_grad_(False)
        self.frozen: list[torch.nn.Module] = frozen

    @property
    def head(self) -> GatedAttentionMIL:
        head = self.model.heads[self.settings.task]
        assert isinstance(head, GatedAttentionMIL)  # noqa: S101 - built by `add_head`
        return head

    def trained(self) -> dict[str, Tensor]:
        """The state of what trains: a frozen encoder is not written at every epoch."""
        frozen = {id(part) for part in self.frozen}
        names = [name + "." for name, part in self.named_modules() if id(part) in frozen]
        return {name: value for name, value in self.state_dict().items() if not name.startswith(tuple(names))}

    def load_trained(self, state: dict[str, Tensor]) -> None:
        """Take up what `trained` gave."""
        lacking = self.trained().keys() - state.keys()
        if lacking:
            raise TrainingError(
                f"kept weights lack {', '.join(sorted(lacking)[:3])}; remove the run folder and start anew"
            )
        self.load_state_dict(state, strict=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = self.trained()

    def forward(self, items: Tensor, sizes: Sequence[int]) -> MILOutput:
        """What the head says of each study, from clips or features of all studies behind one another."""
        features = items if self.from_features else self.model.features(items)
        own = self.head.projection is not None
        bags, mask = pad_bags(features if own else self.model.project(features), sizes)
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
        state = pl_module.trained() if isinstance(pl_module, BagLearner) else pl_module.state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, part)
        part.replace(self.weights)
        self.score.write_text(json.dumps({"val": error, "epoch": trainer.current_epoch}))


def finetune(recipe: FinetuneRecipe, store: StudyStore, out: Path, cache_folder: Path | None = None) -> Path:
    """Run, or go on with, a fine-tuning; leaves `final/`, `predictions_<part>.csv` and `metrics.json` in `out`.

    With `each`, every condition gets a run folder of its own below `out`, one after the other; `final/` then gathers
    their heads over the one encoder that they share, and `metrics.json` their figures.  In mode transfer every
    condition trains an encoder of its own: nothing can be gathered, and the models stay in their folders.

    Args:
        recipe: what to do.
        store: studies with the recipe's labels in `labels.csv`.
        out: run folder.
        cache_folder: where prepared clips and a frozen encoder's features are kept; by default features in the run
            folder, clips in memory.

    Returns:
        the folder of the final model; with `each` in mode transfer, that of the runs.

    Raises:
        TrainingError: labels that cannot be learned, weights that learned from held-out patients, a loss that is no
            number, a folder of another run.
    """
    folder = RunFolder(out, recipe)
    split = folder.split(store)
    if folder.told_finished():
        return folder.final
    if recipe.each:
        from cardiolens.training.each import train_each

        return train_each(recipe, folder, store, split, cache_folder)
    task: Task
    task = value_task(recipe, store, split) if recipe.target == "value" else conditions_of(recipe, store, split)
    start = Start(folder, recipe, store, split, cache_folder)
    module = train_head(folder, start, task, title=recipe.name)
    entry, metrics = conclude(folder.path, module, start)
    if "calibration" in split.parts and recipe.domain:
        fit_reference(module.model, start)
    return start.conclude(module.model, entry, metrics)


def conditions_of(recipe: FinetuneRecipe, store: StudyStore, split: Split) -> ConditionTask:
    """The conditions that the recipe's share of the training studies can teach."""
    return condition_task(recipe, store, split, take_fraction(split["train"], recipe.fraction, recipe.fraction_seed))


def train_head(folder: RunFolder, start: Start, task: Task, *, title: str, own: bool = False) -> BagLearner:
    """Train one head, or go on with it.

    Args:
        own: the head gets a projection of its own, and the model's stays as it is.
    """
    recipe, model = start.recipe, start.model()
    add_head(model, recipe, task, own=own)
    module = BagLearner(model, recipe, task, from_features=start.table is not None)
    loaders = [
        bag_loader(
            study_bags(start, task, keys, train=train),
            batch=recipe.optimiser.batch if train else _EVALUATION_BATCH,
            seed=recipe.seed,
            train=train,
        )
        for keys, train in ((start.train, True), (start.split["val"], False))
    ]
    callbacks: list[Callback] = [KeepBest(folder)] if recipe.select == "best" else []
    bar = Bar(f"finetune {title}", len(start.train))
    fit(folder, module, loaders, [*callbacks, KeepState(folder), bar])
    if recipe.select == "best":
        module.load_trained(load_file(folder.path / "best.safetensors"))
    return module
