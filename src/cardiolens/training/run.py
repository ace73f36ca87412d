"""A run folder: what was asked, how far it got, what came out; killed and started again, it goes on."""

from __future__ import annotations

import json
import logging
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cardiolens._version import __version__
from cardiolens.datasets.splits import Split, make_split
from cardiolens.errors import RecipeError, TrainingError
from cardiolens.store import StudyStore
from cardiolens.training.one_cycle import one_cycle
from cardiolens.training.processes import place
from cardiolens.training.recipe import OptimiserRecipe, RunRecipe

_NAMED = 40  # studies named in a message; the rest are counted

logger = logging.getLogger(__name__)


class Keyed(Protocol):
    """A store of studies, or any set of things with keys."""

    def keys(self) -> Sequence[str]: ...


class RunFolder:
    """`recipe.yaml`, `split.json`, `log/`, `resume.ckpt`, `timing.json`, `checkpoints/`, `final/`.

    Of several processes the first one checks and writes; a recipe is the same one when all its settings are, whether
    they are written out or left at their defaults.
    """

    def __init__(self, path: Path, recipe: RunRecipe) -> None:
        self.path, self.recipe = path, recipe
        path.mkdir(parents=True, exist_ok=True)
        if not self._first:
            return
        kept = path / "recipe.yaml"
        if not kept.exists() and any(path.iterdir()):
            raise TrainingError(f"{path} is not empty and holds no run; choose another --out")
        if kept.exists() and not self._is_ours(yaml.safe_load(kept.read_text())):
            raise TrainingError(f"{path} holds a run of another recipe; choose another --out or remove it")
        if not kept.exists():
            kept.write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))

    @property
    def _first(self) -> bool:
        """Whether this is the process that writes."""
        return self.recipe.devices == 1 or int(getattr(rank_zero_only, "rank", 0)) == 0

    def _is_ours(self, settings: Any) -> bool:
        try:
            return type(self.recipe).model_validate(settings) == self.recipe
        except ValidationError:  # of a later version, or edited by hand
            return False

    @property
    def resume(self) -> Path:
        """Lightning's state after the last whole epoch."""
        return self.path / "resume.ckpt"

    @property
    def final(self) -> Path:
        """The model folder that the run leaves."""
        return self.path / "final"

    @property
    def finished(self) -> bool:
        return (self.final / "card.json").exists()

    def told_finished(self) -> bool:
        """Whether the run is finished; says so."""
        if self.finished:
            logger.warning("%s is finished; nothing to do", self.path)
        return self.finished

    def provenance(self, split: Split, data_hash: str, **facts: Any) -> dict[str, Any]:
        """What the card of a run's model says of where it comes from; facts that are None are left out."""
        known = {
            "version": __version__,
            "recipe": self.recipe.name,
            "recipe_hash": self.recipe.hash,
            "data_hash": data_hash,
            "split_hash": split.hash,
            "epochs": self.recipe.optimiser.epochs,
        }
        return known | {name: fact for name, fact in facts.items() if fact is not None}

    def split(self, store: Keyed, own: Split | None = None) -> Split:
        """The run's split: kept one, the recipe's file, the data set's own, or newly dealt; saved beside the recipe."""
        kept = self.path / "split.json"
        if kept.exists():
            split = Split.load(kept)
        elif self.recipe.split.file is not None:
            split = Split.load(Path(self.recipe.split.file))
        elif own is not None:
            split = own
        else:
            split = make_split(store.keys(), self.recipe.split.fractions, self.recipe.split.seed)
        split.require_known(store.keys())
        if self._first:
            part = kept.with_suffix(".part")  # another process may be looking
            split.save(part)
            part.replace(kept)
        return split

    def last_good(self) -> str:
        """In words: the state that a run goes on from, and the newest model that it has left."""
        state = f"{self.resume} (after the last whole epoch)" if self.resume.exists() else "none yet"
        models = sorted((self.path / "checkpoints").glob("epoch_*"))
        return f"last good state: {state}; last model: {models[-1] if models else 'none yet'}"

    def write_timing(self, stages: Mapping[str, float]) -> None:
        """Seconds by stage, added to what earlier starts of the run took."""
        path = self.path / "timing.json"
        before: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        after = {stage: before.get(stage, 0.0) + stages.get(stage, 0.0) for stage in [*before, *stages]}
        path.write_text(json.dumps(after, indent=1))


