"""MViT forward (and a training step): fused attention against attention written out, in one run.

    python benchmarks/mvit_attention.py [--threads 1] [--rounds 5] [--write]

Three ways through the same weights, interleaved so that a busy machine slows all of them alike:
  fused           the package as it is: scaled_dot_product_attention, pooling in token order, last block for cls only
  written out     the same network, attention matrix materialised
  straightforward every head permuted into its own volume, pooled by itself, attention matrix materialised, all tokens
                  to the end: how the model is usually written
Times are medians over the rounds; the ratios are medians of the ratios within a round.  With one thread they are CPU
time, which other programs on the machine do not lengthen much; with more they are wall-clock time.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.models.mvit import Grid, MViT, MViTConfig, PooledTokens, PoolingAttention
from cardiolens.models.registry import MODELS

TABLE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "mvit_attention.md"
WAYS = ("fused", "written out", "straightforward")
CASES = (("shad-mvit-b16", 1, False), ("shad-mvit-b16", 2, False), ("shad-mvit-tiny", 1, False))
CASES += (("shad-mvit-tiny", 8, False), ("shad-mvit-tiny", 8, True))


def fused(encoder: MViT, clips: Tensor) -> Tensor:
    return encoder(clips)


def written_out(encoder: MViT, clips: Tensor) -> Tensor:
    """As `MViT.forward`, each block with its attention matrix."""
    x, grid = encoder._tokens(clips), encoder.config.grid
    only_cls = encoder.config.depth - 1 if encoder.config.output == "cls" else None
    for index, block in encoder._blocks():
        x, grid = block(x, grid, queries=1 if index == only_cls else None, maps=[])
    return _output(encoder, x)


def straightforward(encoder: MViT, clips: Tensor) -> Tensor:
    clips = clips.expand(-1, encoder.config.channels, -1, -1, -1)
    x, grid = encoder._tokens(clips), encoder.config.grid
    for _, block in encoder._blocks():
        attended, out_grid = _attend(block.attn, block.norm1(x), grid)
        x = (_max_pooled(x, grid) if block.thins else x) + attended
        y = block.norm2(x)
        x = (x if block.widen is None else block.widen(y)) + block.mlp(y)
        grid = out_grid
    return _output(encoder, x)


def _output(encoder: MViT, x: Tensor) -> Tensor:
    x = encoder.norm(x)
    return x[:, 0] if encoder.config.output == "cls" else x[:, 1:].mean(1)


def _attend(attn: PoolingAttention, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
    batch, _, width = x.shape
    q, k, v = (
        linear(x).reshape(batch, -1, width // attn.head_width, attn.head_width).permute(0, 2, 1, 3)
        for linear in (attn.q, attn.k, attn.v)
    )
    out_grid = grid
    if attn.pool_q is not None:
        q, out_grid = _pooled(attn.pool_q, q, grid)
    k, _ = _pooled(attn.pool_k, k, grid)
    v, _ = _pooled(attn.pool_v, v, grid)
    attention = (q * attn.head_width**-0.5 @ k.transpose(-2, -1)).softmax(dim=-1)
    return attn.proj((attention @ v).transpose(1, 2).reshape(batch, -1, width)), out_grid


def _pooled(pool: PooledTokens, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
    """x (batch, heads, 1 + tokens, width)."""
    batch, heads, _, width = x.shape
    cls, tokens = x[:, :, :1], x[:, :, 1:]
    volume = tokens.reshape(batch * heads, *grid, width).permute(0, 4, 1, 2, 3).contiguous()
    out = F.conv3d(volume, pool.weight, stride=(1, pool.stride, pool.stride), padding=1, groups=width)
    tokens = out.reshape(batch, heads, width, -1).transpose(2, 3)
    return pool.norm(torch.cat([cls, tokens], dim=2)), (out.shape[2], out.shape[3], out.shape[4])


def _max_pooled(x: Tensor, grid: Grid) -> Tensor:
    batch, _, width = x.shape
    volume = x[:, 1:].reshape(batch, *grid, width).permute(0, 4, 1, 2, 3).contiguous()
    out = F.max_pool3d(volume, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    return torch.cat([x[:, :1], out.reshape(batch, width, -1).transpose(1, 2)], dim=1)


def measure(name: str, batch: int, training: bool, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every round by way; the three results are compared first."""
    torch.manual_seed(0)
    config = MViTConfig(**MODELS[name].architecture["video"])
    encoder = MViT(config)
    clips = torch.rand(batch, config.channels, config.frames, config.crop, config.crop)
    ways: dict[str, Callable[[MViT, Tensor], Tensor]] = dict(
        zip(WAYS, (fused, written_out, straightforward), strict=True)
    )
    with torch.inference_mode():
        results = [run(encoder, clips) for run in ways.values()]
    for result in results[1:]:
        assert torch.allclose(result, results[0], atol=1e-4), "the three ways disagree"
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    for turn in range(rounds if config.crop > 100 else 5 * rounds):
        order = WAYS[turn % 3 :] + WAYS[: turn % 3]
        for way in order:
            start = clock()
            if training:
                ways[way](encoder, clips).square().sum().backward()
            else:
                with torch.inference_mode():
                    ways[way](encoder, clips)
            times[way].append(1e3 * (clock() - start))
    return times


def row(name: str, batch: int, training: bool, times: dict[str, list[float]]) -> str:
    base = times["fused"]
    cells = [f"{statistics.median(times[way]):.0f}" for way in WAYS]
    for way in WAYS[1:]:
        cells.append(f"{statistics.median(a / b for a, b in zip(times[way], base, strict=True)):.2f}")
    what = "training step" if training else "forward"
    return f"| {name} | {batch} | {what} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} in docs/benchmarks")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = "CPU time" if options.threads == 1 else "wall-clock time"
    lines = [
        "# MViT: fused attention against attention written out",
        "",
        f"`python benchmarks/mvit_attention.py --threads {options.threads} --rounds {options.rounds} --write`, "
        f"{date.today().isoformat()}, PyTorch {torch.__version__}, {platform.machine()} CPU, "
        f"{options.threads} thread(s), float32.  Milliseconds a batch ({clock}), medians of interleaved rounds; "
        "the last two columns say how many times as long the other ways take.",
        "",
        "| model | batch | what | fused | written out | straightforward | written out / fused "
        "| straightforward / fused |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for name, batch, training in CASES:
        lines.append(row(name, batch, training, measure(name, batch, training, options.rounds)))
        print(lines[-1], flush=True)
    lines += ["", "What the three ways are stands at the top of `benchmarks/mvit_attention.py`."]
    if options.write:
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
