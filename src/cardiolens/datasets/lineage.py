"""What weights have learned from: the runs that their card names, and the split files that lie with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cardiolens.datasets.splits import Split

OF_WEIGHTS = "split_of_weights_{}.json"
"""Name of the copy, in a run folder, of a split (by its hash) that the weights which the run started from know."""


def runs_behind(provenance: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The runs that made a model, the last first; those that name no split, as of published weights, are left out."""
    step: Any = provenance
    while isinstance(step, Mapping) and step:
        if step.get("split_hash"):
            yield step
        step = step.get("start")


def splits_near(folder: Path) -> dict[str, Split]:
    """Split files by their hash: of the run that a model folder belongs to, and of the runs that it started from.

    A model lies in its run folder, as RUN/final or RUN/checkpoints/epoch_0010 do, or is one.

    Raises:
        TrainingError: a split file that was edited, or is none.
    """
    own = folder.expanduser().resolve()
    if not own.exists():
        return {}
    places = [own, *list(own.parents)[:2]]
    files = [
        file for place in places for file in sorted([*place.glob("split.json"), *place.glob(OF_WEIGHTS.format("*"))])
    ]
    return {split.hash: split for split in map(Split.load, files)}
