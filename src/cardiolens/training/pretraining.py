"""What every pretraining does: models every so many epochs, a state after each, the final model with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from cardiolens.hub import save_model
from cardiolens.training.run import Bar, KeepState, RunFolder, TrainingModule, fit


class Pretraining(TrainingModule):
    """A module that can leave its model, which has a card, as it is after so many epochs."""

    model: Any

    def save(self, folder: Path, epoch: int) -> None:
        """Write the model as after so many epochs."""
        self.model.card.provenance["epoch"] = epoch
        save_model(self.model, folder)


class KeepModels(Callback):
    """Saves the model folder every so many epochs."""

    def __init__(self, folder: RunFolder, every: int) -> None:
        self.folder, self.every = folder, every

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every == 0 and trainer.is_global_zero and isinstance(pl_module, Pretraining):
            pl_module.save(self.folder.path / "checkpoints" / f"epoch_{epoch:04d}", epoch)


def run_pretraining(
    folder: RunFolder, module: Pretraining, loaders: Sequence[Any], *, studies: int, every: int, **options: Any
) -> Path:
    """Train, or go on, and save the final model, the last figures on its card.

    Args:
        loaders: of training and of validation.
        studies: that train, for the bar.
        every: epochs from one kept model to the next.
        options: of `make_trainer`.

    Returns:
        the folder of the final model.
    """
    recipe = folder.recipe
    callbacks = [KeepModels(folder, every), KeepState(folder), Bar(f"pretrain {recipe.name}", studies)]
    trainer = fit(folder, module, loaders, callbacks, **options)
    if trainer.is_global_zero:
        last = {f"last_{name}": round(float(value), 6) for name, value in trainer.callback_metrics.items()}
        module.model.card.provenance |= last
        module.save(folder.final, recipe.optimiser.epochs)
    trainer.strategy.barrier()
    return folder.final
