"""What a training by a recipe will take, of any kind: a step of its network without content, a pass for the speed."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cardiolens.datasets.splits import Split, take_fraction
from cardiolens.errors import CardiolensError, InputError
from cardiolens.estimate import MARGIN, Estimate, estimate_pretraining, summed, traced
from cardiolens.store import StudyStore
from cardiolens.training.cine_recipe import DownstreamRecipe, MaskedRecipe
from cardiolens.training.recipe import LabelledRecipe, PretrainRecipe, RunRecipe
from cardiolens.training.slice_recipe import ImagesRecipe, SimCLRRecipe, SlicesRecipe
from cardiolens.training.video_recipe import LoopRecipe, MaskedVideoRecipe, VideoRecipe

if TYPE_CHECKING:
    from cardiolens.datasets.volumes import VolumeSet

_TRIED = 50  # items, until one can be prepared
_COPIES = 6.0  # of a batch while it is made and augmented

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class _Training:
    """What is to be estimated.

    Attributes:
        network: as it is trained.
        loss: of a network on a batch of inputs.
        prepare: from a key to the inputs of its samples and the bytes that are kept of it in memory.
        keys: of the whole set; train: of them those that train.
        chunk: samples at a time; None takes a whole batch.
        fitted: a training set smaller than the batch takes the closest power of two.
        once: samples that are taken beside the epochs.
    """

    network: nn.Module
    loss: Callable[[Any, Inputs], Tensor]
    prepare: Callable[[str], tuple[Sequence[Inputs], float]]
    keys: Sequence[str]
    train: Sequence[str]
    chunk: int | None = None
    fitted: bool = False
    once: int = 0


def estimate_training(recipe: RunRecipe, path: Path | None) -> Estimate:
    """For a training by a recipe on the data at `path`, or where the recipe says.

    Raises:
        InputError: nothing to learn from, or `kind: finetune`, whose time goes into clips as that of `embed` does.
    """
    from cardiolens.training.run import open_store

    if isinstance(recipe, PretrainRecipe):
        return estimate_pretraining(recipe, open_store(recipe, path))
    if isinstance(recipe, MaskedRecipe):
        return _estimated(recipe, _masked(recipe, open_store(recipe, path)))
    if isinstance(recipe, DownstreamRecipe):
        return _estimated(recipe, _downstream(recipe, open_store(recipe, path)))
    if isinstance(recipe, LoopRecipe):
        return _estimated(recipe, _loops(recipe, path))
    if isinstance(recipe, ImagesRecipe):
        return _estimated(recipe, _images(recipe, path))
    if isinstance(recipe, SlicesRecipe):
        return _estimated(recipe, _slices(recipe, path))
    raise InputError(
        f"{recipe.name}: no estimate is made of kind finetune; with a frozen encoder it takes what `--job embed` takes"
    )


def _estimated(recipe: RunRecipe, work: _Training) -> Estimate:
    from cardiolens.training.downstream import batches_of

    samples, kept, seconds_each = _prepared(work)
    count = max(1, round(len(work.train) * len(samples)))
    asked = recipe.optimiser.batch
    size, times = batches_of(count, asked, work.chunk) if work.fitted else (min(asked, count), 1)
    one = samples[0]
    example_bytes = sum(4.0 * value.numel() for value in one.values())
    empty = copy.deepcopy(work.network).to("meta").train()
    peak, flops = traced(lambda: work.loss(empty, _batch(one, size, "meta")).backward())  # type: ignore[no-untyped-call]
    with torch.no_grad():
        forward = traced(lambda: work.loss(empty, _batch(one, 1, "meta")))[1]
    steps = recipe.optimiser.epochs * math.ceil(count / (size * times))
    if recipe.optimiser.max_steps > 0:
        steps = min(steps, recipe.optimiser.max_steps)
    passes = steps * times + work.once
    parameters = sum(p.numel() for p in work.network.parameters())
    trained = sum(p.numel() for p in work.network.parameters() if p.requires_grad)
    parts = {
        "network at work": MARGIN * peak,
        "optimiser": 8.0 * trained,
        "batch and its augmentation": _COPIES * example_bytes * size,
        "cache": kept * len(work.keys) if recipe.cache else 0.0,
    }
    prepared = len(work.keys) if recipe.cache else len(work.train) * recipe.optimiser.epochs
    seconds = passes * flops / max(forward, 1) * _forward_seconds(work, one) + prepared * seconds_each
    models = 2 if isinstance(recipe, LabelledRecipe) else 1 + recipe.optimiser.epochs // _every(recipe)
    disk = 4.0 * (parameters * (1 + models) + 2 * trained)  # the state to go on from holds two moments of each weight
    return summed(_kind(recipe), len(work.train), count, parts, seconds, disk, items="samples")


def _kind(recipe: RunRecipe) -> str:
    return str(getattr(recipe, "kind", "training"))


def _every(recipe: RunRecipe) -> int:
    return int(getattr(recipe, "checkpoint_every", recipe.optimiser.epochs))


def _batch(one: Inputs, size: int, device: str) -> Inputs:
    """A batch of the sizes of one sample, all zero."""
    return {name: torch.zeros((size, *value.shape), dtype=value.dtype, device=device) for name, value in one.items()}


def _prepared(work: _Training) -> tuple[Sequence[Inputs], float, float]:
    """Samples of the first key that can be prepared, the bytes kept of it, the seconds that it took."""
    reason: object = "there is nothing to train on"
    for key in work.train[:_TRIED]:
        start = time.perf_counter()
        try:
            samples, kept = work.prepare(key)
        except CardiolensError as error:
            reason = error
            continue
        if samples:
            return samples, kept, time.perf_counter() - start
        reason = f"{key}: nothing is drawn on it"
    raise InputError(f"nothing to estimate: {reason}")


def _forward_seconds(work: _Training, one: Inputs) -> float:
    """Seconds of one sample through the network, measured."""
    network = work.network.eval()
    with torch.no_grad():
        work.loss(network, _batch(one, 1, "cpu"))
        start = time.perf_counter()
        work.loss(network, _batch(one, 1, "cpu"))
    return time.perf_counter() - start


def _train_of(recipe: RunRecipe, keys: Sequence[str], own: Split | None) -> tuple[str, ...]:
    """As many keys as the training part has; which they are is left to the run."""
    if own is not None and "train" in own.parts:
        train = own["train"]
    elif recipe.split.file is not None:
        train = Split.load(Path(recipe.split.file))["train"]
        train = tuple(key for key in keys if key in set(train)) or tuple(keys)
    else:
        share = recipe.split.fractions.get("train", 1.0)
        train = tuple(keys)[: max(1, round(share * len(keys)))]
    if isinstance(recipe, LabelledRecipe):
        return take_fraction(train, recipe.fraction, recipe.fraction_seed)
    return train


def _masked(recipe: MaskedRecipe, store: StudyStore) -> _Training:
    from cardiolens.grid import GridSpec
    from cardiolens.models.convmae import draw_masks
    from cardiolens.training.cine_data import GridSource, RandomFrames
    from cardiolens.training.masked import start_autoencoder

    model = start_autoencoder(recipe)
    assert model.card is not None  # noqa: S101 - load_model gives one
    source = GridSource(store, GridSpec.from_dict(model.card.transform), pixels=recipe.pixels, cache=False)

    def prepare(key: str) -> tuple[Sequence[Inputs], float]:
        images = dict(RandomFrames(source, [key], recipe.views, seed=recipe.seed)[0, 0].images)
        phases = min(recipe.optimiser.epochs, max(source.views(key)[view][0].n_phases for view in recipe.views))
        return [images], float(phases * sum(image.numel() for image in images.values()))

    def loss(network: Any, images: Inputs) -> Tensor:
        count = len(next(iter(images.values())))
        masks = draw_masks(model.config.encoder, list(images), count, recipe.mask_ratio)
        found: Tensor = network(images, masks).loss
        return found

    keys = store.keys()
    return _Training(model, loss, prepare, keys, _train_of(recipe, keys, None))


def _downstream(recipe: DownstreamRecipe, store: StudyStore) -> _Training:
    from cardiolens.grid import GridSpec
    from cardiolens.models.convvit import ConvViT
    from cardiolens.models.resnet import ResNet
    from cardiolens.training.cine_data import GridSource
    from cardiolens.training.downstream import task_of

    keys = store.keys()
    train = _train_of(recipe, keys, None)
    task = task_of(recipe, store, train)
    model, _ = task.model()
    assert model.card is not None  # noqa: S101 - given by the task
    source = GridSource(store, GridSpec.from_dict(model.card.transform), pixels=recipe.pixels, cache=False)

    def prepare(key: str) -> tuple[Sequence[Inputs], float]:
        if reason := task.why_not(source, key):
            raise InputError(f"{key}: {reason}")
        found = [task.sample(source, key, moment) for moment in task.moments(source, key)]
        kept = float(sum(value.numel() for pair in found for values in pair for value in values.values()))
        return [_joined(*pair) for pair in found], kept

    def loss(network: Any, inputs: Inputs) -> Tensor:
        images, targets = _parted(inputs)
        if isinstance(model, ConvViT | ResNet):  # the loss of a few numbers is nothing beside the network
            found: Tensor = network(images).square().sum()
            return found
        return task.loss(network, images, targets)

    return _Training(model, loss, prepare, keys, train, chunk=recipe.optimiser.chunk, fitted=True)


def _joined(images: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Inputs:
    return {f"image {name}": value for name, value in images.items()} | {
        f"target {name}": value for name, value in targets.items()
    }


def _parted(inputs: Inputs) -> tuple[Inputs, Inputs]:
    images, targets = (
        {name.removeprefix(start): value for name, value in inputs.items() if name.startswith(start)}
        for start in ("image ", "target ")
    )
    return images, targets


def _loops(recipe: LoopRecipe, path: Path | None) -> _Training:
    from cardiolens.models.vivit import draw_mask
    from cardiolens.training.masked_video import start_autoencoder
    from cardiolens.training.video import start_model, targets_of
    from cardiolens.training.video_data import LoopSource, open_loops, transform_for

    volumes = open_loops(recipe, path)
    keys, own = volumes.keys(), volumes.split() if recipe.official_split else None
    train = _train_of(recipe, keys, own)
    model: Any
    if isinstance(recipe, MaskedVideoRecipe):
        model = start_autoencoder(recipe)
        card, config = model.card, model.config

        def loss(network: Any, inputs: Inputs) -> Tensor:
            clips = inputs["clips"]
            mask = draw_mask(config.encoder, len(clips), config.mask_ratio, None, masking=config.masking)
            found: Tensor = network(clips, mask).loss
            return found
    else:
        assert isinstance(recipe, VideoRecipe)  # noqa: S101 - the only other kind of loops
        targets = targets_of(recipe, volumes)
        model, card = start_model(recipe, [targets.get(key, math.nan) for key in train])

        def loss(network: Any, inputs: Inputs) -> Tensor:
            found: Tensor = network(inputs["clips"]).square().sum()
            return found

    source = LoopSource(volumes, transform_for(recipe, card), cache=False)

    def prepare(key: str) -> tuple[Sequence[Inputs], float]:
        loop = source.loop(key)
        return [{"clips": source.transform.clip(loop, 0)}], float(loop.numel())

    return _Training(model, loss, prepare, keys, train, chunk=recipe.optimiser.chunk, fitted=True)


def _images(recipe: ImagesRecipe, path: Path | None) -> _Training:
    from cardiolens.slices import SliceTransform
    from cardiolens.training.slice_images import open_mixture
    from cardiolens.training.slice_models import trunk_model

    mixture = open_mixture(recipe, path)
    simclr = isinstance(recipe, SimCLRRecipe)
    model, _ = trunk_model(recipe, () if simclr else mixture.classes, mixture.several and not simclr)
    assert model.card is not None  # noqa: S101 - given by `trunk_model`
    transform = SliceTransform.from_dict({**model.card.transform, "slices": None})

    def prepare(key: str) -> tuple[Sequence[Inputs], float]:
        images = transform.images(mixture.load(key)[None])
        return [{"images": images}], float(images.numel())

    def loss(network: Any, inputs: Inputs) -> Tensor:
        images = inputs["images"]
        found: Tensor = network.features(torch.cat([images, images])) if simclr else network(images)
        return found.square().sum()

    keys = mixture.keys()
    return _Training(model, loss, prepare, keys, mixture.split(recipe)["train"], once=_search(recipe))


def _slices(recipe: SlicesRecipe, path: Path | None) -> _Training:
    from cardiolens.slices import SliceTransform
    from cardiolens.training.slice_models import volume_model
    from cardiolens.training.slice_task import SliceTask
    from cardiolens.training.slices import open_set

    volumes: VolumeSet = open_set(recipe, path)
    keys, own = volumes.keys(), volumes.split() if recipe.own_split else None
    train = _train_of(recipe, keys, own)
    task = SliceTask(recipe, volumes.labels(), train, (), str(volumes.path))
    model, _ = volume_model(recipe, task.answers)
    assert model.card is not None  # noqa: S101 - given by `volume_model`
    transform = SliceTransform.from_dict(model.card.transform)

    def prepare(key: str) -> tuple[Sequence[Inputs], float]:
        images = transform(volumes.load(key))
        return [{"images": images}], float(images.numel())

    def loss(network: Any, inputs: Inputs) -> Tensor:
        found: Tensor = network(inputs["images"].unsqueeze(2)).square().sum()
        return found

    return _Training(model, loss, prepare, keys, train, once=_search(recipe))


def _search(recipe: ImagesRecipe | SlicesRecipe) -> int:
    """Steps of the search for a learning rate."""
    return 0 if recipe.find_lr is None else recipe.find_lr.steps
