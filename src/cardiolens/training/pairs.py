"""From a store to batches of clips and reports that belong together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cardiolens.clips import PlaneSampling
from cardiolens.errors import ReportError
from cardiolens.store import StudyStore
from cardiolens.text.sections import seen_and_concluded
from cardiolens.text.token_store import TokenStore, pad_tokens, reports_sha256
from cardiolens.text.tokenizer import ReportTokenizer
from cardiolens.training.data import ClipSource, Draw, EpochSampler, generator_for
from cardiolens.training.processes import DealtBatches

logger = logging.getLogger(__name__)


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
    """One study of a draw: clips (channel, time, row, col) and the tokens of some sentences of its report."""

    clips: list[Tensor]
    tokens: npt.NDArray[np.int32]
    epoch: int
    study: str


class ReportPairs(Dataset[Pair]):
    """Studies with reports: clips of one draw and some random sentences of the report.

    Args:
        tokens: of the reports of all `keys`.
        clips_per_study: "1" for one random plane of one random view, "views" for one of every view, "all".
        plane_sampling: which planes of a view the draw is made from.
    """

    def __init__(
        self,
        source: ClipSource,
        keys: Sequence[str],
        tokens: TokenStore,
        *,
        seed: int,
        sentences: int,
        clips_per_study: str,
        plane_sampling: PlaneSampling,
    ) -> None:
        self.source, self.keys, self.tokens = source, list(keys), tokens
        self.seed, self.sentences = seed, sentences
        self.clips_per_study, self.plane_sampling = clips_per_study, plane_sampling

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
        tokens = self.tokens.draw(key, self.sentences, generator)
        return Pair([self.source.clip(key, view, plane) for view, plane in planes], tokens, epoch, key)


def report_tokens(
    path: Path, store: StudyStore, keys: Sequence[str], tokenizer: ReportTokenizer, *, findings_only: bool = False
) -> TokenStore:
    """Reports of some studies as tokens: read from `path`, or made now and kept there.

    A file of other reports or of another vocabulary is made anew.

    Args:
        findings_only: leave out indication, technique and comparison.
    """
    reports = {key: store.report(key) or "" for key in keys}
    if findings_only:
        reports = {key: seen_and_concluded(report) for key, report in reports.items()}
    if path.exists():
        try:
            kept = TokenStore.load(path, tokenizer)
        except ReportError as error:
            logger.warning("%s", error)
        else:
            if kept.reports_sha256 == reports_sha256(reports):
                return kept
    tokens = TokenStore.build(reports, tokenizer)
    tokens.save(path)
    return tokens


def contrast_loader(
    pairs: ReportPairs,
    tokenizer: ReportTokenizer,
    *,
    max_tokens: int,
    batch: int,
    seed: int,
    train: bool,
    workers: int = 0,
) -> DataLoader[Draw]:
    """Batches of `ContrastBatch`, dealt between the processes.

    In training a last batch that is not whole is left out, since it would have fewer negatives.

    Args:
        max_tokens: where a text is cut, [CLS] and [SEP] included.
        batch: studies a step and process.
        workers: processes that read ahead; the batches do not depend on their number.
    """

    def collate(items: list[Pair]) -> ContrastBatch:
        clips = [clip for item in items for clip in item.clips]
        owner = torch.tensor([i for i, item in enumerate(items) for _ in item.clips])
        text = pad_tokens([item.tokens for item in items], tokenizer, max_tokens=max_tokens)
        ids, mask = torch.from_numpy(text.ids), torch.from_numpy(text.mask)
        studies = tuple(item.study for item in items)
        return ContrastBatch(torch.stack(clips), owner, ids, mask, items[0].epoch, studies)

    batches = DealtBatches(EpochSampler(len(pairs), seed, shuffle=train), batch, drop_last=train)
    return DataLoader(
        pairs,  # type: ignore[arg-type] # torch calls a draw and an item by one type
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
