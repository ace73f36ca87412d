"""One model a condition, as in the paper: heads trained one after the other, then gathered over their one encoder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cardiolens.datasets.splits import Split
from cardiolens.errors import CheckpointError, TrainingError
from cardiolens.hub import load_model, save_model
from cardiolens.models.card import Card
from cardiolens.models.mil import GatedAttentionMIL
from cardiolens.store import StudyStore
from cardiolens.training.recipe import FinetuneRecipe
from cardiolens.training.results import conclude, fit_reference
from cardiolens.training.run import RunFolder
from cardiolens.training.start import Start
from cardiolens.training.supervised import BagLearner, conditions_of, train_head

logger = logging.getLogger(__name__)


def train_each(
    recipe: FinetuneRecipe, folder: RunFolder, store: StudyStore, split: Split, cache_folder: Path | None
) -> Path:
    """Train a head for every condition in a run folder of its own, those that are finished left as they are.

    Returns:
        the folder of the gathered model; in mode transfer, that of the runs.
    """
    task, out = conditions_of(recipe, store, split), folder.path
    start: Start | None = None
    for name in task.labels:
        own = RunFolder(out / name, recipe)
        if own.finished:
            logger.info("%s is finished", name)
            continue
        start = start or Start(folder, recipe, store, split, cache_folder or out / "cache")
        split.save(own.path / "split.json")
        module = train_head(own, start, task.one(name), title=name, own=recipe.mode == "finetune")
        entry, metrics = conclude(own.path, module, start)
        _save(own, module, start, entry)
        (own.path / "metrics.json").write_text(json.dumps({**metrics, **start.provenance()}, indent=1))
    _write_metrics(out, task.labels, task.left_out)
    if recipe.mode == "transfer":
        logger.warning("mode transfer trains an encoder a condition: the %d models stay in %s", len(task.labels), out)
        return out
    start = start or Start(folder, recipe, store, split, cache_folder or out / "cache")
    return gather(folder, start, task.labels, task.left_out)


def _save(own: RunFolder, module: BagLearner, start: Start, entry: Mapping[str, Any]) -> None:
    """The head alone where the encoder is shared; else the whole model."""
    task, card = start.recipe.task, module.model.card.model_copy(deep=True)
    if start.recipe.mode == "transfer":
        module.model.card.tasks[task] = dict(entry)
        module.model.card.provenance = start.provenance()
        save_model(module.model, own.final)
        return
    head = module.head
    head.card = Card(
        name="shad-mil-classification",
        transform=card.transform,
        tasks={task: dict(entry)},
        licence=card.licence,
        notes=[
            f"a head alone, for the encoder and projection {start.encoder}; {own.path.parent.name}/final holds both"
        ],
        provenance={**start.provenance(), "encoder": start.encoder},
    )
    save_model(head, own.final)


def gather(folder: RunFolder, start: Start, names: Sequence[str], left_out: Mapping[str, str]) -> Path:
    """One model folder with the initial encoder and the head of every condition, by the condition's name.

    Raises:
        TrainingError: a head was trained on another encoder than the weights that the recipe names hold now.
    """
    model = start.model()
    if start.recipe.task in model.heads:  # the last one trained
        del model.heads[start.recipe.task]
        model.card.tasks.pop(start.recipe.task, None)
    for name in names:
        model.heads[name] = head = _head(folder.path / name / "final", start)
        assert head.card is not None  # noqa: S101 - every loaded head carries one
        model.card.tasks[name] = head.card.tasks[start.recipe.task]
        head.card = None
    if "calibration" in start.split.parts and start.recipe.domain:
        fit_reference(model, start)
    model.card.provenance = start.provenance()
    if left_out:
        words = "; ".join(f"{name}, {why}" for name, why in left_out.items())
        model.card.notes.append(f"conditions that could not be learned: {words}")
    return save_model(model, folder.final)


def _head(path: Path, start: Start) -> GatedAttentionMIL:
    mend = f"remove {path.parent} and start again"
    try:
        head = load_model(path)
    except CheckpointError as error:
        raise TrainingError(f"{error}; {mend}") from error
    if not isinstance(head, GatedAttentionMIL) or head.card is None:
        raise TrainingError(f"{path} is no head alone: an earlier version made it; {mend}")
    if head.card.provenance.get("encoder") != start.encoder:
        raise TrainingError(f"{path} was trained on another encoder than {start.recipe.weights} holds now; {mend}")
    return head


def _write_metrics(out: Path, names: Sequence[str], left_out: Mapping[str, str]) -> None:
    """`metrics.json` of all conditions, by part of the split."""
    gathered: dict[str, Any] = {}
    for name in names:
        for part, figures in json.loads((out / name / "metrics.json").read_text()).items():
            if isinstance(figures, dict) and "conditions" in figures:
                gathered.setdefault(part, {"conditions": {}})["conditions"] |= figures["conditions"]
    (out / "metrics.json").write_text(json.dumps({**gathered, "left_out": dict(left_out)}, indent=1))
