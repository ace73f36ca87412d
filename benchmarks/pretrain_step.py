"""One step of contrastive pretraining: clips a second by stage, where the time goes, and augmentation two ways.

    python benchmarks/pretrain_step.py [--model shad-mvit-tiny] [--batch 32] [--rounds 5] [--device cpu] [--write]

Stages, on random studies of the size of the phantom's, written to a store and read back:
  data (store)   frames of one plane from the store, sixteen picked, resized, cropped, scaled; tokens (`cache: false`)
  data (memory)  the same clips from memory (`cache: true`)
  augmentation   `augmix` on the batch, as in the step
  forward        both towers and the loss
  backward       of the loss
  optimiser      AdamW
Augmentation is then compared with the usual way: every frame of a clip an image of the Pillow library, the operations
of a chain one after another, the same draw for all frames of a clip.  The two ways take turns.  With one thread times
are CPU time, which other programs on the machine do not lengthen much; otherwise they are wall-clock time.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from cardiolens.augmix import augmix
from cardiolens.hub import load_model
from cardiolens.objectives import flood
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study
from cardiolens.text.token_store import TokenStore
from cardiolens.text.tokenizer import ReportTokenizer
from cardiolens.training.contrastive import ContrastiveModule, pairs_loader
from cardiolens.training.data import ClipSource
from cardiolens.training.pairs import ContrastBatch
from cardiolens.training.recipe import PretrainRecipe
from cardiolens.transforms import ClipTransform

TABLE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "pretrain_step.md"
STAGES = ("data (store)", "data (memory)", "augmentation", "forward", "backward", "optimiser")
SENTENCES = "The left ventricle is dilated. LVEF is {} %. The atria are normal. No effusion. No mass. Normal valves."


class Clock:
    """Seconds of CPU time with one thread, else of the wall; waits for an accelerator."""

    def __init__(self, device: str) -> None:
        self.device, self.cpu = device, device == "cpu" and torch.get_num_threads() == 1

    def __call__(self) -> float:
        if self.device != "cpu":
            torch.cuda.synchronize()
        return time.process_time() if self.cpu else time.perf_counter()

    def of(self, work: Callable[[], Any]) -> tuple[float, Any]:
        start = self()
        result = work()
        return self() - start, result


def random_store(folder: Path, studies: int) -> StudyStore:
    """Studies of ten short-axis planes and three long-axis views, 25 phases of 160 x 160 pixels."""
    store, rng = StudyStore(folder, mode="a"), np.random.default_rng(0)
    for index in range(studies):
        cines = [
            Cine(view, rng.integers(0, 1500, (planes, 25, 160, 160)).astype(np.uint16), source="random")
            for view, planes in (("SAX", 10), ("2CH", 1), ("3CH", 1), ("4CH", 1))
        ]
        report = SENTENCES.format(20 + index)
        store.write(
            Study(tuple(cines), patient=f"p{index}", accession=f"a{index}", site="random", report=report),
            key=f"random_p{index:03d}/a{index:03d}",
        )
    return StudyStore(folder)


def pretraining(options: argparse.Namespace, store: StudyStore) -> ContrastiveModule:
    recipe = PretrainRecipe.model_validate(
        {
            "name": "benchmark",
            "model": options.model,
            "precision": options.precision,
            "augment": {"severity": 3.0, "width": 3},
            "text": {"freeze_layers": 0},
            "optimiser": {"lr": 1e-4, "batch": options.batch, "epochs": 1, "chunk": options.chunk},
        }
    )
    keys = store.keys()
    tokenizer = ReportTokenizer.train([store.report(key) or "" for key in keys], vocabulary=400)
    text = {"tokenizer": tokenizer, "max_tokens": 128}
    model = load_model(options.model, text=text).train()
    return ContrastiveModule(model, recipe).to(options.device).train()


def first_batch(module: ContrastiveModule, source: ClipSource) -> ContrastBatch:
    keys, tokenizer = source.store.keys(), module.model.text_tower().tokenizer
    tokens = TokenStore.build({key: source.store.report(key) or "" for key in keys}, tokenizer)
    loader: Any = pairs_loader(module.settings, source, keys, tokens, tokenizer, max_tokens=128, train=True)
    batch: ContrastBatch = next(iter(loader))
    return batch


def to_device(batch: ContrastBatch, device: str) -> ContrastBatch:
    moved = {name: getattr(batch, name).to(device) for name in ("clips", "owner", "tokens", "mask")}
    return ContrastBatch(**moved, epoch=batch.epoch, studies=batch.studies)


def measure(options: argparse.Namespace, module: ContrastiveModule, store: StudyStore) -> dict[str, list[float]]:
    """Seconds of every stage by round."""
    clock = Clock(options.device)
    optimiser = module.configure_optimizers()
    transform = ClipTransform.from_dict(module.model.card.transform)
    kept, uncached = (ClipSource(store, transform, cache=cache) for cache in (True, False))
    first_batch(module, kept)
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    half = options.precision != "32"
    for turn in range(options.rounds + 1):  # the first one warms up
        took: dict[str, float] = {}
        took["data (store)"], _ = clock.of(lambda: first_batch(module, uncached))
        took["data (memory)"], batch = clock.of(lambda: first_batch(module, kept))
        batch = to_device(batch, options.device)
        generator = torch.Generator(device=options.device).manual_seed(turn)
        took["augmentation"], clips = clock.of(lambda b=batch, g=generator: augmix(b.clips, g))
        with torch.autocast(options.device, torch.bfloat16, enabled=half):
            took["forward"], loss = clock.of(lambda b=batch, c=clips: flood(module.contrast(b, c), 0.5))
        took["backward"], _ = clock.of(loss.backward)
        took["optimiser"], _ = clock.of(optimiser.step)
        optimiser.zero_grad()
        if turn > 0:
            for stage in STAGES:
                seconds[stage].append(took[stage])
    return seconds


def hot_spots(options: argparse.Namespace, module: ContrastiveModule, batch: ContrastBatch, top: int = 8) -> list[str]:
    """The operators in which a step spends its time, with their share of it."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if options.device != "cpu" else [])]
    with profile(activities=activities) as seen:
        clips = augmix(batch.clips, torch.Generator(device=options.device).manual_seed(0))
        with torch.autocast(options.device, torch.bfloat16, enabled=options.precision != "32"):
            loss = module.contrast(batch, clips)
        loss.backward()
    kind = "self_cpu_time_total" if options.device == "cpu" else "self_device_time_total"
    rows = sorted(seen.key_averages(), key=lambda row: -getattr(row, kind))
    total = sum(getattr(row, kind) for row in rows)
    return [f"| `{row.key}` | {row.count} | {100 * getattr(row, kind) / total:.0f} % |" for row in rows[:top]]


