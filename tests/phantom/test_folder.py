"""Folders filled piece by piece: what is refused, what is swept, how figures are written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.folder import Kind, claim, make_all, plain, read_record, sweep, write_manifest
from cardiolens.store.atomic import temporary_beside

EGGS = Kind("a nest", "egg box", "eggs")


def leftover(path: Path) -> Path:
    """A temporary name beside `path` whose process is over."""
    code = (
        f"from pathlib import Path; from cardiolens.store.atomic import temporary_beside; "
        f"print(temporary_beside(Path({str(path)!r})))"
    )
    return Path(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip())


def test_a_folder_is_taken_once_and_again_by_the_same(tmp_path: Path) -> None:
    claim(tmp_path / "a", EGGS, {"seed": 1, "site": ("x", "y")}, 3, colour="blue")
    found = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert found == {
        "kind": "a nest", "colour": "blue", "config": {"seed": 1, "site": ["x", "y"]}, "n": 3, "sha256": None,
    }  # fmt: skip
    claim(tmp_path / "a", EGGS, {"seed": 1, "site": ("x", "y")}, 5)
    write_manifest(tmp_path / "a", EGGS, {"seed": 1}, 5, "beef")
    assert json.loads((tmp_path / "a" / "manifest.json").read_text())["sha256"] == "beef"


def test_what_belongs_to_another_is_refused_and_untouched(tmp_path: Path) -> None:
    claim(tmp_path, EGGS, {"seed": 1}, 3)
    before = (tmp_path / "manifest.json").read_bytes()
    for kind, config, n, message in (
        (EGGS, {"seed": 2}, 3, r"another egg box: seed 1 \(asked: 2\); name a new folder"),
        (EGGS, {"seed": 1, "site": "x"}, 3, "another egg box: site None"),
        (EGGS, {"seed": 1}, 2, "is an egg box of 3 eggs, 2 were asked for"),
        (Kind("a hive", "comb", "cells"), {"seed": 1}, 3, "holds another thing, a a nest"),
    ):
        with pytest.raises(PhantomError, match=message):
            claim(tmp_path, kind, config, n)
    assert (tmp_path / "manifest.json").read_bytes() == before
    for damaged in ("{", "[]", '{"kind": "a nest", "config": {}, "n": "many"}'):
        (tmp_path / "manifest.json").write_text(damaged)
        with pytest.raises(PhantomError, match="not the manifest of a phantom egg box"):
            claim(tmp_path, EGGS, {"seed": 1}, 3)


def test_leftovers_of_the_dead_go_files_and_folders_alike_and_those_of_the_living_stay(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("{}")
    leftover(tmp_path / "table.csv").write_text("half")
    gone = leftover(tmp_path / "study")
    (gone / "dicom").mkdir(parents=True)
    mine = temporary_beside(tmp_path / "study")
    mine.mkdir()
    sweep(tmp_path, tmp_path / "absent")
    assert {path.name for path in tmp_path.iterdir()} == {"kept.json", mine.name}


def test_the_first_failure_stops_all_and_progress_counts_what_was_there() -> None:
    made: list[int] = []
    told: list[tuple[int, int]] = []

    def make(order: int) -> str:
        if order == 7:
            raise PhantomError("seven")
        made.append(order)
        return str(order)

    with pytest.raises(PhantomError, match="seven"):
        make_all(make, [5, 6, 7, 8], 1, lambda done, total: told.append((done, total)), 6)
    assert made == [5, 6] and told == [(2, 6), (3, 6), (4, 6)]


def test_a_damaged_record_says_what_to_remove(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    for name in ("x.json", "absent.json"):
        with pytest.raises(PhantomError, match=f"{name}: cannot be read .*; remove this egg and run"):
            read_record(tmp_path / name, "this egg")


def test_figures_become_what_json_knows() -> None:
    value = {1: np.float32(0.5), "a": (np.arange(2), np.nan, np.bool_(True)), "b": {"c": 1 / 3, "d": None}}
    told = plain(value, 3)
    assert told == {"1": 0.5, "a": [[0, 1], None, True], "b": {"c": 0.333, "d": None}}
    assert json.loads(json.dumps(told, allow_nan=False)) == told
