"""A small archive of two vendors and a model with two heads."""

from pathlib import Path

import pandas as pd
import pytest
from validation_cases import N, archive_study, save_network

from cardiolens.store import StudyStore
from cardiolens.study import Study


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> StudyStore:
    """26 studies of 25 patients, one of them a lone 3CH, one study without a cine beside them."""
    store = StudyStore(tmp_path_factory.mktemp("archive") / "store", mode="a")
    rows = {}
    for index in range(N):
        key = store.write(archive_study(index), key=f"north_p{max(index, 1):02d}/a{index:02d}")
        rows[key] = {
            "lvef": 20.0 + 2 * index,
            "amyloidosis": int(index % 3 == 0),
            "sarcoidosis": 0,
            "myocarditis": float("nan") if index > 20 else int(index % 10 == 0),
        }
    store.write(Study(()), key="north_empty/a99")
    store.write_labels(pd.DataFrame.from_dict(rows, orient="index").rename_axis("key"))
    return StudyStore(store.path)


@pytest.fixture(scope="session")
def network(tmp_path_factory) -> Path:
    return save_network(tmp_path_factory.mktemp("network") / "model", ("amyloidosis", "sarcoidosis", "myocarditis"))
