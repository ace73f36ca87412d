"""Sentences and reports to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cardiolens.errors import CheckpointError, InputError, ReportError
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.search.index import Progress, Rows
from cardiolens.store import StudyStore
from cardiolens.text.sentences import split_sentences

SENTENCES = 5  # that the text tower read at each step of the pretraining
_BATCH = 64


@dataclass(frozen=True, eq=False)
class ReportVectors:
    """Reports of studies.

    Attributes:
        keys: studies with a report that holds a sentence, in the order asked for.
        rows: (report, 512) float32 of unit length.
        without: studies without one.
    """

    keys: tuple[str, ...]
    rows: Rows
    without: tuple[str, ...]


def require_text(model: DualEncoder) -> None:
    """`CheckpointError` where a model cannot read text."""
    if not model.has_text:
        raise CheckpointError(
            f"{model.card.full_name} has no text tower, and text cannot be compared with its clips; take a model from "
            "`cardiolens pretrain`, such as runs/<name>/final"
        )


def embed_texts(model: DualEncoder, texts: Sequence[str], progress: Progress | None = None) -> Rows:
    """(text, 512) of unit length, a batch at a time; `progress` counts texts."""
    require_text(model)
    if any(not text.strip() for text in texts) or not texts:
        raise InputError("an empty text cannot be embedded; say what to look for")
    was_training = model.training
    model.text_tower()
    model.eval()
    rows: list[Rows] = []
    try:
        with torch.inference_mode():
            for start in range(0, len(texts), _BATCH):
                rows.append(model.embed_text(list(texts[start : start + _BATCH])).float().cpu().numpy())
                if progress is not None:
                    progress("texts", min(start + _BATCH, len(texts)), len(texts))
    finally:
        model.train(was_training)
    return np.concatenate(rows)


def embed_reports(
    model: DualEncoder,
    store: StudyStore,
    keys: Sequence[str] | None = None,
    *,
    sentences: int = SENTENCES,
    progress: Progress | None = None,
) -> ReportVectors:
    """Whole reports: `sentences` at a time as in training, in report order, then the mean of the parts.

    So no sentence is lost where a report is longer than the tower reads at once.

    Raises:
        ReportError: no study with a report.
        CheckpointError: a model without text tower.
    """
    require_text(model)
    wanted = store.keys() if keys is None else list(keys)
    parts: dict[str, list[str]] = {}
    without: list[str] = []
    for key in wanted:
        found = split_sentences(store.report(key) or "")
        if found:
            parts[key] = chunks(found, sentences)
        else:
            without.append(key)
    if not parts:
        raise ReportError(
            f"none of the {len(wanted)} studies has a report; bring them in with: cardiolens ingest --reports"
        )
    rows = embed_texts(model, [text for texts in parts.values() for text in texts], progress)
    owner = np.repeat(np.arange(len(parts)), [len(texts) for texts in parts.values()])
    total = np.zeros((len(parts), rows.shape[1]))
    np.add.at(total, owner, rows)
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return ReportVectors(tuple(parts), total.astype(np.float32), tuple(without))


def chunks(sentences: Sequence[str], size: int) -> list[str]:
    """Texts of at most `size` sentences in order, as equal in length as can be.

    >>> chunks(["a.", "b.", "c."], 2)
    ['a. b.', 'c.']
    """
    if size < 1:
        raise InputError(f"the number of sentences at a time must be at least 1, got {size}")
    return [" ".join(part) for part in np.array_split(np.array(sentences, dtype=object), -(-len(sentences) // size))]
