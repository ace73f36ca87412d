"""A step of CineMA: seconds and peak memory of forward and backward, with and without activation checkpointing.

    python benchmarks/cinema_step.py [--size base] [--rounds 3] [--batch 1] [--device cpu] [--write]

Three steps are measured, each in a process of its own, since peak memory does not go down again:
  pretraining    the masked autoencoder, four views, 75 % hidden
  segmentation   ConvUNetR on the short-axis stack
  classification ConvViT on the short-axis stack at ED and ES
Seconds are CPU time with one thread, else of the wall; the median of the rounds after a first one, or, with
`--rounds 0`, that first one.  Memory is the
largest resident set of the process less what it had before the model, or the largest allocation on an accelerator; the
model, its gradients and the images are in it, an optimiser's state is not.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn

from cardiolens.models.convmae import ConvMAE, ConvMAEConfig
from cardiolens.models.convvit import ConvViT, ConvViTConfig
from cardiolens.models.transformer import set_checkpointing
from cardiolens.models.unetr import ConvUNetR, ConvUNetRConfig

TABLE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "cinema_step.md"
STEPS = ("pretraining", "segmentation", "classification")
WAYS = ("forward only", "plain", "checkpointing")


def built(step: str, size: str) -> tuple[nn.Module, Callable[[dict[str, Tensor]], Tensor]]:
    """A model with random weights, and its loss."""
    mae = ConvMAEConfig.of(size)
    if step == "pretraining":
        autoencoder = ConvMAE(mae)
        return autoencoder, lambda images: autoencoder(images).loss
    if step == "segmentation":
        segmenter = ConvUNetR(ConvUNetRConfig.like(mae, views=["SAX"]))
        return segmenter, lambda images: segmenter(images)["SAX"].square().mean()
    heads = ConvViT(ConvViTConfig.like(mae, views=["SAX"], outputs=5))
    return heads, lambda images: heads(images).square().mean()


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Seconds a step and peak MiB of one step in one way."""
    torch.set_num_threads(options.threads)
    cpu = options.device == "cpu"
    clock = time.process_time if cpu and options.threads == 1 else time.perf_counter
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model, loss = built(options.step, options.size)
    model.to(options.device).train(options.way != "forward only")
    set_checkpointing(model, options.way == "checkpointing")
    config = model.config.encoder
    images = {
        view: torch.rand(options.batch, config.in_channels, *size, device=options.device)
        for view, size in config.views.items()
    }
    seconds = []
    for _ in range(options.rounds + 1):
        model.zero_grad(set_to_none=True)
        start = clock()
        with torch.set_grad_enabled(options.way != "forward only"):
            found = loss(images)
        if options.way != "forward only":
            found.backward()
        found.item()
        if not cpu:
            torch.cuda.synchronize()
        seconds.append(clock() - start)
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before if cpu else torch.cuda.max_memory_allocated() / 1024
    )
    return {"seconds": statistics.median(seconds[1:] or seconds), "mib": peak / 1024}


def apart(options: argparse.Namespace, step: str, way: str) -> dict[str, float]:
    """`measure` in a process of its own."""
    flags = [f"--{name}={getattr(options, name)}" for name in ("size", "rounds", "batch", "threads", "device")]
    command = [sys.executable, __file__, *flags, f"--step={step}", f"--way={way}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(options: argparse.Namespace) -> str:
    machine = f"{platform.machine()} CPU" if options.device == "cpu" else torch.cuda.get_device_name()
    flags = " ".join(f"--{name} {getattr(options, name)}" for name in ("size", "batch", "threads", "rounds", "device"))
    clock = "CPU time" if options.device == "cpu" and options.threads == 1 else "wall-clock time"
    rounds = f"median of {options.rounds} round(s) after a first one" if options.rounds else "one step"
    lines = [
        "# A step of CineMA",
        "",
        f"`python benchmarks/cinema_step.py {flags} --write`, {date.today().isoformat()}, PyTorch {torch.__version__}, "
        f"{machine}, {options.threads} thread(s); size {options.size}, float32, random images and weights.  {clock}, "
        f"{rounds}; memory beyond the imported libraries.",
        "",
        "| step | way | seconds | peak MiB | seconds to plain | memory to plain |",
        "|---|---|---|---|---|---|",
    ]
    for step in STEPS:
        found = {way: apart(options, step, way) for way in WAYS}
        plain = found["plain"]
        for way, row in found.items():
            ratios = f"{row['seconds'] / plain['seconds']:.2f} | {row['mib'] / plain['mib']:.2f}"
            lines.append(f"| {step} | {way} | {row['seconds']:.2f} | {row['mib']:.0f} | {ratios} |")
    lines += [
        "",
        "`forward only`: without gradients.  `plain` and `checkpointing`: forward and backward, without an optimiser.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="base", choices=("tiny", "base", "large", "huge"))
    parser.add_argument("--batch", type=int, default=1, help="studies a step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--step", choices=STEPS, help="measure this one here and print JSON")
    parser.add_argument("--way", choices=WAYS, default="plain")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} in docs/benchmarks")
    options = parser.parse_args()
    if options.step:
        print(json.dumps(measure(options)))
        return
    text = report(options)
    print(text)
    if options.write:
        TABLE.write_text(text)


if __name__ == "__main__":
    main()
