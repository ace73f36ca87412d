"""Contrastive pretraining of a video tower by the text of reports (Shad et al.)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

from cardiolens.augmix import augmix
from cardiolens.datasets.splits import Split
from cardiolens.errors import TrainingError
from cardiolens.hub import load_model
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.objectives import flood, info_nce
from cardiolens.store import StudyStore
from cardiolens.text.token_store import TokenStore
from cardiolens.text.tokenizer import ReportTokenizer
from cardiolens.training.data import ClipSource, Draw
from cardiolens.training.pairs import ContrastBatch, ReportPairs, contrast_loader, report_tokens
from cardiolens.training.pretraining import Pretraining, run_pretraining
from cardiolens.training.processes import gather_pairs
from cardiolens.training.recipe import PretrainRecipe, TextRecipe
from cardiolens.training.run import RunFolder
from cardiolens.training.start import rendered_alone
from cardiolens.transforms import ClipTransform

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


def by_chunks(tower: Callable[..., Tensor], size: int | None, *inputs: Tensor) -> Tensor:
    """Rows of the inputs through a tower, `size` at a time; the gradient is that of all rows at once.

    Where gradients are wanted, a chunk leaves nothing behind but its result, and passes the tower again when the
    gradient reaches it, with the random numbers (dropout) of the first time.  Memory is that of one chunk, for the
    price of a second forward pass: gradient caching (Gao et al. 2021, arXiv 2101.06983), by torch's checkpointing.
    """
    if size is None or len(inputs[0]) <= size:
        return tower(*inputs)
    chunks = list(zip(*(torch.split(rows, size) for rows in inputs), strict=True))
    if not torch.is_grad_enabled():
        return torch.cat([tower(*chunk) for chunk in chunks])
    return torch.cat([checkpoint(tower, *chunk, use_reentrant=False) for chunk in chunks])


class ContrastiveModule(Pretraining):
    """Both towers under the flooded InfoNCE loss.

    With several processes, each computes the loss of the whole batch from the embeddings of all, so that centring,
    flooding and negatives are those of a single process with the same batch.
    """

    def __init__(self, model: DualEncoder, recipe: PretrainRecipe) -> None:
        super().__init__(recipe)
        for unused in (model.heads, model.classifier):
            if unused is not None:
                unused.requires_grad_(False)
        self.model, self.settings = model, recipe
        self.centre_video, self.centre_text = (
            Centre(model.embed_dim, active=recipe.objective.centre) for _ in range(2)
        )

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        if self.settings.freeze_norm:
            for norm in batch_norms(self.model):
                norm.eval()

    def training_step(self, batch: ContrastBatch, batch_idx: int) -> Tensor:
        augment = self.settings.augment
        with torch.autocast(self.device.type, enabled=False):  # half precision would round the sampling grid
            clips = augmix(
                batch.clips,
                self.augment_generator(batch.epoch, batch_idx),
                severity=augment.severity,
                width=augment.width,
            )
        loss = flood(self.contrast(batch, clips), self.settings.objective.flood)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.tokens))
        return loss

    def validation_step(self, batch: ContrastBatch, batch_idx: int) -> None:
        self.log("val", self.contrast(batch, batch.clips), batch_size=len(batch.tokens))

    def save(self, folder: Path, epoch: int) -> None:
        """Write the model as after so many epochs, both means folded in."""
        text_proj = self.model.text_proj
        assert text_proj is not None  # noqa: S101 - built by `pretrain`
        with self.centre_video.folded(self.model.video_proj), self.centre_text.folded(text_proj):
            super().save(folder, epoch)

    def contrast(self, batch: ContrastBatch, clips: Tensor) -> Tensor:
        """The InfoNCE loss of the batch of all processes, in single precision or better."""
        objective, chunk, text_proj = self.settings.objective, self.settings.optimiser.chunk, self.model.text_proj
        assert text_proj is not None  # noqa: S101 - built by `pretrain`
        video = self.model.video_proj(by_chunks(self.model.features, chunk, clips))
        text = text_proj(by_chunks(self.model.text_tower(), chunk, batch.tokens, batch.mask))
        video, text = (rows.to(torch.promote_types(rows.dtype, torch.float32)) for rows in (video, text))
        video, text, owner = gather_pairs(video, text, batch.owner)
        with torch.autocast(self.device.type, enabled=False):
            return info_nce(
                self.centre_video(video),
                self.centre_text(text),
                owner,
                temperature=objective.temperature,
                video_weight=objective.video_weight,
            )


def batch_norms(model: nn.Module) -> list[nn.Module]:
    """The layers that normalise by the statistics of a batch."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def pretrain(recipe: PretrainRecipe, store: StudyStore, out: Path) -> Path:
    """Run, or go on with, a contrastive pretraining.

    Returns:
        the folder of the final model.

    Raises:
        TrainingError: no reports, too few studies, NaN loss, a run folder of another recipe, settings that the model
            cannot have together.
        CheckpointError: weights or a BERT that the recipe names and that are not there.
    """
    folder = RunFolder(out, recipe)
    if folder.told_finished():
        return folder.final
    split = folder.split(store)
    L.seed_everything(recipe.seed, verbose=False)
    train_keys, val_keys = (_with_report(store, split, part) for part in ("train", "val"))
    model = start_model(recipe, store, train_keys)
    source = ClipSource(store, ClipTransform.from_dict(model.card.transform), cache=recipe.cache)
    tower = model.text_tower()
    tokens = report_tokens(
        folder.path / "tokens.npz",
        store,
        [*train_keys, *val_keys],
        tower.tokenizer,
        findings_only=recipe.text.sections == "findings",
    )
    loaders = [
        pairs_loader(recipe, source, keys, tokens, tower.tokenizer, train=train, max_tokens=tower.config.max_tokens)
        for keys, train in ((train_keys, True), (val_keys, False))
    ]
    module = ContrastiveModule(model, recipe)
    model.card.notes = []  # said of the weights it starts from
    model.card.provenance = folder.provenance(
        split,
        store.hash(),
        phantom=rendered_alone(store, train_keys) or None,
        start=model.card.provenance or None,
    )
    sync = recipe.devices > 1 and not recipe.freeze_norm and bool(batch_norms(model))
    every = recipe.checkpoint_every
    return run_pretraining(folder, module, loaders, studies=len(train_keys), every=every, sync_norm=sync)


