"""Small studies with a beating disc, and a tiny model of random weights that can be asked for LVEF."""

from pathlib import Path

import numpy as np
import torch

from cardiolens.hub import load_model, save_model
from cardiolens.inference import fit_domain
from cardiolens.models.mil import GatedAttentionMIL, MILConfig
from cardiolens.study import Cine, Study, View

LONG_AXIS = {View.CH2: 1, View.CH4: 1}


def beating(rng: np.random.Generator, planes: int = 1, phases: int = 12, side: int = 40) -> np.ndarray:
    """(planes, phases, side, side) uint16: a bright disc that shrinks by a third and grows again, in grey and noise."""
    rows, cols = np.indices((side, side)) - side / 2
    radius = np.hypot(rows - rng.normal(0, 1), cols - rng.normal(0, 1))
    wide = side * rng.uniform(0.2, 0.26)
    time = wide * (1 - rng.uniform(0.12, 0.18) * (1 - np.cos(np.linspace(0, 2 * np.pi, phases, endpoint=False))))
    disc = 1 / (1 + np.exp(radius[None] - time[:, None, None]))
    body = 1 / (1 + np.exp((radius - 0.42 * side) / 1.5))
    frames = rng.uniform(90, 110) * body + rng.uniform(280, 320) * disc
    frames = frames[None] * np.linspace(1, 0.9, planes)[:, None, None, None]
    return np.clip(frames + rng.normal(20, rng.uniform(5, 7), frames.shape), 0, None).astype(np.uint16)


def beating_study(seed: int, sax: int = 2, others: dict[View, int] | None = None, **more) -> Study:
    """A study of that many SAX planes and other views."""
    rng = np.random.default_rng(seed)
    views = {View.SAX: sax, **(LONG_AXIS if others is None else others)}
    cines = [Cine(view, beating(rng, n), source=f"cine {view}") for view, n in views.items() if n]
    return Study(tuple(cines), **more)


def save_predictor(folder: Path, *, seed: int = 0, domain: bool = True, tag: str = "phantom") -> Path:
    """A checkpoint of random weights, with head, interval and, if wanted, the reference of beating studies."""
    torch.manual_seed(seed)
    model = load_model("shad-mvit-tiny").eval()
    model.heads["lvef"] = GatedAttentionMIL(MILConfig(kind="regression", embed_dim=model.embed_dim)).eval()
    model.card.tag = tag
    model.card.source = "random weights for tests"
    model.card.tasks["lvef"] = {
        "kind": "regression",
        "unit": "%",
        "conformal": {"coverage": 0.9, "quantile": 7.5, "n": 40},
        "metrics": {"test_mae": 3.25},
    }
    if domain:
        studies = [beating_study(1000 + i, sax=1) for i in range(40)]
        fit_domain(model, studies[:20], studies[20:], quantile=0.95)
    return save_model(model, folder)
