"""Whether a result would be of patients that the starting weights have learned from already."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cardiolens.datasets.lineage import OF_WEIGHTS, runs_behind, splits_near
from cardiolens.datasets.splits import Split, refuse_overlap
from cardiolens.errors import TrainingError

logger = logging.getLogger(__name__)


def refuse_seen(
    provenance: Mapping[str, Any], split: Split, *, data_hash: str, weights: str | None, named: str | None, keep: Path
) -> list[str]:
    """Compare the patients that the weights learned from with those that are held out here.

    The card of the weights gives the hash of the split of their run, and of the run before it.  The split file itself
    is looked for in the run folder that the weights lie in, or named by the recipe (`pretrain_split`).

    Args:
        provenance: of the card of the weights.
        split: of the run that is about to start.
        data_hash: of its store.
        weights: where the weights are, as the recipe has it.
        named: a split file, as the recipe has it.
        keep: run folder; gets a copy of every split compared with, for a run that starts from this one.

    Returns:
        What was found, in words, a line for each run that the weights come from.

    Raises:
        TrainingError: a held-out patient was learned from; or the weights learned from another split of this very
            store and its file is not at hand; or the file named is not the split of these weights.
    """
    files = {} if weights is None else splits_near(Path(weights))
    runs = list(runs_behind(provenance))
    if named is not None:
        split_named = Split.load(Path(named))
        hashes = [run["split_hash"] for run in runs]
        if hashes and split_named.hash not in hashes:
            raise TrainingError(
                f"pretrain_split: {named} has the hash {split_named.hash}, the weights learned from the split "
                f"{' and '.join(hashes)}; give the split.json of their run"
            )
        files[split_named.hash] = split_named
        if not hashes:
            runs = [{"split_hash": split_named.hash}]
    return [_compare(run, files, split, data_hash, keep) for run in runs]


def _compare(run: Mapping[str, Any], files: Mapping[str, Split], split: Split, data_hash: str, keep: Path) -> str:
    """One run that the weights come from against the split."""
    learned = str(run["split_hash"])
    if learned == split.hash:
        return f"split {learned}: the same"
    if learned in files:
        refuse_overlap(files[learned], split)
        files[learned].save(keep / OF_WEIGHTS.format(learned))
        return f"split {learned}: none of its training patients is held out here"
    if run.get("data_hash") == data_hash:
        raise TrainingError(
            f"the weights learned from another split of this store ({learned}, here {split.hash}), and whether "
            "held-out patients were among those is not known; give the split.json of their run as `pretrain_split`"
        )
    logger.warning(
        "whether the weights learned from patients that are held out here was not checked: the split of their run "
        "(%s) is not at hand; give it as `pretrain_split`",
        learned,
    )
    return f"split {learned}: not compared, its file was not at hand"
