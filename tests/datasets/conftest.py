"""Small synthetic copies of public data sets, made once a session; tests that spoil one work on a copy of theirs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cardiolens.phantom.exports import Scan, export

SMALL = Scan(matrix=32, field_mm=340.0, phases=(8, 8), sax_planes=(5, 5))


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a secret for the tests")


@pytest.fixture(scope="session")
def exports(tmp_path_factory) -> dict[str, Path]:
    """Data set to the folder that the real distribution unpacks to."""
    top = tmp_path_factory.mktemp("exports")
    sizes = {"acdc": 2, "kaggle": 4, "ukb": 3}
    return {name: export(name, top / name, n, 3, scan=SMALL).root for name, n in sizes.items()}


@pytest.fixture
def copy_of(exports, tmp_path) -> Callable[[str], Path]:
    """A copy of an export that the test may spoil."""
    return lambda name: Path(shutil.copytree(exports[name], tmp_path / exports[name].name))
