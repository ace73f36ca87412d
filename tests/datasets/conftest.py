"""Small synthetic copies of public data sets, made once a session; tests that spoil one work on a copy of theirs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cardiolens.phantom.exports import Scan, export

SMALL = Scan(matrix=32, field_mm=340.0, phases=(8, 8), sax_planes=(5, 5))


SIZES = {"acdc": 2, "kaggle": 4, "ukb": 3, "mnms": 8, "mnms2": 3, "emidec": 2, "myops": 3, "rescan": 3, "landmark": 2}


class _Exports(dict[str, Path]):
    """Each is made when a test first asks for it."""

    def __init__(self, top: Path):
        super().__init__()
        self.top = top

    def __missing__(self, name: str) -> Path:
        scan = replace(SMALL, matrix=64) if name == "emidec" else SMALL
        self[name] = export(name, self.top / name, SIZES[name], 3, scan=scan).root
        return self[name]


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a secret for the tests")


@pytest.fixture(scope="session")
def exports(tmp_path_factory) -> dict[str, Path]:
    """Data set to the folder that the real distribution unpacks to."""
    return _Exports(tmp_path_factory.mktemp("exports"))


@pytest.fixture
def copy_of(exports, tmp_path) -> Callable[[str], Path]:
    """A copy of an export that the test may spoil."""
    return lambda name: Path(shutil.copytree(exports[name], tmp_path / exports[name].name))
