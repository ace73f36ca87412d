"""Run a function in several gloo processes on this machine, forked so that nothing is imported anew."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def _child(function: Callable[..., Any], rank: int, world: int, folder: Path, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    torch.save(function(*arguments), folder / f"{rank}.pt")
    dist.destroy_process_group()
    os._exit(0)  # leave nothing of the parent's to be torn down twice


def run_in_processes(world: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What the function returned (tensors, numbers, lists and dicts of them) in each process, by rank."""
    folder.mkdir(parents=True)
    context = multiprocessing.get_context("fork")
    children = [
        context.Process(target=_child, args=(function, rank, world, folder, arguments)) for rank in range(world)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    codes = [child.exitcode for child in children]
    for child in children:
        if child.is_alive():
            child.kill()
    assert codes == [0] * world, f"exit codes {codes}: see the traceback above"
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(world)]