def parts(module: ContrastiveModule, batch: ContrastBatch) -> list[str]:
    """Share of the forward pass by part of the towers, without gradients."""
    video, text = module.model.video_encoder, module.model.text_tower()
    named = {f"video {name}": part for name, part in video.named_children()}
    blocks = named.pop("video blocks", None)
    if blocks is not None:
        named |= {f"video block {index}": part for index, part in enumerate(blocks.children())}
    named |= {"text tower": text}
    clock, spent, begun = Clock(str(batch.clips.device.type)), dict.fromkeys(named, 0.0), {}
    hooks = []
    for name, part in named.items():
        hooks.append(part.register_forward_pre_hook(lambda *_, n=name: begun.update({n: clock()})))
        hooks.append(part.register_forward_hook(lambda *_, n=name: spent.update({n: spent[n] + clock() - begun[n]})))
    with torch.no_grad():
        whole = sum(clock.of(lambda: module.contrast(batch, batch.clips))[0] for _ in range(3))
    for hook in hooks:
        hook.remove()
    spent["the rest"] = whole - sum(spent.values())
    return [f"| {name} | {100 * took / whole:.0f} % |" for name, took in spent.items() if took > 0.01 * whole]


def pillow_augmix(clips: Tensor, rng: np.random.Generator, severity: float = 3.0, width: int = 3) -> Tensor:
    """AugMix frame by frame with Pillow: one draw a clip, the operations one after another on 8-bit images."""
    out = np.empty(clips.shape, dtype=np.float32)
    strength = severity / 10
    for index, clip in enumerate(clips.numpy()):
        frames = [Image.fromarray((255 * frame).astype(np.uint8)) for frame in clip[0]]
        mixed = np.zeros(clip[0].shape, dtype=np.float32)
        for weight in rng.dirichlet(np.ones(width)):
            chosen = rng.choice(7, size=rng.integers(1, 4), replace=False)
            amounts = strength * rng.uniform(-1, 1, size=(len(chosen), 2))
            for time_index, frame in enumerate(frames):
                image = frame
                for operation, amount in zip(chosen, amounts, strict=True):
                    image = _pillow(image, int(operation), *amount)
                mixed[time_index] += weight * np.asarray(image, dtype=np.float32) / 255
        keep = rng.beta(1, 1)
        out[index] = keep * clip + (1 - keep) * mixed
    return torch.from_numpy(out)


