"""Occlusion sensitivity: how far the answer moves when a part of the clip is covered (Zeiler & Fergus 2014,
arXiv 1311.2901).  Unlike attention it is of one answer, and needs no attention at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cardiolens.errors import InputError

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder

Score = Callable[[Tensor], Tensor]
"""Features (n, width) of the encoder to one number each."""


def occlusion(
    model: DualEncoder, clip: Tensor, scores: dict[str, Score], *, box: int | None = None, batch: int = 16
) -> dict[str, Tensor]:
    """Heat of each pixel: mean change of the score, without sign, over all boxes that cover it.

    Args:
        model: any, convolutional ones too.
        clip: (channel, time, row, col) in [0, 1].
        scores: what to watch, by name; see `answer_of` and `distance_from`.
        box: edge of the covered square in pixels, covered in every frame with the mean of the clip; None for a quarter
            of the crop.  It moves by half of that.
        batch: clips encoded at once.

    Returns:
        By name of the score (row, col), float32.

    Raises:
        InputError: a box that is larger than the clip or smaller than 2 pixels, or a clip of another shape.
    """
    if clip.ndim != 4:
        raise InputError(f"occlusion is of one clip (channel, time, row, col), got {tuple(clip.shape)}")
    rows, cols = clip.shape[2:]
    edge = min(rows, cols) // 4 if box is None else box
    if not 2 <= edge <= min(rows, cols):
        raise InputError(f"the box must be 2 to {min(rows, cols)} pixels wide, got {edge}")
    places = [(top, left) for top in _starts(rows, edge) for left in _starts(cols, edge)]
    plain = clip.mean()
    with torch.inference_mode():
        before = model.features(clip[None])
        covered = []
        for start in range(0, len(places), batch):
            part = places[start : start + batch]
            clips = clip[None].repeat(len(part), 1, 1, 1, 1)
            for one, (top, left) in zip(clips, part, strict=True):
                one[..., top : top + edge, left : left + edge] = plain
            covered.append(model.features(clips))
        moved = {name: (score(torch.cat(covered)) - score(before)).abs().cpu() for name, score in scores.items()}
    count = torch.zeros(rows, cols)
    heats = {name: torch.zeros(rows, cols) for name in scores}
    for number, (top, left) in enumerate(places):
        count[top : top + edge, left : left + edge] += 1
        for name, heat in heats.items():
            heat[top : top + edge, left : left + edge] += moved[name][number]
    return {name: heat / count for name, heat in heats.items()}


def answer_of(model: DualEncoder, task: str, features: Tensor, place: int, output: int = 0) -> Score:
    """A head's answer for the whole study, with the clip at `place` replaced.

    Args:
        features: (clip, width) of the study.
    """

    def score(replaced: Tensor) -> Tensor:
        bags = features.to(replaced)[None].repeat(len(replaced), 1, 1)
        bags[:, place] = replaced
        answer: Tensor = model.measure(task, bags).output[:, output]
        return answer

    return score


def distance_from(model: DualEncoder, features: Tensor) -> Score:
    """1 minus the cosine to the embedding of a clip as it is, from its features (width,); needs no head."""

    def score(replaced: Tensor) -> Tensor:
        both: Tensor = model.project(torch.cat([features.to(replaced)[None], replaced]))
        return 1.0 - both[1:] @ both[0]

    return score


def _starts(length: int, edge: int) -> list[int]:
    """Where the box begins, half a box apart; the last one ends with the clip."""
    starts = list(range(0, length - edge + 1, max(1, edge // 2)))
    return starts if starts[-1] == length - edge else [*starts, length - edge]
