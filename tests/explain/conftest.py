"""A tiny trained-looking model with a head for LVEF and one for two conditions, and a store with labels."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from cardiolens.hub import load_model, save_model
from cardiolens.models.mil import GatedAttentionMIL, MILConfig
from cardiolens.store import StudyStore
from cardiolens.study import View
from synthetic_studies import beating_study

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))  # `published`: the golden checkpoints

CONDITIONS = ["myocarditis", "cardiac_thrombus"]


@pytest.fixture(scope="session")
def explainable(tmp_path_factory) -> Path:
    """A checkpoint folder of random weights whose pooling is far from even."""
    torch.manual_seed(3)
    model = load_model("shad-mvit-tiny").eval()
    model.heads["lvef"] = GatedAttentionMIL(MILConfig(embed_dim=model.embed_dim))
    model.heads["diagnoses"] = GatedAttentionMIL(MILConfig(kind="classification", outputs=2, embed_dim=model.embed_dim))
    with torch.no_grad():
        for head in model.heads.values():
            head.gate_weight.weight *= 40.0
            head.instance[0].weight *= 20.0
    model.card.tasks["lvef"] = {"kind": "regression", "unit": "%", "label": "lvef"}
    model.card.tasks["diagnoses"] = {"kind": "classification", "labels": CONDITIONS}
    return save_model(model, tmp_path_factory.mktemp("explainable") / "model")


@pytest.fixture
def model(explainable):
    return load_model(explainable)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory) -> StudyStore:
    """Fourteen studies of twelve patients; the last holds 3CH alone."""
    store = StudyStore(tmp_path_factory.mktemp("labelled") / "store", mode="a")
    rows = []
    for number in range(14):
        alone = number == 13
        views = {View.CH3: 1} if alone else {View.CH2: 1, View.CH4: 1}
        patient = max(number, 2)
        key = f"site_p{patient}/a{number}"
        store.write(beating_study(700 + number, sax=0 if alone else 2, others=views), key=key)
        rows.append({"key": key, "lvef": 35.0 + 2 * number, "myocarditis": number % 2, "cardiac_thrombus": 0})
    store.write_labels(pd.DataFrame(rows).set_index("key"))
    return store