def _pillow(image: Image.Image, operation: int, amount: float, other: float) -> Image.Image:
    size, bilinear = image.size, Image.Resampling.BILINEAR
    half = size[0] / 2
    if operation == 0:
        return image.rotate(30 * amount, resample=bilinear)
    if operation in (1, 2, 3):
        shear = 0.3 * amount if operation == 1 else 0.0
        zoom = 1 + 0.3 * amount if operation == 3 else 1.0
        shift = (0.3 * half * amount, 0.3 * half * other) if operation == 2 else (0.0, 0.0)
        matrix = (zoom, shear, half * (1 - zoom - shear) + shift[0], 0.0, zoom, half * (1 - zoom) + shift[1])
        return image.transform(size, Image.Transform.AFFINE, matrix, resample=bilinear)
    if operation == 4:
        return ImageEnhance.Contrast(image).enhance(1 + 0.5 * amount)
    if operation == 5:
        return ImageEnhance.Brightness(image).enhance(1 + 0.3 * amount)
    exponent = float(np.exp(0.5 * amount))
    return image.point([round(255 * (value / 255) ** exponent) for value in range(256)])


def two_ways(batch: int, sides: tuple[int, ...], rounds: int) -> list[str]:
    """Rows of the table: milliseconds a clip, batched and by frames, interleaved, on the CPU."""
    clock, rows = Clock("cpu"), []
    for side in sides:
        clips = torch.rand(batch, 1, 16, side, side)
        batched, frames = [], []
        for turn in range(rounds + 1):
            generator, rng = torch.Generator().manual_seed(turn), np.random.default_rng(turn)
            batched.append(clock.of(lambda c=clips, g=generator: augmix(c, g))[0])
            frames.append(clock.of(lambda c=clips, r=rng: pillow_augmix(c, r))[0])
        ratio = statistics.median(b / a for a, b in zip(batched[1:], frames[1:], strict=True))
        each = [1e3 * statistics.median(times[1:]) / batch for times in (batched, frames)]
        rows.append(f"| 16 x {side} x {side} | {batch} | {each[0]:.1f} | {each[1]:.1f} | {ratio:.2f} |")
    return rows


def rate(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def report(options: argparse.Namespace) -> str:
    with tempfile.TemporaryDirectory() as folder:
        store = random_store(Path(folder) / "store", options.batch)
        module = pretraining(options, store)
        seconds = measure(options, module, store)
        source = ClipSource(store, ClipTransform.from_dict(module.model.card.transform), cache=True)
        batch = to_device(first_batch(module, source), options.device)
        spots, shares = hot_spots(options, module, batch), parts(module, batch)
    clock = "CPU time" if Clock(options.device).cpu else "wall-clock time"
    machine = f"{platform.machine()} CPU" if options.device == "cpu" else torch.cuda.get_device_name()
    flags = f"--model {options.model} --batch {options.batch} --threads {options.threads} --rounds {options.rounds}"
    flags += f" --device {options.device} --precision {options.precision}"
    step = sum(statistics.median(seconds[stage]) for stage in STAGES[1:])
    lines = [
        "# A step of contrastive pretraining",
        "",
        f"`python benchmarks/pretrain_step.py {flags} --write`, "
        f"{date.today().isoformat()}, PyTorch {torch.__version__}, {machine}, {options.threads} thread(s).  "
        f"{options.batch} studies a step, one clip each; medians of {options.rounds} rounds, {clock}.",
        "",
        f"| stage, {options.model} | ms a step | clips/s |",
        "|---|---|---|",
    ]
    for stage in STAGES:
        took = statistics.median(seconds[stage])
        lines.append(f"| {stage} | {1e3 * took:.0f} | {rate(options.batch / took)} |")
    lines += [
        f"| the step, clips from memory | {1e3 * step:.0f} | {rate(options.batch / step)} |",
        "",
        "Where the step (augmentation, forward, backward) spends its time, by operator:",
        "",
        "| operator | calls | share |",
        "|---|---|---|",
        *spots,
        "",
        "And the forward pass, by part of the model:",
        "",
        "| part | share |",
        "|---|---|",
        *shares,
        "",
        "## Augmentation: the batch at once, or frame by frame",
        "",
        "AugMix of three chains, severity 3, on the CPU.  Milliseconds a clip, medians of interleaved rounds; the last "
        "column says how many times as long Pillow takes.  Batched: one resampling a chain, on floating-point clips.  "
        "Pillow: one resampling an operation, on 8-bit frames.",
        "",
        "| clip | clips | batched | Pillow, by frames | ratio |",
        "|---|---|---|---|---|",
        *two_ways(8, (64, 224), options.rounds),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="shad-mvit-tiny")
    parser.add_argument("--batch", type=int, default=32, help="studies a step")
    parser.add_argument("--chunk", type=int, help="clips that pass the towers at a time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="32", choices=("32", "bf16"))
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} in docs/benchmarks")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = report(options)
    print(text)
    if options.write:
        TABLE.write_text(text)


if __name__ == "__main__":
    main()
