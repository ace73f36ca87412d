"""Contrastive pretraining of a video tower by the text of reports (Shad et al.)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from cardiolens._version import __version__
from cardiolens.datasets.splits import Split
from cardiolens.errors import TrainingError
from cardiolens.hub import load_model, save_model
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.objectives import flood, info_nce
from cardiolens.store import StudyStore
from cardiolens.text.tokenizer import ReportTokenizer
from cardiolens.training.data import ClipSource, ContrastBatch, ReportPairs, contrast_loader
from cardiolens.training.recipe import PretrainRecipe
from cardiolens.training.run import Bar, KeepState, RunFolder, TrainingModule, make_trainer
from cardiolens.transforms import ClipTransform, augmix

logger = logging.getLogger(__name__)


class Centre(nn.Module):
    """Subtracts the batch mean in training and its running mean otherwise.

    Two towers from random weights say nearly the same of every input, and little then pulls them apart; without the
    mean they cannot.  `folded` moves the running mean into the bias of the layer before; a saved model needs no more.
    """

    mean: Tensor

    def __init__(self, width: int, *, active: bool, momentum: float = 0.02) -> None:
        super().__init__()
        self.active, self.momentum = active, momentum
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, values: Tensor) -> Tensor:
        """(batch, width) -> (batch, width)."""
        if not self.active:
            return values
        if not self.training:
            return values - self.mean
        mean = values.mean(0)
        self.mean.lerp_(mean.detach(), self.momentum)
        return values - mean

    @contextmanager
    def folded(self, layer: nn.Linear) -> Iterator[None]:
        """Within, the layer itself gives centred values."""
        kept = layer.bias.detach().clone()
        with torch.no_grad():
            layer.bias.sub_(self.mean)
        try:
            yield
        finally:
            with torch.no_grad():
                layer.bias.copy_(kept)


class ContrastiveModule(TrainingModule):
    """Both towers under the flooded InfoNCE loss."""

    def __init__(self, model: DualEncoder, recipe: PretrainRecipe) -> None:
        super().__init__(recipe)
        self.model, self.settings = model, recipe
        self.centre_video, self.centre_text = (
            Centre(model.embed_dim, active=recipe.objective.centre) for _ in range(2)
        )

    def training_step(self, batch: ContrastBatch, batch_idx: int) -> Tensor:
        augment = self.settings.augment
        clips = augmix(
            batch.clips,
            self.augment_generator(batch.epoch, batch_idx),
            severity=augment.severity,
            width=augment.width,
        )
        loss = flood(self._contrast(batch, clips), self.settings.objective.flood)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.tokens))
        return loss

    def validation_step(self, batch: ContrastBatch, batch_idx: int) -> None:
        self.log("val", self._contrast(batch, batch.clips), batch_size=len(batch.tokens))

    def save(self, folder: Path, epoch: int) -> None:
        """Write the model as after so many epochs, both means folded in."""
        self.model.card.provenance["epoch"] = epoch
        text_proj = self.model.text_proj
        assert text_proj is not None  # noqa: S101 - built by `pretrain`
        with self.centre_video.folded(self.model.video_proj), self.centre_text.folded(text_proj):
            save_model(self.model, folder)

    def _contrast(self, batch: ContrastBatch, clips: Tensor) -> Tensor:
        objective, text_proj = self.settings.objective, self.model.text_proj
        assert text_proj is not None  # noqa: S101 - built by `pretrain`
        return info_nce(
            self.centre_video(self.model.video_proj(self.model.features(clips))),
            self.centre_text(text_proj(self.model.text_tower()(batch.tokens, batch.mask))),
            batch.owner,
            temperature=objective.temperature,
            video_weight=objective.video_weight,
        )


class KeepModel(Callback):
    """Saves the model folder every so many epochs."""

    def __init__(self, folder: RunFolder, every: int) -> None:
        self.folder, self.every = folder, every

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every == 0 and isinstance(pl_module, ContrastiveModule):
            pl_module.save(self.folder.path / "checkpoints" / f"epoch_{epoch:04d}", epoch)


def pretrain(recipe: PretrainRecipe, store: StudyStore, out: Path) -> Path:
    """Run, or go on with, a contrastive pretraining.

    Returns:
        the folder of the final model.

    Raises:
        TrainingError: no reports, too few studies, NaN loss, a run folder of another recipe.
    """
    folder = RunFolder(out, recipe)
    if folder.finished:
        logger.warning("%s is finished; nothing to do", out)
        return folder.final
    split = folder.split(store)
    L.seed_everything(recipe.seed, verbose=False)
    train_keys, val_keys = (_with_report(store, split, part) for part in ("train", "val"))
    model = _start_model(recipe, store, train_keys)
    source = ClipSource(store, ClipTransform.from_dict(model.card.transform), cache=recipe.cache)
    loaders = [
        contrast_loader(
            ReportPairs(
                source,
                keys,
                seed=recipe.seed,
                sentences=recipe.text.sentences,
                clips_per_study=recipe.clips_per_study,
                plane_sampling=recipe.plane_sampling,
            ),
            model.text_tower().tokenize,
            batch=recipe.optimiser.batch,
            seed=recipe.seed,
            train=keys is train_keys,
        )
        for keys in (train_keys, val_keys)
    ]
    module = ContrastiveModule(model, recipe)
    model.card.notes = []  # said of the weights it starts from
    model.card.provenance = {
        "version": __version__,
        "recipe": recipe.name,
        "recipe_hash": recipe.hash,
        "data_hash": store.hash(),
        "split_hash": split.hash,
        "epochs": recipe.optimiser.epochs,
    }
    callbacks: list[Callback] = [KeepModel(folder, recipe.checkpoint_every), KeepState(folder)]
    trainer = make_trainer(folder, [*callbacks, Bar(f"pretrain {recipe.name}", len(train_keys))])
    resume = folder.resume if folder.resume.exists() else None
    trainer.fit(module, loaders[0], loaders[1], ckpt_path=resume, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    model.card.provenance |= {
        f"last_{name}": round(float(value), 4) for name, value in trainer.callback_metrics.items()
    }
    module.save(folder.final, recipe.optimiser.epochs)
    return folder.final


def _with_report(store: StudyStore, split: Split, part: str) -> list[str]:
    keys = [key for key in split[part] if store.report(key)]
    if len(keys) < 2:
        raise TrainingError(
            f"part '{part}' has {len(keys)} studies with a report (of {len(split[part])}); "
            "pretraining needs two or more: ingest with --reports"
        )
    if len(keys) < len(split[part]):
        logger.warning("%d studies of '%s' have no report and are left out", len(split[part]) - len(keys), part)
    return keys


def _start_model(recipe: PretrainRecipe, store: StudyStore, train_keys: list[str]) -> DualEncoder:
    """The video tower of the recipe with a text tower: that of its weights, a BERT folder, or a small one from scratch.

    The vocabulary of one from scratch comes from the training reports alone.
    """
    settings = recipe.text
    options = {"pooling": settings.pooling, "max_tokens": settings.max_tokens, "freeze_layers": settings.freeze_layers}
    model: DualEncoder
    if recipe.weights is not None and (Path(recipe.weights) / "tokenizer").is_dir():
        model = load_model(recipe.model, recipe.weights)
    elif settings.pretrained is not None:
        model = load_model(recipe.model, recipe.weights, text={"pretrained": settings.pretrained, **options})
    else:
        corpus = [store.report(key) or "" for key in train_keys]
        tokenizer = ReportTokenizer.train(corpus, vocabulary=settings.vocabulary)
        model = load_model(recipe.model, recipe.weights, text={"tokenizer": tokenizer, **options})
    model.text_tower()
    model.train()
    return model
