"""From a store to batches of clips and reports that belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cardiolens.clips import PlaneSampling
from cardiolens.text.sentences import sample_sentences
from cardiolens.training.data import ClipSource, Draw, EpochSampler, generator_for
from cardiolens.training.processes import DealtBatches

Tokenise = Callable[[Sequence[str]], tuple[Tensor, Tensor]]


@dataclass
class ContrastBatch:
    """Clips and token ids of matched reports.

    Attributes:
        clips: (clip, channel, time, row, col).
        owner: (clip,) the row of `tokens` that each clip belongs to.
        tokens: (study, token) ids; mask: (study, token) True where real.
        epoch: the epoch that it was drawn for.
        studies: keys in the store, in the order of `tokens`.
    """

    clips: Tensor
    owner: Tensor
    tokens: Tensor
    mask: Tensor
    epoch: int
    studies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """One study of a draw: clips (channel, time, row, col) and some sentences of its report."""

    clips: list[Tensor]
    text: str
    epoch: int
    study: str


class ReportPairs(Dataset[Pair]):
    """Studies with reports: clips of one draw and some random sentences of the report.

    Args:
        clips_per_study: "1" for one random plane of one random view, "views" for one of every view, "all".
        plane_sampling: which planes of a view the draw is made from.
    """

    def __init__(
        self,
        source: ClipSource,
        keys: Sequence[str],
        *,
        seed: int,
        sentences: int,
        clips_per_study: str,
        plane_sampling: PlaneSampling,
    ) -> None:
        self.source, self.keys, self.seed, self.sentences = source, list(keys), seed, sentences
        self.clips_per_study, self.plane_sampling = clips_per_study, plane_sampling
        self.reports = [source.store.report(key) or "" for key in self.keys]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, draw: Draw) -> Pair:
        epoch, index = draw
        key, generator = self.keys[index], generator_for(self.seed, epoch, self.keys[index])
        planes = self.source.planes(key, self.plane_sampling, generator)
        if self.clips_per_study != "all":
            views = sorted({view for view, _ in planes})
            if self.clips_per_study == "1":
                views = [views[generator.integers(len(views))]]
            choices = [[p for p in planes if p[0] == view] for view in views]
            planes = [some[generator.integers(len(some))] for some in choices]
        text = " ".join(sample_sentences(self.reports[index], self.sentences, generator))
        return Pair([self.source.clip(key, view, plane) for view, plane in planes], text, epoch, key)


def contrast_loader(
    pairs: ReportPairs, tokenise: Tokenise, *, batch: int, seed: int, train: bool, workers: int = 0
) -> DataLoader[Draw]:
    """Batches of `ContrastBatch`, dealt between the processes.

    In training a last batch that is not whole is left out, since it would have fewer negatives.

    Args:
        batch: studies a step and process.
        workers: processes that read ahead; the batches do not depend on their number.
    """

    def collate(items: list[Pair]) -> ContrastBatch:
        clips = [clip for item in items for clip in item.clips]
        owner = torch.tensor([i for i, item in enumerate(items) for _ in item.clips])
        tokens, mask = tokenise([item.text for item in items])
        studies = tuple(item.study for item in items)
        return ContrastBatch(torch.stack(clips), owner, tokens, mask, items[0].epoch, studies)

    batches = DealtBatches(EpochSampler(len(pairs), seed, shuffle=train), batch, drop_last=train)
    return DataLoader(
        pairs,  # type: ignore[arg-type] # torch calls a draw and an item by one type
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
