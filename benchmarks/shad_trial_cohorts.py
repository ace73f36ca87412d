"""Cohorts and splits of the in-silico trial: who is scanned where, who is learned from, who is held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cardiolens.datasets.splits import Split, patient_of, refuse_overlap
from cardiolens.phantom.cohort import make_cohort
from cardiolens.store import StudyStore
from cardiolens.text.conditions import CONDITIONS

EXTERNAL = ("biobank", "post_contrast")


@dataclass(frozen=True)
class Size:
    """How large a trial is.

    Attributes:
        model: architecture; weights: what its encoder starts from, None for random weights.
        pretrain, pretrain_val, train, val, calibration, test: patients of the internal cohort in each part.
        external, rescans: patients of each external cohort, and those scanned twice.
        matrix, phases, planes: of every scan.
        at_least: positives of every condition in each test part.
        pretrain_epochs, checkpoint_every, batches: of the contrastive runs.
        end_to_end: share of the labels to epochs of the runs in which everything trains.
        seeds: draws of the labelled patients where a share of them is taken.
    """

    model: str
    pretrain: int
    pretrain_val: int
    train: int
    val: int
    calibration: int
    test: int
    external: int
    rescans: int
    matrix: int
    phases: int
    planes: int
    at_least: int
    pretrain_epochs: int
    checkpoint_every: int
    batches: tuple[int, ...]
    head_epochs: int
    end_to_end: Mapping[float, int]
    seeds: tuple[int, ...]
    weights: str | None = None

    @property
    def internal(self) -> int:
        return self.pretrain + self.pretrain_val + self.train + self.val + self.calibration + self.test


SIZES = {
    # two hours on two cores; the encoder costs 0.22 GFLOP a clip
    "tiny": Size(
        model="shad-mvit-tiny",
        pretrain=740,
        pretrain_val=60,
        train=440,
        val=60,
        calibration=60,
        test=440,
        external=600,
        rescans=100,
        matrix=128,
        phases=20,
        planes=9,
        at_least=20,
        pretrain_epochs=60,
        checkpoint_every=10,
        batches=(32, 16),
        head_epochs=100,
        end_to_end={0.01: 30, 0.1: 25, 1.0: 6},
        seeds=(0, 1, 2),
    ),
    # minutes: shows that every step runs, and nothing else
    "micro": Size(
        model="shad-mvit-tiny",
        pretrain=16,
        pretrain_val=6,
        train=20,
        val=6,
        calibration=12,
        test=40,
        external=40,
        rescans=4,
        matrix=48,
        phases=8,
        planes=3,
        at_least=1,
        pretrain_epochs=2,
        checkpoint_every=1,
        batches=(4, 8),
        head_epochs=2,
        end_to_end={0.1: 1, 1.0: 1},
        seeds=(0,),
    ),
}


def render(size: Size, folder: Path, workers: int | None) -> None:
    """Make the four cohorts, or what is missing of them."""
    common = {"format": "store", "matrix": size.matrix, "phases": size.phases, "sax_planes": size.planes}
    wanted = {
        "internal": {"n": size.internal, "seed": 101, "site": ("referral", "default"), "enrich": 0.85},
        "biobank": {"n": size.external, "seed": 102, "site": "biobank", "enrich": 1.0},
        "post_contrast": {"n": size.external, "seed": 103, "site": "post-contrast", "enrich": 1.0},
        "rescan": {"n": size.rescans, "seed": 104, "site": "biobank", "sessions": 2},
    }
    for name, settings in wanted.items():

        def show(done: int, total: int, name: str = name) -> None:
            if done % 50 == 0 or done == total:
                print(f"{name}: {done} of {total} studies", flush=True)

        make_cohort(folder / name, workers=workers, progress=show, **common, **settings)  # type: ignore[arg-type]


def split_internal(size: Size, folder: Path, out: Path) -> None:
    """Write `split_pretrain.json` and `split_downstream.json`: no patient is in two parts of either or in both."""
    labels = StudyStore(folder / "internal").labels()
    rng = np.random.default_rng(7)
    patients = pd.Series([patient_of(key) for key in labels.index], labels.index)
    test = enriched(labels, size.test, size.at_least, rng)
    rest = [key for key in rng.permutation(labels.index.to_numpy()) if key not in test]
    parts = {"test": sorted(test)}
    for part in ("train", "val", "calibration"):
        count = getattr(size, part)
        parts[part], rest = sorted(rest[:count]), rest[count:]
    assert patients.is_unique, "one study a patient"
    about = {"plan": "in-silico trial", "seed": 7, "positives_at_least": size.at_least}
    downstream = Split({part: tuple(keys) for part, keys in parts.items()}, about)
    train, val = rest[: len(rest) - size.pretrain_val], rest[len(rest) - size.pretrain_val :]
    pretraining = Split({"train": tuple(sorted(train)), "val": tuple(sorted(val))}, about)
    refuse_overlap(pretraining, downstream, seen=("train", "val"), held_out=("train", "val", "calibration", "test"))
    pretraining.save(out / "split_pretrain.json")
    downstream.save(out / "split_downstream.json")


def enriched(labels: pd.DataFrame, n: int, at_least: int, rng: np.random.Generator) -> set[str]:
    """Keys of `n` studies, more where that is needed for `at_least` positives of every condition.

    The rarest condition is served first; the rest is drawn at random.  A condition that has not so many positives in
    all gets those there are.
    """
    columns = [c.column for c in CONDITIONS]
    table = labels.iloc[rng.permutation(len(labels))][columns] == 1
    chosen: dict[str, None] = {}
    for column in sorted(columns, key=lambda name: int(table[name].sum())):
        have = int(table.loc[list(chosen), column].sum()) if chosen else 0
        more = [key for key in table.index[table[column]] if key not in chosen][: max(0, at_least - have)]
        chosen.update(dict.fromkeys(map(str, more)))
    for key in table.index:
        if len(chosen) >= n:
            break
        chosen[str(key)] = None
    return set(chosen)
