"""A comparison from its recipe to its table: pretraining, runs, tests, page; killed and started again, it goes on."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from cardiolens._version import __version__
from cardiolens.bench.compare import compare
from cardiolens.bench.page import write_page
from cardiolens.bench.recipe import BenchRecipe
from cardiolens.bench.train import train_system
from cardiolens.datasets.splits import Split
from cardiolens.errors import RecipeError, TrainingError
from cardiolens.store import StudyStore
from cardiolens.store.atomic import write_whole
from cardiolens.training.recipe import RunRecipe, load_any
from cardiolens.training.run import RunFolder

logger = logging.getLogger(__name__)

_PARTS = ("train", "val", "test")


def run_bench(
    recipe: BenchRecipe, store: StudyStore, out: Path, *, only: tuple[str, ...] = (), table: Path | None = None
) -> Path:
    """Run what is missing, then test and write.

    Args:
        only: these systems alone; the others' results are kept and compared if they are there.
        table: a CSV to write the rows to as well, such as one under version control.

    Returns:
        the page, `OUT/benchmark.html`; beside it `benchmark.csv`, `benchmark.md` and the figure.

    Raises:
        RecipeError: a system that the recipe does not name.
        TrainingError: a split without train, val and test, finished runs on other studies or labels, or what
            a training raises.
    """
    unknown = [name for name in only if name not in recipe.systems]
    if unknown:
        raise RecipeError(f"no system {', '.join(unknown)} in {recipe.name}; it has {', '.join(recipe.systems)}")
    folder = RunFolder(out, recipe)
    split = folder.split(store)
    if not set(_PARTS) <= set(split.parts):
        raise TrainingError(f"the split has parts {', '.join(split.parts)}; {', '.join(_PARTS)} are needed")
    _require_same_data(recipe, store, split, out)
    for name in recipe.systems:
        if only and name not in only:
            continue
        weights, seconds = _pretrained(recipe, name, store, split, out)
        for seed in recipe.seeds:
            run = recipe.run_of(name, seed, weights)
            done = train_system(run, store, split, out / "runs" / f"{name}_{seed}", out / "cache")
            _note_pretraining(done / "cost.json", seconds)
    provenance = {
        "version": __version__,
        "recipe": recipe.name,
        "recipe_hash": recipe.hash,
        "data_hash": store.hash(),
        "split_hash": split.hash,
    }
    result = compare(recipe, out / "runs", provenance)
    return write_page(result, recipe, out, table)


def _require_same_data(recipe: BenchRecipe, store: StudyStore, split: Split, out: Path) -> None:
    """Raise where a finished run was of other studies: its figures would stand under this store's hash."""
    now = {"data_hash": store.hash(), "split_hash": split.hash}
    for path in (out / "runs" / f"{name}_{seed}" / "cost.json" for name in recipe.systems for seed in recipe.seeds):
        then = json.loads(path.read_text()) if path.exists() else now
        if any(then[what] != now[what] for what in now):
            raise TrainingError(f"{path.parent} is a run on other studies than {store.path}; choose another --out")


def _pretrained(
    recipe: BenchRecipe, name: str, store: StudyStore, split: Split, out: Path
) -> tuple[str | None, float | None]:
    """Weights that a system starts from and the seconds of its pretraining, which never sees the test part."""
    system = recipe.systems[name]
    if system.pretrain is None:
        return system.weights, None
    from cardiolens.training.kinds import PRETRAINING, pretrain_any

    own = out / "pretrained" / name
    part = out / f"split_{name}.json"
    held = {"train": split["train"], "val": split["val"]}
    Split(held, {"plan": f"{recipe.name}: pretraining sees train and val of the comparison"}).save(part)
    overrides = (*system.pretrain_set, f"split.file={part}")
    settings: RunRecipe = load_any(Path(system.pretrain), PRETRAINING, overrides)
    final = pretrain_any(settings, store, own)
    timing = own / "timing.json"
    stages = json.loads(timing.read_text()) if timing.exists() else {}
    return str(final), float(sum(stages.values())) if stages else None


def _note_pretraining(path: Path, seconds: float | None) -> None:
    cost = json.loads(path.read_text())
    if seconds is not None and cost.get("pretrain_seconds") != seconds:
        write_whole(path, json.dumps(cost | {"pretrain_seconds": seconds}, indent=1).encode())
