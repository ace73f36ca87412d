"""From a name in the recipe to a network that answers all targets at once, and to what it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.bench.readers import Batch, ClipReader, FrameReader, Reader, StackReader
from cardiolens.bench.recipe import SystemRun
from cardiolens.errors import TrainingError
from cardiolens.grid import GridSpec
from cardiolens.hub import load_model
from cardiolens.models.answers import Answers
from cardiolens.models.convmae import ConvMAE
from cardiolens.models.convvit import ConvViT, ConvViTConfig
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mil import GatedAttentionMIL, MILConfig
from cardiolens.models.resnet import ResNet
from cardiolens.models.slivit import SLIViT
from cardiolens.models.trunk import SliceClassifier
from cardiolens.models.videomae import VideoMAE
from cardiolens.models.vivit import ViViT, ViViTConfig
from cardiolens.models.volume_net import VolumeNet
from cardiolens.store import StudyStore
from cardiolens.training.cine_data import GridSource
from cardiolens.training.cine_models import resized, transform_of
from cardiolens.training.data import pad_bags
from cardiolens.transforms import ClipTransform

_FRAMES = 2  # ED and ES


class System(nn.Module):
    """A network of one kind, and the provenance of the weights that it starts from."""

    def __init__(self, start: dict[str, Any]) -> None:
        super().__init__()
        self.start = start

    def forward(self, batch: Batch) -> Tensor:
        """Logits (study, target)."""
        raise NotImplementedError


class Standardised(nn.BatchNorm1d):
    """Each feature of a clip less its mean, over its spread.

    What pretraining leaves is mostly common to all clips: of a small contrastive encoder's features the mean was ten
    times as long as their spread, and a head behind a LayerNorm saw next to nothing of what tells studies apart.
    """

    def forward(self, input: Tensor) -> Tensor:
        if len(input) > 1 or not self.training:
            return super().forward(input)
        assert self.running_mean is not None and self.running_var is not None  # noqa: S101 - it tracks
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class _Features(Protocol):
    def __call__(self, clips: Tensor) -> Tensor: ...


class Clips(System):
    """A video encoder over every clip, gated attention over a study's clips."""

    def __init__(self, encoder: nn.Module, width: int, answers: Answers, channels: int, start: dict[str, Any]) -> None:
        super().__init__(start)
        self.encoder, self.channels = encoder, channels
        self.norm = Standardised(width)
        config = MILConfig(kind="classification", outputs=len(answers), embed_dim=width, hidden=128, gate=64)
        self.head = GatedAttentionMIL(config)

    def forward(self, batch: Batch) -> Tensor:
        clips = batch.inputs["clips"].expand(-1, self.channels, -1, -1, -1)
        features = self.norm(cast(_Features, self.encoder)(clips))
        bags, mask = pad_bags(features, batch.sizes)
        found: Tensor = self.head(bags, mask).logits
        return found


class Frames(System):
    """Whole views; networks of the CineMA family."""

    def __init__(self, network: ConvViT | ResNet, start: dict[str, Any]) -> None:
        super().__init__(start)
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        found: Tensor = self.network(batch.inputs)
        return found


class Stack(System):
    """Slices of the short axis; SLIViT and its baselines."""

    def __init__(self, network: SLIViT | VolumeNet, start: dict[str, Any]) -> None:
        super().__init__(start)
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        found: Tensor = self.network(batch.inputs["stack"])
        return found


MakeReader = Callable[[Path | None], Reader]
"""A fresh reader that knows no study yet; given a folder, it keeps what it prepares there."""


def build(run: SystemRun, store: StudyStore, answers: Answers) -> tuple[System, MakeReader]:
    """The network of a run, from its weights or from random ones, and what makes its readers.

    Raises:
        TrainingError: a network that does not read what the recipe says.
        CheckpointError: no such model or weights.
    """
    make = {"clips": _clips, "frames": _frames, "stack": _stack}
    return make[run.system.reads](run, store, answers)