def pairs_loader(
    recipe: PretrainRecipe,
    source: ClipSource,
    keys: Sequence[str],
    tokens: TokenStore,
    tokenizer: ReportTokenizer,
    *,
    max_tokens: int,
    train: bool,
) -> DataLoader[Draw]:
    """Batches of some studies, drawn and dealt as the recipe says; texts are cut at `max_tokens`."""
    pairs = ReportPairs(
        source,
        keys,
        tokens,
        seed=recipe.seed,
        sentences=recipe.text.sentences,
        clips_per_study=recipe.clips_per_study,
        plane_sampling=recipe.plane_sampling,
    )
    return contrast_loader(
        pairs,
        tokenizer,
        max_tokens=max_tokens,
        batch=recipe.optimiser.batch,
        seed=recipe.seed,
        train=train,
        workers=recipe.workers,
    )


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


def start_model(recipe: PretrainRecipe, store: StudyStore, train_keys: list[str]) -> DualEncoder:
    """The video tower of the recipe with a text tower: that of its weights, a BERT folder, or a small one from scratch.

    The vocabulary of one from scratch is that of the package, or comes from the training reports alone.
    """
    settings = recipe.text
    options = {"pooling": settings.pooling, "max_tokens": settings.max_tokens, "freeze_layers": settings.freeze_layers}
    model: DualEncoder
    if recipe.weights is not None and (Path(recipe.weights) / "tokenizer").is_dir():
        if settings.pretrained is not None:
            raise TrainingError(
                f"{recipe.weights} has a text tower of its own; set text.pretrained to null, or weights to a video file"
            )
        model = load_model(recipe.model, recipe.weights)
        model.text_tower().configure(
            pooling=settings.pooling, max_tokens=settings.max_tokens, freeze_layers=settings.freeze_layers
        )
    elif settings.pretrained is not None:
        model = load_model(recipe.model, recipe.weights, text={"pretrained": settings.pretrained, **options})
    elif settings.freeze_layers > 0:
        raise TrainingError(
            f"text.freeze_layers is {settings.freeze_layers}, but without text.pretrained (the local folder of a "
            "Hugging Face BERT) the text tower starts from random weights: name a folder, or set freeze_layers to 0"
        )
    else:
        tokenizer = _small_vocabulary(settings, store, train_keys)
        model = load_model(recipe.model, recipe.weights, text={"tokenizer": tokenizer, **options})
    _check_norms(recipe, model)
    model.text_tower()
    model.train()
    return model


def _small_vocabulary(settings: TextRecipe, store: StudyStore, train_keys: Sequence[str]) -> ReportTokenizer:
    if settings.vocabulary == "package":
        return ReportTokenizer.of_package()
    return ReportTokenizer.train([store.report(key) or "" for key in train_keys], vocabulary=settings.vocabulary)


def _check_norms(recipe: PretrainRecipe, model: DualEncoder) -> None:
    """Batch normalisation must see the whole batch, or keep what it starts from."""
    if recipe.freeze_norm or not batch_norms(model):
        return
    mend = "set freeze_norm: true, which keeps the statistics of the weights it starts from"
    if recipe.optimiser.chunk is not None:
        raise TrainingError(
            f"optimiser.chunk: batch normalisation in {recipe.model} would see a chunk at a time; {mend}"
        )
    if recipe.devices > 1 and recipe.accelerator == "cpu":
        raise TrainingError(f"devices: batch normalisation in {recipe.model} is shared between GPUs only; {mend}")
