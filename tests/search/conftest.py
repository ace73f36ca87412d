"""A small store with views, reports and two studies of one patient; a tiny model with both towers."""

import numpy as np
import pandas as pd
import pytest
from search_fixtures import REPORTS, small_study, tiny_model

from cardiolens.store import StudyStore


@pytest.fixture(scope="session")
def model():
    return tiny_model()


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Five studies; the last has no report and is of the first's patient."""
    out = StudyStore(tmp_path_factory.mktemp("search") / "store", mode="a")
    patients = ["p0", "p1", "p2", "p3", "p0"]
    keys = [
        out.write(small_study(i, report=report), key=f"s_{patient}/a{i}")
        for i, (patient, report) in enumerate(zip(patients, [*REPORTS, None], strict=True))
    ]
    labels = {
        "left_ventricular_dilation": [1, 0, 0, 0, 1],
        "left_ventricular_hypertrophy": [0, 0, 1, 0, np.nan],
        "lvef": [30.0, 60.0, 65.0, 55.0, np.nan],
        "sex": ["F", "M", "M", None, "F"],
        "empty": [np.nan] * 5,
    }
    out.write_labels(pd.DataFrame(labels, index=pd.Index(keys, name="key")))
    return StudyStore(out.path)


@pytest.fixture(scope="session")
def index(model, store):
    from cardiolens.search import embed_store

    return embed_store(model, store)
