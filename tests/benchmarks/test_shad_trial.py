"""The in-silico trial's bookkeeping: enriched test parts, splits without overlap, one table one cohort."""

import argparse
import csv
import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.datasets.splits import Split, refuse_overlap
from cardiolens.errors import TrainingError
from cardiolens.store import StudyStore
from cardiolens.study import Study
from cardiolens.text.conditions import CONDITIONS

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
COLUMNS = [condition.column for condition in CONDITIONS]


@pytest.fixture(scope="module", autouse=True)
def importable():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def part(name):
    return importlib.import_module(name)


def labels_of(n, share, seed):
    rng = np.random.default_rng(seed)
    keys = [f"site_p{i:03d}/a" for i in range(n)]
    return pd.DataFrame((rng.random((n, len(COLUMNS))) < share).astype(int), index=keys, columns=COLUMNS)


@settings(max_examples=12, deadline=None)
@given(n=st.integers(20, 120), share=st.floats(0.0, 0.3), at_least=st.integers(0, 8), seed=st.integers(0, 999))
def test_an_enriched_part_has_the_positives_asked_for_or_all_there_are(n, share, at_least, seed):
    labels = labels_of(n, share, seed)
    wanted = n // 4
    chosen = part("shad_trial_cohorts").enriched(labels, wanted, at_least, np.random.default_rng(seed))
    assert chosen <= set(labels.index)
    assert len(chosen) >= wanted
    found = labels.loc[sorted(chosen)].sum()
    assert (found >= labels.sum().clip(upper=at_least)).all()


def test_an_enriched_part_is_no_larger_than_asked_for_where_chance_alone_would_do():
    labels = labels_of(100, 0.5, 0)
    chosen = part("shad_trial_cohorts").enriched(labels, 60, 3, np.random.default_rng(1))
    assert len(chosen) == 60


def test_a_condition_that_chance_would_miss_is_served_first():
    labels = labels_of(200, 0.3, 0)
    labels["amyloidosis"] = 0
    labels.loc[labels.index[[3, 90, 170]], "amyloidosis"] = 1
    for seed in range(5):
        chosen = part("shad_trial_cohorts").enriched(labels, 40, 3, np.random.default_rng(seed))
        assert labels.loc[sorted(chosen), "amyloidosis"].sum() == 3


@pytest.fixture
def cohort(tmp_path):
    """A micro trial's internal cohort without pixels, and its size."""
    size = part("shad_trial_cohorts").SIZES["micro"]
    store = StudyStore(tmp_path / "internal", mode="a")
    labels = labels_of(size.internal, 0.1, 5)
    for key in labels.index:
        store.write(Study(()), key=key)
    store.write_labels(labels)
    return size, tmp_path, labels


def test_the_two_splits_share_no_patient_hold_every_study_once_and_have_the_sizes_asked_for(cohort):
    size, folder, labels = cohort
    part("shad_trial_cohorts").split_internal(size, folder, folder)
    pretraining, downstream = (Split.load(folder / f"split_{name}.json") for name in ("pretrain", "downstream"))
    everyone = ("train", "val", "calibration", "test")
    refuse_overlap(pretraining, downstream, seen=("train", "val"), held_out=everyone)
    keys = [key for split in (pretraining, downstream) for keys in split.parts.values() for key in keys]
    assert sorted(keys) == sorted(labels.index)
    assert [len(downstream[name]) for name in everyone[:3]] == [size.train, size.val, size.calibration]
    assert len(pretraining["val"]) == size.pretrain_val
    positives = labels.loc[list(downstream["test"])].sum()
    assert (positives >= labels.sum().clip(upper=size.at_least)).all()


def test_a_patient_of_both_splits_would_be_refused(cohort):
    size, folder, _ = cohort
    part("shad_trial_cohorts").split_internal(size, folder, folder)
    pretraining, downstream = (Split.load(folder / f"split_{name}.json") for name in ("pretrain", "downstream"))
    mixed = Split({"train": (*pretraining["train"], downstream["test"][0])})
    with pytest.raises(TrainingError, match="1 patients"):
        refuse_overlap(mixed, downstream)


# --- rows of finished steps ------------------------------------------------------------------------------------------


@pytest.fixture
def trial(tmp_path):
    """Arguments of a trial, and a function that lays down the rows of a finished step."""
    args = argparse.Namespace(out=tmp_path / "out", results=tmp_path / "results" / "trial.csv")
    (args.out / "rows").mkdir(parents=True)

    def finish(name, data_hash="aaaa", value=1.5, count=2):
        rows = [{"step": name, "metric": "mae", "value": value + i, "data_hash": data_hash} for i in range(count)]
        (args.out / "rows" / f"{name}.json").write_text(json.dumps(rows))

    return args, finish


def read(args):
    with args.results.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_of_finished_steps_are_taken_up_once_in_the_order_of_the_plan(trial):
    args, finish = trial
    collect = part("shad_trial").collect
    finish("second")
    finish("first", value=7.0)
    assert collect(args, ["first", "second", "third"]) == {"first", "second"}
    before = args.results.read_bytes()
    assert [row["step"] for row in read(args)] == ["first"] * 2 + ["second"] * 2
    assert [float(row["value"]) for row in read(args)] == [7.0, 8.0, 1.5, 2.5]
    assert collect(args, ["first", "second", "third"]) == {"first", "second"}
    assert args.results.read_bytes() == before


def test_rows_of_another_cohort_are_refused_and_the_table_stays_as_it_was(trial):
    args, finish = trial
    collect = part("shad_trial").collect
    finish("first")
    collect(args, ["first", "second"])
    before = args.results.read_bytes()
    finish("second", data_hash="bbbb")
    with pytest.raises(SystemExit, match=r"rows of another cohort \(aaaa\); name another --results"):
        collect(args, ["first", "second"])
    assert args.results.read_bytes() == before


def test_a_step_waits_for_what_it_needs_and_every_need_is_a_step():
    sizes, plan = part("shad_trial_cohorts").SIZES, part("shad_trial_steps").plan
    for size in (*sizes.values(), replace(sizes["tiny"], batches=(32,))):
        steps = plan(size)
        names = [step.name for step in steps]
        assert len(set(names)) == len(names)
        for number, step in enumerate(steps):
            assert set(step.needs) <= set(names[:number]), step.name
