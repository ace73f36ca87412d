"""Imports side by side, stopped and resumed; labels of others stay."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

import cardiolens.ingest._run as run_module
from cardiolens.datasets.bring_in import import_dataset
from cardiolens.datasets.catalogue import DATASETS
from cardiolens.errors import ReportError
from cardiolens.store import StudyStore


def test_data_sets_share_a_store_and_keep_each_others_labels(exports, tmp_path):
    store = tmp_path / "store"
    import_dataset("acdc", exports["acdc"], store, workers=1)
    opened = StudyStore(store, mode="a")
    mine = opened.labels().assign(reader=["a", "b"])
    opened.write_labels(mine)
    import_dataset("kaggle", exports["kaggle"], store, workers=1)
    import_dataset("acdc", exports["acdc"], store, workers=1)
    after = opened.labels()
    assert len(after) == 6 and list(after.loc[mine.index, "reader"]) == ["a", "b"]
    pd.testing.assert_frame_equal(after.loc[mine.index, list(mine.columns)], mine, check_dtype=False)
    assert after.loc["kaggle_1/1", ["Group", "edv", "reader"]].isna().all()  # missing, not 0
    assert {path.name for path in (store / "splits").iterdir()} == {"acdc_official.json", "kaggle_official.json"}
    assert json.loads((store / "datasets" / "acdc.json").read_text())["in_store"] == 2


def test_a_second_import_reads_nothing_again(exports, tmp_path, monkeypatch):
    first = import_dataset("ukb", exports["ukb"], tmp_path / "store", workers=1)
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "work", lambda job: pytest.fail("read again"))
        again = import_dataset("ukb", exports["ukb"], tmp_path / "store", workers=1)
    assert again.result.counts["skipped"] == 3 and again.keys == first.keys


def test_what_is_handed_to_worker_processes_can_be_pickled(exports):
    for name, folder in exports.items():
        unit = DATASETS[name].look_through(folder).units[0]
        sent = pickle.loads(pickle.dumps(unit))  # noqa: S301 - made a line ago
        assert (sent.paths, sent.identities, sent.settings) == (unit.paths, unit.identities, unit.settings)
        assert type(sent.identities[0].patient) is type(unit.identities[0].patient)
        assert sent.reader(sent.paths).cines


def test_a_killed_import_goes_on_and_ends_as_an_unbroken_one(exports, tmp_path):
    store = tmp_path / "store"
    code = (
        "import sys, time, cardiolens.ingest._run as run\n"
        "from cardiolens.datasets.bring_in import import_dataset\n"
        "work = run.work\n"
        "def slow(job):\n    out = work(job)\n    time.sleep(5)\n    return out\n"
        "run.work = slow\n"
        "import_dataset('acdc', sys.argv[1], sys.argv[2], workers=1)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(exports["acdc"]), str(store)], env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not list(store.rglob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert len(StudyStore(store)) == 1 and not (store / "labels.csv").exists()
    import_dataset("acdc", exports["acdc"], store, workers=1)
    import_dataset("acdc", exports["acdc"], tmp_path / "whole", workers=1)
    assert StudyStore(store).hash() == StudyStore(tmp_path / "whole").hash()
    assert (store / "labels.csv").read_bytes() == (tmp_path / "whole" / "labels.csv").read_bytes()


def test_labels_of_studies_that_are_not_there_stop_the_import_before_any_work(exports, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / "labels.csv").write_text("key,lvef\nsomewhere_x/y,50\n")
    with pytest.raises(ReportError, match="the store does not hold"):
        import_dataset("acdc", exports["acdc"], store, workers=1)
    assert not list(store.rglob("*.h5"))


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_says_what_it_is(name):
    dataset = DATASETS[name]
    assert dataset.name == name
    for text in (dataset.title, dataset.holds, dataset.licence, dataset.source, dataset.layout, dataset.verified):
        assert text.strip()
    assert dataset.labels