def _clips(run: SystemRun, store: StudyStore, answers: Answers) -> tuple[System, MakeReader]:
    model = load_model(run.model, weights=run.weights)
    start = _started(model, run)
    encoder: nn.Module
    if isinstance(model, DualEncoder):
        own = model.video_encoder.config
        encoder, width, channels = model.video_encoder, own.out_width, own.channels
        transform = ClipTransform(**model.card.transform)
    elif isinstance(model, VideoMAE | ViViT):
        config = model.config.encoder
        video = ViViT(ViViTConfig(config, answers))
        video.encoder.start_from(model.encoder)
        encoder, width, channels = _Pooled(video), config.width, config.channels
        transform = ClipTransform(config.frames, 2 * config.crop, config.crop, 1)
    else:
        raise TrainingError(f"{run.model} reads no clips; take a shad-… or echoai-… model, or another `reads`")
    transform = replace(transform, channels=1)
    system = Clips(encoder, width, answers, channels, start)
    return system, lambda cache: ClipReader(store, transform, cache)


class _Pooled(nn.Module):
    """A video transformer without its head."""

    def __init__(self, video: ViViT) -> None:
        super().__init__()
        self.encoder, self.norm = video.encoder, video.norm

    def forward(self, clips: Tensor) -> Tensor:
        found: Tensor = self.norm(self.encoder(clips).mean(1))
        return found


def _frames(run: SystemRun, store: StudyStore, answers: Answers) -> tuple[System, MakeReader]:
    model = load_model(run.model, weights=run.weights)
    start, views = _started(model, run), [view.value for view in run.system.views]
    head: dict[str, Any] = {"outputs": len(answers), "kind": "classification", "in_channels": _FRAMES}
    network: ConvViT | ResNet
    if isinstance(model, ConvMAE):
        if run.weights is None:
            config = replace(model.config, encoder=resized(model.config.encoder, run.system.views, run.system.sizes))
            network = ConvViT(ConvViTConfig.like(config, **head))
        else:
            network = ConvViT.from_pretrained(model, views, **head)
        sizes = network.config.encoder.views
    elif isinstance(model, ResNet):
        wanted = {view.value: tuple(size) for view, size in run.system.sizes.items()}
        sizes = {view: wanted.get(view, tuple(model.config.views[view])) for view in views}
        network = ResNet(replace(model.config, views=sizes, **head))
    else:
        raise TrainingError(f"{run.model} reads no frames; take cinema-tiny or cinema-resnet-tiny, or another `reads`")
    assert model.card is not None  # noqa: S101 - load_model gives one
    spec = GridSpec.from_dict(transform_of(model.card, sizes))
    return Frames(network, start), lambda cache: FrameReader(GridSource(store, spec), run.system.views)


def _stack(run: SystemRun, store: StudyStore, answers: Answers) -> tuple[System, MakeReader]:
    model = load_model(run.model)
    network: SLIViT | VolumeNet
    if isinstance(model, SLIViT):
        network, channels = SLIViT(replace(model.config, answers=answers)), model.config.trunk.channels
        if run.weights is not None:
            source = load_model(run.weights)
            if not isinstance(source, SLIViT | SliceClassifier):
                raise TrainingError(f"{run.weights} holds no trunk of SLIViT")
            network.take_trunk(source)
            model = source
    elif isinstance(model, VolumeNet):
        network, channels = VolumeNet(replace(model.config, answers=answers)), model.config.encoder.channels
    else:
        raise TrainingError(f"{run.model} reads no slices; take slivit-tiny or slivit-r3d-tiny, or another `reads`")
    slices, size = network.config.slices, network.config.size
    return Stack(network, _started(model, run)), lambda cache: StackReader(store, slices, size, channels)


def _started(model: Any, run: SystemRun) -> dict[str, Any]:
    """Provenance of the weights that a run starts from; empty for random ones."""
    return dict(model.card.provenance) if run.weights is not None and model.card is not None else {}


def parameters(system: nn.Module) -> int:
    return sum(p.numel() for p in system.parameters() if p.requires_grad)
