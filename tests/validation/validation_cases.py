"""Studies, networks and cases for the validation tests."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cardiolens.hub import load_model, save_model
from cardiolens.models.mil import GatedAttentionMIL, MILConfig
from cardiolens.study import Cine, Study, View
from cardiolens.validation import Settings
from cardiolens.validation.cohort import Cohort
from cardiolens.validation.readings import Head, Readings
from cardiolens.validation.request import Case
from synthetic_studies import beating

ONLY_3CH, N = 5, 26


def archive_study(index: int) -> Study:
    rng = np.random.default_rng(index)
    vendor = "GE" if index % 2 else "Siemens"
    about = {"Manufacturer": vendor, "MagneticFieldStrength": 3.0 if index % 3 else 1.5, "HeartRate": 60 + index}
    views = ["3CH"] if index == ONLY_3CH else ["SAX", "4CH"]
    cines = [
        Cine(View(view), beating(rng, 2 if view == "SAX" else 1, side=36), source=view, attributes=about)
        for view in views
    ]
    sex = "F" if rng.random() < 0.5 else "M"
    return Study(tuple(cines), site="north", sex=sex, age=30.0 + 2 * index, report=f"LVEF {index} %. No effusion.")


def save_network(folder: Path, conditions: tuple[str, ...], *, lvef: bool = True, seed: int = 0) -> Path:
    """A checkpoint of random weights with a head for conditions and, if wanted, one for LVEF."""
    torch.manual_seed(seed)
    model = load_model("shad-mvit-tiny").eval()
    if lvef:
        model.heads["lvef"] = GatedAttentionMIL(MILConfig(kind="regression", embed_dim=model.embed_dim)).eval()
        conformal = {"coverage": 0.9, "quantile": 20.0, "n": 40}
        model.card.tasks["lvef"] = {"kind": "regression", "unit": "%", "label": "lvef", "conformal": conformal}
    if conditions:
        head = MILConfig(kind="classification", outputs=len(conditions), embed_dim=model.embed_dim)
        model.heads["diagnoses"] = GatedAttentionMIL(head).eval()
        model.card.tasks["diagnoses"] = {"kind": "classification", "labels": list(conditions)}
    return save_model(model, folder)


class FakeReader:
    """What the sections ask of a reader."""

    def __init__(self, heads: list[Head], title: str = "model") -> None:
        self.title, self.sha256 = title, "0" * 64
        self.heads = [(None, head) for head in heads]


def hand_made(
    tmp_path: Path,
    predicted: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    *,
    baseline: dict[str, np.ndarray] | None = None,
    attention: np.ndarray | None = None,
    facts: dict[str, object] | None = None,
    patients: list[str] | None = None,
    interval: float | None = None,
    thresholds: dict[str, float] | None = None,
    **settings: object,
) -> Case:
    """A case without a network: predictions and labels (study,) by name, two clips (SAX, 4CH) a study.

    `attention` is the weight of the SAX clip, (study,).
    """
    n = len(next(iter(labels.values())))
    keys = [f"site_p{i:04d}/a" for i in range(n)]
    facts = {"sex": "F", "age": 60.0, "age_group": "60 to 74", "vendor": "GE", "scanner": "A", "field_t": 1.5} | (
        facts or {}
    )
    facts |= {"site": "site", "heart_rate": 70.0, "views": "SAX 4CH", "planes": 2, "phases": 20, "pixel_mm": 1.5}
    studies = pd.DataFrame({**facts, "has_report": False, "synthetic": False}, index=pd.Index(keys, name="key"))
    studies["patient"] = patients or [key.split("/")[0] for key in keys]
    cohort = Cohort(studies, pd.DataFrame(labels, index=studies.index, dtype=float), (), n, n)

    def readings(of: dict[str, np.ndarray], title: str) -> Readings:
        table = pd.DataFrame(of, index=studies.index, dtype=float)
        values = [name for name in of if name == "lvef"]
        sax = np.full(n, 0.5) if attention is None else attention
        clips = pd.DataFrame(
            {
                "key": np.repeat(keys, 2),
                "view": ["SAX", "4CH"] * n,
                "plane": 0,
                "attention_head": np.stack([sax, 1 - sax], 1).ravel(),
            }
        )
        rows = np.random.default_rng(0).normal(size=(2 * n, 8)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        around = {"lvef": (interval, 0.9)} if interval else {}
        return Readings(
            title, table[values], table.drop(columns=values), thresholds or {}, around, pd.DataFrame(), clips, rows, ()
        )

    head = Head("head", "head", "classification", tuple(predicted))
    base = None if baseline is None else readings(baseline, "baseline")
    return Case(
        Settings(**{"n_resamples": 200, "projection": "pca", **settings}),
        None,
        cohort,
        FakeReader([head]),
        readings(predicted, "model"),
        None if base is None else FakeReader([head], "baseline"),
        base,
        tmp_path,
    )
