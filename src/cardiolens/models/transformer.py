"""Transformer blocks of CineMA and EchoAI: fixed sin-cos positions, attention to oneself or a context, dropped paths.

Attention goes through `scaled_dot_product_attention`, which never holds the (query, key) matrix in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def sincos_table(grid: tuple[int, ...], width: int) -> Tensor:
    """Fixed position table of a token grid (row, col[, depth]) -> (1, tokens, width), tokens row-major.

    Channels hold column, row[, depth], w = 2 * floor(width / (2 * axes)) each: the sines of index / 10000^(i / (w / 2))
    for i < w / 2, then the cosines; what is left over at the end is zero (CineMA's checkpoints, after Vaswani et al.
    2017).
    """
    half = width // (2 * len(grid))
    frequency = 10000.0 ** (-np.arange(half) / half)
    rows, cols, *depths = np.meshgrid(*(np.arange(n) for n in grid), indexing="ij")
    parts = []
    for index in (cols, rows, *depths):
        angle = index.reshape(-1, 1) * frequency
        parts += [np.sin(angle), np.cos(angle)]
    table = np.zeros((1, int(np.prod(grid)), width), dtype=np.float32)
    table[0, :, : 2 * half * len(grid)] = np.concatenate(parts, axis=1)
    return torch.from_numpy(table)


class Recomputed(nn.Module):
    """A part whose activations may be forgotten and computed again in the backward pass; see `set_checkpointing`."""

    recompute: bool = False

    def __call__(self, *args: Any) -> Any:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(super().__call__, *args, use_reentrant=False)
        return super().__call__(*args)


def set_checkpointing(model: nn.Module, on: bool = True) -> None:
    """Let the blocks of a model trade time for memory: about one more forward pass, few activations kept."""
    for module in model.modules():
        if isinstance(module, Recomputed):
            module.recompute = on


class DropPath(nn.Module):
    """In training a sample's branch is left out with this probability, and the others scaled up (Huang et al. 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(batch, ...) -> the same shape."""
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand((x.shape[0],) + (1,) * (x.ndim - 1), device=x.device) >= self.rate
        return x * kept.to(x.dtype) / (1 - self.rate)


class Attention(nn.Module):
    """Attention of many heads; keys and values of the tokens themselves, or of a context."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """x (batch, n, width), context (batch, m, width) -> (batch, n, width)."""
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        kv = self.kv(x if context is None else context)
        k, v = kv.unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return found


class MLP(nn.Module):
    """Two linear layers over the last axis with GELU between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        found: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return found


class Block(Recomputed):
    """Pre-norm transformer block; with a context, `norm1` touches the queries only."""

    def __init__(self, width: int, heads: int, drop_path: float = 0.0, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = MLP(width)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """x (batch, n, width), context (batch, m, width) -> (batch, n, width)."""
        x = x + self.drop_path(self.attn(self.norm1(x), context))
        found: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return found


def initialise(model: nn.Module) -> None:
    """Xavier-uniform matrices and zero biases, as in MAE (He et al. 2022); convolutions stay as PyTorch draws them."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
