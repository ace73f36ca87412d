"""One system, one seed: trained on the common budget, its best epoch's answers to the test part, and what it cost."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from cardiolens._version import __version__
from cardiolens.bench.readers import Batch, Reader, Studies, loader
from cardiolens.bench.recipe import SystemRun
from cardiolens.bench.systems import MakeReader, System, build, parameters
from cardiolens.bench.targets import Targets, targets_of
from cardiolens.datasets.splits import Split
from cardiolens.errors import TrainingError
from cardiolens.store import StudyStore
from cardiolens.store.atomic import write_whole
from cardiolens.training.overlap import refuse_seen
from cardiolens.training.run import Bar, KeepState, RunFolder, TrainingModule, make_trainer
from cardiolens.training.supervised import KeepBest

logger = logging.getLogger(__name__)

_EVALUATION_BATCH = 4
_TIMED = 8  # studies whose reading and inference are timed


class BenchModule(TrainingModule):
    """A system under the loss that all share."""

    def __init__(self, system: System, run: SystemRun, targets: Targets) -> None:
        super().__init__(run)
        self.system, self.targets = system, targets

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.targets.loss(self.system(batch), batch.targets)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.sizes))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("val", self.targets.loss(self.system(batch), batch.targets), batch_size=len(batch.sizes))


def train_system(run: SystemRun, store: StudyStore, split: Split, out: Path, cache: Path) -> Path:
    """Run, or go on with, one system; leaves `predictions.csv` and `cost.json` in `out`.

    Returns:
        `out`.

    Raises:
        TrainingError: weights that learned from held-out studies, nothing to learn from, a loss that is no number.
    """
    cost_file = out / "cost.json"
    if cost_file.exists():
        return out
    targets = targets_of(store, split, label=run.label, conditions=run.conditions, least=run.least)
    out.mkdir(parents=True, exist_ok=True)
    if run.system.reads == "masks":
        answers, cost = _drawn(run, store, split, targets, cache)
    else:
        answers, cost = _learned(run, store, split, targets, out, cache)
    _write_predictions(out / "predictions.csv", split, targets, answers)
    facts = {
        "version": __version__,
        "recipe_hash": run.hash,
        "data_hash": store.hash(),
        "split_hash": split.hash,
        "left_out": targets.left_out,
    }
    write_whole(cost_file, json.dumps(cost | facts, indent=1).encode())
    return out


def _learned(
    run: SystemRun, store: StudyStore, split: Split, targets: Targets, out: Path, cache: Path
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, Any]]:
    folder = RunFolder(out, run)
    L.seed_everything(run.seed, verbose=False)
    system, make_reader = build(run, store, targets.answers)
    reader = make_reader(cache)
    if run.weights is not None:
        refuse_seen(system.start, split, data_hash=store.hash(), weights=run.weights, named=None, keep=folder.path)
    parts = {part: _readable(reader, split[part], part) for part in ("train", "val", "test")}
    module = BenchModule(system, run, targets)
    train = Studies(reader, targets, parts["train"], seed=run.seed)
    val = Studies(reader, targets, parts["val"], seed=None)
    seconds = _fit(folder, module, train, val)
    answers = {part: _answers(module, reader, targets, split[part], set(parts[part])) for part in ("val", "test")}
    best = json.loads((folder.path / "best.json").read_text())
    cost = {
        "parameters": parameters(system),
        "train_seconds": seconds,
        "best_epoch": best["epoch"],
        "inference_seconds": _inference(module, make_reader, parts["test"], targets),
        "unread": {part: len(split[part]) - len(keys) for part, keys in parts.items()},
        "start": {"recipe": system.start.get("recipe"), "epochs": system.start.get("epochs")} if system.start else {},
    }
    return answers, cost


def _readable(reader: Reader, keys: Sequence[str], part: str) -> tuple[str, ...]:
    reasons = {key: reader.why_not(key) for key in keys}
    kept = tuple(key for key in keys if reasons[key] is None)
    if len(kept) < len(keys):
        why = sorted({reason for reason in reasons.values() if reason})
        logger.warning("%d of %d studies of '%s' cannot be read: %s", len(keys) - len(kept), len(keys), part, why[:5])
    if not kept:
        raise TrainingError(f"no study of the part '{part}' can be read by this system")
    return kept


def _fit(folder: RunFolder, module: BenchModule, train: Studies, val: Studies) -> float:
    """Train or go on, take the weights of the best validation; gives the seconds that all starts took."""
    run = module.recipe
    callbacks = [KeepBest(folder), KeepState(folder), Bar(run.name, len(train))]
    trainer = make_trainer(folder, callbacks)
    module.train()
    resume = folder.resume if folder.resume.exists() else None
    started = time.perf_counter()
    batches = loader(train, batch=run.optimiser.batch, seed=run.seed)
    held = loader(val, batch=_EVALUATION_BATCH, seed=run.seed)
    trainer.fit(module, batches, held, ckpt_path=resume, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    folder.write_timing({"fit": time.perf_counter() - started})
    module.load_state_dict(load_file(folder.path / "best.safetensors"))
    stages = json.loads((folder.path / "timing.json").read_text())
    return float(sum(stages[name] for name in ("data", "forward", "backward")))


@torch.inference_mode()
def _answers(
    module: BenchModule, reader: Reader, targets: Targets, keys: Sequence[str], readable: set[str]
) -> npt.NDArray[np.float64]:
    """(study, target) in the terms of each target, NaN for studies that cannot be read."""
    module.eval()
    some = [key for key in keys if key in readable]
    found = [
        targets.answers.predict(module.system(batch)).double().numpy()
        for batch in loader(Studies(reader, targets, some, seed=None), batch=_EVALUATION_BATCH, seed=0)
    ]
    out = np.full((len(keys), len(targets.names)), np.nan)
    out[[key in readable for key in keys]] = np.concatenate(found)
    return out


@torch.inference_mode()
def _inference(module: BenchModule, make_reader: MakeReader, keys: Sequence[str], targets: Targets) -> float:
    """Median seconds of a study by itself, from the store to its answers, nothing being prepared."""
    seconds = []
    for key in keys[:_TIMED]:
        studies = Studies(make_reader(None), targets, [key], seed=None)
        started = time.perf_counter()
        (batch,) = loader(studies, batch=1, seed=0)
        module.system(batch)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def _drawn(
    run: SystemRun, store: StudyStore, split: Split, targets: Targets, cache: Path
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, Any]]:
    """The competitor that draws."""
    from cardiolens.bench.masks import answers_from, measured

    keys = [key for part in ("train", "val", "test") for key in split[part]]

    def told(done: int, total: int) -> None:
        if done % 20 == 0:
            logger.info("%s: %d of %d studies drawn", run.name, done, total)

    found = measured(store, keys, cache / "masks", run.system.phases, told)
    started = time.perf_counter()
    answers = {part: answers_from(found, targets, split["train"], split[part], run.seed) for part in ("val", "test")}
    refused = {part: sum(not found[key]["figures"] for key in split[part]) for part in ("train", "val", "test")}
    return answers, {
        "parameters": 0,
        "train_seconds": time.perf_counter() - started + sum(found[key]["seconds"] for key in split["train"]),
        "best_epoch": None,
        "inference_seconds": float(np.median([found[key]["seconds"] for key in split["test"]])),
        "unread": refused,
        "start": {"recipe": "segmenter:phantom"},
    }


def _write_predictions(path: Path, split: Split, targets: Targets, answers: dict[str, npt.NDArray[np.float64]]) -> None:
    """A row a study of val and test: what was said and what is true of every target."""
    rows = []
    for part, said in answers.items():
        truth = targets.table.loc[list(split[part])].to_numpy(float)
        for key, one, true in zip(split[part], said, truth, strict=True):
            pairs = zip(targets.names, one, true, strict=True)
            both = {name: value for n, a, b in pairs for name, value in ((n, a), (f"true {n}", b))}
            rows.append({"part": part, "key": key, **both})
    write_whole(path, pd.DataFrame(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())
