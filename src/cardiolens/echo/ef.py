"""Ejection fraction beat by beat: a clip from the start of each beat, the model's answer to each, mean and spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from cardiolens.echo.beats import Beats, find_beats
from cardiolens.errors import CheckpointError, InputError
from cardiolens.io.video import even_in_time
from cardiolens.volume import Volume

if TYPE_CHECKING:
    from cardiolens.loops import LoopTransform
    from cardiolens.models.card import Card

FloatArray = npt.NDArray[np.float64]
Span = tuple[int, int]
"""First image, and image after the last."""

LABELS = ("ef", "lvef")
_SPREAD_CLIPS = 5  # clips of a loop in which no beat was found
_BATCH = 4


class ReadsClips(Protocol):
    """What gives EF of clips: a network, or anything else."""

    @property
    def extent(self) -> int:
        """Images that a clip spans from its first; 0 where a clip is the span itself, whatever its length."""

    def __call__(self, loop: Volume, spans: Sequence[Span]) -> Sequence[float]:
        """EF in % of each clip; each lies in the loop."""


@dataclass(frozen=True, eq=False)
class BeatEF:
    """EF of a loop.

    Attributes:
        ef: mean over beats, %; spread: standard deviation over beats, None of one.
        each: (beat,) EF; spans: where each clip lies in `loop`.
        by_beats: whether clips start with beats; else they are spread evenly, since no beat could be used.
        beats: what was found; loop: the loop with even steps that was read.
        notes: what is doubtful.
    """

    ef: float
    spread: float | None
    each: FloatArray
    spans: tuple[Span, ...]
    by_beats: bool
    beats: Beats
    loop: Volume
    notes: tuple[str, ...] = ()


def beat_by_beat(loop: Volume, reads: ReadsClips, *, frame_rate: float | None = None) -> BeatEF:
    """Average over the beats of a cleaned loop.

    Args:
        frame_rate: images a second to which the loop is brought first; None leaves its own.  A model that takes every
            n-th image of loops of one rate sees another stretch of the beat at another rate.

    Raises:
        InputError: times unknown, or a loop shorter than one clip.
    """
    even = even_in_time(loop, None if frame_rate is None else 1000.0 / frame_rate)
    count = len(even)
    if count < max(reads.extent, 2):
        raise InputError(f"{count} images are fewer than the {max(reads.extent, 2)} that a clip spans")
    beats = find_beats(even)
    notes = list(beats.notes)
    if reads.extent:
        spans = [(start, start + reads.extent) for start in beats.starts if start + reads.extent <= count]
    else:
        spans = beats.spans(count)
    by_beats = bool(spans)
    if not by_beats:
        spans = _spread(count, reads.extent)
        why = "no beat was found" if not beats.starts else "no beat begins early enough for a whole clip"
        notes.append(f"{why}: {len(spans)} clips evenly spread over the loop")
    each = np.asarray(reads(even, spans), dtype=np.float64)
    if each.shape != (len(spans),) or not np.isfinite(each).all():
        raise InputError(f"the model gave {each.shape} numbers for {len(spans)} clips, or one that is not finite")
    if ((each < 0) | (each > 100)).any():
        notes.append("the model gave an EF outside 0 to 100 %")
    spread = float(each.std(ddof=1)) if len(each) > 1 else None
    return BeatEF(float(each.mean()), spread, each, tuple(spans), by_beats, beats, even, tuple(notes))


def _spread(count: int, extent: int) -> list[Span]:
    if not extent:
        return [(0, count)]
    starts = sorted({round(at) for at in np.linspace(0, count - extent, _SPREAD_CLIPS)})
    return [(start, start + extent) for start in starts]


class ModelReader:
    """A video network with an output for EF, as it stands in a model folder."""

    def __init__(self, model: Any, *, device: str = "cpu") -> None:
        """Take a loaded model.

        Raises:
            CheckpointError: no video network, untrained, or without EF among its answers.
        """
        from cardiolens.loops import LoopTransform

        card: Card | None = getattr(model, "card", None)
        answers = getattr(getattr(model, "config", None), "answers", None)
        if card is None or answers is None or "stride" not in card.transform:
            raise CheckpointError(
                "this model reads no loops; give the folder of one that `cardiolens finetune` made from a recipe of "
                "kind video, such as recipes/echoai_ef.yaml"
            )
        at = [
            i
            for i, (n, kind) in enumerate(zip(answers.names, answers.kinds, strict=True))
            if n in LABELS and kind == "value"
        ]
        if not at:
            raise CheckpointError(f"{card.full_name} answers {', '.join(answers.names)}, not {' or '.join(LABELS)}")
        if card.sha256 is None:
            raise CheckpointError(f"{card.full_name} has no trained weights; give a model folder")
        self.card, self._at, self._device = card, at[0], device
        self._model = model.to(device).eval()
        self._transform: LoopTransform = LoopTransform.from_dict(card.transform)

    @property
    def extent(self) -> int:
        return 0 if self._transform.stride is None else self._transform.extent

    def __call__(self, loop: Volume, spans: Sequence[Span]) -> Sequence[float]:
        import torch

        frames, transform = self._transform.prepare(loop), self._transform
        clips = [
            transform.clip(frames[start:stop], 0) if transform.stride is None else transform.clip(frames, start)
            for start, stop in spans
        ]
        found: list[float] = []
        with torch.inference_mode():
            for first in range(0, len(clips), _BATCH):
                batch = torch.stack(clips[first : first + _BATCH]).to(self._device)
                found += self._model.predict(batch)[:, self._at].cpu().tolist()
        return found
