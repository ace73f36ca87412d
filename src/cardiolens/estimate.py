"""What a job over a store will take, before it starts: memory, time, disk.

The networks are run once on tensors without content (PyTorch's `meta` device), which counts what is alive at once and
the multiplications; one short real run gives the speed of this machine; the process itself, with everything imported
that the job imports, is what the rest comes on top of.
"""

from __future__ import annotations

import copy
import math
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from cardiolens.clips import choose_planes
from cardiolens.errors import InputError
from cardiolens.transforms import ClipTransform

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.segmenter import Segmenter
    from cardiolens.store import StudyStore
    from cardiolens.training.recipe import PretrainRecipe

Job = Literal["embed", "predict"]
MARGIN = 1.2  # for what allocators hold and libraries need beside
_LOOKED_AT, _BATCH = 50, 16
_WRITTEN = 0.3  # by `segment`, of a study's size in memory: mostly videos, as of a phantom of 128 x 104 pixels


@dataclass(frozen=True)
class Estimate:
    """For a whole job.

    Attributes:
        job: "embed", "predict", "segment", or the kind of a recipe.
        studies, clips: how many there are to pass; `items` says what is counted as clips.
        memory_mib: greatest at one time, of the main memory (on a GPU, all parts but "process" and "cache" lie there).
        parts_mib: of which.
        seconds: on this machine's CPU, with as many threads as PyTorch now has.
        disk_mib: what is written.
    """

    job: str
    studies: int
    clips: int
    memory_mib: float
    parts_mib: dict[str, float]
    seconds: float
    disk_mib: float
    items: str = "clips"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call] # its base has no types
    """Counts the bytes of all tensors made while it is entered, and the most that lived at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return 0  # what has no content passes every look at its grey levels
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage())
        return out

    def _add(self, storage: Any) -> None:
        number = storage._cdata
        if number in self._known:
            return
        size = storage.nbytes()
        self._known.add(number)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, number, size)

    def _gone(self, number: int, size: int) -> None:
        self._known.discard(number)
        self.now -= size


def traced(work: Callable[[], object]) -> tuple[int, int]:
    """Most bytes alive at once among the tensors that `work` makes, and its floating-point operations."""
    alive = _Alive()
    with FlopCounterMode(display=False) as counter, alive:
        work()
    return alive.peak, int(counter.get_total_flops())


def estimate(model: DualEncoder, store: StudyStore, job: Job, *, batch: int = _BATCH) -> Estimate:
    """For `embed` or `predict` of every study of a store.

    Raises:
        InputError: an empty store.
    """
    import cardiolens.prediction
    import cardiolens.search  # noqa: F401 # what the job imports

    shape = _shape(store)
    transform = ClipTransform.from_dict(model.card.transform)
    clips = min(batch, shape.clips_a_study)
    example = torch.empty(clips, transform.channels, transform.frames, transform.crop, transform.crop, device="meta")
    encoder = copy.deepcopy(model.video_encoder).to("meta").eval()
    with torch.no_grad():
        peak, _ = traced(lambda: encoder(_grey(example, encoder)))
        if job == "predict" and model.domain is not None:
            from cardiolens.models.domain import movie_statistics

            peak = max(peak, traced(lambda: movie_statistics(example[:, 0]))[0])
    total = round(shape.clips_a_study * shape.studies)
    width = model.embed_dim + model.video_encoder.config.out_width
    rows = 4 * width * total if job == "embed" else 0
    held = example.numel() * 4 * shape.clips_a_study / clips
    per_clip = _speed(model, transform) + shape.seconds_a_clip + (_look(transform) if job == "predict" else 0.0)
    parts = {"network at work": MARGIN * peak, "study": 2 * shape.bytes_a_study + held, "vectors": 2.0 * rows}
    disk = {"embed": float(rows), "predict": 350e3 * shape.studies}[job]
    return summed(job, shape.studies, total, parts, per_clip * total, disk)


def estimate_pretraining(recipe: PretrainRecipe, store: StudyStore) -> Estimate:
    """For contrastive pretraining by a recipe, on its share of a store.

    Raises:
        InputError: an empty store.
    """
    from cardiolens.training import contrastive

    shape = _shape(store)
    share = recipe.split.fractions.get("train", 1.0) if recipe.split.file is None else 1.0
    studies = max(1, round(share * shape.studies))
    model = contrastive.start_model(recipe, store, store.keys())
    transform = ClipTransform.from_dict(model.card.transform)
    each = {"1": 1.0, "views": shape.views_a_study, "all": float(shape.clips_a_study)}[recipe.clips_per_study]
    pairs = min(recipe.optimiser.batch, studies)
    clips = max(1, round(each * pairs))
    at_once = min(clips, recipe.optimiser.chunk or clips)
    texts = min(pairs, recipe.optimiser.chunk or pairs)
    size = (transform.channels, transform.frames, transform.crop, transform.crop)
    text = model.text_tower()
    towers = nn.ModuleDict({"video": model.video_encoder, "text": text})
    towers = copy.deepcopy(towers).to("meta").train()

    bert: Any = towers["text"].bert

    def step() -> None:
        video = towers["video"](_grey(torch.empty(at_once, *size, device="meta"), towers["video"]))
        ids = torch.zeros(texts, recipe.text.max_tokens, dtype=torch.long, device="meta")
        words = bert(input_ids=ids).last_hidden_state
        (video.sum() + words.sum()).backward()

    peak, flops = traced(step)
    with torch.no_grad():
        forward = traced(lambda: towers["video"](_grey(torch.empty(1, *size, device="meta"), towers["video"])))[1]
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    clip_bytes = 4 * int(np.prod(size))
    known = studies * shape.clips_a_study if recipe.cache else 0
    steps = (
        recipe.optimiser.max_steps
        if recipe.optimiser.max_steps > 0
        else recipe.optimiser.epochs * max(1, studies // pairs)
    )
    again = clips / at_once * (1 if at_once == clips else 4 / 3)  # a chunked batch passes the towers once more
    seconds = steps * flops * again / max(forward, 1) * _speed(model.eval(), transform)
    parts = {
        "network at work": MARGIN * peak,
        "optimiser": 8.0 * trained,
        "batch and its augmentation": 6.0 * clip_bytes * clips,
        "cache of clips": known * clip_bytes / 2,
    }
    disk = 3 * 4.0 * sum(p.numel() for p in model.parameters())
    return summed("pretrain", studies, known or clips, parts, seconds, disk)


def estimate_segmenting(segmenter: Segmenter, store: StudyStore) -> Estimate:
    """For `segment` of every study of a store, one after the other; the time is that of drawing, without videos.

    Raises:
        InputError: an empty store, or one without a view that the segmenter knows.
    """
    import cardiolens.segmenting  # noqa: F401 # what the job imports
    from cardiolens.segmenter.channels import channels_of
    from cardiolens.segmenter.crop import Window
    from cardiolens.study import View

    shape = _shape(store)
    peaks = []
    for view, size in shape.largest.items():
        if (pair := segmenter.pairs.get(View(view))) is None:
            continue
        empty = replace(pair, contour=copy.deepcopy(pair.contour).to("meta"))

        def draw(empty: Any = empty, size: tuple[int, ...] = size) -> None:
            channels = channels_of(torch.empty(size, device="meta")).flatten(0, 1)
            segmenter.draw(empty, channels, Window.whole(size[2], size[3]))

        with torch.no_grad():
            peaks.append(traced(draw)[0])
    cines = [cine for cine in store.read(store.keys()[0]).cines if cine.view in segmenter.pairs]
    if not cines:
        raise InputError(f"{store.path}: no view that {segmenter.name} knows ({', '.join(segmenter.pairs)})")
    smallest = min(cines, key=lambda cine: math.prod(cine.shape))
    start = time.perf_counter()
    segmenter.segment(smallest)
    each = (time.perf_counter() - start) / (smallest.n_slices * smallest.n_phases)
    frames = round(shape.frames_a_study * shape.studies)
    parts = {"network at work": MARGIN * max(peaks), "study": 2.0 * shape.bytes_a_study}
    disk = _WRITTEN * shape.bytes_a_study * shape.studies
    return summed("segment", shape.studies, frames, parts, each * frames, disk, items="frames")


@dataclass(frozen=True)
class _Shape:
    """A store, by some of its studies."""

    studies: int
    clips_a_study: int
    views_a_study: float
    frames_a_study: float
    bytes_a_study: float
    seconds_a_clip: float
    largest: dict[str, tuple[int, ...]]  # cine, by view: (slice, time, row, col)


def _shape(store: StudyStore) -> _Shape:
    keys = store.keys()
    if not keys:
        raise InputError(f"{store.path} is empty: there is nothing to estimate")
    some = keys[:: max(1, len(keys) // _LOOKED_AT)][:_LOOKED_AT]
    shapes = [store.info(key)["views"] for key in some]
    clips = [sum(len(choose_planes(shape[0])) for shape in one.values()) for one in shapes]
    sizes = [sum(4.0 * float(np.prod(shape)) for shape in one.values()) for one in shapes]
    start = time.perf_counter()
    read = store.read(some[0])
    for cine in read.cines:
        np.asarray(cine.frames)
    reading = (time.perf_counter() - start) / max(clips[0], 1)
    views = float(np.mean([len(one) for one in shapes]))
    frames = float(np.mean([sum(shape[0] * shape[1] for shape in one.values()) for one in shapes]))
    largest = {
        view: max((tuple(one[view]) for one in shapes if view in one), key=math.prod)
        for view in {view for one in shapes for view in one}
    }
    return _Shape(len(keys), max(1, round(float(np.mean(clips)))), views, frames, max(sizes), reading, largest)


def _grey(clips: Tensor, encoder: nn.Module) -> Tensor:
    """As many channels as the encoder takes."""
    config: Any = encoder.config
    return clips.mean(1, keepdim=True) if config.channels == 1 and clips.shape[1] > 1 else clips


def _speed(model: DualEncoder, transform: ClipTransform, clips: int = 4) -> float:
    """Seconds a clip, measured: transform and encoder."""
    plane = np.random.default_rng(0).random((transform.frames, transform.short_side, transform.short_side))
    start = time.perf_counter()
    made = torch.stack([transform(plane.astype(np.float32)) for _ in range(clips)])
    prepared = time.perf_counter() - start
    with torch.inference_mode():
        model.features(made[:1])
        start = time.perf_counter()
        model.features(made)
    return (prepared + time.perf_counter() - start) / clips


def _look(transform: ClipTransform) -> float:
    """Seconds a clip for the image statistics of the out-of-domain check, measured."""
    from cardiolens.models.domain import image_statistics

    clips = torch.rand(2, 1, transform.frames, transform.crop, transform.crop)
    image_statistics(clips[:1])
    start = time.perf_counter()
    image_statistics(clips)
    return (time.perf_counter() - start) / 2


def summed(
    job: str, studies: int, clips: int, parts: dict[str, float], seconds: float, disk: float, items: str = "clips"
) -> Estimate:
    """All parts, in bytes, and the process itself."""
    parts = {"process": float(_resident()), **parts}
    mib = {name: round(size / 2**20, 1) for name, size in parts.items()}
    memory, disk = round(sum(mib.values()), 1), round(disk / 2**20, 1)
    return Estimate(job, studies, clips, memory, mib, round(seconds, 1), disk, items)


def _resident() -> int:
    """Bytes of this process in memory now, with the model and all that was imported."""
    from pathlib import Path

    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
