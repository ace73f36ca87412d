"""`cardiolens datasets`: list, show, check, import, split, overlap."""

import csv
import json

import pytest

from cardiolens.cli import main
from cardiolens.datasets import Split
from cardiolens.phantom.exports import Scan, export
from cardiolens.store import StudyStore

SMALL = Scan(matrix=32, field_mm=340.0, phases=(8, 8), sax_planes=(3, 3))


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a secret for the tests")


@pytest.fixture(scope="module")
def acdc(tmp_path_factory):
    return export("acdc", tmp_path_factory.mktemp("acdc") / "out", 2, 3, scan=SMALL).root


def run(*args):
    with pytest.raises(SystemExit) as left:
        main([str(arg) for arg in args])
    return int(left.value.code or 0)


def test_list_and_show_tell_layout_and_licence(capsys):
    assert run("datasets", "list") == 0
    told = capsys.readouterr().out
    assert all(name in told for name in ("ukb", "kaggle", "acdc", "clinical", "external")) and "licence" in told
    assert run("datasets", "list", "--json") == 0
    assert {each["name"] for each in json.loads(capsys.readouterr().out)} >= {"ukb", "acdc"}
    assert run("datasets", "show", "acdc") == 0
    told = capsys.readouterr().out
    assert "patient001_4d.nii.gz" in told and "unverified" in told and "lvef" in told


def test_check_writes_findings_to_the_file_that_was_named(acdc, tmp_path, capsys):
    assert run("datasets", "check", "acdc", acdc, "--list", tmp_path / "f.csv") == 0
    assert "2 cases, 0 skipped" in capsys.readouterr().out
    (tmp_path / "out.txt").write_text("patient101\n")
    args = ("--exclude", tmp_path / "out.txt", "--list", tmp_path / "f.csv")
    assert run("datasets", "check", "acdc", acdc, *args) == 0
    rows = list(csv.DictReader((tmp_path / "f.csv").open()))
    assert [(row["case"], row["outcome"]) for row in rows] == [("patient101", "skipped")]


def test_import_then_split_then_overlap(acdc, tmp_path, capsys):
    store = tmp_path / "store"
    assert run("datasets", "import", "acdc", acdc, "--out", store, "--workers", 1) == 0
    assert "2 cases" in capsys.readouterr().out and len(StudyStore(store)) == 2
    one, other = Split({"train": ("a_1/x",), "val": ("a_2/x",)}), Split({"train": ("a_3/x",), "test": ("a_1/y",)})
    one.save(tmp_path / "p.json")
    other.save(tmp_path / "d.json")
    assert run("datasets", "overlap", tmp_path / "p.json", tmp_path / "d.json") == 1
    assert "1 patients of the pretraining split's 'train'" in capsys.readouterr().err
    assert run("datasets", "split", store, "--as", "ukb_lvef", "--out", tmp_path / "s.json") == 1
    assert "too few" in capsys.readouterr().err
    assert run("datasets", "split", store, "--as", "ukb_lvef", "--label", "ef", "--out", tmp_path / "s.json") == 1
    assert "no column ef" in capsys.readouterr().err


def test_split_of_a_cohort_writes_a_file_that_loads(tmp_path, capsys, acdc):
    from cardiolens import read_study

    store = StudyStore(tmp_path / "store", mode="a")
    study = read_study(acdc / "training" / "patient001" / "patient001_4d.nii.gz", view="SAX")
    for patient in range(40):
        store.write(study, key=f"{'ukb' if patient % 2 else 'other'}_{patient:03d}/1")
    for plan in ("shad_pretrain", "shad_downstream"):
        assert run("datasets", "split", store.path, "--as", plan, "--out", tmp_path / f"{plan}.json") == 0
    assert run("datasets", "overlap", tmp_path / "shad_pretrain.json", tmp_path / "shad_downstream.json") == 0
    assert run("datasets", "split", store.path, "--as", "ukb_lvef", "--site", "ukb", "--out", tmp_path / "u.json") == 0
    split = Split.load(tmp_path / "u.json")
    assert {part: len(keys) for part, keys in split.parts.items()} == {"train": 16, "val": 2, "test": 2}
    assert split.hash in capsys.readouterr().out


def test_nothing_found_is_an_error_that_shows_the_layout(tmp_path, capsys):
    assert run("datasets", "import", "kaggle", tmp_path, "--out", tmp_path / "s") == 1
    assert "train/train/1/study" in capsys.readouterr().err
    assert run("datasets", "import", "acdc", tmp_path, "--out", tmp_path / "s", "--site", "x") == 1
    assert "leave --site out" in capsys.readouterr().err
