"""Training of one network of the segmenter: `train`, which goes on where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader

from cardiolens.models.plane_unet import PlaneUNet, PlaneUNetConfig
from cardiolens.objectives import soft_dice
from cardiolens.segmenter.batches import Batches, Job

_STRETCH = 50


def overlap_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy plus one less Dice, on shares of a pixel; Dice of a class is taken over the whole batch.

    Args:
        logits: (batch, class, row, col); shares: likewise, summing to 1 over classes, background first.
    """
    log_chance = logits.log_softmax(1)
    entropy = -(shares * log_chance).sum(1).mean()
    drawn, wanted = (one[:, 1:].transpose(0, 1).flatten(1)[None] for one in (log_chance.exp(), shares))
    return entropy + soft_dice(drawn, wanted, smooth=1.0).mean()


class Learner(L.LightningModule):
    """A `PlaneUNet` with its optimiser: AdamW, warmed up, then a cosine to nothing."""

    def __init__(self, config: PlaneUNetConfig, steps: int, lr: float) -> None:
        super().__init__()
        self.net = PlaneUNet(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.steps, self.lr = steps, lr

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, shares = batch
        loss = overlap_loss(self.net(images.to(memory_format=torch.channels_last)).float(), shares)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is no number at step {self.global_step}; lower the learning rate")
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.lr, total_steps=self.steps, pct_start=0.05)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Rest(Batches):
    """The batches of one stretch of steps, from `first` on."""

    first, stretch = 0, _STRETCH

    def __len__(self) -> int:
        return min(self.stretch, self.steps - self.first)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return super().__getitem__(self.first + step)


class _Data(L.LightningDataModule):
    def __init__(self, batches: _Rest, workers: int) -> None:
        super().__init__()
        self.batches, self.workers = batches, workers

    def train_dataloader(self) -> DataLoader[Any]:
        self.batches.first = self.trainer.global_step if self.trainer else 0
        return DataLoader(self.batches, batch_size=None, num_workers=self.workers)


def train(
    job: Job,
    files: Sequence[Path],
    out: Path,
    *,
    widths: tuple[int, ...],
    steps: int,
    batch: int = 16,
    lr: float = 2e-3,
    seed: int = 0,
    workers: int = 1,
    bf16: bool = True,
    start: PlaneUNet | None = None,
    stretch: int = _STRETCH,
) -> PlaneUNet:
    """Train one network on samples; a call that was stopped goes on from its last checkpoint in `out`.

    Args:
        start: a network of the same widths whose weights to start from.
        stretch: steps between two checkpoints.

    Returns:
        The network with the running average of its weights.
    """
    L.seed_everything(seed, verbose=False)
    config = PlaneUNetConfig(classes=1 + len(job.structures), widths=widths)
    learner = Learner(config, steps, lr)
    if start is not None:
        learner.net.load_state_dict(start.state_dict())
    last = out / "last.ckpt"
    trainer = L.Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu",
        precision="bf16-mixed" if bf16 else "32-true",
        gradient_clip_val=5.0,
        reload_dataloaders_every_n_epochs=1,
        logger=CSVLogger(str(out), name="log"),
        log_every_n_steps=10,
        enable_model_summary=False,
        callbacks=[
            EMAWeightAveraging(decay=0.998, update_starting_at_step=100),
            ModelCheckpoint(out, filename="step", save_last=True, every_n_epochs=1),
            TQDMProgressBar(refresh_rate=10),
        ],
    )
    batches = _Rest(files, job, steps=steps, batch=batch, seed=seed)
    batches.stretch = stretch
    trainer.fit(learner, _Data(batches, workers), ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    net: PlaneUNet = learner.net.eval()
    return net
