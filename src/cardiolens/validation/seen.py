"""Whether the studies to be measured are of patients that a model has learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cardiolens.datasets.lineage import runs_behind, splits_near
from cardiolens.datasets.splits import Split, refuse_overlap
from cardiolens.errors import CheckpointError, TrainingError

if TYPE_CHECKING:
    from cardiolens.validation.readings import Reader

_MEND = "measure on a part that was held out (--split SPLIT --part test), or say --include-seen, which the page tells"


def check_seen(
    readers: Sequence[Reader], keys: Sequence[str], data_hash: str, split: Split | None, *, include_seen: bool
) -> tuple[list[str], list[str]]:
    """Compare the patients asked for with those that each model, and the weights it started from, learned from.

    A card names the splits of its runs by hash; the files are looked for in the run folder, and `split` is one as well.

    Args:
        readers: models to be measured.
        keys: studies asked for.
        data_hash: of their store.
        split: the split that they are a part of, if any.
        include_seen: warn instead of refusing.

    Returns:
        warnings, and what was compared, a line a run.

    Raises:
        CheckpointError: patients that a model learned from, or a model of this very store whose split is not at hand.
    """
    asked = Split({"validation": tuple(keys)})
    warnings: list[str] = []
    compared: list[str] = []
    for reader in readers:
        files = {hashed: split for folder in reader.folders for hashed, split in splits_near(folder).items()}
        if split is not None:
            files[split.hash] = split
        for run in {
            str(run.get("split_hash")): run for model in reader.models for run in runs_behind(model.card.provenance)
        }.values():
            fault = _fault(run, files, asked, data_hash)
            name = f"{reader.title}, run {run.get('recipe', '?')}, split {run.get('split_hash')}"
            compared.append(f"{name}: {_words(run, files, data_hash, fault)}")
            if fault and not include_seen:
                raise CheckpointError(f"{reader.title}: {fault}; {_MEND}")
            if fault:
                warnings.append(f"{reader.title}: {fault}. Its figures are not a validation.")
    return list(dict.fromkeys(warnings)), compared


def _fault(run: Mapping[str, Any], files: Mapping[str, Split], asked: Split, data_hash: str) -> str:
    """What is wrong with measuring here a model of this run; empty where nothing is."""
    file = files.get(str(run["split_hash"]))
    if file is not None and "train" in file.parts:
        try:
            refuse_overlap(file, asked)
        except TrainingError:
            return f"it has learned from some of these patients (part 'train' of split {run['split_hash']})"
        return ""
    if run.get("data_hash") == data_hash:
        return (
            f"it has learned from part of this very store, by the split {run['split_hash']}, whose file is not at hand "
            "(split.json of its run)"
        )
    return ""


def _words(run: Mapping[str, Any], files: Mapping[str, Split], data_hash: str, fault: str) -> str:
    if fault:
        return fault
    if str(run["split_hash"]) in files:
        return "none of its training patients is measured here"
    return "learned from another store; its patients were not compared, the split is not at hand"
