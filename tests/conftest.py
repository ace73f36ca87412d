"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test data (`CARDIOLENS_TEST_DATA`, default ../shared); the test is skipped where absent."""
    root = Path(os.environ.get("CARDIOLENS_TEST_DATA", ROOT.parent / "shared"))
    if not (root / "data").is_dir():
        pytest.skip(f"real data not found in {root}; set CARDIOLENS_TEST_DATA")
    return root / "data"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The golden files, committed beside the tests."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def predictor_folder(tmp_path_factory) -> Path:
    """A checkpoint folder of a tiny model with random weights, an LVEF head, an interval and a domain reference."""
    from synthetic_studies import save_predictor

    return save_predictor(tmp_path_factory.mktemp("predictor") / "model")