def open_store(recipe: RunRecipe, flag: Path | None) -> StudyStore:
    """The store of the --store flag, else the recipe's."""
    chosen = flag if flag is not None else recipe.store
    if chosen is None:
        raise RecipeError("no store: give --store or `store:` in the recipe (make one with `cardiolens ingest`)")
    return StudyStore(Path(chosen))


def learning_rate(settings: OptimiserRecipe, epoch: float) -> float:
    """Learning rate at a fractional epoch: warm-up, then constant, steps or cosine; or one cycle."""
    if epoch < settings.warmup_epochs:
        return settings.lr * max(epoch, 1e-3) / settings.warmup_epochs
    if settings.schedule == "one_cycle":
        return one_cycle(settings.lr, epoch / settings.epochs)
    if settings.schedule == "step":
        return settings.lr * settings.decay ** sum(epoch >= at for at in settings.decay_at)
    if settings.schedule == "cosine":
        span = max(settings.epochs - settings.warmup_epochs, 1e-9)
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, (epoch - settings.warmup_epochs) / span)))
        return settings.end_lr + (settings.lr - settings.end_lr) * share
    return settings.lr


class TrainingModule(L.LightningModule):
    """What pretraining and fine-tuning share: AdamW, the rate as a function of time, NaN refused, seeds by epoch."""

    def __init__(self, recipe: RunRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.stages = {"data": 0.0, "forward": 0.0, "backward": 0.0}
        self.folder: RunFolder | None = None
        self._mark = 0.0
        self._studies: tuple[str, ...] = ()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        s = self.recipe.optimiser
        return torch.optim.AdamW(
            self.parameter_groups(), lr=s.lr, weight_decay=s.weight_decay, eps=s.eps, betas=s.betas
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What trains, for the optimiser; a group's `lr_scale` is its share of the rate."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def on_train_epoch_start(self) -> None:
        self._mark = time.perf_counter()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self._clock("data")
        self._studies = getattr(batch, "studies", ())
        torch.manual_seed(self._batch_seed(self.current_epoch, batch_idx))  # dropout; loaders draw from it in between
        epoch = self.current_epoch + batch_idx / max(1, self.trainer.num_training_batches)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = learning_rate(self.recipe.optimiser, epoch) * group.get("lr_scale", 1.0)

    def on_before_backward(self, loss: torch.Tensor) -> None:
        self._clock("forward")
        if not bool(torch.isfinite(loss)):
            raise TrainingError(self._stopped(f"loss is {loss.item()}"))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.recipe.precision == "16-mixed":
            return  # its scaler leaves such steps out by itself
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        if not bool(torch.isfinite(torch.nn.utils.get_total_norm(gradients))):
            raise TrainingError(self._stopped("the gradient of a finite loss is not finite"))

    def _stopped(self, what: str) -> str:
        named = ", ".join(self._studies[:_NAMED])
        more = f" and {len(self._studies) - _NAMED} more" if len(self._studies) > _NAMED else ""
        studies = f", studies {named}{more}" if named else ""
        good = f"; {self.folder.last_good()}" if self.folder is not None else ""
        return (
            f"{what} at step {self.global_step} (epoch {self.current_epoch}){studies}{good}. Look at these studies; "
            "lower optimiser.lr, set optimiser.clip_norm or train in 32-true, in a new run that may start from the "
            "last model (`weights:`). The same command goes on from the last good state"
        )

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._clock("backward")

    def augment_generator(self, epoch: int, batch_idx: int) -> torch.Generator:
        """The randomness of one batch's augmentation."""
        return torch.Generator(device=self.device).manual_seed(self._batch_seed(epoch, batch_idx) + 1)

    def _batch_seed(self, epoch: int, batch_idx: int) -> int:
        rank, world = place()
        batch_idx = batch_idx * world + rank
        return 2 * ((self.recipe.seed * 1_000_003 + epoch) * 100_003 + batch_idx)

    def _clock(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[stage] += now - self._mark
        self._mark = now


class KeepState(Callback):
    """Saves Lightning's state after each epoch, whole or not at all, and the seconds by stage."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if isinstance(pl_module, TrainingModule):
            pl_module.folder = self.folder

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        part = self.folder.resume.with_suffix(".part")
        trainer.save_checkpoint(part, weights_only=False)  # takes every process
        if not trainer.is_global_zero:
            return
        part.replace(self.folder.resume)
        if isinstance(pl_module, TrainingModule):
            self.folder.write_timing(pl_module.stages)
            pl_module.stages = dict.fromkeys(pl_module.stages, 0.0)


class Bar(Callback):
    """One line on the error stream: epoch, losses, studies per second, time left."""

    def __init__(self, title: str, studies: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self.progress = Progress(*columns, *times, console=Console(stderr=True))
        self.title, self.studies = title, studies
        self.task: TaskID | None = None
        self.start = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        total = (trainer.max_epochs or 1) * trainer.num_training_batches
        done = trainer.current_epoch * int(trainer.num_training_batches)
        self.task = self.progress.add_task(self.title, total=total, completed=done, state="")
        self.progress.start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.task is None:
            return
        share = (batch_idx + 1) / trainer.num_training_batches
        rate = self.studies * share / max(time.perf_counter() - self.start, 1e-9)
        shown = {name: float(value) for name, value in trainer.callback_metrics.items() if name in ("loss", "val")}
        losses = "  ".join(f"{name} {value:.3f}" for name, value in shown.items())
        state = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {losses}  {rate:.1f} studies/s"
        self.progress.update(self.task, advance=1, state=state)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.progress.stop()


def make_trainer(
    folder: RunFolder,
    callbacks: list[Callback],
    *,
    sync_norm: bool = False,
    accumulate: int = 1,
    validate_every: int = 1,
) -> L.Trainer:
    """A Lightning trainer that logs to CSV (and TensorBoard where installed) and keeps its state in the run folder.

    With several devices it starts the other processes by itself (DDP), or joins those that torchrun or a scheduler
    started.

    Args:
        sync_norm: let batch normalisation see the batch of all of them.
        accumulate: batches of the loader to a step.
        validate_every: epochs.
    """
    recipe = folder.recipe
    start = sum(1 for _ in folder.path.glob("log/start_*"))  # a logger would overwrite the file of an earlier start
    loggers: list[Any] = [CSVLogger(folder.path, name="log", version=f"start_{start:02d}")]
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        loggers.append(TensorBoardLogger(folder.path, name="log", version=f"start_{start:02d}"))
    except ModuleNotFoundError:
        logger.info("TensorBoard is not installed; logging to CSV only (pip install 'cardiolens[logs]')")
    for noisy in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*is deprecated, use `isinstance", module="lightning")
    warnings.filterwarnings("ignore", message=".*module.s. in eval mode", module="lightning")  # frozen parts are
    warnings.filterwarnings("ignore", message=".*does not have many workers", module="lightning")
    warnings.filterwarnings("ignore", message=".*sync_dist=True", module="lightning")  # all processes log the same
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # of depthwise weights; DDP copies them
    try:
        return L.Trainer(
            max_epochs=recipe.optimiser.epochs,
            max_steps=recipe.optimiser.max_steps,
            accelerator=recipe.accelerator,
            devices=recipe.devices,
            precision=recipe.precision,
            gradient_clip_val=recipe.optimiser.clip_norm,
            logger=loggers,
            callbacks=callbacks,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
            sync_batchnorm=sync_norm,
            accumulate_grad_batches=accumulate,
            check_val_every_n_epoch=validate_every,
        )
    except MisconfigurationException as error:
        asked = f"accelerator: {recipe.accelerator}, devices: {recipe.devices}, precision: {recipe.precision}"
        raise TrainingError(f"this machine cannot train with {asked}: {error}") from error


def fit(
    folder: RunFolder, module: TrainingModule, loaders: Sequence[Any], callbacks: list[Callback], **options: Any
) -> L.Trainer:
    """Train, or go on from the state in the run folder.

    Args:
        loaders: of training and of validation.
        options: of `make_trainer`.

    Raises:
        KeyboardInterrupt: someone stopped it.
    """
    trainer = make_trainer(folder, callbacks, **options)
    module.train()
    resume = folder.resume if folder.resume.exists() else None
    trainer.fit(module, loaders[0], loaders[1], ckpt_path=resume, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    return trainer
