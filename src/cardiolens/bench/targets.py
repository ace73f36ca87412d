"""What every system has to tell of a study: one value, whether any condition is present, and each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.datasets.splits import Split
from cardiolens.errors import TrainingError
from cardiolens.models.answers import Answers, Kind
from cardiolens.store import StudyStore
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL

DISEASE = "any condition"


@dataclass(frozen=True, eq=False)
class Targets:
    """Labels of a store's studies.

    Attributes:
        names: the value, `DISEASE`, then the conditions.
        table: (study, name), NaN where not known.
        offset, scale: mean and spread of the value among the training studies.
        left_out: conditions that could not be tested, and why.
    """

    names: tuple[str, ...]
    table: pd.DataFrame
    offset: float
    scale: float
    left_out: dict[str, str]

    @property
    def answers(self) -> Answers:
        """For a network with one output a target."""
        rest = len(self.names) - 1
        condition: Kind = "condition"
        kinds: tuple[Kind, ...] = ("value", *[condition] * rest)
        return Answers(self.names, kinds, (self.offset, *[0.0] * rest), (self.scale, *[1.0] * rest))

    def of(self, keys: Sequence[str]) -> Tensor:
        """(study, target), NaN where not known."""
        return torch.from_numpy(self.table.loc[list(keys)].to_numpy(np.float32))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Huber loss of the value in units of its spread, and mean cross-entropy of the conditions; known labels."""
        wanted = torch.cat([(targets[:, :1] - self.offset) / self.scale, targets[:, 1:]], dim=1)
        known = ~torch.isnan(wanted)
        wanted = torch.where(known, wanted, 0.0)
        value = F.huber_loss(logits[:, :1], wanted[:, :1], reduction="none") * known[:, :1]
        entropy = F.binary_cross_entropy_with_logits(logits[:, 1:], wanted[:, 1:], reduction="none") * known[:, 1:]
        return value.sum() / known[:, :1].sum().clamp(min=1) + entropy.sum() / known[:, 1:].sum().clamp(min=1)


def targets_of(store: StudyStore, split: Split, *, label: str, conditions: Sequence[str], least: int) -> Targets:
    """Read the labels that the parts of a split allow.

    Raises:
        TrainingError: no such columns, a value that never varies, or labels that are no numbers.
    """
    labels = store.labels()
    named = list(conditions) or [name for name in (c.replace(" ", "_") for c in CONDITION_NAMES) if name in labels]
    lacking = [name for name in (label, *named) if name not in labels]
    if lacking:
        have = ", ".join(map(str, labels.columns[:40])) or "no columns"
        raise TrainingError(f"{store.path}: labels.csv has no {', '.join(lacking)} (it has {have})")
    try:
        table = labels[[label, *named]].astype(float)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{store.path}: labels.csv holds texts where numbers are needed ({error})") from error
    table = table.reindex([key for part in split.parts for key in split[part]])
    left_out = {}
    for name in named:
        counts = [table.loc[list(split[part]), name].eq(value).sum() for part in ("train", "test") for value in (0, 1)]
        if min(counts[2:]) < least or min(counts[:2]) < 1:
            left_out[name] = f"{counts[1]} cases in train, {counts[3]} in test"
    kept = [name for name in named if name not in left_out]
    disease = _any_of(table[named])
    whole = pd.concat([table[[label]], disease.rename(DISEASE), table[kept]], axis=1)
    known = whole.loc[list(split["train"]), label].dropna()
    if len(known) < 2 or known.std() == 0:
        raise TrainingError(f"'{label}' is known of {len(known)} training studies, or the same in all")
    return Targets(tuple(whole.columns), whole, float(known.mean()), float(known.std(ddof=0)), left_out)


def _any_of(conditions: pd.DataFrame) -> pd.Series:
    """(study,) 1 where a condition other than "normal" is present, 0 where all labelled ones are absent, else NaN."""
    labelled = conditions.drop(columns=NORMAL, errors="ignore").dropna(axis="columns", how="all")
    if not len(labelled.columns):
        unknown: pd.Series = pd.Series(math.nan, conditions.index)
        return unknown
    found: pd.Series = labelled.max(axis=1)
    known: pd.Series = found.mask((found < 1) & labelled.isna().any(axis=1))
    return known
